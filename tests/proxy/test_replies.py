"""What a backend says with two readings, or none, is the backend's failure; the rest passes in one form."""

from itertools import chain

import pytest

from tests.proxy.memory import World, bytewise
from tests.proxy.reference import cut_reply
from tests.proxy.replies import BAD, CUT, GET, GOOD, OLD, ONE, TE
from tests.proxy.wire import OK, answers, dechunked, stage
from tests.support.aio import run

CHUNKED = ONE + TE + b"\r\n"


def final(answer: bytes) -> bytes:
    """An answer without the 1xx responses before it."""
    while answer.startswith(b"HTTP/1.1 1"):
        answer = answer.partition(b"\r\n\r\n")[2]
    return answer


def cuts(data: bytes) -> list[tuple[bytes, ...]]:
    """Whole, in two pieces cut at every place, and byte by byte."""
    return [(data,), *((data[:at], data[at:]) for at in range(1, len(data))), tuple(bytewise(data))]


def test_the_table_is_long() -> None:
    """Nobody shortens it unseen."""
    assert len(BAD) + len(CUT) + len(GOOD) >= 110


@pytest.mark.parametrize("response", BAD.values(), ids=BAD.keys())
def test_a_response_with_two_readings_is_a_failure(response: bytes) -> None:
    """It becomes the handler's answer to a protocol violation, and its connection is never used again."""

    async def main() -> None:
        async with stage(answers(response)) as s:
            for n in range(2):
                client = await s.connect()
                await client.send(GET)
                answer = await client.answer()
                while answer.startswith(b"HTTP/1.1 1"):
                    answer = await client.answer()
                assert answer.startswith(b"HTTP/1.1 502")
                assert answer.endswith(b"\r\n\r\nprotocol")
                assert s.backend.connections == n + 1
                client.close()
            assert s.watch.failed == ["protocol"] * 2
            assert s.finished == [0] * 2
            assert s.inflight == 0

    run(main())


def test_a_response_is_a_failure_wherever_it_is_cut() -> None:
    """Also on a connection that has served well before."""

    async def main() -> None:
        replies: list[tuple[bytes, ...]] = []
        world = World(answer=lambda _request: replies.pop(0))
        for pieces in chain.from_iterable(map(cuts, BAD.values())):
            replies[:] = [(OK,), pieces]
            got = world.say(GET + GET)
            assert got.startswith(OK), pieces
            assert final(got[len(OK) :]).startswith(b"HTTP/1.1 502 "), (pieces, got)
            assert got.endswith(b"\r\n\r\nprotocol"), (pieces, got)
            assert [peer.pipe.gone for peer in world.peers] == [True], pieces
            world.forget()
        world.at_rest()

    run(main())


@pytest.mark.parametrize("size", [33_000, 40_000])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_that_is_too_large_is_a_failure(size: int, end: bytes) -> None:
    """Whether its end is in sight or not."""

    async def main() -> None:
        world = World(answer=lambda _request: [ONE + b"X: " + b"a" * size + end])
        assert world.say(GET).endswith(b"\r\n\r\nprotocol")
        assert world.peers[0].pipe.gone

    run(main())


@pytest.mark.parametrize("request_", [GET, OLD], ids=["HTTP/1.1", "HTTP/1.0"])
def test_bad_chunks_of_a_response_cut_the_client(request_: bytes) -> None:
    """Once the head is out, a failure is the end of the connection, behind what came before the fault, and no end of
    the body: to HTTP/1.0, whose body has no other end, it is a reset.
    """

    async def main() -> None:
        replies: list[tuple[bytes, ...]] = []
        world = World(answer=lambda _request: replies.pop(0))
        for pieces, came in [(pieces, came) for fault, came in CUT.values() for pieces in cuts(fault)]:
            replies[:] = [(CHUNKED + pieces[0], *pieces[1:])]
            client = world.client()
            client.feed(request_)
            world.settle()
            assert (client.ended, client.aborted) == ((True, False) if request_ is GET else (False, True)), pieces
            seen = cut_reply(bytes(client.sent), b"GET", ended=client.ended)
            assert (seen.status, seen.body) == (200, came), pieces
            client.end()
            world.settle()
            assert client.gone
            assert [peer.pipe.gone for peer in world.peers] == [True]
            assert world.watch.done == [("main/main-1", 502)]
            assert world.finished == [0]
            world.forget()
        world.at_rest()

    run(main())


def test_an_odd_response_passes_in_one_form() -> None:
    """Wherever it is cut: in two pieces and byte by byte, chunks put together apart."""

    async def main() -> None:
        replies: list[tuple[bytes, ...]] = []
        world = World(answer=lambda _request: replies.pop(0))
        for request, response, seen, reused in GOOD.values():
            head, body = _parts(seen)
            for pieces in cuts(response):
                replies[:] = [pieces, (OK,)]
                client = world.client()
                client.feed(request)
                world.settle()
                got = bytes(client.sent)
                assert got.startswith(head), (pieces, got)
                assert dechunked(got[len(head) :]) == dechunked(body), (pieces, got)
                assert [not peer.pipe.closing for peer in world.peers] == [reused], pieces
                assert world.finished == [int(final(response)[9:12])]
                client.reset()
                world.forget()
        world.at_rest()

    run(main())


def _parts(seen: bytes) -> tuple[bytes, bytes]:
    head, gap, body = seen.partition(b"\r\n\r\n") if TE in seen else seen.rpartition(b"\r\n\r\n")
    return head + gap, body
