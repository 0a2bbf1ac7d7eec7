"""Where the store is: URLs, sentinels and clusters, with real servers that die."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.desk import Desk, answered, desk
from tests.store.driver import rules
from tests.support.aio import run
from tests.support.faults import faulty
from tests.support.ports import free_port
from tests.support.product import until
from tests.support.stores import Valkey, cluster, follows, valkey, watched
from waitroom.admission.line import State
from waitroom.errors import StoreAwayError, StoreError
from waitroom.store.keys import PoolKeys
from waitroom.store.places import Known, Places, Watched, slot_of
from waitroom.store.wire import Address

MANY = {f"pool{n}": PoolKeys(("b1",)) for n in range(6)}


def test_a_url_says_who_is_asked_and_how_to_log_in() -> None:
    """The log-in is the server's; sentinels have one of their own, or none."""
    place = Places("redis+sentinel://u:p@s1,s2:26380,[::1]/exams/3?sentinel_password=q").of("p")
    assert isinstance(place, Watched)
    assert place.name == "exams"
    assert [(each.host, each.port, each.password) for each in place.sentinels.addresses] == [
        ("s1", 26379, "q"),
        ("s2", 26380, "q"),
        ("::1", 26379, "q"),
    ]
    assert (place.server.username, place.server.password, place.server.database) == ("u", "p", 3)
    assert not Places("redis://h").apart
    assert Places("redis+cluster://h").apart


def test_slots_are_those_of_the_clusters_specification() -> None:
    """The value that its authors give, and the server's own for a key of a pool."""
    assert slot_of("123456789") == 0x31C3 % 16384


def test_the_next_question_goes_to_another(tmp_path: Path) -> None:
    """A sentinel that is wrong is not the first to be asked again; those that are gone cost a bounded time."""

    async def main() -> None:
        async with valkey(tmp_path) as server:
            gone = [Address("127.0.0.1", free_port()) for _ in range(2)]
            known = Known([*gone, Address("127.0.0.1", server.port)])
            asked = []
            for _ in range(3):
                await known.ask("PING", read=lambda one, _reply: asked.append(one) or one)
            assert {one.port for one in asked} == {server.port}
            alone = Known(gone)
            with pytest.raises(StoreAwayError, match="nobody says where the store is"):
                await alone.ask("PING", read=lambda one, _reply: one)

    run(main())


def test_the_primary_dies_and_the_client_follows(tmp_path: Path) -> None:
    """Sentinels promote the replica: library, rules, sessions and places are there, and everybody is served again."""

    async def main() -> None:
        async with watched(tmp_path) as servers, desk(servers.url, 2) as it:
            told = [await it.one(f"v{n}") for n in range(5)]
            waits = [await it.again(one) for one in told[2:]]
            servers.primary.ask("WAIT", 1, 5_000)
            await servers.primary.kill()
            assert isinstance(await it.ask("p", "meanwhile"), StoreAwayError)
            await servers.promoted()
            await it.until(lambda: it.ups[-1])
            assert [(await it.again(one)).ahead for one in waits] == [0, 1, 2]
            checked = await it.check(told[0])
            assert not isinstance(checked, StoreError)
            assert checked.life.value == "live"
            assert (await it.store.snapshot("p")).sessions == {"b1": 2, "b2": 0}
            assert it.failures

    run(main())


def test_a_replica_that_was_behind_is_promoted(tmp_path: Path) -> None:
    """It lost admissions and rules: nobody enters for a minute, the later rules are in force, sessions come back."""

    async def main() -> None:
        async with (
            valkey(tmp_path / "primary") as primary,
            valkey(tmp_path / "replica", "--replicaof", "127.0.0.1", str(primary.port)) as replica,
            faulty(port=primary.port) as network,
            desk(network.url, 1) as it,
        ):
            primary.ask("WAIT", 1, 5_000)
            await follows(replica)
            replica.ask("REPLICAOF", "127.0.0.1", free_port())  # cut off: it keeps what it has
            await it.store.write_rules("p", rules(2, version=2))
            told = [await it.one(f"v{n}") for n in range(2)]
            assert [one.state for one in told] == [State.ADMITTED] * 2
            replica.ask("REPLICAOF", "NO", "ONE")
            network.to_port = replica.port
            await primary.kill()
            await it.until(lambda: it.ups == [True, False, True])
            assert (await it.one("new")).state is State.WAITING
            assert [one for one in await asyncio.gather(*map(it.check, told)) if isinstance(one, StoreError)] == []
            seen = await it.store.snapshot("p")
            assert (seen.sessions["b1"], seen.limits["b1"]) == (2, 2)

    run(main())


