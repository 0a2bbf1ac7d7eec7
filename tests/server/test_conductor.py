"""One conducts at a time, another follows when it is gone, and what it sweeps is told once."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.aio import run
from tests.support.product import until
from waitroom.admission.line import BackendRules, Presence, Rules, Standing
from waitroom.server.conductor import Conductor
from waitroom.store.client import LineStore
from waitroom.store.embedded import EmbeddedStore
from waitroom.store.keys import PoolKeys

if TYPE_CHECKING:
    from waitroom.errors import StoreError

RULES = Rules(1, 0, 10, 60_000, 600_000, 600_000, (BackendRules("b1", 1),))


def test_a_session_that_ends_is_told_by_whoever_conducts(tmp_path: Path) -> None:
    """Two workers; the one with the lease sweeps, the other takes over when it goes, and nothing is told twice."""
    told: list[tuple[str, str, str, int]] = []

    def hearing(name: str) -> Conductor:
        store = LineStore(home.url, {"p": PoolKeys(("b1",))})
        stores.append(store)
        return Conductor(store, {"p": RULES}, lambda pool, reason, number: told.append((name, pool, reason, number)))

    async def admitted(visitor: str) -> None:
        answer: asyncio.Future[Standing | StoreError] = asyncio.get_running_loop().create_future()
        stores[1].present("p", Presence(visitor), answer.set_result)
        assert isinstance(await answer, Standing)
        stores[1].release("p", visitor, "released")

    async def heard(count: int) -> bool:
        return len(told) >= count

    async def main() -> None:
        await home.start()
        first, second = hearing("first"), hearing("second")
        for store in stores:
            assert await store.start()
        await first.write_rules()
        first.start()
        await until(lambda: _leads(first), what="the first lease")
        second.start()
        await admitted("a")
        await until(lambda: heard(1), what="the first departure")
        await first.close()
        await admitted("b")
        await until(lambda: heard(2), what="the departure told by the second")
        await second.close()
        for store in stores:
            await store.close()
        await home.stop()
        assert told == [("first", "p", "released", 1), ("second", "p", "released", 1)]

    home = EmbeddedStore(tmp_path)
    stores: list[LineStore] = []
    run(main())


async def _leads(conductor: Conductor) -> bool:
    return conductor.leads
