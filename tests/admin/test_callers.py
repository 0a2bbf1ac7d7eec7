"""Who may stand at the admin listener: whoever asks, and for a moment whoever does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.admin.test_admin import House, Store
from tests.support.aio import run
from tests.support.product import look_again, until
from waitroom.admin import callers as callers_module
from waitroom.admin.app import AdminListener
from waitroom.admin.callers import ASKS_S, IDLE_S, Callers
from waitroom.server.sockets import open_door

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Wire:
    """A connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def asks(self) -> None:
        self._writer.write(ASK)
        assert (await self._reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200 ")

    def drips(self) -> None:
        self._writer.write(b"GET /healthz HTTP/1.1\r\n")

    async def ended(self) -> bool:
        return await self._reader.read() == b""

    def close(self) -> None:
        self._writer.close()


class Door:
    """A listener, and who comes."""

    def __init__(self, port: int, callers: Callers) -> None:
        self._port = port
        self.callers = callers
        self.wires: list[Wire] = []

    async def come(self) -> Wire:
        before = set(self.callers._server.connections)
        self.wires.append(wire := Wire(*await asyncio.open_connection("127.0.0.1", self._port)))

        async def here() -> bool:
            return bool(set(self.callers._server.connections) - before)

        await until(here)
        return wire


@asynccontextmanager
async def _door() -> AsyncIterator[Door]:
    sock, address = open_door("127.0.0.1", 0)
    listener = AdminListener(House(), Store())
    await listener.start(sock)
    assert listener._callers is not None
    listener._callers.close()  # only the time that a test says passes
    door = Door(int(address.rpartition(":")[2]), listener._callers)
    try:
        yield door
    finally:
        for wire in door.wires:
            wire.close()
        await listener.stop()


def test_who_asks_nothing_goes() -> None:
    """However slowly they speak; who has asked may stand there longer, but not for ever."""

    async def main() -> None:
        async with _door() as door:
            time = asyncio.get_running_loop().time
            before_s = time()
            asks, drips, silent = await door.come(), await door.come(), await door.come()
            await asks.asks()
            drips.drips()
            door.callers.turn(before_s + ASKS_S - 1)
            await asks.asks()
            door.callers.turn(time() + ASKS_S + 1)
            assert await drips.ended()
            assert await silent.ended()
            await asks.asks()
            door.callers.turn(time() + IDLE_S + 1)
            assert await asks.ended()
            assert not door.callers._standing

    run(main())


def test_too_many_keep_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has stood there longest goes, and a scrape is answered."""
    monkeypatch.setattr(callers_module, "MOST", 3)

    async def main() -> None:
        async with _door() as door:
            idle = [await door.come() for _ in range(3)]
            scrape = await door.come()
            await scrape.asks()
            assert await idle[0].ended()
            for _ in range(2):
                await door.come()
            assert await idle[1].ended()
            assert await idle[2].ended()
            await scrape.asks()

    run(main())


def test_who_left_is_forgotten() -> None:
    """A thousand who come and go leave nothing behind."""

    async def main() -> None:
        async with _door() as door:
            for _ in range(10):
                (await door.come()).close()
                wire = await door.come()
                await wire.asks()
                wire.close()

            async def gone() -> bool:
                await look_again()
                return not door.callers._server.connections

            await until(gone)
            for _ in range(2):
                door.callers.turn(asyncio.get_running_loop().time())
            assert not door.callers._standing

    run(main())
