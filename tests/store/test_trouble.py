"""A store in trouble: real servers, a network that fails; bounded waits, true causes, and back within 5 s."""

import asyncio
import contextlib
import secrets
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from tests.store.desk import Desk, answered, desk
from tests.store.driver import Server, rules
from tests.support.aio import run
from tests.support.faults import FaultProxy, Faults, faulty
from tests.support.ports import free_port
from tests.support.product import until
from tests.support.stores import Valkey, valkey
from waitroom.admission.line import Presence, Standing, State, Touch, Touched
from waitroom.errors import StoreAwayError, StoreError
from waitroom.store.talker import BACKOFF_MAX_S, CALL_S
from waitroom.store.wire import CONNECT_S, READ_S

BACK_S = 5.0
"""Law 9: recovery within 5 s of the store's return."""

LATE_S = 20.0
"""What a machine with too much to do may add to a bound: it stops a process for seconds."""

T = TypeVar("T")

Commands = list[tuple[str | int, ...]]

SLOW = {"silent", "connect_timeout"}
"""What a server on such a machine may be called besides, and it is true."""

LOOKS_UP = ("--loading-process-events-interval-bytes", "1024")
"""A server that reads its file looks up from it to answer so often."""

TROUBLES: dict[str, tuple[str, Commands, Commands]] = {
    "replica": ("readonly", [("REPLICAOF", "127.0.0.1", 1)], [("REPLICAOF", "NO", "ONE")]),
    "no replicas": (
        "unready",
        [("CONFIG", "SET", "min-replicas-to-write", 1)],
        [("CONFIG", "SET", "min-replicas-to-write", 0)],
    ),
    "no memory": ("full", [("CONFIG", "SET", "maxmemory", 1)], [("CONFIG", "SET", "maxmemory", 0)]),
    "no connections": (
        "full",
        [("CONFIG", "SET", "maxclients", 1), ("CLIENT", "KILL", "TYPE", "normal")],
        [("CONFIG", "SET", "maxclients", 1_000)],
    ),
    "no rights": ("denied", [("ACL", "SETUSER", "default", "-fcall")], [("ACL", "SETUSER", "default", "+fcall")]),
    "a password": (
        "denied",
        [("CONFIG", "SET", "requirepass", "x"), ("CLIENT", "KILL", "TYPE", "normal")],
        [("CONFIG", "SET", "requirepass", "")],
    ),
}


def test_a_store_that_returns_is_tried_in_time() -> None:
    """The longest pause between two tries, and the longest try before it that hangs."""
    assert 1.5 * BACKOFF_MAX_S + max(CONNECT_S, CALL_S + READ_S) < BACK_S


@pytest.mark.parametrize("name", TROUBLES)
def test_what_is_wrong_is_told_by_its_name(tmp_path: Path, name: str) -> None:
    """Askers are answered at once, the cause is counted, uses and releases wait; all is well when it is repaired."""
    cause, hurt, heal = TROUBLES[name]

    async def main() -> None:
        async with valkey(tmp_path) as server, desk(server.url, 2) as it:
            told = [await it.one(f"v{n}") for n in range(2)]
            with contextlib.closing(server.client) as operator:
                for command in hurt:
                    operator.execute_command(*command)
                assert isinstance(await it.ask("p", "c"), StoreAwayError)
                it.store.touch("p", Touch("v0", told[0].backend, told[0].admitted_ms))
                it.store.release("p", "v1", "released")
                await it.until(lambda: cause in it.failures)
                assert set(it.failures) <= {cause, "closed"} | SLOW
                for command in heal:
                    operator.execute_command(*command)
                await until(lambda: answered(it), within_s=BACK_S + LATE_S, what="the store")
                await it.until(lambda: bool(it.heard))
                assert [one.life.value for one in it.heard] == ["live"]

                async def ended() -> bool:
                    return sum((await it.store.snapshot("p")).sessions.values()) == 1

                await until(ended, what="the release")

    run(main())


def test_a_script_that_runs_for_ever(tmp_path: Path) -> None:
    """BUSY, until somebody kills it."""

    async def main() -> None:
        async with valkey(tmp_path, "--busy-reply-threshold", "50") as server, desk(server.url, 2) as it:
            loop = asyncio.get_running_loop()
            patient = redis.Redis(port=server.port, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))
            stuck = loop.run_in_executor(None, lambda: patient.execute_command("EVAL", "while 1 do end", 0))
            await it.until(lambda: "busy" in it.failures)
            assert not it.store.up
            server.ask("SCRIPT", "KILL")
            with pytest.raises(redis.ResponseError):
                await stuck
            patient.close()
            await until(lambda: answered(it), within_s=BACK_S + LATE_S, what="the store")
            assert set(it.failures) <= {"busy"} | SLOW

    run(main())


