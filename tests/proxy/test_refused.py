"""What has two readings, or none: refused with a 4xx, closed, and not a byte of it at the backend."""

import pytest

from tests.proxy.chunks import CHUNKS, UNFINISHED
from tests.proxy.memory import World, bytewise
from tests.proxy.reference import all_requests
from tests.proxy.vectors import END, HEADS, TE, H, post
from tests.proxy.wire import stage
from tests.support.aio import run
from waitroom.proxy.fields import FIELDS
from waitroom.proxy.rules import ProxyRules

SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + b"\r\n"


def test_the_table_is_long() -> None:
    """Nobody shortens it unseen."""
    assert len(HEADS) >= 240
    assert len(CHUNKS) >= 50


@pytest.mark.parametrize("sent", HEADS.values(), ids=HEADS.keys())
def test_a_head_with_two_readings_is_refused(sent: bytes) -> None:
    """A 4xx, the end, nothing at the backend."""

    async def main() -> None:
        async with stage() as s:
            answer = await s.say(sent + SMUGGLED)
            assert answer.startswith(b"HTTP/1.1 4"), answer
            assert answer.count(b"HTTP/1.1 ") == 1
            assert b"\r\nConnection: close\r\n" in answer
            assert s.backend.connections == 0
            assert s.brain.requests == []
            assert len(s.watch.own) == 1

    run(main())


def test_a_head_is_refused_wherever_it_is_cut() -> None:
    """The same in two pieces and byte by byte."""

    async def main() -> None:
        world = World()
        for name, sent in HEADS.items():
            data = sent + SMUGGLED
            first = world.say(data)[:13]
            assert first.startswith(b"HTTP/1.1 4"), name
            for pieces in (*((data[:at], data[at:]) for at in range(1, len(sent) + 1)), bytewise(data)):
                answer = world.say(*pieces)
                assert answer[:13] == first, (name, pieces)
                assert answer.count(b"HTTP/1.1 ") == 1, (name, pieces)
        assert world.peers == []
        assert world.brain.requests == []
        world.at_rest()

    run(main())


def test_a_head_is_refused_behind_another() -> None:
    """A connection remembers what it has read; that opens no other way in."""

    async def main() -> None:
        world = World()
        for name, sent in HEADS.items():
            first = world.say(sent + SMUGGLED)[:13]
            for before in (post(H), post(H).replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n")):
                answer = world.say(before + sent + SMUGGLED)
                assert answer.count(b"HTTP/1.1 ") == 2, name
                assert answer[answer.rfind(b"HTTP/1.1 ") :].startswith(first), name
        assert len(all_requests(world.reached())[0]) == len(world.brain.requests) == 2 * len(HEADS)
        world.at_rest()

    run(main())


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
def test_chunks_with_two_readings_end_the_request(body: bytes) -> None:
    """The backend never sees the end of such a body, nor anything behind it."""

    async def main() -> None:
        async with stage() as s:
            answer = await s.say(post(H + TE) + body + SMUGGLED)
            assert answer.startswith(b"HTTP/1.1 400"), answer
            assert answer.count(b"HTTP/1.1 ") == 1
            assert s.backend.bodies == []
            assert not any(b"smuggled" in head for head in s.backend.heads)
            assert s.inflight == 0
            assert s.finished == [0]

    run(main())


def test_chunks_are_refused_wherever_they_are_cut() -> None:
    """The same in two pieces and byte by byte."""

    async def main() -> None:
        world = World()
        for name, body in CHUNKS.items():
            data = post(H + TE) + body + SMUGGLED
            for pieces in (*((data[:at], data[at:]) for at in range(1, len(data))), bytewise(data)):
                answer = world.say(*pieces)
                assert answer.startswith(b"HTTP/1.1 400 "), (name, pieces, answer)
                assert answer.count(b"HTTP/1.1 ") == 1, (name, pieces)
                assert all_requests(world.reached())[0] == [], (name, pieces)
                assert b"/smuggled" not in world.reached(), (name, pieces)
                assert world.finished == [0], (name, pieces)
                world.forget()
        world.at_rest()

    run(main())


def test_a_body_without_its_end_is_no_request() -> None:
    """The backend's connection goes with the client's; what would be behind the body is part of it."""

    async def main() -> None:
        world = World()
        for name, body in UNFINISHED.items():
            data = post(H + TE) + body
            for at in range(1, len(data)):
                assert world.say(data[:at], data[at:]) == b"", name
                found, rest = all_requests(world.reached())
                assert found == [], name
                assert not rest.endswith(END), name
                assert all(peer.pipe.gone for peer in world.peers), name
                world.forget()
        world.at_rest()

    run(main())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 5000, b"414"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n" + H + b"\r\n", b"414"),
        (post(H + b"X: " + b"a" * 5000), b"431"),
        (post(H + b"X: " + b"a" * 5000 + b"\r\n"), b"431"),
        (post(H + b"X: 1\r\n" * 2000), b"431"),
        (post(H + b"X:\r\n" * FIELDS), b"431"),
        (post(H + b"Content-Length: 1001\r\n"), b"413"),
        (post(H + TE, b"3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n"), b"413"),
        (b"CONNECT h:80 HTTP/1.1\r\n" + H + b"\r\n", b"405"),
        (b"CONNECT / HTTP/1.1\r\n" + H + b"\r\n", b"405"),
    ],
)
def test_what_is_too_large_is_named(sent: bytes, status: bytes) -> None:
    """Heads, URLs and bodies have bounds, each with its own status."""

    async def main() -> None:
        async with stage(rules=ProxyRules(header_bytes=4096, body_bytes=1000)) as s:
            answer = await s.say(sent)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert (b"\r\nAllow: GET, HEAD, " in answer) is (status == b"405")
            assert s.backend.bodies == []

    run(main())
