"""Law 9 with the whole product: whatever becomes of the store, those inside notice nothing and the line keeps order."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.faults import FaultProxy, Faults, faulty
from tests.support.inside import sitting
from tests.support.product import Product, alive, at_best, look_again, serving, until
from tests.support.stores import Valkey, cluster, follows, pause, resume, valkey, watched
from tests.support.student import Student
from waitroom.store.places import slot_of
from waitroom.store.talker import CALL_S

BACK_S = 5.0
"""Law 9: recovery within 5 s of the store's return."""

ROUNDS = 10
"""Of questions to the line, which take no time to speak of, but on a machine that is busy with something else."""

HELD_UP_S = CALL_S * 0.9
"""Longer than any answer takes on a busy machine, shorter than a wait until the store counts as away."""

CONFIG = """
store: {url: "STORE"}
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: CAP}
release: [{path: /logout}]
"""


@dataclass(slots=True)
class Morning:
    """A product with some inside and some in line."""

    product: Product
    backend: CountingBackend
    inside: list[Student]
    waiting: list[Student]
    cap: int

    async def positions(self) -> list[object]:
        """As the pages say, in the order of arrival; None while the store is away."""
        told = await asyncio.gather(*(each.poll() for each in self.waiting))
        return [None if said["stale"] else said["position"] for said in told]

    async def settled(self) -> bool:
        """Everybody in line is told a place."""
        return None not in await self.positions()

    async def away(self) -> bool:
        """Everybody in line is told that the store is away."""
        return set(await self.positions()) == {None}

    async def read(self) -> bool:
        """The supervisor, too, reads the line."""
        return (await self.product.metrics())["waitroom_store_up"] == 1

    async def unread(self) -> bool:
        """The supervisor, too, has noticed that it cannot."""
        return not await self.read()

    async def back(self) -> None:
        """The store has just returned: the same places, and nobody too many inside."""
        await until(self.settled, what="the line's return")
        assert await self.positions() == list(range(1, len(self.waiting) + 1))
        self.within()

    def within(self) -> None:
        """Law 1."""
        assert self.backend.most_inside <= self.cap

    async def next_in_line_enters(self) -> None:
        """A slot comes free: it is the head's, though everybody behind asks first."""
        assert (await self.inside.pop().page("/logout")).status == 200

        async def entered() -> str:
            for student in reversed(self.waiting):
                if (await student.poll())["state"] == "admitted":
                    return student.name
            return ""

        assert await until(entered, what="an admission") == self.waiting[0].name


@contextlib.asynccontextmanager
async def morning(
    tmp_path: Path, store: str = "", *, cap: int = 3, inside: int = 3, waiting: int = 6
) -> AsyncIterator[Morning]:
    """Served by the embedded store, or by the one at this URL."""
    async with counting_backend() as backend, contextlib.AsyncExitStack() as stack:
        config = CONFIG.replace("URL", backend.url).replace("CAP", str(cap))
        config = config.replace("STORE", store) if store else config.replace('store: {url: "STORE"}', "")
        product = await stack.enter_async_context(serving(tmp_path, config=config))
        crowd = [await stack.enter_async_context(Student(product.public, f"s{n:03d}")) for n in range(inside + waiting)]
        for student in crowd[:inside]:
            assert (await student.page()).status == 200
            assert (await student.page()).status == 200  # the pass is confirmed
        for student in crowd[inside:]:
            assert (await student.page()).status == 429
            await student.poll()
        it = Morning(product, backend, crowd[:inside], crowd[inside:], cap)
        await it.positions()  # those who came first have been silent since: all are here now
        assert await it.positions() == list(range(1, waiting + 1))
        yield it


async def hurt(it: Morning, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]) -> None:
    """The fault, long enough to be told on the pages, while everybody inside works; and its end.

    Nobody inside is held up by it, and the line is back within 5 s: so it is unless the machine stands still meanwhile.
    """
    loop = asyncio.get_running_loop()

    async def back_s() -> float:
        """Seconds beyond what the machine takes for the same questions when nothing is wrong."""
        began_s = loop.time()
        await it.positions()
        usual_s = ROUNDS * (loop.time() - began_s)
        async with sitting(it.inside) as seen:
            await begin()
            await until(it.away, what="the news that the store is away")
            async with Student(it.product.public, "late") as late:
                assert (await late.page()).status == 429
            await until(it.unread, what="the supervisor's news of it")
            await end()
            ended_s = loop.time()
            await it.back()
            back_s = loop.time() - ended_s
            await until(it.read, what="waitroom_store_up")
        slowest_s = seen.unharmed()
        return back_s - usual_s if slowest_s < HELD_UP_S else BACK_S + slowest_s

    await at_best(back_s, within_s=BACK_S, what="the line's return (or, beyond that, somebody inside)")


