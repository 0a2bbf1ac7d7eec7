"""WebSockets as their own library speaks them, through the waiting room: nothing is lost, changed or held up."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.streams.room import NOISE_BYTES, Memory, good, pass_of, room, served_as_ever, silence, stalls, worker
from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import START_S, Product
from tests.support.student import Student
from waitroom.proxy.rules import BUFFER_BYTES

MB = 1 << 20
LARGE = 64 * MB
FLOOD_MB = 256

HELD_BYTES = 2 * 2 * BUFFER_BYTES + NOISE_BYTES
"""A tunnel's memory: for each direction what rules.py says of BUFFER_BYTES."""

IMPATIENT = "timeouts: {head: 1s, response: 4s, idle: 4s, body: 4s}"
SILENT_S = 8.0
"""More than every time-out of a request and three ticks of the worker's clock."""

SPOKEN = ("exam.v2", "exam.v1")


@dataclass(slots=True)
class Server:
    """An exam server with sockets: what a path asks for is done, and how each ended is kept."""

    url: str = ""
    ended: asyncio.Queue[tuple[int | None, str | None]] = field(default_factory=asyncio.Queue)
    sent_mb: int = 0
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, socket: ServerConnection) -> None:
        """One socket."""
        assert socket.request is not None
        deed, _, code = socket.request.path[1:].partition("/")
        with contextlib.suppress(ConnectionClosed):
            match deed:
                case "close":
                    await socket.close(int(code), "as asked")
                case "abort":
                    socket.transport.abort()
                case "ping":
                    await asyncio.wait_for(await socket.ping(b"from the server"), START_S)
                    await socket.send("pong came")
                case "flood":
                    for _ in range(FLOOD_MB):
                        await socket.send(b"x" * MB)
                        self.sent_mb += 1
                case "later":
                    await self.reads.wait()
                    await _count(socket)
                    await socket.send("all here")
            while True:
                frames = [frame async for frame in socket.recv_streaming()]
                await socket.send(frames if len(frames) > 1 else frames[0])
        self.ended.put_nowait((socket.close_code, socket.close_reason))


def _page(connection: ServerConnection, request: Request) -> Response | None:
    """What is no socket is a page."""
    return None if "Upgrade" in request.headers else connection.respond(HTTPStatus.OK, "page\n")


def _first_spoken(_connection: ServerConnection, offered: Sequence[Any]) -> Any:
    """A subprotocol is agreed on if one is asked for that the server knows."""
    return next((each for each in offered if each in SPOKEN), None)


async def _count(socket: ClientConnection | ServerConnection) -> None:
    """Take the whole flood."""
    for _ in range(FLOOD_MB):
        assert len(await socket.recv()) == MB


@contextlib.asynccontextmanager
async def _exam() -> AsyncIterator[Server]:
    server = Server()
    port = free_port()
    async with serve(
        server.meet, "127.0.0.1", port, process_request=_page, select_subprotocol=_first_spoken,
        max_size=None, ping_interval=None, open_timeout=START_S,
    ):  # fmt: skip
        server.url = f"http://127.0.0.1:{port}"
        yield server


Dial = Callable[..., connect]


def _dialler(product: Product, cookie: str) -> Dial:
    """Opens sockets with a pass. Nothing is sent that is not asked for."""

    def dial(path: str, **more: Any) -> connect:
        uri = product.public.replace("http", "ws", 1) + path
        headers = {"Cookie": cookie}
        usual = {"proxy": None, "ping_interval": None, "max_size": None, "open_timeout": START_S}
        return connect(uri, additional_headers=headers, **usual, **more)

    return dial


@contextlib.asynccontextmanager
async def _inside(tmp_path: Path, more: str = "") -> AsyncIterator[tuple[Product, Server, Dial]]:
    async with (
        _exam() as server,
        room(tmp_path, server.url, more) as product,
        Student(product.public, "ann") as ann,
    ):
        yield product, server, _dialler(product, await pass_of(ann))


