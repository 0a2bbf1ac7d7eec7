"""The requests of the load, as a browser of today sends them, and the cookies that they carry."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.bench.served import Contestant, connect

COLLECTORS = 16
"""Connections on which cookies are collected before a measurement."""

AGENT = (
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
    "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)

PAGE = """\
{method} {target} HTTP/1.1\r
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
Referer: http://exam.uni.example{referer}\r
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
VIEW_PAGE = "/mod/quiz/view.php?id=4711"
STATUS = "/_waitroom/status"
NEWS = "/_waitroom/news?pool=main"
OTHERS = "MoodleSession=0123456789abcdefghijklmnop; _ga=GA1.1.1234567890.1700000000"
"""Cookies that are not ours: a browser of an exam site has some."""


VARIED = 20_000
"""Requests that differ: so many that a cache of what was just seen has forgotten the first when it comes again."""


def page(cookie: str = "", target: str = EXAM_PAGE) -> bytes:
    """A page load, with our cookie or without."""
    return _filled(PAGE, target, f"{OTHERS}; {cookie}" if cookie else OTHERS)


def varied(passes: Sequence[str]) -> list[bytes]:
    """Page loads of which no two have the same path and Referer; each student has cookies of the exam server's own."""
    found = []
    for at in range(VARIED):
        student, number = at % len(passes), at // len(passes)
        path = f"/mod/quiz/attempt.php?attempt={1001 + student}&cmid=4711&page="
        own = f"MoodleSession={student:026x}; _ga=GA1.1.{1234567890 + student}.1700000000; timeleft={at}"
        found.append(_filled(PAGE, f"{path}{number + 1}", f"{own}; {passes[student]}", referer=f"{path}{number}"))
    return found


def poll(cookie: str) -> bytes:
    """A question of the waiting page's script."""
    return _filled(POLL, STATUS, f"{OTHERS}; {cookie}")


def news() -> bytes:
    """What an open page asks between its polls."""
    return _filled(POLL, NEWS, OTHERS)


def upload(cookie: str, length: int) -> bytes:
    """The head of a request with a body: a paper that is handed in."""
    framing = f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n".encode()
    return _filled(PAGE, "/mod/assign/view.php", f"{OTHERS}; {cookie}", method="POST")[:-2] + framing


def cookies(contestant: Contestant, number: int, fits: Callable[[int], bool]) -> list[str]:
    """So many new visitors' cookies; each must have got an answer of a status that fits."""
    share = [number // COLLECTORS + (index < number % COLLECTORS) for index in range(COLLECTORS)]
    with ThreadPoolExecutor(COLLECTORS) as pool:
        return [each for part in pool.map(lambda n: _collect(contestant, n, fits), share) for each in part]


def _collect(contestant: Contestant, number: int, fits: Callable[[int], bool]) -> list[str]:
    found = []
    connection = connect(contestant.port, tls=contestant.tls)
    for _ in range(number):
        connection.request("GET", EXAM_PAGE, headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
        answer = connection.getresponse()
        answer.read()
        cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        if not fits(answer.status) or "wr_main=" not in cookie:
            raise SystemExit(f"a newcomer got {answer.status} with cookie {cookie!r}")
        found.append(cookie)
    connection.close()
    return found


def _filled(text: str, target: str, cookies: str, *, method: str = "GET", referer: str = VIEW_PAGE) -> bytes:
    cookie = f"Cookie: {cookies}\r\n"
    return text.format(method=method, agent=AGENT, target=target, referer=referer, cookie=cookie).encode()
