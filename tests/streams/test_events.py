"""Server-sent events and other answers that trickle: each byte goes on when it comes, and ends when somebody leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.proxy.reference import cut_reply
from tests.proxy.wire import Call, Script, dechunked, reset
from tests.streams.room import pass_of, room, silence
from tests.streams.script import Wire, ask, backend
from tests.support.aio import run
from tests.support.product import Product, at_best
from tests.support.student import Student

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
CHUNKED = EVENTS + b"Transfer-Encoding: chunked\r\n\r\n"
UNFRAMED = EVENTS + b"Connection: close\r\n\r\n"

SHORT = "head: 1s, idle: 3s, body: 3s"
SILENT_S = 7.0
"""Longer than the other time-outs and their ticks."""

AT_ONCE_S = 0.5
"""Less than a tick of the worker's clock: nothing was waited for."""

WITHIN_S = 60.0

Visit = Callable[[Product, str], Awaitable[None]]


def _visited(tmp_path: Path, streams: dict[str, Script], visit: Visit, more: str = "") -> None:
    """A student with a pass visits an exam server that has these streams."""

    async def main() -> None:
        async with (
            backend(streams) as url,
            room(tmp_path, url, more) as product,
            Student(product.public, "ann") as ann,
        ):
            await visit(product, await pass_of(ann))

    run(main())


def _event(number: int) -> bytes:
    return b"event: tick\ndata: %d\n\n" % number


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_each_event_comes_before_the_next_is_sent(tmp_path: Path) -> None:
    """In chunks or up to the end of the connection; the end is an end."""
    seen = asyncio.Semaphore(0)

    def in_step(head: bytes, framed: Callable[[bytes], bytes], end: bytes) -> Script:
        async def script(call: Call) -> None:
            await call.say(head)
            for number in range(100):
                await call.say(framed(_event(number)))
                await asyncio.wait_for(seen.acquire(), WITHIN_S)
            await call.say(end)

        return script

    async def visit(product: Product, cookie: str) -> None:
        for path in ("/chunked", "/unframed"):
            reader, writer = await ask(product, cookie, path)
            for number in range(100):
                event = await asyncio.wait_for(reader.readuntil(b"\n\n"), WITHIN_S)
                assert event.endswith(_event(number))
                seen.release()
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"\r\n0\r\n\r\n")
            writer.close()

    streams = {"/chunked": in_step(CHUNKED, _chunk, b"0\r\n\r\n"), "/unframed": in_step(UNFRAMED, bytes, b"")}
    _visited(tmp_path, streams, visit)


def test_a_byte_at_a_time(tmp_path: Path) -> None:
    """Each byte of a body before the next one is sent; and a head and chunks that come in crumbs."""
    seen = asyncio.Semaphore(0)
    text = bytes(range(256))

    async def bytewise(call: Call) -> None:
        await call.say(CHUNKED)
        for at in range(len(text)):
            await call.say(_chunk(text[at : at + 1]))
            await asyncio.wait_for(seen.acquire(), WITHIN_S)
        await call.say(b"0\r\n\r\n")

    async def crumbs(call: Call) -> None:
        for byte in CHUNKED + _chunk(text) + _chunk(text[::-1]) + b"0\r\n\r\n":
            await call.say(bytes([byte]))
            await asyncio.sleep(0)

    async def visit(product: Product, cookie: str) -> None:
        reader, writer = await ask(product, cookie, "/bytewise")
        for at in range(len(text)):
            assert await asyncio.wait_for(reader.readexactly(6), WITHIN_S) == _chunk(text[at : at + 1])
            seen.release()
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.close()
        reader, writer = await ask(product, cookie, "/crumbs")
        body = b""
        while not body.endswith(b"\r\n0\r\n\r\n"):
            body += await reader.read(1 << 16)
        assert dechunked(body) == text + text[::-1]
        writer.close()

    _visited(tmp_path, {"/bytewise": bytewise, "/crumbs": crumbs}, visit)


def test_a_silent_stream_lives_within_its_own_time(tmp_path: Path) -> None:
    """Longer than the other time-outs: the next event still comes."""
    goes = asyncio.Event()

    async def script(call: Call) -> None:
        await call.say(CHUNKED + _chunk(_event(1)))
        await goes.wait()
        await call.say(_chunk(_event(2)) + b"0\r\n\r\n")

    async def visit(product: Product, cookie: str) -> None:
        reader, writer = await ask(product, cookie, "/events")
        await reader.readuntil(_event(1) + b"\r\n")
        await silence(product, SILENT_S)
        goes.set()
        assert await reader.readuntil(b"0\r\n\r\n") == _chunk(_event(2)) + b"0\r\n\r\n"
        writer.close()

    _visited(tmp_path, {"/events": script}, visit, f"timeouts: {{{SHORT}, response: 2m}}")


def test_a_stream_silent_for_too_long_is_cut(tmp_path: Path) -> None:
    """Not ended as it should: the client has what came, and can tell that something is missing."""

    async def script(call: Call) -> None:
        await call.say(CHUNKED + _chunk(_event(1)))
        await call.reader.read()

    async def visit(product: Product, cookie: str) -> None:
        reader, writer = await ask(product, cookie, "/events")
        came = await asyncio.wait_for(reader.read(), WITHIN_S)
        assert cut_reply(CHUNKED + came, b"GET", ended=True).body == _event(1)
        writer.close()

    _visited(tmp_path, {"/events": script}, visit, f"timeouts: {{{SHORT}, response: 4s}}")


@pytest.mark.parametrize("leave", [lambda wire: wire[1].close(), lambda wire: reset(wire[1])], ids=["closes", "resets"])
def test_a_client_that_leaves_ends_the_backends_work(tmp_path: Path, leave: Callable[[Wire], None]) -> None:
    """At once, though the stream is silent: whoever closes a page's tab shall not leave a ghost behind."""
    gone = asyncio.Semaphore(0)

    async def script(call: Call) -> None:
        await call.say(CHUNKED + _chunk(_event(1)))
        try:
            await call.reader.read()
        finally:
            gone.release()

    async def visit(product: Product, cookie: str) -> None:
        async def gone_s() -> float:
            """From when somebody left until the backend knew."""
            wire = await ask(product, cookie, "/events")
            await wire[0].readuntil(_event(1) + b"\r\n")
            left_s = asyncio.get_running_loop().time()
            leave(wire)
            await asyncio.wait_for(gone.acquire(), WITHIN_S)
            return asyncio.get_running_loop().time() - left_s

        await at_best(gone_s, within_s=AT_ONCE_S, what="the end of the backend's work")

    _visited(tmp_path, {"/events": script}, visit)