def test_the_embedded_store_stops_and_goes_on(tmp_path: Path) -> None:
    """SIGSTOP for longer than the product waits for an answer."""

    async def main() -> None:
        async with morning(tmp_path) as it:
            (store,) = it.product.children("valkey")

            async def begin() -> None:
                pause(store)

            async def end() -> None:
                resume(store)

            await hurt(it, begin, end)
            await it.next_in_line_enters()
            it.within()

    run(main())


def test_the_embedded_store_is_killed_and_its_data_wiped(tmp_path: Path) -> None:
    """All is rebuilt from cookies in the old order, and nobody enters while it is: neither the head nor a newcomer."""

    async def main() -> None:
        async with morning(tmp_path) as it:
            (store,) = it.product.children("valkey")
            async with sitting(it.inside) as seen:
                shutil.rmtree(it.product.data_dir / "appendonlydir")
                os.kill(store, signal.SIGKILL)

                async def replaced() -> bool:
                    return not alive(store) and bool(it.product.children("valkey"))

                await until(replaced, what="another store")
                async with Student(it.product.public, "late") as late:
                    assert (await late.page()).status == 429
                    it.waiting.append(late)  # whose worker may be told later than the others'
                    await it.back()
                    assert (await it.inside.pop().page("/logout")).status == 200
                    for _ in range(20):
                        assert {(await each.poll())["state"] for each in it.waiting} == {"waiting"}
                        assert await it.positions() == list(range(1, 8))
                        await look_again()
            it.within()
            assert not seen.failures
            assert max(seen.slowest.values()) - seen.witnessed_s < HELD_UP_S, seen.slowest

    run(main())


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_a_remote_store_stops_or_dies(tmp_path: Path, fault: str) -> None:
    """Stopped, or killed and started again from its file."""

    async def main() -> None:
        async with (
            valkey(tmp_path / "store", "--appendonly", "yes") as server,
            morning(tmp_path, server.url) as it,
        ):

            async def begin() -> None:
                if fault == "stop":
                    server.send(signal.SIGSTOP)
                else:
                    await server.kill()

            async def end() -> None:
                if fault == "stop":
                    server.send(signal.SIGCONT)
                else:
                    await server.start()

            await hurt(it, begin, end)
            await it.next_in_line_enters()
            it.within()

    run(main())


@pytest.mark.parametrize("fault", [Faults(silent=True), Faults(down=True)], ids=["dropped", "reset"])
def test_the_network_to_a_remote_store_fails(tmp_path: Path, fault: Faults) -> None:
    """Packets vanish, or connections are refused."""

    async def main() -> None:
        async with (
            valkey(tmp_path / "store") as server,
            faulty(port=server.port) as network,
            morning(tmp_path, network.url) as it,
        ):
            await hurt(it, lambda: network.become(fault), lambda: network.become(Faults()))
            await it.next_in_line_enters()
            it.within()

    run(main())


def test_a_store_that_answers_after_400_ms(tmp_path: Path) -> None:
    """200 ms each way: the line goes on, and nobody inside waits for it, not even after a pause for thought."""

    async def main() -> None:
        async with (
            valkey(tmp_path / "store") as server,
            faulty(port=server.port) as network,
            morning(tmp_path, network.url) as it,
        ):
            thinker, *writers = it.inside
            async with sitting(writers) as seen:
                await network.become(Faults(latency_s=0.2))
                loop = asyncio.get_running_loop()
                until_s = loop.time() + 7

                async def time_passed() -> bool:
                    return loop.time() > until_s

                await until(time_passed, what="more time than the store's word on a pass lasts")
                assert (await thinker.page()).status == 200
                await it.back()
            assert seen.unharmed() < HELD_UP_S, seen.slowest

    run(main())


async def moves(network: FaultProxy, server: Valkey) -> None:
    """The address of the store leads to another server now, as after a failover behind a virtual address."""
    network.to_port = server.port
    network.reset()