def test_without_a_name_or_a_sentinel_it_says_so() -> None:
    """A typed failure, again and again, and nobody waits for it."""

    async def main() -> None:
        async with desk_away(f"redis+sentinel://127.0.0.1:{free_port()}/exams") as failures:
            assert set(failures) == {"unfound"}

    run(main())


@contextlib.asynccontextmanager
async def desk_away(url: str) -> AsyncIterator[list[str]]:
    """The failures of a client whose store cannot be had."""
    it = Desk(url)
    assert not await it.store.start(0.5)
    await it.until(lambda: bool(it.failures))
    yield it.failures
    await it.store.close()


def slots_of(node: Valkey) -> list[tuple[int, int]]:
    return [(first, last) for first, last, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS") if port == node.port]


def holder(nodes: list[Valkey], tag: str) -> Valkey:
    slot = slot_of(tag)
    (found,) = [node for node in nodes if any(first <= slot <= last for first, last in slots_of(node))]
    return found


def test_pools_live_on_their_nodes_and_one_node_takes_down_only_its_own(tmp_path: Path) -> None:
    """Each pool on the node of its slot, the lease on its own; when a node dies the pools of the others go on."""

    async def main() -> None:
        async with cluster(tmp_path) as nodes, desk(f"redis+cluster://127.0.0.1:{nodes[0].port}", 1, pools=MANY) as it:
            told = {name: await it.one("a", pool=name) for name in MANY}
            assert {one.state for one in told.values()} == {State.ADMITTED}

            async def leased() -> bool:
                try:
                    return await it.store.lease("conductor", "me", 5_000)
                except StoreAwayError:
                    return False  # its connection is being made

            await until(leased)
            homes = {name: holder(nodes, name) for name in MANY}
            assert len({id(node) for node in homes.values()}) > 1
            for name, node in homes.items():
                assert node.ask("EXISTS", f"wr:{{{name}}}:passes") == 1
            victim = homes["pool0"]
            await victim.kill()
            assert isinstance(await it.ask("pool0", "b"), StoreAwayError)
            for name, node in homes.items():
                if node is not victim:
                    assert (await it.one("b", pool=name)).state is State.WAITING
            assert it.store.up
            await victim.start()
            await until(lambda: answered(it, "pool0"))

    run(main())


def test_a_pool_that_moves_to_another_node_is_found_there(tmp_path: Path) -> None:
    """MOVED: the client asks where the slot is now; what was there came along."""

    async def main() -> None:
        async with cluster(tmp_path) as nodes, desk(f"redis+cluster://127.0.0.1:{nodes[0].port}", 1, pools=MANY) as it:
            told = await it.one("a", pool="pool1")
            source = holder(nodes, "pool1")
            target = next(node for node in nodes if node is not source)
            ids = {node.port: node.ask("CLUSTER", "MYID").decode() for node in nodes}
            slot = slot_of("pool1")
            target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
            source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
            keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
            assert isinstance(await it.ask("pool1", "b"), StoreAwayError)
            for node in nodes:
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
            await until(lambda: answered(it, "pool1"))
            assert (await it.again(told, pool="pool1")).repeated
            assert "moved" in it.failures
            assert target.ask("EXISTS", "wr:{pool1}:passes") == 1

    run(main())


def test_a_plain_url_of_a_cluster_says_what_is_wrong(tmp_path: Path) -> None:
    """The client does not follow where it was not told that there is a cluster."""

    async def main() -> None:
        async with cluster(tmp_path) as nodes, desk_away(f"redis://127.0.0.1:{nodes[0].port}") as failures:
            assert set(failures) == {"moved"}

    run(main())
