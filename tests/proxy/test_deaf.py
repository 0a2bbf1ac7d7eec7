"""Who is told that it is over and says nothing to it, over TLS neither reads what was left nor answers the end, is let
go: its connection is not held for ever.
"""

import asyncio

import pytest

from tests.proxy.test_backlog import LONG, SHORT, reader
from tests.proxy.test_tunnel import ASK, SWITCH
from tests.proxy.wire import Call, Stage, answers, stage, until
from tests.support.aio import run

MOST_TICKS = 80
"""Seconds: the grace of a slow reader and its credit, or those of a silent body."""

TLS = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


async def is_let_go(s: Stage, transport: asyncio.Transport) -> None:
    """Within those ticks it is gone from the listener's view, and its socket from the process."""

    def gone() -> bool:
        sock = transport.get_extra_info("socket")
        left = s.listener.connections or s.listener.tunnels
        return not left and (sock is None or sock.fileno() < 0)

    for _ in range(MOST_TICKS):
        if gone():
            return
        s.listener.ticker.tick(s.listener.ticker.now_s + 1)
        await asyncio.sleep(0)  # what the tick began ends in the loop's next turn
    await until(gone)


@TLS
@pytest.mark.parametrize("size", [SHORT, LONG])
def test_after_its_last_answer(size: int, tls: bool) -> None:
    """Whether or not there is still something here that can be seen."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size

    async def main() -> None:
        async with stage(answers(answer)) as s, reader(s, tls=tls) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            await until(lambda: bool(s.finished))
            (connection,) = s.listener._connections
            await is_let_go(s, connection._transport)

    run(main())


@TLS
@pytest.mark.parametrize("size", [0, SHORT, LONG])
def test_after_a_tunnel(size: int, tls: bool) -> None:
    """One that is closed at the end of a drain; the backend's side is gone at once."""
    over = asyncio.Event()

    async def says(call: Call) -> None:
        await call.head()
        await call.say(SWITCH + b"x" * size)
        assert await call.reader.read() == b""
        over.set()

    async def main() -> None:
        async with stage(says) as s, reader(s, tls=tls) as client:
            client.sendall(ASK)
            await until(lambda: bool(s.listener.tunnels))
            (tunnel,) = s.listener._tunnels
            await until(lambda: tunnel.bytes_to_client == size)
            s.listener.close_tunnels()
            await asyncio.wait_for(over.wait(), 30)
            await is_let_go(s, tunnel._ends[0].transport)

    run(main())


def test_after_a_backend_that_ends_a_tunnel_over_tls() -> None:
    """A half cannot be closed there, so both are."""

    async def says(call: Call) -> None:
        await call.head()
        await call.say(SWITCH)

    async def main() -> None:
        async with stage(says) as s, reader(s, tls=True) as client:
            client.sendall(ASK)
            await until(lambda: bool(s.listener.tunnels))
            (tunnel,) = s.listener._tunnels
            await until(lambda: tunnel.ending)
            await is_let_go(s, tunnel._ends[0].transport)

    run(main())
