"""Who reads slowly, but fast enough, gets all of an answer, with TLS as without it; who does not is let go."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

import pytest

from tests.proxy.test_dialler import CA, TLS
from tests.proxy.wire import NARROW_BYTES, PATIENCE_S, Stage, answers, narrow_socket, stage, until
from tests.support.aio import run
from waitroom.proxy.doorman import Doorman
from waitroom.proxy.rules import ProxyRules

RATE = ProxyRules().body_rate
LONG, SHORT = 300_000, 60_000
"""More than the transport below TLS takes at a time, and less: then nobody can see that some of it is still here."""


@contextmanager
def narrow_door() -> Iterator[socket.socket]:
    """A listening socket whose connections have little room in the kernel: what is not read stays here."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW_BYTES)
        yield door


@asynccontextmanager
async def reader(s: Stage, *, tls: bool) -> AsyncIterator[socket.socket]:
    """A client that takes what it is told to, and nothing in advance; over TLS it tells an end with close_notify from
    one without.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    with narrow_door() as door:
        doorman = Doorman(s.listener, door, context if tls else None, proxy_protocol=False)
        doorman.start()
        client = await narrow_socket(door.getsockname()[1])
        client.settimeout(PATIENCE_S)
        if tls:
            trust = ssl.create_default_context(cadata=CA)
            trust.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            wrap = partial(trust.wrap_socket, server_hostname="localhost", suppress_ragged_eofs=False)
            client = await asyncio.to_thread(wrap, client)
        with client:
            yield client
        await doorman.close()


@contextmanager
def torn() -> Iterator[None]:
    """An end of TLS that nobody announced is a reset, too."""
    try:
        yield
    except ssl.SSLError as error:
        if "EOF" not in str(error):
            raise
        raise ConnectionResetError from error


def take(client: socket.socket, count: int) -> int:
    """Read so many bytes, or all there are until it ends."""
    taken = 0
    with suppress(ConnectionResetError), torn():
        while taken < count and (data := client.recv(count - taken)):
            taken += len(data)
    return taken


async def read_at(rate: int, size: int, *, tls: bool, last: bytes = b"") -> int:
    """How much is got of an answer by a client that takes so many bytes each second."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with stage(answers(answer)) as s, reader(s, tls=tls) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n" % last)
        await until(lambda: bool(s.finished))
        ticker, left = s.listener.ticker, len(answer) + len(last)
        while left and (got := await asyncio.to_thread(take, client, min(rate, left))):
            left -= got
            ticker.tick(ticker.now_s + 1)
        return len(answer) + len(last) - left


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("size", [LONG, SHORT])
@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "last"])
def test_a_slow_reader_gets_all_at_its_least_rate(tls: bool, size: int, last: bytes) -> None:
    """However little of it can be seen to move from here."""
    assert run(read_at(2 * RATE, size, tls=tls, last=last)) > size


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_who_is_slower_is_let_go(tls: bool) -> None:
    """After a minute in which it took a tenth of that."""
    assert run(read_at(RATE // 10, LONG, tls=tls)) < LONG


def test_who_has_just_gone_is_looked_at_like_others() -> None:
    """TLS lets its socket go a turn of the loop before its client is told, and the clock may look between."""

    async def main() -> None:
        async with stage() as s, reader(s, tls=True) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            await until(lambda: bool(s.finished))
            (connection,) = s.listener._connections
            connection._transport.abort()
            await asyncio.sleep(0)
            assert connection._transport.get_extra_info("socket") is None
            assert connection in s.listener._connections
            connection.tick(s.listener.ticker.now_s)

    run(main())