def test_a_store_that_still_reads_its_file(tmp_path: Path) -> None:
    """LOADING: away, and nothing is asked of it that it cannot do."""

    async def main() -> None:
        async with valkey(tmp_path) as server, desk(server.url, 2) as it:
            told = await it.one("a")
            for n in range(40):
                server.ask("SET", f"k{n}", secrets.token_bytes(2_000))
            server.ask("SAVE")
            await server.kill()
            slow = Valkey(tmp_path, server.port, ("--key-load-delay", "500000", *LOOKS_UP))  # 20 s, unless it is told
            starting = asyncio.ensure_future(slow.start())
            try:
                await it.until(lambda: "loading" in it.failures)
                assert not it.store.up
                slow.ask("CONFIG", "SET", "key-load-delay", 0)
                await starting
                await until(lambda: answered(it), within_s=BACK_S + LATE_S, what="the store")
                assert (await it.again(told)).repeated
            finally:
                await starting
                await slow.kill()

    run(main())


@contextlib.asynccontextmanager
async def through_faults(server: Server, *slots: int, seed: int = 1) -> AsyncIterator[tuple[FaultProxy, Desk]]:
    """A client whose connection leads through a network that can be hurt."""
    server.client.flushall()
    async with faulty(path=server.path, seed=seed) as network, desk(network.url, *slots) as it:
        yield network, it


@pytest.mark.parametrize("seed", range(3))
def test_replies_in_single_bytes_are_understood(server: Server, seed: int) -> None:
    """Everything that the client reads survives being torn to pieces."""

    async def main() -> None:
        async with through_faults(server, 5, 5, seed=seed) as (network, it):
            await network.become(Faults(slicer=3))
            found = await asyncio.gather(*[it.ask("p", f"v{n}") for n in range(60)])
            told = [one for one in found if isinstance(one, Standing)]
            assert [one.visitor for one in told] == [f"v{n}" for n in range(60)]
            inside = [one for one in told if one.state is State.ADMITTED]
            assert len(inside) == 10
            assert sum((await it.store.snapshot("p")).sessions.values()) == 10
            assert len(await it.store.ended("p", 0, 100)) == 10
            assert it.ups == [True]

    run(main())


def test_a_connection_cut_within_a_reply_answers_everybody(server: Server) -> None:
    """Whoever asked is answered once, by the reply or by the failure; nobody gets another's."""

    async def main() -> None:
        async with through_faults(server, 5) as (network, it):
            for limit in (30, 100, 300, 900, 2_000):
                await network.become(Faults(limit=limit, slicer=50))
                network.reset()
                found = await asyncio.gather(*[it.ask("p", f"v{n}") for n in range(40)])
                assert all(isinstance(one, StoreError) or one.visitor == f"v{n}" for n, one in enumerate(found))
            await network.become(Faults())
            network.reset()
            await until(lambda: answered(it), within_s=BACK_S + LATE_S, what="the store")
            assert (await it.one("v0")).visitor == "v0"
            assert sum((await it.store.snapshot("p")).sessions.values()) <= 5

    run(main())


@pytest.mark.parametrize("fault", [Faults(silent=True), Faults(down=True)], ids=["dropped", "reset"])
def test_a_partition_is_noticed_and_over_within_seconds(server: Server, fault: Faults) -> None:
    """A connection that is open at one end only is found out by an answer that does not come, not by TCP in hours."""

    async def main() -> None:
        async with through_faults(server, 5) as (network, it):
            told = await it.one("a")
            await network.become(fault)
            async with asyncio.timeout(CALL_S + LATE_S):
                assert isinstance(await it.ask("p", "b"), StoreAwayError)
            await it.until(lambda: it.ups[-1] is False)
            assert isinstance(await at_once(it.ask("p", "c")), StoreAwayError)
            if fault.silent:
                await it.until(lambda: "connect_timeout" in it.failures or it.failures.count("silent") > 1)
            await network.become(Faults())
            await until(lambda: answered(it), within_s=BACK_S + LATE_S, what="the store")
            assert isinstance(await it.check(told), Touched)

    run(main())


def test_an_idle_client_notices_too(server: Server) -> None:
    """Nobody asks anything, and yet it is known within three seconds or so that the store is gone."""

    async def main() -> None:
        async with through_faults(server, 5) as (network, it):
            await network.become(Faults(silent=True))
            async with asyncio.timeout(CALL_S + LATE_S):
                await it.until(lambda: it.ups[-1] is False)
            assert it.failures == ["silent"]

    run(main())