def test_a_replica_that_was_behind_is_promoted(tmp_path: Path) -> None:
    """It never heard of those who were let in last: nobody enters on their slots, and they notice nothing."""

    async def main() -> None:
        async with (
            valkey(tmp_path / "primary") as primary,
            faulty(port=primary.port) as link,
            valkey(tmp_path / "replica", "--replicaof", "127.0.0.1", str(link.port)) as replica,
            faulty(port=primary.port) as network,
        ):
            await follows(replica)
            async with morning(tmp_path, network.url, cap=6, inside=3, waiting=0) as it:
                await follows(replica)
                await link.become(Faults(silent=True))
                async with contextlib.AsyncExitStack() as stack:
                    last = [await stack.enter_async_context(Student(it.product.public, f"l{n}")) for n in range(3)]
                    line = [await stack.enter_async_context(Student(it.product.public, f"w{n}")) for n in range(3)]
                    for student in last:
                        assert (await student.page()).status == 200
                    for student in line:
                        assert (await student.page()).status == 429
                        await student.poll()
                    await link.become(Faults(down=True))
                    replica.ask("REPLICAOF", "NO", "ONE")
                    assert replica.ask("ZCARD", "wr:{main}:sess:main-1") == 3
                    async with sitting([*it.inside, *last]) as seen:
                        await primary.kill()
                        await moves(network, replica)
                        async with Student(it.product.public, "late") as late:
                            assert (await late.page()).status == 429
                            it.waiting = [*line, late]  # whose worker may be told later than the others'
                            await it.back()
                    assert seen.unharmed() < HELD_UP_S, seen.slowest

                    async def told() -> bool:
                        return bool(replica.ask("ZCARD", "wr:{main}:sess:main-1") == 6)

                    await until(told, what="the sessions' return")
                    it.within()

    run(main())


TWO_POOLS = """
store: {url: "STORE"}
pools:
  main: {backends: {main-1: {url: "URL", max_sessions: 1}}}
  arts: {backends: {arts-1: {url: "OTHER", max_sessions: 1}}}
exams:
  ART1: {pool: arts, match: [{path: "/art/*"}]}
default_pool: main
"""


def test_two_pools_in_a_cluster(tmp_path: Path) -> None:
    """Each lives on the node of its slot, and the conductor's work is done for both."""

    async def main() -> None:
        async with cluster(tmp_path / "stores") as nodes, counting_backend() as backend, counting_backend() as other:
            url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
            config = TWO_POOLS.replace("STORE", url).replace("URL", backend.url).replace("OTHER", other.url)
            async with (
                serving(tmp_path, config=config) as product,
                Student(product.public, "ann") as ann,
                Student(product.public, "ben") as ben,
                Student(product.public, "eve") as eve,
            ):
                assert (await ann.page()).status == 200
                assert (await ben.page("/art/1")).status == 200
                assert (await eve.page("/art/1")).status == 429

                async def swept() -> bool:
                    seen = await product.metrics()
                    now = [seen.get(f'waitroom_sessions{{backend="{p}-1",pool="{p}"}}') for p in ("main", "arts")]
                    return seen["waitroom_store_up"] == 1 and now == [1, 1]

                await until(swept, what="both pools in /metrics")

                async def led() -> bool:
                    return any(node.ask("EXISTS", "wr:{conductor}:lease") for node in nodes if _has(node, "conductor"))

                await until(led, what="a conductor")

    run(main())


def _has(node: Valkey, tag: str) -> bool:
    ranges = [(first, last) for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS") if primary[1] == node.port]
    return any(first <= slot_of(tag) <= last for first, last in ranges)


def test_the_primary_dies_while_200_wait_and_100_are_in(tmp_path: Path) -> None:
    """Three sentinels promote its replica: the same places within 5 s of that, and nobody inside notices."""

    async def main() -> None:
        async with (
            watched(tmp_path / "stores") as servers,
            morning(tmp_path, servers.url, cap=100, inside=100, waiting=200) as it,
        ):
            servers.primary.ask("WAIT", 1, 5_000)
            async with sitting(it.inside[:20]) as seen:
                await servers.primary.kill()
                await servers.promoted()
                await it.back()
            assert seen.unharmed() < HELD_UP_S, seen.slowest
            await it.next_in_line_enters()
            it.within()

    run(main())