def test_what_is_said_comes_back(tmp_path: Path) -> None:
    """Text, binary and fragments; the subprotocol and the compression that the two agree on; pings of both sides."""

    async def main() -> None:
        async with _inside(tmp_path) as (_, _, dial):
            async with dial("/echo", subprotocols=["exam.v1", "else"]) as socket:
                assert socket.subprotocol == "exam.v1"
                assert [each.name for each in socket.protocol.extensions] == ["permessage-deflate"]
                for said in ("héllo", "", "x" * 100_000, b"\x00\xff", b"", os.urandom(100_000)):
                    await socket.send(said)
                    assert await socket.recv() == said
                for parts in (["frag", "ments", "é"], [b"\x00", os.urandom(70_000), b"\xff"]):
                    await socket.send(parts)
                    frames = [frame async for frame in socket.recv_streaming()]
                    assert frames[: len(parts)] == parts
                    assert not any(frames[len(parts) :])
                await asyncio.wait_for(await socket.ping(b"from the client"), START_S)
            async with dial("/ping", compression=None) as socket:
                assert socket.subprotocol is None
                assert socket.protocol.extensions == []
                assert await socket.recv() == "pong came"

    run(main())


def test_each_side_hears_how_the_other_ended(tmp_path: Path) -> None:
    """Codes and reasons both ways, and no code where there was none."""

    async def main() -> None:
        async with _inside(tmp_path) as (_, server, dial):
            for code in (1000, 1001, 4000):
                async with dial("/echo") as socket:
                    await socket.close(code, "enough")
                assert await asyncio.wait_for(server.ended.get(), START_S) == (code, "enough")
                async with dial(f"/close/{code}") as socket:
                    with pytest.raises(ConnectionClosed) as closed:
                        await socket.recv()
                    assert closed.value.rcvd is not None
                    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "as asked")
                await asyncio.wait_for(server.ended.get(), START_S)
            async with dial("/echo") as socket:
                socket.transport.abort()
                assert (await asyncio.wait_for(server.ended.get(), START_S))[0] == 1006
            async with dial("/abort") as socket:
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is None

    run(main())


def test_silence_is_no_fault_and_size_no_matter(tmp_path: Path) -> None:
    """A tunnel outlives every time-out of a request; then a message of 64 MB goes there and back."""

    async def main() -> None:
        async with _inside(tmp_path, IMPATIENT) as (product, _, dial), dial("/echo", compression=None) as socket:
            await socket.send("before")
            assert await socket.recv() == "before"
            await silence(product, SILENT_S)
            await socket.send("after")
            assert await socket.recv() == "after"
            large = os.urandom(MB) * (LARGE // MB)
            await socket.send(large)
            assert await socket.recv() == large

    run(main())


def test_a_side_that_does_not_read_is_waited_for(tmp_path: Path) -> None:
    """256 MB offered, down and then up: the worker holds no more than its buffers, others are served, all arrives."""

    async def main() -> None:
        async with _inside(tmp_path) as (product, server, dial), Student(product.public, "bob") as bob:
            good_s = await good(bob)
            memory = Memory(worker(product))
            async with dial("/flood", compression=None) as socket:
                await stalls(lambda: server.sent_mb)
                await served_as_ever(bob, good_s)
                assert 0 < server.sent_mb < FLOOD_MB
                assert memory.grown_bytes <= HELD_BYTES
                await _count(socket)
            async with dial("/later", compression=None) as socket:
                sent_mb = 0

                async def offer() -> None:
                    nonlocal sent_mb
                    for _ in range(FLOOD_MB):
                        await socket.send(b"x" * MB)
                        sent_mb += 1

                offering = asyncio.ensure_future(offer())
                await stalls(lambda: sent_mb)
                await served_as_ever(bob, good_s)
                assert 0 < sent_mb < FLOOD_MB
                server.reads.set()
                await offering
                assert await socket.recv() == "all here"
            print(f"worker grew by {memory.grown_bytes >> 10} KiB while 2 x {FLOOD_MB} MB went through a tunnel")
            assert memory.grown_bytes <= HELD_BYTES

    run(main())
