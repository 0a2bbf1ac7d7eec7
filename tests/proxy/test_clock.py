"""What is too slow, too many, or on its way out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.proxy.wire import OK, TARGET, Call, Client, Stage, answers, stage, until
from tests.support.aio import run
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


@dataclass
class Upload:
    """A body on its way: what has been sent of it has been taken in when `send` returns."""

    stage: Stage
    client: Client

    async def send(self, count: int) -> None:
        (connection,) = self.stage.listener._connections
        before = connection._body_bytes
        await self.client.send(b"a" * count)
        await until(lambda: connection._body_bytes == before + count)

    async def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.stage.listener.ticker.tick(self.stage.listener.ticker.now_s + 1)

    async def is_over(self) -> bool:
        """Whether it has been refused; the backend is told by the end of its connection, and not blamed."""
        if next(iter(self.stage.listener._connections))._exchange is not None:
            return False
        assert (await self.client.rest()).startswith(b"HTTP/1.1 408 ")
        assert self.stage.finished == [0]
        assert self.stage.watch.failed == []
        return True


@asynccontextmanager
async def _upload(**rules: int) -> AsyncIterator[Upload]:
    """A request whose head has arrived at a backend that only reads."""

    gone = asyncio.Event()

    async def script(call: Call) -> None:
        try:
            await call.head()
            await call.reader.read()
        finally:
            gone.set()

    async with stage(script, rules=ProxyRules(**rules)) as s:  # type: ignore[arg-type]  # only whole numbers are given
        client = await s.connect()
        await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        await until(lambda: bool(s.backend.heads))
        yield Upload(s, client)
        client.reset()
        await asyncio.wait_for(gone.wait(), 5)


def test_a_body_that_trickles_is_refused() -> None:
    """10 s of grace, 500 bytes a second: some bytes now and then do not buy time."""

    async def main() -> None:
        async with _upload() as upload:
            for _ in range(3):
                await upload.wait(3)
                await upload.send(1)
            assert not await upload.is_over()
            await upload.wait(2)
            assert await upload.is_over()

    run(main())


def test_a_body_at_its_least_rate_may_take_for_ever() -> None:
    """500 bytes a second are enough, in whatever pieces."""

    async def main() -> None:
        async with _upload() as upload:
            for _ in range(60):
                await upload.wait(8)
                await upload.send(4_000)
            assert not await upload.is_over()

    run(main())


def test_a_pause_after_much_is_forgiven() -> None:
    """Up to the time of a silent body, however much had been sent."""

    async def main() -> None:
        async with _upload() as upload:
            await upload.send(500_000)
            await upload.wait(60)
            assert not await upload.is_over()
            await upload.wait(1)
            assert await upload.is_over()

    run(main())


def test_without_a_rate_only_silence_counts() -> None:
    """`body_rate: 0`: a byte in time is enough."""

    async def main() -> None:
        async with _upload(body_rate=0) as upload:
            await upload.send(1)
            for _ in range(5):
                await upload.wait(59)
                await upload.send(1)
            assert not await upload.is_over()
            await upload.wait(61)
            assert await upload.is_over()

    run(main())


def test_who_waits_to_be_asked_for_a_body_owes_none() -> None:
    """It is the backend's turn until its 100 (RFC 9110 section 10.1.1), for as long as a response may take."""

    async def main() -> None:
        asks = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            await asks.wait()
            await call.say(b"HTTP/1.1 100 Continue\r\n\r\n")
            await call.reader.read()

        async with stage(script, rules=ProxyRules(response_ms=100_000)) as s:
            ticker = s.listener.ticker
            client = await s.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            await until(lambda: bool(s.backend.heads))
            for _ in range(90):
                ticker.tick(ticker.now_s + 1)
            asks.set()
            assert (await client.head()).startswith(b"HTTP/1.1 100 ")
            for _ in range(11):
                ticker.tick(ticker.now_s + 1)
            assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
            client.close()

    run(main())


@pytest.mark.parametrize(
    ("sent", "answered", "kind"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"", "response_timeout"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", "body_timeout"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90000000\r\n\r\n" + b"a" * 50_000_000, b"", "send_timeout"),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
            b"",
            "response_timeout",
        ),
    ],
)
def test_a_silent_backend_is_told_by_its_phase(sent: bytes, answered: bytes, kind: str) -> None:
    """Taking the request, beginning its answer, going on with it: each may take the response time."""

    async def main() -> None:
        over = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            call.writer.transport.pause_reading()
            await call.say(answered)
            await over.wait()

        async with stage(script, rules=ProxyRules(response_ms=100_000)) as s:
            ticker = s.listener.ticker
            client = await s.connect()
            client.writer.write(sent)
            await until(lambda: bool(s.backend.heads))
            (connection,) = s.listener._connections
            if kind == "send_timeout":
                await until(lambda: connection._exchange._upstream.full)
            if answered:
                assert (await client.head()).startswith(b"HTTP/1.1 200 ")
            for _ in range(102):
                ticker.tick(ticker.now_s + 1)
            await until(lambda: s.watch.failed == [kind])
            over.set()
            client.writer.transport.abort()

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
            for _ in range(3):
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
            await asyncio.wait_for(s.listener.drained(), 5)
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
