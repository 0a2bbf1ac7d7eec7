"""Connections to backends are used again, and nothing is sent twice for it."""

import asyncio
import random
from collections import Counter

import pytest

from tests.proxy.wire import OK, TARGET, Call, Script, stage, until
from tests.support.aio import run
from waitroom.proxy.rules import ProxyRules

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


def _dies_when_reused(died: list[bytes]) -> Script:
    async def script(call: Call) -> None:
        head = await call.head()
        await call.body(head)
        await call.say(OK)
        if call.backend.connections == 1:
            died.append(await call.head())

    return script


def test_an_idempotent_request_is_sent_again_when_a_reused_connection_dies() -> None:
    """Once, on a fresh connection; the client sees nothing of it."""

    async def main() -> None:
        died: list[bytes] = []
        async with stage(_dies_when_reused(died)) as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            await client.send(GET)
            assert await client.answer() == OK
            assert len(died) == 1
            assert s.backend.connections == 2
            assert s.finished == [200, 200]
            assert s.watch.failed == []
            client.close()

    run(main())


def test_a_request_that_was_begun_to_be_answered_is_not_sent_again() -> None:
    """A 1xx is a word: whoever said it has read the request, and the client has heard it."""

    async def main() -> None:
        async def script(call: Call) -> None:
            while await call.head():
                if len(call.backend.heads) > 1:
                    await call.say(b"HTTP/1.1 102 Processing\r\n\r\n")
                    return
                await call.say(OK)

        async with stage(script) as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            await client.send(GET)
            assert await client.head() == b"HTTP/1.1 102 Processing\r\n\r\n"
            assert (await client.answer()).endswith(b"\r\n\r\ntruncated")
            assert len(s.backend.heads) == 2
            client.close()

    run(main())


def test_a_post_of_whose_body_nothing_was_sent_is_sent_again() -> None:
    """A server does not act upon a request that it has not got whole."""

    async def main() -> None:
        died: list[bytes] = []
        async with stage(_dies_when_reused(died)) as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            await client.send(POST.replace(b"Content", b"Expect: 100-continue\r\nContent")[:-3])
            await until(lambda: len(died) == 1 and s.backend.connections == 2)
            await client.send(b"abc")
            assert await client.answer() == OK
            assert s.backend.bodies[-1] == b"abc"
            assert s.finished == [200, 200]
            client.close()

    run(main())


@pytest.mark.parametrize("sent", [POST, POST.replace(b"Content-Length: 3", b"Content-Length: 0")[:-3]])
def test_a_post_is_never_sent_twice(sent: bytes) -> None:
    """The backend may have acted on it: 502."""

    async def main() -> None:
        died: list[bytes] = []
        async with stage(_dies_when_reused(died)) as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            await client.send(sent)
            assert (await client.answer()).endswith(b"\r\n\r\nreset")
            assert len(died) == 1
            assert s.backend.connections == 1
            client.close()

    run(main())


def test_a_post_gets_a_connection_that_was_just_used_or_a_new_one() -> None:
    """An older idle connection may be about to close."""

    async def main() -> None:
        async with stage() as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            s.listener.ticker.tick(s.listener.ticker.now_s + 5)
            await client.send(POST)
            assert await client.answer() == OK
            assert s.backend.connections == 2
            await client.send(POST)
            assert await client.answer() == OK
            assert s.backend.connections == 2
            client.close()

    run(main())


def test_a_connection_that_closes_while_idle_is_forgotten() -> None:
    """The next request, even a POST, goes over a new one."""

    async def main() -> None:
        async def script(call: Call) -> None:
            head = await call.head()
            await call.body(head)
            await call.say(OK)

        async with stage(script) as s:
            pool = s.listener.pools.get(TARGET)
            assert pool is not None
            client = await s.connect()
            for n in range(3):
                await client.send(POST)
                assert await client.answer() == OK
                await until(lambda: pool.idle == 0)
                assert s.backend.connections == n + 1
            client.close()

    run(main())


def test_idle_backend_connections_are_let_go() -> None:
    """After their time, and beyond their number."""

    async def main() -> None:
        async with stage(rules=ProxyRules(backend_idle=2, backend_idle_ms=10_000)) as s:
            pool = s.listener.pools.get(TARGET)
            assert pool is not None
            clients = [await s.connect() for _ in range(5)]
            for client in clients:
                await client.send(GET)
            for client in clients:
                assert await client.answer() == OK
                client.close()
            assert pool.idle <= 2
            s.listener.ticker.tick(s.listener.ticker.now_s + 11)
            assert pool.idle == 0

    run(main())


def test_ten_thousand_posts_arrive_once_or_as_an_error() -> None:
    """To a backend that closes connections whenever it likes: before a request, within it, behind its answer."""
    clients, posts = 50, 200

    async def main() -> None:
        seen: Counter[bytes] = Counter()
        chance = random.Random(1)

        async def script(call: Call) -> None:
            while head := await call.head():
                if chance.random() < 0.02:  # before it has the body
                    return
                seen[await call.body(head)] += 1
                if chance.random() < 0.02:  # having acted on it
                    return
                await call.say(OK)
                if chance.random() < 0.05:  # as a server ends an idle connection
                    return

        async with stage(script) as s:
            told: dict[bytes, bytes] = {}

            async def student(number: int) -> None:
                client = await s.connect()
                for at in range(posts):
                    body = b"%05d" % (number * posts + at)
                    await client.send(b"POST /save HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n" + body)
                    told[body] = (await client.answer())[9:12]
                client.close()

            await asyncio.gather(*(student(number) for number in range(clients)))
            assert len(told) == clients * posts
            assert set(told.values()) == {b"200", b"502"}
            assert max(seen.values()) == 1
            assert all(seen[body] == 1 for body, status in told.items() if status == b"200")
            assert s.inflight == 0

    run(main())
