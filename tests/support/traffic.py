"""An exam day's traffic that remembers each thing that went wrong: connections, saved answers, tunnels, an upload.

Law: every client behaves as RFC 9112 lets it. It ends a connection that was announced to close, sends nothing twice,
and takes anything but a whole answer of the exam server for a loss.
"""

import asyncio
import contextlib
import hashlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import websockets
from aiohttp import WSMsgType, web

from tests.support.ports import free_port
from tests.support.product import START_S, look_again
from tests.support.site import everywhere, listening

UPLOAD_BYTES = 50_000_000
LONGEST_S = 240.0
"""An upload, a download and a tunnel are under way for as long as the test around them wants; this is a hang."""

CHUNK = b"0123456789abcdef" * 4_096
DOWNLOAD_BYTES = 256 * len(CHUNK)


@dataclass(slots=True)
class ExamServer:
    """Counts what reaches it: saved answers by number, bytes of uploads."""

    url: str = ""
    saved: Counter[str] = field(default_factory=Counter)
    heard: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Target and fields of each page that was asked for."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`/save?n=`: a saved answer; `/upload`: a file, whose hash is told; `/download`; `/socket`: an echo."""
        if request.path == "/save":
            assert await request.read() == b"answer"
            self.saved[request.query["n"]] += 1
        elif request.path == "/upload":
            digest = hashlib.sha256()
            async for data in request.content.iter_any():
                digest.update(data)
            return web.Response(text=digest.hexdigest())
        elif request.path == "/download":
            return await _download(request)
        elif request.path == "/socket":
            return await echo(request)
        self.heard.append((request.raw_path, dict(request.headers)))
        return web.Response(text="ok")


async def _download(request: web.Request) -> web.StreamResponse:
    """`DOWNLOAD_BYTES`, as fast as they are taken."""
    answer = web.StreamResponse(headers={"Content-Length": str(DOWNLOAD_BYTES)})
    await answer.prepare(request)
    for _ in range(DOWNLOAD_BYTES // len(CHUNK)):
        await answer.write(CHUNK)
    return answer


async def echo(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket that says again what it is told."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


@contextlib.asynccontextmanager
async def exam_server() -> AsyncIterator[ExamServer]:
    """An exam server on a free port."""
    server = ExamServer()
    async with listening(everywhere(server.answer), free_port(), patience_s=0) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


@dataclass(slots=True)
class Traffic:
    """What is going on, and what has come of it."""

    url: str
    trust: ssl.SSLContext | None = None
    """Where it is https: whom to believe."""
    pause_s: float = 0.0
    """Of a student between two saved answers."""
    done: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    running: bool = True
    posts: int = 0

    def head(self, method: str, target: str, cookie: str, more: str = "") -> bytes:
        """A request's head."""
        return (
            f"{method} {target} HTTP/1.1\r\nHost: exam\r\nAccept: text/html\r\nCookie: {cookie}\r\n{more}\r\n".encode()
        )

    async def newcomers(self, cookie: str) -> None:
        """One connection after another, each for one page."""
        request = self.head("GET", "/", cookie, "Connection: close\r\n")
        while self.running:
            async with self._whole("new connection"), self._connection() as (reader, writer):
                writer.write(request)
                await _answer(reader)

    async def saves(self, cookie: str) -> None:
        """A student who saves one answer after another on a kept connection."""
        while self.running:
            async with self._whole("kept connection"), self._connection() as (reader, writer):
                kept = True
                while self.running and kept:
                    self.posts += 1
                    more = "Content-Length: 6\r\n"
                    writer.write(self.head("POST", f"/save?n={self.posts}", cookie, more) + b"answer")
                    kept, _ = await _answer(reader)
                    self.done["POST"] += 1
                    if self.pause_s:
                        await look_again(self.pause_s)

    async def tunnel(self, cookie: str, over: asyncio.Event) -> None:
        """A WebSocket that has an echo for each word, until `over`; then it ends as WebSockets do."""
        async with (
            self._whole("tunnel"),
            websockets.connect(
                self.url.replace("http", "ws") + "/socket",
                additional_headers={"Cookie": cookie},
                proxy=None,
                ssl=self.trust,
                open_timeout=START_S,
            ) as socket,
        ):
            word = 0
            while not over.is_set():
                word += 1
                await socket.send(str(word))
                assert await asyncio.wait_for(socket.recv(), START_S) == str(word)
                self.done["word"] += 1

    async def upload(self, cookie: str, hurry: asyncio.Event) -> None:
        """50 MB, slowly until `hurry` is set; its hash comes back."""
        digest = hashlib.sha256()
        async with self._whole("upload"), self._connection() as (reader, writer):
            writer.write(self.head("PUT", "/upload", cookie, f"Content-Length: {UPLOAD_BYTES}\r\n"))
            left = UPLOAD_BYTES
            while left:
                chunk = CHUNK[:left] if hurry.is_set() else CHUNK[: min(left - 1, 4_096)]
                digest.update(chunk)
                writer.write(chunk)
                await writer.drain()
                left -= len(chunk)
                if not hurry.is_set():
                    await look_again()
            _, body = await _answer(reader)
            assert body == digest.hexdigest().encode(), "another file arrived"

    async def download(self, cookie: str, hurry: asyncio.Event) -> None:
        """A file, slowly until `hurry` is set; it is the whole file."""
        async with self._whole("download"), self._connection() as (reader, writer):
            writer.write(self.head("GET", "/download", cookie))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"Content-Length: %d\r\n" % DOWNLOAD_BYTES in head, head
            left = DOWNLOAD_BYTES
            while left:
                piece = CHUNK if hurry.is_set() else CHUNK[:4_096]
                assert await reader.readexactly(min(left, len(piece))) == piece[:left], "another file came"
                left -= min(left, len(piece))
                if not hurry.is_set():
                    await look_again()

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        at = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=self.trust)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def _whole(self, what: str) -> AsyncIterator[None]:
        """Count it once it has ended well, keep how it ended otherwise."""
        try:
            async with asyncio.timeout(LONGEST_S):
                yield
        except (OSError, EOFError, AssertionError, TimeoutError, websockets.WebSocketException) as error:
            self.lost.append(f"{what}: {error!r}")
        else:
            self.done[what] += 1


async def _answer(reader: asyncio.StreamReader) -> tuple[bool, bytes]:
    """Whether the connection is kept, and the body of a 200 of the exam server's."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert head.startswith("http/1.1 200 "), head
    assert "x-waitroom" not in head, head
    size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return "connection: close" not in head, await reader.readexactly(size)


@contextlib.asynccontextmanager
async def beside(traffic: Traffic, *clients: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """These clients run beside the block, and end with it."""
    tasks = [asyncio.ensure_future(client()) for client in clients]
    try:
        yield
    finally:
        traffic.running = False
        await asyncio.gather(*tasks)
