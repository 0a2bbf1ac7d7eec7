"""Both ends of the wire, by hand: a backend that plays a script and keeps what it was sent, a client that sends bytes.

Law: real sockets, nothing hidden. A test says which bytes go in at one end and sees which come out at the other.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.product import look_again
from waitroom.errors import BackendError
from waitroom.proxy.decisions import Collect, Decision, Relay, Request, Respond
from waitroom.proxy.listener import Listener
from waitroom.proxy.rules import ProxyRules
from waitroom.settings.addresses import BackendUrl

TARGET = "main/main-1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

PATIENCE_S = 5
"""A wait that takes longer is a hang."""


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


NARROW_BYTES = 4 * 1024
SEGMENT_BYTES = 1_400
"""As on the Internet; with the loopback's segments of 64 KB a kernel holds megabytes for each connection."""


async def narrow_socket(port: int) -> socket.socket:
    """A connection for which the kernels take little in advance: what is not read stays with whoever sends it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


Script = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One connection at the backend."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    backend: "Backend"

    async def head(self) -> bytes:
        """The next request's head, with its empty line; b"" at the end of the connection."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise
            return b""
        self.backend.heads.append(head)
        return head

    async def body(self, head: bytes) -> bytes:
        """The body after a head, as it came (chunks as chunks)."""
        fields = head.lower().split(b"\r\n")
        raw = b""
        for line in fields:
            if line.startswith(b"content-length:"):
                raw = await self.reader.readexactly(int(line.partition(b":")[2]))
            elif line == b"transfer-encoding: chunked":
                while not raw.endswith(b"0\r\n\r\n"):
                    raw += await self.reader.readuntil(b"\r\n")
        self.backend.bodies.append(raw)
        return raw

    async def say(self, data: bytes) -> None:
        """Send."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End with RST."""
        reset(self.writer)


@dataclass
class Backend:
    """What the backend has seen."""

    script: Script
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    failures: list[BaseException] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(Call(reader, writer, self))
        except (OSError, asyncio.IncompleteReadError):  # the proxy has cut it
            pass
        except AssertionError as error:
            self.failures.append(error)
        finally:
            writer.close()


def answers(*responses: bytes, close: bool = False) -> Script:
    """A script: each request gets the next response, the last one again and again."""
    left = list(responses)

    async def script(call: Call) -> None:
        while head := await call.head():
            await call.body(head)
            await call.say(left.pop(0) if len(left) > 1 else left[0])
            if close:
                return

    return script


@dataclass
class Watch:
    """An observer that remembers."""

    access: Any = None
    done: list[tuple[str, int]] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    strangers: int = 0
    """Of those done."""

    def request_done(self, target: str, status: int, seconds: float, stranger: bool) -> None:
        assert seconds >= 0
        self.done.append((target, status))
        self.strangers += stranger

    def own_done(self, status: int) -> None:
        self.own.append(status)

    def backend_failed(self, target: str, kind: str, stranger: bool) -> None:
        assert target
        assert stranger in (True, False)
        self.failed.append(kind)

    def waited(self, target: str, end: str, seconds: float) -> None:
        assert target
        assert seconds >= 0
        self.waits.append(end)


@dataclass
class Brain:
    """A handler: `choose` decides; failures become 502 with the kind as body."""

    choose: Callable[[Request], Decision]
    requests: list[Request] = field(default_factory=list)
    on_failure: Callable[[], Respond | Collect] | None = None

    def decide(self, request: Request) -> Decision:
        self.requests.append(request)
        return self.choose(request)

    def backend_failed(self, request: Request, relay: Relay, error: BackendError) -> Respond | Collect:
        assert request
        assert relay
        return self.on_failure() if self.on_failure else Respond(502, (), error.kind.encode())


@dataclass
class Stage:
    """A listener between a client and a backend."""

    port: int
    listener: Listener
    backend: Backend
    watch: Watch
    brain: Brain
    finished: list[int]

    async def connect(self) -> "Client":
        """A new client."""
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))

    async def connect_narrow(self) -> "Client":
        """A new client that is slow as soon as the test does not read."""
        return Client(*await asyncio.open_connection(sock=await narrow_socket(self.port), limit=NARROW_BYTES))

    async def say(self, data: bytes, *, pieces: int = 0) -> bytes:
        """Send on a new connection and give all that comes back until its end. `pieces`: split there."""
        client = await self.connect()
        if pieces:
            client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.writer.write(data[:pieces])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            client.writer.write(data[pieces:])
        else:
            client.writer.write(data)
        answer = await client.rest()
        client.close()
        return answer

    @property
    def inflight(self) -> int:
        pool = self.listener.pools.get(TARGET)
        assert pool is not None
        return pool.inflight


@dataclass
class Client:
    """A client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        """The next head."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    async def answer(self) -> bytes:
        """The next answer that has a Content-Length or no body."""
        head = await self.head()
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return head + await self.reader.readexactly(int(line.partition(b":")[2]))
        return head

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE_S)

    async def to_the_end(self) -> tuple[bytes, bool]:
        """All that comes, and whether the connection ends with a reset (which may take some of it)."""
        came = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            try:
                while data := await self.reader.read(65_536):
                    came += data
            except ConnectionResetError:
                return bytes(came), True
        return bytes(came), False

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Leave with RST."""
        reset(self.writer)


@asynccontextmanager
async def stage(
    script: Script | None = None,
    choose: Callable[[Request], Decision] | None = None,
    rules: ProxyRules | None = None,
    cookie: bytes | None = None,
) -> AsyncIterator[Stage]:
    """A listener that relays all, or what `choose` says, to a backend that plays `script`."""
    finished: list[int] = []
    brain = Brain(choose or (lambda _request: Relay(TARGET, cookie=cookie, finished=finished.append)))
    watch = Watch()
    backend = Backend(script or answers(OK))
    backend_server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    backend.port = backend_server.sockets[0].getsockname()[1]
    listener = Listener(brain, {TARGET: BackendUrl("http", "127.0.0.1", backend.port)}, rules or ProxyRules(), watch)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Stage(port, listener, backend, watch, brain, finished)
    finally:
        server.close()
        backend_server.close()
        listener.close()
        await asyncio.wait_for(listener.drained(), PATIENCE_S)
    assert backend.failures == []


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await look_again(0.001)


def dechunked(body: bytes) -> bytes:
    """What is in a body in chunks; any other as it is."""
    if not body.endswith(b"0\r\n\r\n"):
        return body
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        out += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return out
