"""Two hundred visitors at once, through two workers, on two backends: each sees their own bytes and nobody else's."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.proxy.reference import Read
from tests.proxy.wire import dechunked, reset
from tests.support.aio import run
from tests.support.product import serving
from tests.support.recorder import Recorder, recorder

VISITORS, REQUESTS = 200, 50
PATIENCE_S = 60

CONFIG = """
pools:
  main:
    backends:
      one: {url: "ONE", max_sessions: 100}
      two: {url: "TWO", max_sessions: 100}
"""


def said(head: bytes, name: bytes) -> bytes:
    """The value of a field that is there at most once; empty if it is not."""
    values = [line.partition(b": ")[2] for line in head.split(b"\r\n") if line.lower().startswith(name + b":")]
    assert len(values) <= 1, head
    return values[0] if values else b""


def filling(visitor: bytes, path: bytes) -> bytes:
    """A body of which each part says whose it is."""
    return (visitor + path + b"|") * int(path.rpartition(b"/")[2])


def echo(name: bytes) -> Callable[[Read], bytes]:
    """A backend that says who asked what, in many ways of framing, and gives each visitor a cookie."""

    def answer(request: Read) -> bytes:
        method, path = request.head.split(b" ", 2)[:2]
        visitor = said(request.head, b"x-visitor")
        cookies = said(request.head, b"cookie")
        digest = sha256(request.body).hexdigest().encode()
        fields = b"X-Echo: %b %b %b %b\r\nX-Backend: %b\r\nX-Cookies: %b\r\nSet-Cookie: mine=%b%b\r\n" % (
            *(visitor, method, path, digest, name, cookies, visitor, path),
        )
        body, way = filling(visitor, path), path.split(b"/")[1]
        if way in (b"204", b"304"):
            return b"HTTP/1.1 %b X\r\n%b\r\n" % (way, fields)
        if way == b"chunks" and method != b"HEAD":
            pieces = [body[at : at + 4_000] for at in range(0, len(body), 4_000)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            fields += b"Transfer-Encoding: chunked\r\n"
        elif way == b"end":
            fields += b"Connection: close\r\n"
        else:
            fields += b"Content-Length: %d\r\n" % len(body)
        status = b"500" if way == b"500" else b"200"
        return b"HTTP/1.1 %b X\r\n%b\r\n%b" % (status, fields, b"" if method == b"HEAD" else body)

    return answer


@dataclass(slots=True)
class Visitor:
    """One browser: a connection that it keeps while it can, its cookies, and what it noticed."""

    name: bytes
    port: int
    seen: Counter[str]
    backends: set[bytes] = field(default_factory=set)
    cookies: dict[bytes, bytes] = field(default_factory=dict)
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter | None = None

    async def visit(self, chance: random.Random) -> None:
        """Fifty requests of all kinds, the first a page."""
        await self.ask(b"GET", b"/page/0/1")
        for number in range(1, REQUESTS):
            await chance.choice((self._plain, self._plain, self._send, self._send, self._together, self._leave))(
                chance, number
            )
        if self.writer is not None:
            self.writer.close()

    async def _plain(self, chance: random.Random, number: int) -> None:
        way = chance.choice((b"page", b"page", b"chunks", b"end", b"500", b"204", b"304"))
        size = chance.choice((0, 1, 20, 20, 3_000))
        await self.ask(chance.choice((b"GET", b"GET", b"HEAD", b"DELETE")), b"/%b/%d/%d" % (way, number, size))

    async def _send(self, chance: random.Random, number: int) -> None:
        body = self.name * chance.choice((0, 1, 100, 20_000))
        await self.ask(b"POST", b"/page/%d/2" % number, body, chunks=chance.random() < 0.5)

    async def _together(self, chance: random.Random, number: int) -> None:
        """Several requests in one write."""
        paths = [b"/page/%d.%d/%d" % (number, at, chance.randrange(50)) for at in range(3)]
        await self._write(b"".join(self._head(b"GET", path) + b"\r\n" for path in paths))
        for path in paths:
            await self._hear(b"GET", path, b"")

    async def _leave(self, chance: random.Random, number: int) -> None:
        """Go in the middle of a request, or of its answer."""
        path = b"/chunks/%d/9000" % number
        if chance.random() < 0.5:
            await self._write(self._head(b"POST", path) + b"Content-Length: 9000\r\n\r\n" + self.name * 100)
        else:
            await self._write(self._head(b"GET", path) + b"\r\n")
            await asyncio.wait_for(self.reader.readexactly(100), PATIENCE_S)
        assert self.writer is not None
        reset(self.writer)
        self.writer = None
        self.seen["left"] += 1

    async def ask(self, method: bytes, path: bytes, body: bytes = b"", *, chunks: bool = False) -> None:
        """One request and its answer."""
        head = self._head(method, path)
        if chunks:
            half = len(body) // 2
            parts = [part for part in (body[:half], body[half:]) if part]
            data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
            await self._write(head + b"Transfer-Encoding: chunked\r\n\r\n" + data)
        elif method == b"POST":
            await self._write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            await self._write(head + b"\r\n")
        await self._hear(method, path, body)

    def _head(self, method: bytes, path: bytes) -> bytes:
        fields = b"Host: exam\r\nSec-Fetch-Mode: navigate\r\nX-Visitor: %b\r\n" % self.name
        if self.cookies:
            fields += b"Cookie: " + b"; ".join(b"%b=%b" % each for each in self.cookies.items()) + b"\r\n"
        return b"%b %b HTTP/1.1\r\n%b" % (method, path, fields)

    async def _write(self, data: bytes) -> None:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.writer.write(data)
        await self.writer.drain()

    async def _hear(self, method: bytes, path: bytes, body: bytes) -> None:
        """The answer is the one to this request, to the last byte."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        sent = b"; ".join(b"%b=%b" % each for each in self.cookies.items() if each[0] == b"mine")
        got = await self._body(method, head)
        digest = sha256(body).hexdigest().encode()
        assert said(head, b"x-echo") == b"%b %b %b %b" % (self.name, method, path, digest), (self.name, path, head)
        if b"." not in path:  # those sent together carry the cookies of the first
            assert said(head, b"x-cookies") == sent, (self.name, path, head)
        whole = method != b"HEAD" and path.split(b"/")[1] not in (b"204", b"304")
        assert got == (filling(self.name, path) if whole else b""), (self.name, path, len(got))
        self.backends.add(said(head, b"x-backend"))
        given = [line for line in head.split(b"\r\n") if line.startswith(b"Set-Cookie: ")]
        assert given[0] == b"Set-Cookie: mine=%b%b" % (self.name, path), (self.name, head)
        assert len(given) == (2 if b"wr_main" not in self.cookies else 1), (self.name, head)
        for line in given:
            name, _, value = line.removeprefix(b"Set-Cookie: ").partition(b";")[0].partition(b"=")
            self.cookies[name] = value
        self.seen[head.split(b" ")[1].decode()] += 1

    async def _body(self, method: bytes, head: bytes) -> bytes:
        if method == b"HEAD" or head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
            return b""
        length = said(head, b"content-length")
        if length:
            return await asyncio.wait_for(self.reader.readexactly(int(length)), PATIENCE_S)
        assert said(head, b"transfer-encoding") == b"chunked", head
        raw = b""
        while not raw.endswith(b"\r\n0\r\n\r\n") and raw != b"0\r\n\r\n":
            raw += await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE_S)
        return dechunked(raw)


