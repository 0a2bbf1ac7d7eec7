"""The client against a real Valkey: everybody is answered once, and an outage loses nothing that was promised."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.store.desk import Desk
from tests.store.desk import desk as desk_at
from tests.store.driver import Server
from tests.support.aio import run
from tests.support.product import START_S
from waitroom.admission.line import Life, Presence, Standing, State, Touch, Touched
from waitroom.admission.pacing import PaceRules, Step, Turn, Verdict
from waitroom.errors import LibraryError, StoreAwayError, StoreError
from waitroom.store import client as limits
from waitroom.store import pace as pace_limits


def url_of(server: Server) -> str:
    return f"unix://{server.path}"


@contextlib.asynccontextmanager
async def desk(server: Server, *slots: int) -> AsyncIterator[Desk]:
    server.client.flushall()
    async with desk_at(url_of(server), *slots) as it:
        yield it


@pytest.fixture
def own() -> Any:
    """A server that a test may hurt."""
    server = Server()
    yield server
    server.client.connection_pool.disconnect()
    server.stop()


@pytest.fixture
def no_second_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of calls that are counted none is the clock's."""
    monkeypatch.setattr(limits, "FLUSH_S", 3_600)


@pytest.mark.usefixtures("no_second_passes")
def test_what_arrives_together_shares_a_call(server: Server) -> None:
    """A thousand presences in two pools: a handful of round trips, answers in the order of asking."""

    async def main() -> None:
        async with desk(server, 3, 2) as it:
            before = len(it.calls)
            asked = [it.ask("pq"[n % 2], f"v{n:04d}") for n in range(1_000)]
            found = await asyncio.gather(*asked)
            assert [one.visitor for one in found if isinstance(one, Standing)] == [f"v{n:04d}" for n in range(1_000)]
            assert len(it.calls) - before <= 4
            assert sum(isinstance(one, Standing) and one.state is State.ADMITTED for one in found) == 6

    run(main())


@pytest.mark.usefixtures("no_second_passes")
def test_many_do_not_wait_for_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer than enough wait their time out; the one that makes them enough sends all, and later ones are gathered."""

    async def main() -> None:
        async with desk(server, 3) as it:
            monkeypatch.setattr(limits, "GATHER_S", 3_600)
            before = len(it.calls)
            few = [it.ask("p", f"v{n}") for n in range(limits.ENOUGH - 1)]
            for _ in range(10):
                await asyncio.sleep(0)
            assert not any(one.done() for one in few)
            many = [*few, it.ask("p", "last"), it.ask("p", "of the same turn")]
            assert len(await asyncio.gather(*many)) == limits.ENOUGH + 1
            assert len(it.calls) == before + 1
            rest = [it.ask("p", f"w{n}") for n in range(limits.ENOUGH)]
            assert len(await asyncio.gather(*rest)) == limits.ENOUGH
            assert len(it.calls) == before + 2

    run(main())


def test_uses_are_told_within_a_second_and_the_latest_wins(server: Server) -> None:
    """Ten uses of a pass are one touch."""

    async def main() -> None:
        async with desk(server, 1) as it:
            told = await it.one("a")
            for keep in range(10):
                it.store.touch("p", Touch("a", told.backend, told.admitted_ms, keep))
            await it.until(lambda: bool(it.heard))
            assert [one.life for one in it.heard] == [Life.LIVE]
            assert server.client.hget("wr:{p}:passes", "a").split()[1] == b"9"

    run(main())


def test_a_release_reaches_the_store_and_the_pass_is_dead(server: Server) -> None:
    """Also when the worker goes right after it."""

    async def main() -> None:
        async with desk(server, 1) as it:
            told = await it.one("a")
            it.store.release("p", "a", "released")
            answer = await it.check(told)
            assert isinstance(answer, Touched)
            assert answer.life is Life.RELEASED
            await it.one("b")
            it.store.release("p", "b", "released")
        async with desk_at(url_of(server)) as it:
            assert (await it.store.snapshot("p")).sessions == {"b1": 0, "b2": 0}

    run(main())


def test_a_store_that_is_wiped_is_set_up_again_unnoticed(server: Server) -> None:
    """Library and rules come back, the session is rebuilt from the pass, the asker sees an answer."""

    async def main() -> None:
        async with desk(server, 1) as it:
            told = await it.one("a")
            server.client.flushall()
            server.client.function_flush()
            answer = await it.check(told)
            assert isinstance(answer, Touched)
            assert answer.life is Life.LIVE
            assert (await it.store.snapshot("p")).sessions["b1"] == 1
            assert it.ups == [True]

    run(main())


def test_without_rules_the_asker_is_told(server: Server) -> None:
    """A typed error, and the store stays up."""

    async def main() -> None:
        async with desk(server) as it:
            assert isinstance(await it.ask("p", "a"), LibraryError)
            with pytest.raises(LibraryError):
                await it.store.snapshot("p")
            assert it.store.up

    run(main())


def test_a_store_that_hangs_fails_askers_in_bounded_time(own: Server) -> None:
    """SIGSTOP is what a half-open connection looks like; uses and releases are told when it wakes."""

    async def main() -> None:
        async with desk(own, 2) as it:
            first, second = await it.one("a"), await it.one("b")
            own.client.connection_pool.disconnect()
            own._process.send_signal(19)
            async with asyncio.timeout(START_S):
                assert isinstance(await it.ask("p", "c"), StoreAwayError)
            assert isinstance(await it.ask("p", "d"), StoreAwayError)
            with pytest.raises(StoreAwayError):
                await it.store.snapshot("p")
            it.store.touch("p", Touch("a", first.backend, first.admitted_ms))
            it.store.release("p", second.visitor, "released")
            own._process.send_signal(18)
            await it.until(lambda: it.ups[-1] and bool(it.heard))
            assert it.ups == [True, False, True]
            assert [(one.visitor, one.life) for one in it.heard] == [("a", Life.LIVE)]
            assert sum((await it.store.snapshot("p")).sessions.values()) == 1

    run(main())


def test_a_caller_who_gives_up_never_gets_anothers_answer(server: Server) -> None:
    """Cancelled waits leave the connection in step."""

    async def main() -> None:
        async with desk(server, 50) as it:
            for n in range(50):
                waits = asyncio.ensure_future(it.store.snapshot("p"))
                asked = it.ask("p", f"v{n}")
                await asyncio.sleep(0)
                waits.cancel()
                answer = await asked
                assert isinstance(answer, Standing)
                assert answer.visitor == f"v{n}"

    run(main())


def test_the_queue_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it askers are told at once, and those inside are served."""
    monkeypatch.setattr(limits, "QUEUE_PRESENT", 10)

    async def main() -> None:
        async with desk(server, 1) as it:
            found = await asyncio.gather(*[it.ask("p", f"v{n}") for n in range(15)])
            assert sum(isinstance(one, StoreAwayError) for one in found) == 5
            assert isinstance(await it.ask("p", "later"), Standing)

    run(main())


