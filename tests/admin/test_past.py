"""The past of a pool is the store's: a restart, or another machine, tells the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.admin.desk import desk, settings_of, stored
from tests.admin.test_admin import House, listener
from tests.admin.test_announcements import DEAN, ask
from tests.admin.test_overview import AT, SETTINGS
from tests.support.aio import run
from waitroom import clock
from waitroom.admin.pulse import Pulse
from waitroom.admission.line import Snapshot
from waitroom.admission.past import DAY, HOUR
from waitroom.settings.model import Settings
from waitroom.store.operators import OperatorStore

T0_MS = DAY.instant(clock.now_ms()) - 7_200_000
"""The beginning of a minute, two hours ago: what a listener that runs adds is later."""


@dataclass(slots=True)
class Seen:
    """A pool at instants of the test's own."""

    settings: Settings = field(default_factory=lambda: SETTINGS)
    number: int = 0

    async def snapshot(self, _pool: str) -> Snapshot:
        """Each five seconds three more have entered, and the line is as long as the number says."""
        waiting = dict.fromkeys(AT.waiting, 0) | {next(iter(AT.waiting)): self.number}
        return replace(
            AT, now_ms=T0_MS + 5_000 * self.number + 7, waiting=waiting, admissions_total={"direct": 3 * self.number}
        )


@dataclass(slots=True)
class Machine:
    """One that looks at the pool."""

    pulse: Pulse
    seen: Seen

    async def look(self, number: int) -> None:
        """Its look of this instant."""
        self.seen.number = number
        await self.pulse._note("main", self.pulse.of("main"))

    async def told(self, record: Any = HOUR) -> Any:
        """What it answers."""
        return await self.pulse.history("main", record)


def machine(store: OperatorStore) -> Machine:
    """A process that has just started."""
    seen = Seen()
    return Machine(Pulse(seen, store), seen)  # type: ignore[arg-type] # all that a pulse asks of it


@asynccontextmanager
async def morning(looks: int) -> AsyncIterator[tuple[OperatorStore, Machine]]:
    """A store with a pool that was looked at so many times."""
    async with stored(House(settings=SETTINGS)) as store:
        one = machine(store)
        for number in range(looks):
            await one.look(number)
        yield store, one


def test_an_hour_is_remembered() -> None:
    """Columns of equal length, the oldest point gone; admissions are those of each step."""

    async def check() -> None:
        async with morning(HOUR.lines + 5) as (_, one):
            told = await one.told()
        assert (len(told.at_ms), told.at_ms[0], told.step_ms) == (720, T0_MS + 25_000, 5_000)
        assert {len(column) for column in told.columns.values()} == {720}
        assert set(told.columns["admitted"][1:]) == {3}
        assert told.columns["waiting"][-1] == 724

    run(check())


def test_a_restart_loses_nothing() -> None:
    """Another process tells the same hour; the minutes of the day are whole, each once, the last so far."""

    async def check() -> None:
        async with morning(30) as (store, one):
            other = machine(store)
            for number in (28, 29, 30):  # late, at the same time, first
                await other.look(number)
            await one.look(30)
            await one.look(40)  # nobody looked meanwhile
            fresh = machine(store)
            await fresh.look(40)
            assert await fresh.told() == await one.told()
            assert (await one.told()).columns["waiting"] == [*range(31), 40]
            for each in (one, fresh):
                day = await each.told(DAY)
                assert day.at_ms == [T0_MS, T0_MS + 60_000, T0_MS + 120_000, T0_MS + 180_000]
                assert day.columns["waiting"] == [11, 23, 30, 40]
                assert day.columns["admitted"] == [None, 36, 21, 30]

    run(check())


def test_the_api_tells_it() -> None:
    """The listener of a service that was restarted has what was before; a span that there is not is refused."""

    async def check() -> None:
        house = House()
        house.settings = settings_of(house)
        async with morning(30) as (store, one), listener(house, store) as client:
            day = await one.told(DAY)
            for span, many in (("day", 2), ("hour", 30)):
                path = f"/api/v1/pools/main/history?span={span}"
                status, told, _ = await ask(client, "GET", path, headers=DEAN)
                assert status == 200
                assert told["columns"]["waiting"][:many] == ([11, 23] if span == "day" else [*range(30)])
                assert span == "hour" or told["at_ms"][:many] == day.at_ms[:many]
            assert (await ask(client, "GET", "/api/v1/pools/main/history?span=week", headers=DEAN))[0] == 422

    run(check())


def test_outages_by_the_api() -> None:
    """As the conductor wrote them down; with what is so now."""

    async def check() -> None:
        async with desk() as it:
            for at_ms, text in ((5, "b1 down"), (9, "b1 up")):
                await it.store.keep("main", "outages", at_ms, text, lines=9, ttl_ms=60_000)
            await it.store.set_live("main", {"phase:b2": "down 7 0 0 1 0 0 0 0 0"})
            assert await it.done("GET", "pools/main/outages") == {
                "pool": "main",
                "outages": [
                    {"backend": "b1", "from_ms": 5, "to_ms": 9}, {"backend": "b2", "from_ms": 7, "to_ms": None},
                ],
            }  # fmt: skip

    run(check())
