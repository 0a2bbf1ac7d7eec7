"""Nobody gets a byte to a backend without a pass, whatever is tried; and nothing of ours gets there with one."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.aio import run
from tests.support.product import Product, serving
from tests.support.recorder import Recorder, raw, recorder

CONFIG = """
pools:
  main: {backends: {main-1: {url: "MAIN", max_sessions: 1}}}
  other: {backends: {other-1: {url: "OTHER", max_sessions: 1}}}
exams:
  O1: {pool: other, match: [{path: "/other/*"}]}
default_pool: main
bypass: [{path: "/open/*"}, {path: "/door.php", query: {way: "in"}}]
"""

NAVIGATE = b"Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n"


@dataclass(slots=True)
class House:
    """A product whose slots are taken, its backends, and what it gave to whom."""

    product: Product
    backend: Recorder
    other: Recorder
    inside: bytes
    """The pass that holds the slot of `main`."""
    elsewhere: bytes
    """The pass that holds the slot of `other`."""
    waiting: bytes
    """A ticket of `main`."""

    async def ask(self, first: bytes, fields: bytes = NAVIGATE, body: bytes = b"", host: bytes = b"h") -> bytes:
        """The answer to one request."""
        head = first + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + fields
        return await raw(self.product.public, head + b"Connection: close\r\n\r\n" + body)

    async def is_denied(self, first: bytes, fields: bytes = NAVIGATE, body: bytes = b"", host: bytes = b"h") -> None:
        """It is answered by us with a 4xx, and no backend hears of it."""
        before = len(self.backend.received), len(self.other.received)
        answer = await self.ask(first, fields, body, host)
        assert answer.startswith(b"HTTP/1.1 4"), (first, fields, answer[:200])
        assert answer.count(b"HTTP/1.1 ") == 1
        assert (len(self.backend.received), len(self.other.received)) == before, (first, fields)


def _cookie(answer: bytes, pool: bytes) -> bytes:
    match = re.search(rb"\r\nSet-Cookie: wr_" + pool + rb"=([^;\r]+)", answer)
    assert match is not None, answer
    return match[1]


@asynccontextmanager
async def full_house(tmp_path: Path) -> AsyncIterator[House]:
    """Both slots are taken and confirmed."""
    async with recorder() as backend, recorder() as other:
        config = CONFIG.replace("MAIN", backend.url).replace("OTHER", other.url)
        async with serving(tmp_path, config=config) as product:
            house = House(product, backend, other, b"", b"", b"")
            house.inside = _cookie(await house.ask(b"GET /"), b"main")
            house.elsewhere = _cookie(await house.ask(b"GET /other/"), b"other")
            for path, cookie in ((b"GET /", b"main=" + house.inside), (b"GET /other/", b"other=" + house.elsewhere)):
                answer = await house.ask(path, NAVIGATE + b"Cookie: wr_" + cookie + b"\r\n")
                assert answer.startswith(b"HTTP/1.1 204 Relayed"), answer
            house.waiting = _cookie(await house.ask(b"GET /"), b"main")
            yield house


PATHS = rb"""
    / // /./ /../ /a /%2f /%2e%2e/ /..;/ /a;b /\ /%5c /%00 /?x /opeN/x /OPEN/x /open /openx //open/x /./open/x
    /x/../open/x /%2fopen/x /open%2fx /open/../x /open/./x /open//x /open/.. /open/%2e%2e/x /open/%2E%2E%2Fx
    /open/..%2fx /open/..;/x /open/..;a=b/x /open/%2e%2e;/x /open/..%3b/x /open/x;y /open/..\x /open/..%5cx
    /open\..\x /open/x%00 /open/%00/../x /open/%252e%252e/x /open/..%c0%afx /open/..%u2215x /open/x%0d%0aX:%20y
    /open/x%09 /open/x%3f/../y /open/x%23y /?/open/x /x?/open/ /x%3f/open/x
    http://h/x http://h/open/../x http://h/x?/open/x HTTP://h/open/%2e%2e/x
    /door.php /door.php?way= /door.php?way=out /door.php?way=in&way=out /door.php?way=out&way=in
    /door.php?way=in&way[]=out /door.php?way=in;way=out /door.php?WAY=in /door.php/x?way=in
    /%5fwaitroom /%5Fwaitroom/status /_waitroom //_waitroom/status /_WAITROOM/status /x/../_waitroom/status
    /_waitroom/../x /_waitroom/../open/x /_waitroom/%2e%2e/open/x /_waitroom//open/x
    /other/ /other/../x /%6fther/x