def test_a_slow_store_is_not_away_and_holds_nobody_up(server: Server) -> None:
    """200 ms each way: visitors get their answers, the connection lasts, and who has a pass does not wait for it."""

    async def main() -> None:
        async with through_faults(server, 5) as (network, it):
            told = await it.one("a")
            await network.become(Faults(latency_s=0.2))
            asked = it.ask("p", "v0")  # in the same round as the check
            assert isinstance(await it.check(told), StoreError)
            assert not asked.done(), "the pass waited for the store"
            for one in (asked, it.ask("p", "v1"), it.ask("p", "v2")):
                assert isinstance(await one, Standing)
            assert isinstance(await at_once(asyncio.ensure_future(it.check(told))), StoreError)
            it.store.touch("p", Touch("a", told.backend, told.admitted_ms))
            await it.until(lambda: bool(it.heard))
            assert it.ups == [True]
            await network.become(Faults())
            await until(lambda: checked(it, told), within_s=BACK_S + LATE_S, what="the store's word on a pass")

    run(main())


async def at_once(asked: "asyncio.Future[T]") -> T:
    """The answer, for which nothing had to be waited for."""
    for _ in range(3):
        await asyncio.sleep(0)
    return asked.result()


async def checked(it: Desk, told: Standing) -> bool:
    return isinstance(await it.check(told), Touched)


def test_newcomers_of_a_cut_and_its_length_are_told(server: Server) -> None:
    """The first thing that a store hears after a cut: nobody is let in for four seconds if newcomers were stamped."""

    async def main() -> None:
        async with through_faults(server, 5) as (network, it):
            await network.become(Faults(down=True))
            await it.until(lambda: it.ups[-1] is False)
            assert isinstance(await it.ask("p", "new"), StoreAwayError)
            await network.become(Faults())
            await it.until(lambda: it.ups[-1])
            state = server.client.hgetall("wr:{p}:state")
            assert int(state[b"mercy"]) - int(state[b"seen"]) > 10_000
            assert 0 < int(state[b"freeze"]) - int(state[b"seen"]) <= 4_000
            assert b"mercy" not in server.client.hgetall("wr:{q}:state")
            told = await it.one("new")
            assert told.state is State.WAITING or told.now_ms >= int(state[b"freeze"])

    run(main())


def test_the_rules_come_back_to_a_store_that_has_older_ones(server: Server) -> None:
    """A hold that staff set must not be lifted by a failover."""

    async def main() -> None:
        async with through_faults(server, 5) as (network, it):
            before = server.client.dump("wr:{p}:rules")
            await it.store.write_rules("p", rules(5, version=2, held=True))
            network.reset()
            server.client.restore("wr:{p}:rules", 0, before, replace=True)
            await it.until(lambda: it.ups == [True, False, True])
            assert (await it.one("a")).state is State.HELD

    run(main())


def test_an_outage_under_load_takes_no_memory_and_loses_nothing_essential() -> None:
    """Ten minutes of 200 students inside and 50 newcomers a second, as fast as it can be lived through."""

    async def main() -> None:
        it = Desk(f"redis://127.0.0.1:{free_port()}")
        assert not await it.store.start(0.05)
        answers = 0

        def answered(_: object) -> None:
            nonlocal answers
            answers += 1

        sizes: list[int] = []
        tracemalloc.start()
        for second in range(600):
            for n in range(200):
                it.store.touch("p", Touch(f"v{n:05d}", "b1", second))
            for n in range(50):
                it.store.present("p", Presence(f"w{second}-{n}"), answered)
            if second % 20 == 0:
                it.store.release("p", f"v{second:05d}", "released")
            await asyncio.sleep(0)
            if second in (60, 599):
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert answers >= 29_950
        assert sizes[1] - sizes[0] < 200_000
        await it.store.close()

    run(main())


def test_a_store_that_is_emptied_under_a_live_connection(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody flushes it: nobody enters on slots that are taken, and operators read why."""

    async def main() -> None:
        async with through_faults(server, 2) as (_, it):
            told = [await it.one(f"v{n}") for n in range(2)]
            server.client.flushall()
            assert (await it.one("new")).state is State.WAITING
            await asyncio.gather(*map(it.check, told))
            assert (await it.store.snapshot("p")).sessions["b1"] == 2
            assert it.ups == [True]

    run(main())
    assert "admissions_frozen" in capsys.readouterr().out
