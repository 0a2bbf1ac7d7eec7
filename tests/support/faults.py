"""A proxy that does to a connection what networks do: late, slow, cut, silent, torn to pieces.

Law: a fault holds for the bytes that pass while it is set, on open connections too, and `Faults()` is a good network.
What chance decides comes from the seed, so the same seed tears at the same places.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.support.ports import free_port
from tests.support.product import look_again

PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the network; times and rates are those of one direction."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    bytes_a_second: int = 0
    """0: without a limit."""
    slicer: int = 0
    """Pieces of one byte to so many, each in a packet of its own; 0: as they come."""
    limit: int = 0
    """A connection is cut after so many bytes of an answer; 0: never."""
    silent: bool = False
    """Takes everything, also new connections, and hands nothing on: a half-open connection, a partition that drops."""
    down: bool = False
    """Refuses what is new and resets what is open."""
    slow_close_s: float = 0.0
    """The end of a connection is told so late."""


@dataclass(slots=True)
class FaultProxy:
    """Stands between a client and one server. Use `faulty`."""

    to_host: str
    to_port: int
    to_path: str
    seed: int
    port: int = 0
    path: str = ""
    faults: Faults = field(default_factory=Faults)
    connections: int = 0
    passed: int = 0
    """Bytes handed on, both ways."""
    _chance: random.Random = field(init=False)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    @property
    def url(self) -> str:
        """A store's URL that leads through here."""
        return f"unix://{quote(self.path)}" if self.path else f"redis://127.0.0.1:{self.port}"

    async def become(self, faults: Faults) -> None:
        """From now on the network is like this."""
        before, self.faults = self.faults, faults
        if faults.down and not before.down:
            await self._unlisten()
            self.reset()
        elif before.down and not faults.down:
            await self._listen()

    def reset(self) -> None:
        """Every open connection ends with a RST."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def start(self) -> None:
        """Listen."""
        if not self.path:
            self.port = self.port or free_port()
        await self._listen()

    async def stop(self) -> None:
        """End everything."""
        await self._unlisten()
        self.reset()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self.path:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        self.connections += 1
        try:
            await self._join(reader, writer)
        except (OSError, EOFError, RuntimeError, asyncio.CancelledError):
            pass  # what a proxy's connections end with
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.to_path:
            back, forth = await asyncio.open_unix_connection(self.to_path)
        else:
            back, forth = await asyncio.open_connection(self.to_host, self.to_port)
        self._open.add(forth)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, forth, answers=False))
                group.create_task(self._carry(back, writer, answers=True))
        except* (OSError, EOFError, RuntimeError):
            pass  # the last is uvloop's for a connection that is gone
        finally:
            forth.transport.abort()
            self._open.discard(forth)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        left = self.faults.limit
        while data := await reader.read(PIECE):
            while self.faults.silent:
                await look_again()
            await self._delay(len(data))
            for piece in self._pieces(data):
                if answers and self.faults.limit and (left := left - len(piece)) < 0:
                    raise EOFError
                if writer.transport.is_closing():
                    raise EOFError
                writer.write(piece)
                await writer.drain()
                self.passed += len(piece)
        if self.faults.slow_close_s:
            await look_again(self.faults.slow_close_s)
        raise EOFError  # the other direction ends too

    async def _delay(self, size: int) -> None:
        now = self.faults
        late_s = now.latency_s + now.jitter_s * self._chance.random()
        late_s += size / now.bytes_a_second if now.bytes_a_second else 0.0
        if late_s:
            await look_again(late_s)

    def _pieces(self, data: bytes) -> list[bytes]:
        if not self.faults.slicer:
            return [data]
        pieces, at = [], 0
        while at < len(data):
            size = self._chance.randint(1, self.faults.slicer)
            pieces.append(data[at : at + size])
            at += size
        return pieces


@contextlib.asynccontextmanager
async def faulty(*, port: int = 0, path: str = "", listen: str = "", seed: int = 1) -> AsyncIterator[FaultProxy]:
    """A good network to the server at this port or socket, until told otherwise; `listen`: on a socket of this path."""
    proxy = FaultProxy("127.0.0.1", port, path, seed, path=listen)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
