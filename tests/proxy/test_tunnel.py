"""Upgrades: raw bytes both ways, and only after the backend's 101."""

import asyncio

import pytest

from tests.proxy.wire import OK, PATIENCE_S, Call, Client, Stage, stage, until
from tests.support.aio import run
from waitroom.proxy.rules import ProxyRules

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: k\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX: 1\r\n\r\n"
MB = 1024 * 1024


async def echo(call: Call) -> None:
    """Switches, then sends everything back."""
    await call.head()
    await call.say(SWITCH + b"hello")
    while data := await call.reader.read(MB):
        await call.say(data)


def test_bytes_go_both_ways_after_101() -> None:
    """Those that came together with a head included; the tunnel is counted while it lives."""

    async def main() -> None:
        async with stage(echo) as s:
            client = await s.connect()
            await client.send(ASK + b"early")
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert b"\r\nconnection: upgrade\r\n" in head.lower()
            assert b"\r\nUpgrade: websocket\r\n" in head
            assert await client.exactly(10) == b"helloearly"
            await client.send(b"\x00\xff\r\n\r\n")
            assert await client.exactly(6) == b"\x00\xff\r\n\r\n"
            assert (s.inflight, s.listener.tunnels, s.finished) == (1, 1, [])
            seen = s.backend.heads[0]
            assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in seen
            assert b"\r\nSec-WebSocket-Key: k\r\n" in seen
            client.close()
            await until(lambda: s.listener.tunnels == 0)
            assert (s.inflight, s.finished) == (0, [101])

    run(main())


def test_another_answer_than_101_goes_on_as_http() -> None:
    """The connection stays usable."""

    async def script(call: Call) -> None:
        while await call.head():
            await call.say(OK)

    async def main() -> None:
        async with stage(script) as s:
            client = await s.connect()
            for _ in range(2):
                await client.send(ASK)
                assert await client.answer() == OK
            assert s.backend.connections == 1
            client.close()

    run(main())


def test_who_reads_no_last_words_is_given_up() -> None:
    """After the time of a silent body, counted until then; who reads them gets them all."""
    words = b"x" * 200_000

    async def last_words(call: Call) -> None:
        await call.head()
        await call.say(SWITCH + words)

    async def main() -> None:
        async with stage(last_words) as s:
            ticker = s.listener.ticker
            late, deaf = await s.connect_narrow(), await s.connect_narrow()
            for client in (late, deaf):
                await client.send(ASK)
                client.writer.write_eof()
            await until(lambda: [each.ending for each in s.listener._tunnels] == [True, True])
            ticker.tick(ticker.now_s + 59)
            await late.head()
            assert await late.rest() == words
            await until(lambda: s.listener.tunnels == 1)
            ticker.tick(ticker.now_s + 2)
            await until(lambda: s.listener.tunnels == 0)
            assert (s.inflight, s.finished) == (0, [101, 101])
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await deaf.exactly(len(words))
            late.close()
            deaf.close()

    run(main())


def test_each_half_is_closed_on_its_own() -> None:
    """A client that ends its half still gets what the backend has to say, and the other way round."""

    async def last_word(call: Call) -> None:
        await call.head()
        await call.say(SWITCH)
        data = await call.reader.read()
        await call.say(data[::-1])

    async def first_word(call: Call) -> None:
        await call.head()
        await call.say(SWITCH + b"bye")
        call.writer.write_eof()
        assert await call.reader.read() == b"good bye"

    async def main() -> None:
        async with stage(last_word) as s:
            client = await s.connect()
            await client.send(ASK)
            await client.head()
            await client.send(b"abc")
            client.writer.write_eof()
            assert await client.rest() == b"cba"
            client.close()
            await until(lambda: s.listener.tunnels == 0)
        async with stage(first_word) as s:
            client = await s.connect()
            await client.send(ASK)
            await client.head()
            assert await client.rest() == b"bye"
            await client.send(b"good bye")
            client.writer.write_eof()
            await until(lambda: s.listener.tunnels == 0)
            client.close()

    run(main())


@pytest.mark.parametrize("by_client", [True, False])
def test_a_reset_goes_through(by_client: bool) -> None:
    """Neither side is left talking to nobody."""

    async def main() -> None:
        over = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            await call.say(SWITCH)
            if by_client:
                with pytest.raises(ConnectionResetError):
                    await call.reader.read()
                over.set()
            else:
                call.reset()

        async with stage(script) as s:
            client = await s.connect()
            await client.send(ASK)
            await client.head()
            if by_client:
                client.reset()
                await asyncio.wait_for(over.wait(), PATIENCE_S)
            else:
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await client.exactly(1)
            await until(lambda: s.listener.tunnels == 0)
            client.close()

    run(main())


def test_64_megabytes_there_and_back_against_each_other() -> None:
    """Back-pressure in both directions, without a lock-up."""

    async def main() -> None:
        async with stage(echo) as s:
            client = await s.connect()
            await client.send(ASK)
            await client.head()
            await client.exactly(5)

            async def send() -> None:
                for _ in range(64):
                    await client.send(b"x" * MB)

            sending = asyncio.ensure_future(send())
            for _ in range(64):
                assert await client.exactly(MB) == b"x" * MB
            await sending
            client.close()

    run(main())


async def _open(s: Stage) -> Client:
    client = await s.connect()
    await client.send(ASK)
    await client.head()
    await client.exactly(5)
    return client


def test_tunnels_are_closed_at_the_end_of_a_drain_or_when_silent() -> None:
    """Not before; silence counts only where a limit is set."""

    async def main() -> None:
        async with stage(echo) as s:
            client = await _open(s)
            s.listener.drain()
            s.listener.ticker.tick(s.listener.ticker.now_s + 100_000)
            await client.send(b"x")
            assert await client.exactly(1) == b"x"
            s.listener.close_tunnels()
            assert await client.rest() == b""
            await asyncio.wait_for(s.listener.drained(), PATIENCE_S)
            client.close()
        async with stage(echo, rules=ProxyRules(tunnel_idle_ms=10_000)) as s:
            client = await _open(s)
            s.listener.ticker.tick(s.listener.ticker.now_s + 9)
            assert s.listener.tunnels == 1
            s.listener.ticker.tick(s.listener.ticker.now_s + 2)
            assert await client.rest() == b""
            client.close()

    run(main())
