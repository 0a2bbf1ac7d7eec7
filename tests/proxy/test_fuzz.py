"""Whatever comes from either side, nothing breaks, hangs, leaks or is taken for something else."""

import asyncio
import contextlib
import gc
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.proxy.forms import NEXT
from tests.proxy.fuzz import PROPER, REQUESTS, RESPONSES, WORDS, cut, mutated, play
from tests.proxy.memory import World
from tests.proxy.reference import all_replies, all_requests
from tests.proxy.vectors import CL3, TE, H
from tests.proxy.wire import TARGET, Call, Client, Stage, stage
from tests.support.aio import run
from tests.support.product import look_again
from waitroom.proxy.bodies import LAST_CHUNK
from waitroom.proxy.client import ClientConnection
from waitroom.proxy.decisions import Relay, Request
from waitroom.proxy.exchange import Exchange
from waitroom.proxy.requesthead import RequestReader
from waitroom.proxy.rules import OWN_COOKIES, MaxInflight, ProxyRules
from waitroom.proxy.upstream import BackendConnection

EXCHANGES, SHARES, ROUNDS = 100_000, 10, 80
LEAK_BYTES = 256 * 1024


@pytest.mark.parametrize("share", range(SHARES))
def test_a_hundred_thousand_hostile_exchanges(share: int) -> None:
    """The laws of the fuzzer, and no object of a connection left when all is over."""
    assert play(range(share * ROUNDS, (share + 1) * ROUNDS)) >= EXCHANGES // SHARES
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, ClientConnection | BackendConnection | Exchange)]
    assert left == []


def _ends_all_in_peace(self: ClientConnection, *, framed: bool) -> None:
    """Also where only the connection's end delimits an answer."""
    assert framed in (True, False)
    self._exchange = None
    self._depart(linger=True)


def _ends_the_body(self: ClientConnection, *, framed: bool) -> None:
    """As if it were whole."""
    if not self._leaving:
        self.write(LAST_CHUNK)
    _ends_all_in_peace(self, framed=framed)


def _goes_on(self: ClientConnection, *, framed: bool) -> None:
    """The next answer completes this one."""
    if framed and not self._leaving:
        self.exchange_over()
    else:
        self.cut()


@pytest.mark.parametrize("lie", [_ends_all_in_peace, _ends_the_body, _goes_on])
def test_the_fuzzer_sees_half_an_answer_that_looks_whole(
    lie: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or would if it were shown: by an end that says nothing, by a last chunk, by an answer behind it."""
    monkeypatch.setattr(ClientConnection, "break_off", lie)
    with pytest.raises(AssertionError):
        play(range(ROUNDS))


def test_hostile_exchanges_leave_no_memory_behind() -> None:
    """What a listener holds after thousands of them is what it held after the first hundreds."""

    async def main() -> None:
        world = World(rules=ProxyRules(header_bytes=4_096))
        chance = random.Random(1)
        world.answer = lambda _request: cut(chance, mutated(chance, RESPONSES))

        def some(count: int) -> int:
            for _ in range(count):
                world.say(*cut(chance, mutated(chance, REQUESTS)))
                world.forget()
            world.listener.reader = RequestReader(OWN_COOKIES)  # what it remembers is bounded, and not full yet
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        some(2_000)
        tracemalloc.start()
        try:
            before = some(1_000)
            assert some(4_000) - before < LEAK_BYTES
        finally:
            tracemalloc.stop()
        world.at_rest()

    with capture_logs() as logs:
        run(main())
    assert logs == []


FIELDS = [
    *(H, H, H, CL3, TE, b"Content-Length: 0\r\n", b"Connection: close\r\n", b"X: 1\r\n", b"X: a\r\n b\r\n", b"X\r\n"),
    *(
        b"Expect: 100-continue\r\n",
        b"Connection: Upgrade\r\n",
        b"Upgrade: x\r\n",
        b"Cookie: a; wr_main=x\r\n",
        b"Y:\0\r\n",
    ),
]
LINES = [
    *(b"GET / HTTP/1.1\r\n",) * 3,
    b"POST /a HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"GET http://h/ HTTP/1.1\r\n",
    b"GET /\r\n",
]
BODIES = [b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"0\r\n\r\n", b"3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n", b"3\r\nabcX", *WORDS]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Something like a request: each part is drawn by itself."""
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=5))
    end = draw(st.sampled_from([b"\r\n"] * 5 + [b"", b"\n"]))
    return draw(st.sampled_from(LINES)) + b"".join(fields) + end + draw(st.sampled_from(BODIES))


