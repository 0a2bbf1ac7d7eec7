"""What goes wrong in a simulated world, and what its operators do: each act by the name that it has in `Faults`.

Law: an act tells the story what it does and the referee what can be relied on meanwhile; it never touches the product
but through what an operator, a network or a failing machine could reach.
"""

from dataclasses import replace
from random import Random

from tests.simulation.settings import POOL
from tests.simulation.workers import pause, until
from tests.simulation.world import Act, World
from waitroom.admission.line import Announced
from waitroom.store import codec
from waitroom.store.keys import call


def of(world: World) -> dict[str, Act]:
    """All of them."""
    acts = Acts(world)
    return {
        "worker_dies": acts.worker_dies,
        "worker_hangs": acts.worker_hangs,
        "store_away": acts.store_away,
        "store_silent": acts.store_silent,
        "store_slow": acts.store_slow,
        "store_wiped": acts.store_wiped,
        "store_older": acts.store_older,
        "clock_forward": acts.clock_forward,
        "clock_back": acts.clock_back,
        "limit_changed": acts.limit_changed,
        "held": acts.held,
        "drained": acts.drained,
        "announced": acts.announced,
        "opening_moved": acts.opening_moved,
        "backend_dies": acts.backend_dies,
        "backend_blinks": acts.backend_blinks,
        "all_clear": acts.all_clear,
    }