""".split()

METHODS = b"GET HEAD OPTIONS TRACE PROPFIND POST PUT DELETE PATCH LOCK SEARCH BREW get GETS CONNECT PRI !".split()

OPEN = b"/open/ /open/x?a=/../ /open/%61 /%6fpen/x /door.php?way=in /door.php?a&way=i%6e".split()


def test_no_path_and_no_method_gets_in(tmp_path: Path) -> None:
    """Only what `bypass` names passes, in its one plain reading."""

    async def main() -> None:
        async with full_house(tmp_path) as house:
            for path in PATHS:
                await house.is_denied(b"GET " + path)
            for method in METHODS:
                await house.is_denied(method + b" /")
                await house.is_denied(method + b" /open/../x")
                await house.is_denied(method + b" /x", b"")
            for first in (b"OPTIONS *", b"OPTIONS http://h", b"GET *", b"CONNECT h:80", b"PRI *"):
                await house.is_denied(first)
            heard = len(house.backend.requests)
            for path in (
                b"/open/",
                b"/open/x?a=/../",
                b"/open/%61",
                b"/%6fpen/x",
                b"/door.php?way=in",
                b"/door.php?a&way=i%6e",
            ):
                assert (await house.ask(b"GET " + path)).startswith(b"HTTP/1.1 204 Relayed"), path
                assert house.backend.requests[-1].head.startswith(b"GET " + path + b" HTTP/1.1\r\n")
            assert len(house.backend.requests) == heard + len(OPEN)
            assert b"v1." not in house.backend.received

    run(main())


FORGED = rb"""
    X-Forwarded-For: 127.0.0.1
    X-Forwarded-Host: localhost
    X-Forwarded-Proto: https
    X-Forwarded-Prefix: /open
    X-Forwarded-Uri: /open/x
    X-Forwarded-Path: /open/x
    Forwarded: for=127.0.0.1;host=localhost
    X-Real-IP: 127.0.0.1
    X-Original-URL: /open/x
    X-Rewrite-URL: /open/x
    X-HTTP-Method-Override: GET
    X-Original-Host: h
    X-Accel-Redirect: /open/x
    X-Waitroom: admitted
    X-Requested-With: XMLHttpRequest
    Sec-Purpose: prefetch
    Authorization: Bearer x
    Referer: http://h/open/x
    Origin: null
    Range: bytes=0-1
    If-None-Match: *
    Connection: Upgrade|Upgrade: websocket
    Connection: Upgrade|Upgrade: h2c
    Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAMAAABkAAQAAP__
    Upgrade: foo
    Connection: Cookie
    Connection: Host
    Expect: 100-continue
    TE: trailers
    Max-Forwards: 0
"""
"""Lines of fields; a bar stands for a line's end."""

OVERRIDES = (b"X-Original-URL: /x", b"x_original_url: /x", b"X-Rewrite-URL: /x", b"X-HTTP-Method-Override: POST")


def test_no_header_gets_in(tmp_path: Path) -> None:
    """Nobody speaks for anybody, least of all for another URL; what is bypassed is not the way to something else."""

    async def main() -> None:
        async with full_house(tmp_path) as house:
            for line in (row.strip().replace(b"|", b"\r\n") for row in FORGED.strip().splitlines()):
                await house.is_denied(b"GET /", line + b"\r\n")
                await house.is_denied(b"GET /", NAVIGATE + line + b"\r\n")
                await house.is_denied(b"POST /", line + b"\r\nContent-Length: 3\r\n", b"a=b")
            for line in OVERRIDES:
                await house.is_denied(b"GET /open/x", line + b"\r\n")
            for host in (b"localhost", b"127.0.0.1", b"other", b"h:80", b"h.", b"[::1]", b"main-1", b"_"):
                await house.is_denied(b"GET /", host=host)

    run(main())


