"""Clients that open a connection for every request, and remember each one that went wrong."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.product import START_S

REQUEST = b"GET / HTTP/1.1\r\nHost: exam\r\nAccept: text/html\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Load:
    """What the clients saw: answers by status, and failures by the name of the error."""

    answers: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    running: bool = True

    @property
    def done(self) -> int:
        """Requests that ended one way or another."""
        return self.answers.total() + self.failures.total()


@contextlib.asynccontextmanager
async def new_connections(url: str, clients: int) -> AsyncIterator[Load]:
    """That many clients, each opening one connection after another, for as long as the block runs."""
    load = Load()
    tasks = [asyncio.ensure_future(_client(url, load)) for _ in range(clients)]
    try:
        yield load
    finally:
        load.running = False
        await asyncio.gather(*tasks)


async def _client(url: str, load: Load) -> None:
    while load.running:
        try:
            load.answers[await asyncio.wait_for(one_request(url), START_S)] += 1
        except (OSError, EOFError) as error:
            load.failures[type(error).__name__] += 1


async def one_request(url: str, request: bytes = REQUEST) -> int:
    """The status of the answer on a connection of its own. Raises OSError or EOFError."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        writer.write(request)
        status = int((await reader.readuntil(b"\r\n")).split()[1])
        await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return status