class Acts:
    """The acts upon one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        self._referee = world.referee
        self._trouble = False
        """The store is in trouble already: one at a time."""

    def _tell(self, what: str) -> None:
        self._referee.tell("FAULT", what)

    async def worker_dies(self, chance: Random) -> None:
        """kill -9, and another one a little later."""
        living = self._world.network.living()
        if not living:
            return
        worker = chance.choice(living)
        self._tell(f"{worker.name} is killed")
        worker.die()
        self._world.network.cut(worker.name)
        self._referee.disturbed()
        await pause(chance.uniform(0.3, 3.0))
        self._world.start_worker()

    async def worker_hangs(self, chance: Random) -> None:
        """One worker hears nothing of the store for a while."""
        living = self._world.network.living()
        if not living:
            return
        worker, for_s = chance.choice(living), chance.uniform(0.3, 6.0)
        self._tell(f"{worker.name} does not hear the store for {for_s:.1f} s")
        self._store.deaf[worker.name] = self._world.loop.time() + for_s
        self._referee.disturbed(self._world.loop.time() + for_s)

    async def store_away(self, chance: Random) -> None:
        """Its process stops; its data are kept."""
        await self._away(chance, "goes away")

    async def store_silent(self, chance: Random) -> None:
        """Its network is cut."""
        await self._away(chance, "falls silent", silent=True)

    async def store_wiped(self, chance: Random) -> None:
        """Its process and its disk are gone; an empty one takes its place."""
        await self._away(chance, "loses everything", wiped=True)

    async def store_older(self, chance: Random) -> None:
        """A replica takes over that has not heard of the last seconds."""
        if self._trouble:
            return
        copied, ledger = self._store.copy(), self._referee.ledger.copy()
        await pause(chance.uniform(0.5, 10.0))
        if self._trouble:
            return
        self._tell("a replica takes the store's place that is some seconds behind")
        self._store.put_back(copied)
        self._referee.ledger.put_back(ledger)
        self._referee.lost(empty=False)

    async def _away(self, chance: Random, how: str, *, silent: bool = False, wiped: bool = False) -> None:
        if self._trouble:
            return
        self._trouble = True
        for_s = chance.choice([chance.uniform(0.2, 3.0), chance.uniform(2.0, 20.0), chance.uniform(20.0, 70.0)])
        self._tell(f"the store {how}, for {for_s:.1f} s")
        self._store.up, self._store.silent = silent, silent
        if not silent:
            self._store.hang_up()
        if wiped:
            self._store.wipe()
            self._referee.lost(empty=True)
        self._referee.disturbed(self._world.loop.time() + for_s)
        await pause(for_s)
        self._store.up, self._store.silent, self._trouble = True, False, False
        self._tell("the store is back")

    async def store_slow(self, chance: Random) -> None:
        """Every call takes 200 ms."""
        before_s, self._store.latency_s = self._store.latency_s, 0.2
        for_s = chance.uniform(5.0, 60.0)
        self._tell(f"the store takes 200 ms for each call, for {for_s:.0f} s")
        self._referee.disturbed(self._world.loop.time() + for_s)
        await pause(for_s)
        self._store.latency_s = before_s

    async def clock_forward(self, chance: Random) -> None:
        """The store's clock is put right, and was behind."""
        self._jump(int(chance.choice([chance.uniform(2e3, 2e4), chance.uniform(2e4, 6e5)])))

    async def clock_back(self, chance: Random) -> None:
        """The store's clock is put right, and was ahead."""
        self._jump(-int(chance.choice([chance.uniform(2e3, 2e4), chance.uniform(2e4, 6e5)])))

    def _jump(self, ms: int) -> None:
        self._tell(f"the store's clock jumps by {ms / 1000:+.1f} s")
        self._store.offset_ms += ms
        self._referee.lost(empty=False)

    async def limit_changed(self, chance: Random) -> None:
        """An operator finds that the backends carry more, or less."""
        house = self._world.house
        slots = tuple(max(1, slots + chance.randint(-5, 5)) for slots in house.slots)
        self._referee.disturbed(self._world.loop.time() + 5.0)
        self._world.reload(replace(house, slots=slots), f"reloads with max_sessions {slots}")

    async def opening_moved(self, chance: Random) -> None:
        """The exam begins earlier or later than was said."""
        house, now_s = self._world.house, self._world.loop.time()
        opens_s = min(house.closes_s - 10.0, max(now_s - 30.0, house.opens_s + chance.uniform(-60.0, 120.0)))
        self._referee.disturbed(now_s + 5.0)
        self._world.reload(replace(house, opens_s=opens_s), f"reloads with MATH opening at {opens_s:.0f} s")

    async def held(self, chance: Random) -> None:
        """Staff stop admissions for a while."""
        for_s = chance.uniform(5.0, 60.0)
        self._referee.tell("operator", f"holds admissions for {for_s:.0f} s")
        await self._live("held", "1", for_s)

    async def drained(self, chance: Random) -> None:
        """Staff send nobody new to a backend for a while."""
        backend, for_s = chance.choice(self._world.house.backends), chance.uniform(10.0, 90.0)
        self._referee.tell("operator", f"drains {backend} for {for_s:.0f} s")
        await self._live(f"staff:{backend}", "draining", for_s)

    async def _live(self, field: str, value: str, for_s: float) -> None:
        """Set something over the rules, and take it away again: both as soon as the store can be told."""
        await until(self._reachable)
        self._set(field, value)
        await pause(for_s)
        await until(self._reachable)
        self._set(field, "")
        self._referee.tell("operator", f"ends that ({field})")

    def _reachable(self) -> bool:
        return self._store.up and not self._store.silent

    def _set(self, field: str, value: str) -> None:
        self._store.do(_bytes(call(POOL, "wr_live", self._world.house.backends, (), (field, value))))

    async def all_clear(self, _chance: Random) -> None:
        """Operators look whether anything stands that should not: an order that a replica did not hear of, say."""
        await until(self._reachable)
        for field in list(self._referee.ledger.live):
            self._set(field, "")

    async def announced(self, chance: Random) -> None:
        """Staff speak to everyone who waits."""
        if not self._reachable():
            return
        text = codec.announcement(Announced((("", f"word {chance.randint(1, 99)}"),), "staff"))
        self._referee.tell("operator", "announces something")
        own = ("", 30_000, text)
        self._store.do(_bytes(call(POOL, "wr_announce", self._world.house.backends, (), own)))

    async def backend_dies(self, chance: Random) -> None:
        """An exam server refuses connections for a while."""
        await self._gone(chance, chance.uniform(3.0, 20.0))

    async def backend_blinks(self, chance: Random) -> None:
        """It is killed and started again, sooner than a look at the last three seconds tells."""
        await self._gone(chance, chance.uniform(0.3, 2.5))

    async def _gone(self, chance: Random, for_s: float) -> None:
        backend = chance.choice(self._world.house.backends)
        self._tell(f"{backend} is gone for {for_s:.1f} s")
        self._world.dead_backends.add(backend)
        self._referee.excused_from_s = max(self._referee.excused_from_s, self._world.loop.time() + for_s + 60.0)
        await pause(for_s)
        self._world.dead_backends.discard(backend)


def _bytes(command: list[str | int]) -> list[bytes]:
    return [str(word).encode() for word in command]