def forged(house: House) -> list[bytes]:
    """Cookie values that are no pass of `main`."""
    good, ticket = house.inside, house.waiting
    version, key, payload, mac = good.split(b".")
    edited = ticket.rpartition(b".")[0].replace(b"~~~0~0", b"~~main-1~1~0")
    mine = b"wr_main="
    signed = ticket.rpartition(b".")[0]
    values = [
        *(b"", b"x", b"v1", b"v1...", b"v1." + key, b"=" + good, b" " + good, b"\t" + good, b'" ' + good + b'"'),
        *(good[:-1], good[1:], good + b"=", good + b"A", good + b".", good.upper(), good.swapcase(), b"v2" + good[2:]),
        *(b"'" + good + b"'", b"(" + good + b")", good.replace(b"v", b"%76", 1), good.replace(b".", b"%2e")),
        *(b"v1.old." + payload + b"." + mac, b"v1.." + payload + b"." + mac, b"v1." + key + b"." + payload + b"."),
        *(
            b"v1." + key + b"." + payload + b"." + b"A" * len(mac),
            version + b"." + key + b"." + payload * 3 + b"." + mac,
        ),
        *(signed + b"." + mac, edited + b"." + mac, edited + b"." + ticket.rpartition(b".")[2], house.elsewhere),
    ]
    names = b"WR_MAIN Wr_main wr-main wr_mainx xwr_main wr_ wr_other __Secure-wr_main __host-wr_main $wr_main".split()
    names += [b"wr%5fmain", b"wr.main", b'"wr_main"', b"wr_main:", b"wr_main[]", b"wr_main ", b"wr_main\t"]
    return [*(mine + value for value in values), *(name + b"=" + good for name in names)]


def test_no_cookie_but_a_pass_gets_in(tmp_path: Path) -> None:
    """Not edited, cut, of another pool, under another name, or behind more of ours than a browser has."""

    async def main() -> None:
        async with full_house(tmp_path) as house:
            for cookie in forged(house):
                for fields in (b"Cookie: " + cookie + b"\r\n", NAVIGATE + b"Cookie: a=b; " + cookie + b"; c=d\r\n"):
                    await house.is_denied(b"GET /", fields)
            await house.is_denied(
                b"GET /", b"Cookie: " + b"; ".join([b"wr_main=x"] * 9 + [b"wr_main=" + house.inside]) + b"\r\n"
            )
            await house.is_denied(b"GET /", b"Set-Cookie: wr_main=" + house.inside + b"\r\n")
            await house.is_denied(b"GET /?wr_main=" + house.inside, b"X-Cookie: wr_main=" + house.inside + b"\r\n")
            await house.is_denied(b"GET /other/", b"Cookie: wr_main=" + house.inside + b"\r\n")

    run(main())


OURS = {
    b"/_waitroom/status": b"200",
    b"/_waitroom//status": b"404",
    b"/_waitroom/../x": b"404",
    b"/_waitroom/%2e%2e/x": b"404",
    b"/_waitroom/status/": b"404",
    b"/_waitroom/STATUS": b"404",
    b"/_waitroom/s%74atus": b"404",
    b"/_waitroom/status;x": b"404",
    b"http://h/_waitroom/status": b"200",
    b"http://h/_waitroom/../x": b"404",
}
"""Targets under our prefix, and what the holder of a pass gets from us."""

THEIRS = rb"""
    /%5Fwaitroom/status /%5fwaitroom/ //_waitroom/status /_WAITROOM/status /_Waitroom/ /x/../_waitroom/status
    /./_waitroom/status /%2f_waitroom/status /_waitroom /_waitroom%2fstatus /_waitroom\status /_waitroom;/status
    /?/_waitroom/status http://h//_waitroom/status
""".split()
"""Targets that look like ours and are the exam server's, byte for byte."""


