"""How long a body may take, and by what name a backend is timed out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.proxy.wire import PATIENCE_S, Call, Client, Stage, stage, until
from tests.support.aio import run
from waitroom.proxy.rules import ProxyRules


@dataclass
class Upload:
    """A body on its way: what has been sent of it has been taken in when `send` returns."""

    stage: Stage
    client: Client

    async def send(self, count: int) -> None:
        (connection,) = self.stage.listener._connections
        body = connection._body
        before = body.taken_bytes
        await self.client.send(b"a" * count)
        await until(lambda: body.taken_bytes == before + count)

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
        await asyncio.wait_for(gone.wait(), PATIENCE_S)


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
