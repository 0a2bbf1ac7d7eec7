"""Requests in a row that are answered at once: thousands fit into one read, and nobody waits for all of them."""

import pytest

from tests.proxy.wire import OK, TARGET, Call, Client, Stage, stage, until
from tests.support.aio import run
from waitroom.proxy.decisions import Decision, Relay, Request, Respond
from waitroom.proxy.requesthead import EMPTY_BYTES

LARGE = 8 << 20

MANY = 2_000
"""Less than one read has room for."""


def _choose(request: Request) -> Decision:
    """Who asks for a number gets it."""
    return Respond(200, (), request.target) if request.target[1:].isdigit() else Relay(TARGET)


def _row(first: int, last: int) -> bytes:
    return b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(first, last))


async def _numbers(client: Client, first: int, last: int) -> None:
    for n in range(first, last):
        assert (await client.answer()).endswith(b"\r\n\r\n/%d" % n)


def _asked(s: Stage) -> list[bytes]:
    return [request.target for request in s.brain.requests]


@pytest.mark.parametrize("empty_lines", [b"", b"\r\n" * 40], ids=["requests", "empty-lines"])
def test_others_have_their_turn(empty_lines: bytes) -> None:
    """Somebody who comes behind a row of thousands is not answered behind it; the row is answered in its order."""

    async def main() -> None:
        async with stage(choose=_choose) as s:
            hog, other = await s.connect(), await s.connect()
            await until(lambda: s.listener.connections == 2)
            hog.writer.write(_row(0, MANY).replace(b"GET", empty_lines + b"GET"))
            other.writer.write(b"GET /other HTTP/1.1\r\nHost: h\r\n\r\n")
            assert await other.answer() == OK
            assert _asked(s).index(b"/other") < MANY // 10
            await _numbers(hog, 0, MANY)
            assert len(_asked(s)) == MANY + 1
            for client in (hog, other):
                client.close()

    run(main())


def test_a_row_is_answered_to_its_end() -> None:
    """Also where its sender has ended its half, where a body or a relayed request stands in it, and where it ends in
    the midst of a head that comes later."""

    async def main() -> None:
        async with stage(choose=_choose) as s:
            client = await s.connect()
            post = b"POST /7 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
            relayed = b"GET /relayed HTTP/1.1\r\nHost: h\r\n\r\n"
            await client.send(_row(0, 7) + post + _row(8, 20) + relayed + _row(20, 40)[:-3])
            await _numbers(client, 0, 20)
            assert await client.answer() == OK
            await _numbers(client, 20, 39)
            await client.send(_row(39, 40)[-3:] + _row(40, 60))
            client.writer.write_eof()
            await _numbers(client, 39, 60)
            assert await client.rest() == b""
            client.close()

    run(main())


def test_who_leaves_a_row_is_not_answered_any_more() -> None:
    """A reset in the midst of it ends it, and so does a request that is none."""

    async def main() -> None:
        async with stage(choose=_choose) as s:
            client = await s.connect()
            client.writer.write(_row(0, MANY))
            await until(lambda: bool(s.brain.requests))
            client.reset()
            await until(lambda: s.listener.connections == 0)
            assert len(_asked(s)) < MANY
            answer = await s.say(_row(0, 3) + b"GET / HTTP/1.1\r\n\r\n" + _row(3, 4))
            assert answer.count(b"HTTP/1.1 200 ") == 3
            assert answer.count(b"HTTP/1.1 400 ") == 1

    run(main())


@pytest.mark.parametrize("after", [b"", b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"], ids=["first", "between"])
def test_empty_lines_without_end_are_no_request(after: bytes) -> None:
    """They cost nearly as much to read as requests do, and nobody asks for anything with them."""

    async def main() -> None:
        async with stage(choose=_choose) as s:
            answer = await s.say(after + b"\r\n" * EMPTY_BYTES + _row(0, 1))
            assert answer.count(b"HTTP/1.1 400 ") == 1
            assert len(s.brain.requests) == bool(after)

    run(main())


def test_what_nobody_wants_is_passed_over_in_turns() -> None:
    """A body that was refused: one read of it, and then the others; its sender may go on, and reads the answer."""
    refusal = Respond(429, (), b"no", close=True)

    async def main() -> None:
        passed_over: list[int] = []

        async def script(call: Call) -> None:
            await call.head()
            passed_over.append(leaving._drained_bytes)
            await call.say(OK)

        async with stage(script, lambda request: refusal if request.has_body else Relay(TARGET)) as s:
            sender, other = await s.connect(), await s.connect()
            await sender.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
            assert b" 429 " in await sender.answer()
            (leaving,) = (each for each in s.listener._connections if each._leaving)
            sender.writer.write(b"x" * LARGE)
            other.writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda: bool(passed_over))
            assert passed_over[0] < LARGE // 2
            await until(lambda: leaving._drained_bytes == LARGE)
            for client in (sender, other):
                client.close()

    run(main())
