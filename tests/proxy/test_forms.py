"""Odd requests that pass: in one form, whatever comes before or behind them and wherever they are cut."""

import pytest

from tests.proxy.forms import FORMS, LAST_FORMS, NEXT, NEXT_SEEN, Row
from tests.proxy.memory import World, bytewise
from tests.proxy.reference import all_requests, first_request
from tests.proxy.wire import Backend, Call, Stage, stage
from tests.support.aio import run


async def _answers_each(call: Call) -> None:
    """A backend that keeps every byte and answers what the reference reads as a request."""
    data, answered = b"", 0
    while more := await call.reader.read(65536):
        data += more
        call.backend.bodies[:] = [data]
        while (read := first_request(data[answered:])) is not None:
            answered += read.size
            call.backend.heads.append(read.head)
            await call.say(b"HTTP/1.1 204 X\r\n\r\n")


async def _say(s: Stage, data: bytes) -> bytes:
    client = await s.connect()
    client.writer.write(data)
    client.writer.write_eof()
    answer = await client.rest()
    client.close()
    return answer


def _wanted(seen: bytes, backend: Backend) -> bytes:
    return seen.replace(b"%AUTHORITY%", b"127.0.0.1:%d" % backend.port)


@pytest.mark.parametrize("row", FORMS.values(), ids=FORMS.keys())
def test_it_arrives_in_one_form(row: Row) -> None:
    """And what is sent behind it arrives as a request of its own."""

    async def main() -> None:
        async with stage(_answers_each) as s:
            answer = await _say(s, row[0] + NEXT)
            assert answer.count(b"HTTP/1.1 204 ") == 2, answer
            assert s.backend.bodies == [row[1] + NEXT_SEEN]
            assert s.backend.connections == 1
            assert [request.target for request in s.brain.requests] == [_target(row[1]), b"/next"]

    run(main())


@pytest.mark.parametrize("row", LAST_FORMS.values(), ids=LAST_FORMS.keys())
def test_it_arrives_in_one_form_and_is_the_last(row: Row) -> None:
    """What is sent behind it is not read."""

    async def main() -> None:
        async with stage(_answers_each) as s:
            answer = await _say(s, row[0] + NEXT)
            assert answer.count(b"HTTP/1.1 ") == 1, answer
            assert b"\r\nConnection: close\r\n" in answer
            assert s.backend.bodies == [_wanted(row[1], s.backend)]
            assert s.brain.requests[0].first(b"host") == (None if b"%AUTHORITY%" in row[1] else b"h")

    run(main())


def test_it_arrives_in_the_same_form_wherever_it_is_cut() -> None:
    """In two pieces and byte by byte; chunks may be put together otherwise, their content not."""

    async def main() -> None:
        world = World()
        for name, (sent, seen) in (FORMS | LAST_FORMS).items():
            follower = b"" if name in LAST_FORMS else NEXT
            wanted, rest = all_requests(seen.replace(b"%AUTHORITY%", b"backend") + (follower and NEXT_SEEN))
            assert (len(wanted), rest) == (2 if follower else 1, b""), name
            data = sent + follower
            for pieces in (*((data[:at], data[at:]) for at in range(1, len(data))), bytewise(data)):
                answer = world.say(*pieces)
                assert answer.startswith(b"HTTP/1.1 200 "), (name, pieces, answer)
                got, rest = all_requests(world.reached())
                assert [(each.head, each.body) for each in got] == [(each.head, each.body) for each in wanted], (
                    name,
                    pieces,
                )
                assert rest == b""
                world.forget()
        world.at_rest()

    run(main())


def _target(seen: bytes) -> bytes:
    return seen.split(b" ", 2)[1]
