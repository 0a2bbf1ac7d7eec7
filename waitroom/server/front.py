"""A front that lets everybody through to the default pool: stands in until the gate is built in."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from waitroom.metrics.counters import Counters
from waitroom.server.duty import Front, Grace
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Secrets
from waitroom.tasks import spawn, stop


class PassThrough:
    """Copies bytes."""

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self._settings = settings
        self._arrivals = counters.counter("arrivals_total", settings.default_pool)
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept."""
        self._servers = [await asyncio.start_server(self._serve, sock=each) for each in sockets]

    async def prepare(self, settings: Settings, secrets: Secrets) -> Callable[[], None]:
        """Get ready."""
        del secrets

        def commit() -> None:
            self._settings = settings

        return commit

    async def drain(self, grace: Grace) -> None:
        """Wait for what is open."""
        for _ in range(3):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        if self._open:
            await asyncio.wait(self._open, timeout=grace.requests_ms / 1000)

    async def close(self) -> None:
        """Cut what is open."""
        for task in set(self._open):
            await stop(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._arrivals.inc()
        url = next(iter(self._settings.pools[self._settings.default_pool].backends.values())).url
        try:
            up_reader, up_writer = await asyncio.open_connection(url.host, url.port)
            up = spawn(_copy(reader, up_writer), name="up")
            await _copy(up_reader, writer)
            await stop(up)
            up_writer.close()
        finally:
            writer.close()
            self._open.discard(task)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def build(settings: Settings, secrets: Secrets, counters: Counters, worker_index: int) -> Front:
    """The front of one worker."""
    del secrets, worker_index
    return PassThrough(settings, counters)