def test_nobody_sees_anything_of_anybody(tmp_path: Path) -> None:
    """No foreign byte, cookie or backend in ten thousand mixed requests, with clients that leave in between."""
    seen: Counter[str] = Counter()

    async def main() -> tuple[Recorder, Recorder, list[Visitor]]:
        async with recorder(echo(b"one")) as one, recorder(echo(b"two")) as two:
            config = CONFIG.replace("ONE", one.url).replace("TWO", two.url)
            async with serving(tmp_path, "--workers", "2", config=config) as product:
                port = int(product.public.rpartition(":")[2])
                visitors = [Visitor(b"v%03d" % number, port, seen) for number in range(VISITORS)]
                await asyncio.gather(*(each.visit(random.Random(each.name)) for each in visitors))
            assert "_broke" not in product.log.read_text()
            return one, two, visitors

    one, two, visitors = run(main())
    assert all(len(visitor.backends) == 1 for visitor in visitors)
    assert {name for visitor in visitors for name in visitor.backends} == {b"one", b"two"}
    assert seen.total() >= VISITORS * REQUESTS
    assert set(seen) == {"200", "204", "304", "500", "left"}
    for backend, name in ((one, b"one"), (two, b"two")):
        guests = {said(request.head, b"x-visitor") for request in backend.requests}
        assert guests == {visitor.name for visitor in visitors if visitor.backends == {name}}
        assert b"wr_" not in backend.received
