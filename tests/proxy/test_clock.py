"""What is too slow, too many, or on its way out."""

import asyncio
from typing import Any

import pytest

from tests.proxy.wire import OK, PATIENCE_S, TARGET, Call, answers, stage, until
from tests.support.aio import run
from waitroom.proxy.listener import LOOKED_AT
from waitroom.proxy.rules import ProxyRules

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
RULES = ProxyRules(head_ms=10_000, idle_ms=75_000, body_ms=60_000)


def test_a_head_has_a_deadline_however_it_trickles() -> None:
    """408; each byte more does not move the deadline."""

    async def main() -> None:
        async with stage(rules=RULES) as s:
            ticker = s.listener.ticker
            client = await s.connect()
            await client.send(b"GET / HT")
            await until(lambda: s.listener.connections == 1)
            await until(lambda: all(connection._heading for connection in s.listener._connections))
            ticker.tick(ticker.now_s + 9)
            await client.send(b"TP/1.1\r\nHost: h\r\n")
            ticker.tick(ticker.now_s + 2)
            assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
            client.close()

    run(main())


def test_many_deadlines_at_once_hold_up_nobody() -> None:
    """Some are shown out, then others are served, and so on until all who were due are out."""

    async def main() -> None:
        async with stage(rules=RULES) as s:
            slow = [await s.connect() for _ in range(4 * LOOKED_AT)]
            for client in slow:
                await client.send(b"GET / HT")
            await until(lambda: sum(connection._heading for connection in s.listener._connections) == len(slow))
            honest = await s.connect()
            await honest.send(GET)
            assert await honest.answer() == OK  # from now on it has the time of an idle connection
            await honest.send(GET)
            s.listener.ticker.tick(s.listener.ticker.now_s + 11)
            assert s.watch.own.count(408) <= LOOKED_AT
            assert await honest.answer() == OK
            for client in slow:
                assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
                client.close()
            honest.close()

    run(main())


def test_an_idle_connection_is_closed() -> None:
    """One that has asked nothing yet after the time of a head, one that was answered after the idle time."""

    async def main() -> None:
        async with stage(rules=RULES) as s:
            ticker = s.listener.ticker
            new, old = await s.connect(), await s.connect()
            await old.send(GET)
            assert await old.answer() == OK
            await until(lambda: s.listener.connections == 2)
            ticker.tick(ticker.now_s + 11)
            assert await new.rest() == b""
            ticker.tick(ticker.now_s + 60)
            await until(lambda: s.listener.connections == 1)
            ticker.tick(ticker.now_s + 10)
            assert await old.rest() == b""
            new.close()
            old.close()

    run(main())


def test_a_client_that_reads_nothing_is_given_up() -> None:
    """After the time of a silent body; the backend is not blamed for it."""

    async def main() -> None:
        async def script(call: Call) -> None:
            await call.head()
            await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000_000)

        async with stage(script, rules=RULES) as s:
            ticker = s.listener.ticker
            client = await s.connect()
            client.writer.transport.pause_reading()
            await client.send(GET)
            await until(lambda: any(connection._congested for connection in s.listener._connections))
            ticker.tick(ticker.now_s + 1)
            ticker.tick(ticker.now_s + 30)
            assert s.finished == []
            ticker.tick(ticker.now_s + 31)
            await until(lambda: s.listener.connections == 0)
            assert s.watch.done == [(TARGET, 499)]
            assert s.watch.failed == []
            client.close()

    run(main())


@pytest.mark.parametrize("end", ["close", "idle", "drain"])
def test_a_client_that_pauses_gets_the_rest(end: str) -> None:
    """However its connection is to end: what waits for it here waits as long as a silent body, and no longer."""
    body = b"x" * 200_000

    async def main() -> None:
        rules = ProxyRules(idle_ms=10_000, body_ms=60_000)
        async with stage(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body), rules=rules) as s:
            ticker = s.listener.ticker
            patient, gone = await s.connect_narrow(), await s.connect_narrow()
            for client in (patient, gone):
                await client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") if end == "close" else GET)
            await until(lambda: s.finished == [200, 200])
            if end == "drain":
                s.listener.drain()
            for _ in range(3):
                ticker.tick(ticker.now_s + 19)
            await patient.head()
            assert await patient.exactly(len(body)) == body
            for _ in range(5):  # one more, since the kernel may have taken a little meanwhile
                ticker.tick(ticker.now_s + 21)
            await until(lambda: s.listener.connections == 0)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await gone.exactly(len(body))
            patient.close()
            gone.close()

    run(main())


def test_beyond_the_bound_a_connection_is_told_to_come_back() -> None:
    """503 with Retry-After; the others are served, and room is used again."""

    async def main() -> None:
        async with stage(rules=ProxyRules(connections=2)) as s:
            first, second = await s.connect(), await s.connect()
            await until(lambda: s.listener.connections == 2)
            third = await s.connect()
            answer = await third.rest()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 5\r\n" in answer
            third.close()
            await first.send(GET)
            assert await first.answer() == OK
            first.close()
            await until(lambda: s.listener.connections == 1)
            fourth = await s.connect()
            await fourth.send(GET)
            assert await fourth.answer() == OK
            second.close()
            fourth.close()

    run(main())


def test_a_drain_finishes_what_runs_and_answers_what_comes() -> None:
    """Running requests end with `close`; an idle client's next request is still answered; then nothing is left."""

    async def main() -> None:
        goes = asyncio.Event()

        async def script(call: Call) -> None:
            while head := await call.head():
                if b"/slow" in head:
                    await goes.wait()
                await call.say(OK)

        async with stage(script) as s:
            slow, idle, silent = await s.connect(), await s.connect(), await s.connect()
            for client in (idle, silent):
                await client.send(GET)
                assert await client.answer() == OK
            await slow.send(GET.replace(b"/ ", b"/slow "))
            await until(lambda: s.inflight == 1)
            s.listener.drain()
            await idle.send(GET)
            wanted = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            assert await idle.rest() == wanted
            s.listener.ticker.tick(s.listener.ticker.now_s + 3)
            assert await silent.rest() == b""
            goes.set()
            assert await slow.rest() == wanted
            await asyncio.wait_for(s.listener.drained(), PATIENCE_S)
            for client in (slow, idle, silent):
                client.close()

    run(main())


def test_the_access_log_is_told_of_each_request() -> None:
    """Once, with status, bytes and target; ids are unique."""

    async def main() -> None:
        lines: list[tuple[bytes, int, int, str | None]] = []
        ids: set[str] = set()

        async with stage() as s:

            def access(request: Any, status: int, sent_bytes: int, seconds: float, target: str | None) -> None:
                lines.append((request.target, status, sent_bytes, target))
                ids.add(request.id)
                assert seconds >= 0

            s.watch.access = access
            client = await s.connect()
            for path in (b"/a", b"/b"):
                await client.send(GET.replace(b"/ ", path + b" "))
                assert await client.answer() == OK
            assert lines == [(b"/a", 200, len(OK), TARGET), (b"/b", 200, len(OK), TARGET)]
            assert len(ids) == 2
            client.close()

    run(main())


@pytest.mark.parametrize(
    "cut", [b"", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na"]
)
def test_clients_that_leave_at_any_point_leave_nothing_behind(cut: bytes) -> None:
    """No connection, no count, no failure."""

    async def main() -> None:
        async with stage() as s:
            for _ in range(50):
                client = await s.connect()
                await client.send(cut)
                client.reset()
            await until(lambda: s.listener.connections == 0)
            assert s.inflight == 0
            assert s.watch.failed == []

    run(main())