def test_what_is_understood_does_not_depend_on_the_cuts() -> None:
    """Requests at the backend and answers at the client are the same for any cut of the same bytes."""

    def understood(pieces: list[bytes]) -> object:
        world = World()
        answer = world.say(*pieces)
        found, _ = all_requests(world.reached())
        assert len(found) <= len(world.brain.requests)
        replies, _ = all_replies(answer, [each.method for each in world.brain.requests], ended=True)
        world.at_rest()
        return [(each.head, each.body) for each in found], [each.status for each in replies]

    @settings(max_examples=2_000, deadline=None, derandomize=True, database=None)
    @given(st.lists(messages(), min_size=1, max_size=4).map(b"".join), st.lists(st.integers(0, 400), max_size=6))
    def hold(sent: bytes, places: list[int]) -> None:
        cuts = sorted(places)
        pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True) if sent[a:b]]
        assert understood(pieces) == understood([sent])

    async def main() -> None:
        hold()

    run(main())


TALKS, TOGETHER = 3_000, 12


class Hostility:
    """Both ends of real connections, at odds with everything."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.left = TALKS

    def choose(self, _request: Request) -> Relay:
        """Some have no pass."""
        return Relay(TARGET, stranger=self.chance.random() < 0.2)

    async def backend(self, call: Call) -> None:
        """Answers anything to anything, and may go."""
        chance = self.chance
        while await call.reader.read(65_536):
            for piece in cut(chance, mutated(chance, RESPONSES)):
                await call.say(piece)
            if chance.random() < 0.3:
                return

    async def client(self, s: Stage) -> None:
        """One connection after another."""
        while self.left > 0:
            self.left -= 1
            client = await s.connect()
            with contextlib.suppress(OSError):  # it is cut, as it has to expect
                await self._talk(client)
            client.close()

    async def _talk(self, client: Client) -> None:
        chance = self.chance
        data = [mutated(chance, REQUESTS) if chance.random() < 0.7 else chance.choice(PROPER) for _ in range(2)]
        for piece in cut(chance, b"".join(data)):
            await client.send(piece)
            if chance.random() < 0.2:
                await asyncio.sleep(0)
        if chance.random() < 0.1:
            client.reset()
        else:
            client.writer.write_eof()
            await client.rest()


@pytest.mark.parametrize("most", [{}, {TARGET: TOGETHER // 4}], ids=["free", "guarded"])
def test_thousands_of_hostile_exchanges_over_sockets(most: dict[str, MaxInflight]) -> None:
    """The same by real sockets, both sides hostile: nothing breaks, and a plain request is served right after; so too
    where most of them have to wait for a place.
    """
    hostility = Hostility(7)

    async def main() -> None:
        rules = ProxyRules(body_bytes=1_000, max_inflight=most)
        async with stage(hostility.backend, hostility.choose, rules) as s:
            ticker = s.listener.ticker
            talks = asyncio.gather(*(hostility.client(s) for _ in range(TOGETHER)))
            while not talks.done():  # a backend that does not go on is given up
                await look_again()
                ticker.tick(ticker.now_s + 400)
            await talks
            assert len(s.watch.done) + len(s.watch.own) >= TALKS
            s.backend.script = _serves
            ticker.tick(ticker.now_s + 400)
            for _ in range(20):
                assert (await s.say(NEXT.replace(H, H + b"Connection: close\r\n"))).startswith(b"HTTP/1.1 204 ")
            assert (s.inflight, s.listener.pools.levels()[TARGET].waiting) == (0, 0)
            pool = s.listener.pools.get(TARGET)
            assert pool is not None
            assert (pool.strangers.line.held, pool.strangers.line.waiting) == (0, 0)
            assert bool(s.watch.waits) is bool(most)
        assert len(asyncio.all_tasks()) == 1

    with capture_logs() as logs:
        run(main())
    assert logs == []


async def _serves(call: Call) -> None:
    while await call.head():
        await call.say(b"HTTP/1.1 204 X\r\n\r\n")
