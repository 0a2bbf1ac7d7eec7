"""Half an answer: a backend that cuts it short, and a client that reads it when all is over.

Law: what the backend has sent has arrived in the product's kernel before the backend ends; nothing of it can be lost on
the way.
"""

import random
import socket
from dataclasses import dataclass

from tests.proxy.reference import cut_reply
from tests.proxy.test_backlog import torn
from tests.proxy.wire import Call, Stage, until
from waitroom.proxy.bodies import chunk
from waitroom.proxy.client import ClientConnection
from waitroom.proxy.exchange import Exchange
from waitroom.proxy.rules import ProxyRules
from waitroom.proxy.transports import unacknowledged

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
UPLOAD = b"u" * 2_000_000
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = random.Random(1).randbytes(200_000)
"""More than the kernels take in advance, and less than stops the backend: it is here as a whole when that is gone."""

TCP_CLOSE = bytes([7])
"""The state in `struct tcp_info` of a connection that was reset (linux/tcp_states.h)."""

RULES = ProxyRules(response_ms=30_000, body_ms=60_000)
PATIENCE_S = 30

HALF = {
    "by length": LENGTH % (len(BODY) + 1) + BODY,
    "in chunks": CHUNKED + b"".join(chunk(BODY[at : at + 9_999], last=False) for at in range(0, len(BODY), 9_999)),
    "in a chunk": CHUNKED + b"%x\r\n" % (len(BODY) + 1) + BODY,
    "to the end": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
}


@dataclass
class Dying:
    """A backend that answers half, and how it ends; what it sent has arrived then."""

    answer: bytes
    how: str

    async def script(self, call: Call) -> None:
        await call.head()
        call.writer.transport.set_write_buffer_limits(0)
        await call.say(self.answer)
        await arrived(call)
        match self.how:
            case "resets":
                call.reset()
            case "raves":
                await call.say(b"rubbish\r\n")
                await to_its_end(call)
            case "stalls":
                await to_its_end(call)


async def arrived(call: Call) -> None:
    """What the backend has sent is in the product's kernel."""
    await until(lambda: not unacknowledged(call.writer.transport))


async def to_its_end(call: Call) -> None:
    """Until the product lets the backend's connection go."""
    while await call.reader.read(65_536):
        pass


def connection(s: Stage) -> ClientConnection:
    """The one client's."""
    (only,) = s.listener._connections
    assert isinstance(only, ClientConnection)
    return only


async def asked(s: Stage) -> Exchange:
    """Its request is under way."""
    await until(lambda: bool(s.backend.heads))
    exchange = connection(s)._exchange
    assert exchange is not None
    return exchange


async def gone(s: Stage, how: str = "") -> None:
    """The backend has left half an answer here."""
    if how == "stalls":
        exchange = await asked(s)
        await until(lambda: exchange.sent_bytes > len(BODY))
        s.listener.ticker.tick(s.listener.ticker.now_s + 32)
    await until(lambda: s.finished == [0])


def everything(client: socket.socket) -> tuple[bytes, bool]:
    """All that comes, and whether it ends orderly: with FIN, and over TLS with close_notify before it."""
    client.settimeout(PATIENCE_S)
    came = bytearray()
    try:
        with torn():
            while data := client.recv(65_536):
                came += data
    except ConnectionResetError:
        return bytes(came), False
    return bytes(came), True


def is_half(came: bytes, body: bytes = BODY, method: bytes = b"GET") -> None:
    """These bytes and an orderly end are an answer that says that it is incomplete, with all that there was of it."""
    assert cut_reply(came, method, ended=True).body == body


def send(client: socket.socket, data: bytes) -> tuple[bytes, bool]:
    """Send all of it before anything is read, as most programs do."""
    client.settimeout(PATIENCE_S)
    client.sendall(data)
    return everything(client)