def test_an_asker_that_fails_harms_nobody_else(server: Server) -> None:
    """A callback that raises is logged; the next in the batch is answered."""

    def broken(_answer: object) -> None:
        raise RuntimeError("mine")

    async def main() -> None:
        async with desk(server, 1) as it:
            it.store.present("p", Presence("a"), broken)
            assert (await it.one("b")).state is State.WAITING

    run(main())


def test_an_opening_is_noticed_by_a_worker_that_does_not_know_the_exam(server: Server) -> None:
    """The store asks for the lobby's name, and the client gives it."""

    async def main() -> None:
        async with desk(server, 0) as it:
            now_ms = (await it.one("z")).now_ms
            lobby = await it.one("l", exam="secret", opens_ms=now_ms + 3_600_000)
            assert lobby.state is State.LOBBY
            assert (await it.one("w", arrival_us=9**16, confirmed=True)).ahead == 1
            server.client.hset("wr:{p}:state", mapping={"open:secret": now_ms, "opens": now_ms})  # an hour passes
            assert (await it.one("w", arrival_us=9**16, confirmed=True)).ahead == 2

    run(main())


def test_a_lease_is_held_by_one(server: Server) -> None:
    """The conductor's baton."""

    async def main() -> None:
        async with desk(server, 1) as it:
            assert await it.store.lease("conductor", "a", 600_000)
            assert not await it.store.lease("conductor", "b", 600_000)
            assert await it.store.lease("conductor", "a", 600_000)
            assert await it.store.sweep("p") == {}

    run(main())


@pytest.mark.usefixtures("no_second_passes")
def test_paces_share_a_call_and_fail_like_presences(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers in the order of asking; beyond the bound, and of a pace that a reload took away, an error at once."""
    monkeypatch.setattr(pace_limits, "QUEUE_PACE", 100)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with desk(server, 1) as it:
            it.store.set_paces({"p1": PaceRules.of(1_000), "p2": PaceRules.of(50_000)})

            async def ask(name: str, visitor: str) -> Turn | StoreError:
                future = asyncio.get_running_loop().create_future()
                it.store.pace(name, Step(visitor, "", 0, 60_000), future.set_result)
                found: Turn | StoreError = await future
                return found

            before, began_s = len(it.calls), loop.time()
            found = await asyncio.gather(*[ask(("p1", "p2")[n % 2], f"v{n}") for n in range(105)])
            assert len(it.calls) - before <= 2
            turns = [turn for turn in found if isinstance(turn, Turn)]
            assert len(turns) == 100
            assert [turn.verdict for turn in turns[:2]] == [Verdict.DIRECT] * 2
            waits = [turn.wait_ms for turn in turns[2::2]]
            late_ms = 10 + 1_000 * (loop.time() - began_s)
            assert all(1_000 * n - late_ms <= wait <= 1_000 * n for n, wait in enumerate(waits, 1))
            waiting = asyncio.ensure_future(ask("p1", "late"))
            await asyncio.sleep(0)
            it.store.set_paces({"p2": PaceRules.of(50_000)})
            assert isinstance(await waiting, LibraryError)
            assert isinstance(await ask("p1", "later"), StoreAwayError)
            assert isinstance(await ask("p2", "v1"), Turn)

    run(main())
