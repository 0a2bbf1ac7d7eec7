"""A backend that keeps every byte it is sent, and answers what is a request in the strictest reading."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.proxy.reference import Read, first_request
from tests.support.product import START_S

ANSWER = b"HTTP/1.1 204 Relayed\r\n\r\n"


@dataclass(slots=True)
class Recorder:
    """What came: all bytes of all connections, and the requests in them."""

    url: str = ""
    received: bytearray = field(default_factory=bytearray)
    requests: list[Read] = field(default_factory=list)
    answer: Callable[[Read], bytes] = lambda _request: ANSWER

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        waiting = b""
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65_536):
                self.received += data
                waiting += data
                while (read := first_request(waiting)) is not None:
                    waiting = waiting[read.size :]
                    self.requests.append(read)
                    answer = self.answer(read)
                    writer.write(answer)
                    if b"\r\nConnection: close\r\n" in answer:
                        return


@contextlib.asynccontextmanager
async def recorder(answer: Callable[[Read], bytes] | None = None) -> AsyncIterator[Recorder]:
    """A recording backend on a free port, addressed by name."""
    made = Recorder() if answer is None else Recorder(answer=answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


async def raw(url: str, data: bytes) -> bytes:
    """Send on a connection of its own and give all that comes back up to its end."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), START_S)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