def test_our_prefix_is_ours_in_one_spelling(tmp_path: Path) -> None:
    """What is under it never reaches a backend; what only looks like it is an ordinary path there."""

    async def main() -> None:
        async with full_house(tmp_path) as house:
            cookie = NAVIGATE + b"Cookie: wr_main=" + house.inside + b"\r\n"
            before = len(house.backend.received)
            for target, status in OURS.items():
                assert (await house.ask(b"GET " + target, cookie)).startswith(b"HTTP/1.1 " + status), target
            assert len(house.backend.received) == before
            for target in THEIRS:
                assert (await house.ask(b"GET " + target, cookie)).startswith(b"HTTP/1.1 204 Relayed"), target
                seen = target.removeprefix(b"http://h")
                assert house.backend.requests[-1].head.startswith(b"GET " + seen + b" HTTP/1.1\r\n")

    run(main())


SPELLINGS = rb"""
    wr_main=PASS
    a=b; wr_main=PASS; c=d
    wr_main="PASS"
    $Version=1; wr_main=PASS; $Path=/
    a=b, wr_main=PASS
    a=b wr_main=PASS
    a="b; wr_main=PASS"
    __Host-wr_main=PASS
    wr_main=x; wr_main=PASS; WR_MAIN=PASS
    wr_main=PASS; wr_main =PASS
    wr_main=PASS; "wr_main"=PASS; wr_other=PASS
    wr_main=PASS|Cookie: a=b, wr_main=PASS|cookie: __Secure-wr_main=PASS
"""


def test_our_cookies_end_here(tmp_path: Path) -> None:
    """However a pass is spelled: if it counts, no byte of it is relayed, and the other cookies are."""

    async def main() -> None:
        async with full_house(tmp_path) as house:
            start = len(house.backend.received)
            for row in SPELLINGS.strip().splitlines():
                line = b"Cookie: " + row.strip().replace(b"|", b"\r\n").replace(b"PASS", house.inside)
                answer = await house.ask(b"GET /", line + b"; kept=1\r\n")
                assert answer.startswith(b"HTTP/1.1 204 Relayed"), (row, answer[:200])
                assert b"kept=1" in house.backend.requests[-1].head, row
            heard = bytes(house.backend.received[start:]).lower()
            assert b"wr_" not in heard
            assert house.inside[:20].lower() not in heard

    run(main())


def test_no_body_is_asked_for_without_a_pass(tmp_path: Path) -> None:
    """A gigabyte announced gets its refusal at once, no 100, and is not read; a small form is collected."""

    async def main() -> None:
        async with full_house(tmp_path) as house:
            form = b"Content-Type: application/x-www-form-urlencoded\r\n"
            for kind in (b"", NAVIGATE, NAVIGATE + form, NAVIGATE + b"Content-Type: multipart/form-data\r\n"):
                for method in (b"POST", b"PUT", b"GET"):
                    line = method + b" /"
                    await house.is_denied(line, kind + b"Expect: 100-continue\r\nContent-Length: 1000000000\r\n")
            await house.is_denied(b"POST /", b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")
            small = NAVIGATE + form + b"Expect: 100-continue\r\nContent-Length: 3\r\n"
            answer = await house.ask(b"POST /", small, b"a=b")
            assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 ")

    run(main())


def test_another_host_is_not_served(tmp_path: Path) -> None:
    """Where `hosts` are named, a request for any other gets 421, whatever a proxy is said to have heard."""

    async def main() -> None:
        async with recorder() as backend, recorder() as other:
            config = CONFIG.replace("MAIN", backend.url).replace("OTHER", other.url)
            async with serving(tmp_path, config=f"hosts: [exam.uni.example]\n{config}") as product:
                house = House(product, backend, other, b"", b"", b"")
                for host in (b"exam.uni.example", b"EXAM.uni.example:8080"):
                    assert (await house.ask(b"GET /open/x", host=host)).startswith(b"HTTP/1.1 204 Relayed"), host
                house.backend.received.clear()
                for host in (b"h", b"exam.uni.example.evil.example", b"xexam.uni.example", b"127.0.0.1"):
                    for more in (
                        b"",
                        b"X-Forwarded-Host: exam.uni.example\r\n",
                        b"Forwarded: host=exam.uni.example\r\n",
                    ):
                        answer = await house.ask(b"GET /open/x", NAVIGATE + more, host=host)
                        assert answer.startswith(b"HTTP/1.1 421 "), (host, more, answer[:200])
                assert bytes(house.backend.received) == b""

    run(main())
