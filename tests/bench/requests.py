"""The requests of the load, as a browser of today sends them, and the cookies that they carry."""

import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

COLLECTORS = 16
"""Connections on which cookies are collected before a measurement."""

AGENT = (
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
    "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)

PAGE = """\
GET {target} HTTP/1.1\r
Host: exam.uni.example\r
Connection: keep-alive\r
sec-ch-ua: "Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"\r
sec-ch-ua-mobile: ?0\r
sec-ch-ua-platform: "Windows"\r
Upgrade-Insecure-Requests: 1\r
{agent}\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r
Sec-Fetch-Site: same-origin\r
Sec-Fetch-Mode: navigate\r
Sec-Fetch-User: ?1\r
Sec-Fetch-Dest: document\r
Referer: http://exam.uni.example/mod/quiz/view.php?id=4711\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: fr-BE,fr;q=0.9,en;q=0.8,nl;q=0.7\r
{cookie}\r
"""

POLL = """\
GET {target} HTTP/1.1\r
Host: exam.uni.example\r
Connection: keep-alive\r
sec-ch-ua-platform: "Windows"\r
{agent}\r
sec-ch-ua: "Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"\r
Accept: application/json\r
sec-ch-ua-mobile: ?0\r
Sec-Fetch-Site: same-origin\r
Sec-Fetch-Mode: cors\r
Sec-Fetch-Dest: empty\r
Referer: http://exam.uni.example/mod/quiz/view.php?id=4711\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: fr-BE,fr;q=0.9,en;q=0.8,nl;q=0.7\r
{cookie}\r
"""

EXAM_PAGE = "/mod/quiz/attempt.php?attempt=1001&cmid=4711&page=2"
STATUS = "/_waitroom/status"
OTHERS = "MoodleSession=0123456789abcdefghijklmnop; _ga=GA1.1.1234567890.1700000000"
"""Cookies that are not ours: a browser of an exam site has some."""


def page(cookie: str = "", target: str = EXAM_PAGE) -> bytes:
    """A page load, with our cookie or without."""
    return _filled(PAGE, target, cookie)


def poll(cookie: str) -> bytes:
    """A question of the waiting page's script."""
    return _filled(POLL, STATUS, cookie)


def cookies(port: int, number: int, fits: Callable[[int], bool]) -> list[str]:
    """So many new visitors' cookies; each must have got an answer of a status that fits."""
    share = [number // COLLECTORS + (index < number % COLLECTORS) for index in range(COLLECTORS)]
    with ThreadPoolExecutor(COLLECTORS) as pool:
        return [each for part in pool.map(lambda n: _collect(port, n, fits), share) for each in part]


def _collect(port: int, number: int, fits: Callable[[int], bool]) -> list[str]:
    found = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(number):
        connection.request("GET", EXAM_PAGE, headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
        answer = connection.getresponse()
        answer.read()
        cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        if not fits(answer.status) or not cookie.startswith("wr_"):
            raise SystemExit(f"a newcomer got {answer.status} with cookie {cookie!r}")
        found.append(cookie)
    connection.close()
    return found


def _filled(text: str, target: str, cookie: str) -> bytes:
    all_cookies = f"{OTHERS}; {cookie}" if cookie else OTHERS
    return text.format(agent=AGENT, target=target, cookie=f"Cookie: {all_cookies}\r\n").encode()
