"""Who comes from outside: an exam server on the host, students at work in front of it, and what went wrong for them.

Law: no request is tried twice. An answer that is missing, cut or not the exam server's is a failure that is told.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

from tests.support.product import look_again
from tests.support.site import listening
from tests.support.traffic import echo

THOUGHT_S = 0.2
ANSWER_S = 240
PIECE, PIECES, PAUSE_S = b"a line of an exam\n" * 60, 24, 0.5
"""Of an answer and an upload that take their time; 12 s."""

PAGE = b"GET / HTTP/1.1\r\nHost: exam\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nCookie: %s\r\n%s\r\n"


@contextlib.asynccontextmanager
async def exam_server() -> AsyncIterator[int]:
    """On the port given: a page everywhere, an echo at /ws. The machine knows the host as 10.0.2.2."""
    application = web.Application()
    application.router.add_get("/ws", echo)
    application.router.add_get("/slow", _slow)
    application.router.add_post("/paper", _paper)
    application.router.add_route("*", "/{tail:.*}", _page)
    async with listening(application, patience_s=1) as port:
        yield port


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text="exam server\n", headers={"X-Exam": "yes"})


async def _slow(request: web.Request) -> web.StreamResponse:
    """An answer that takes its time: a piece every half second."""
    answer = web.StreamResponse(headers={"X-Exam": "yes"})
    answer.content_length = len(PIECE) * PIECES
    await answer.prepare(request)
    for _ in range(PIECES):
        await answer.write(PIECE)
        await look_again(PAUSE_S)
    return answer


async def _paper(request: web.Request) -> web.Response:
    """What a paper's SHA-256 is."""
    return web.Response(text=hashlib.sha256(await request.read()).hexdigest())


@dataclass(slots=True)
class Load:
    """Students who reload a page again and again: one on a connection that stays, one on a new one each time."""

    port: int
    cookie: str
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    _over: bool = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as the block runs; each has been answered once before it begins, and once after it ended."""
        for stays in (True, False):
            await self._visit(None, stays=stays)
        students = [asyncio.ensure_future(self._reload(stays=stays)) for stays in (True, True, False, False)]
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*students)

    async def _reload(self, *, stays: bool) -> None:
        kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._over:
            kept = await self._visit(kept, stays=stays)
            await look_again(THOUGHT_S)
        await self._visit(None, stays=False)

    async def _visit(
        self, kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, *, stays: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """One request; the connection, where it may be used again."""
        if kept and (kept[0].at_eof() or kept[1].is_closing()):
            kept = None  # ended between two requests, as a browser finds it
        where = "a kept connection" if kept else "a new connection"
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = kept or await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(PAGE % (self.cookie.encode(), b"" if stays else b"Connection: close\r\n"))
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
        except (OSError, EOFError, TimeoutError) as failed:
            self.failures.append(f"{where}: {type(failed).__name__}: {failed}")
            return None
        self.answers += 1
        if b" 200 " not in head[:15] or b"X-Exam: yes" not in head:
            self.failures.append(f"{where}: {head.splitlines()[0].decode()}")
        if stays and b"connection: close" not in head.lower():
            return reader, writer
        writer.close()
        return None


async def slow_answer(port: int, cookie: str) -> bytes:
    """Its body, as it arrived."""
    async with ClientSession(headers={"Cookie": cookie}) as client, client.get(f"http://127.0.0.1:{port}/slow") as got:
        assert got.status == 200, got.status
        return await got.read()


async def slow_upload(port: int, cookie: str) -> str:
    """The exam server's answer to a paper that is sent piece by piece."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield PIECE
            await look_again(PAUSE_S)

    async with (
        ClientSession(headers={"Cookie": cookie}) as client,
        client.post(f"http://127.0.0.1:{port}/paper", data=pieces()) as got,
    ):
        assert got.status == 200, got.status
        return await got.text()
