"""Keeps one worker in every slot, whatever happens to it.

Law: a slot whose worker dies or leaves gets another at once; one whose workers die young gets the next after a pause
that doubles up to a bound. A worker that leaves is given its grace beside its replacement. One that accepts is never
ended for settings that changed while it started.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from waitroom.metrics.totals import Totals
from waitroom.server.duty import Grace
from waitroom.server.member import Member, MemberError
from waitroom.server.orders import Orders
from waitroom.server.reload import PREPARE_S, ReloadRefusedError, commit, prepare
from waitroom.server.sockets import Doors
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

START_S = 60.0
"""A worker that does not accept after this is taken for stuck. It takes half a second of a core; a busy machine twenty
times slower needed 30 s, killed each at that, and never came up."""

YOUNG_MS = 5_000
"""A worker that dies younger than this died of something that may well be there still."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0

START_TRIES = 3
"""Attempts that a slot gets at the very first start before the whole start has failed."""

PING_EVERY_S, PING_WITHIN_S = 5.0, 30.0
"""A worker that answers no ping hangs, and is replaced: its connections wait for it in vain."""

KILL_AFTER_S = 5.0
"""Added to the longest grace before a worker that should have left is killed."""


class StartError(MemberError):
    """No worker could begin; the message is the worker's own."""


class Crew:
    """All workers."""

    def __init__(self, doors: Doors, totals: Totals, orders: Callable[[], tuple[int, Orders]]) -> None:
        self.restarts = 0
        self._doors = doors
        self._totals = totals
        self._orders = orders
        self._members: dict[int, Member] = {}
        self._living: set[Member] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._given_up = False
        self.reloading = asyncio.Lock()
        """Held while workers are given other settings: each is asked once at a time."""

    async def start(self) -> None:
        """Start every slot's first worker; returns when all accept, or the start was given up. Raises StartError."""
        firsts = (self._first(slot) for slot in range(len(self._doors.slots)))
        for outcome in await asyncio.gather(*firsts, return_exceptions=True):
            if outcome is not None:
                raise outcome
        self._keepers = [spawn(self._keep(slot), name=f"slot-{slot}") for slot in range(len(self._doors.slots))]

    @property
    def accepting(self) -> list[Member]:
        """The workers that take connections."""
        return [member for member in self._members.values() if member.accepts]

    @property
    def living(self) -> list[Member]:
        """Every worker that has not ended, those that begin or leave too."""
        return list(self._living)

    async def retire(self, grace: Grace) -> None:
        """Have the workers finish what they have while they take newcomers; returns when that is done or over."""
        await asyncio.gather(*(_retired(member, grace) for member in self.accepting))

    async def drain(self, grace: Grace) -> None:
        """Have all workers leave; returns when the last is gone, at the latest a moment after the longest grace."""
        await asyncio.gather(*(stop(keeper) for keeper in self._keepers))
        for member in self.living:
            member.dismiss(kept=self._doors.kept)
        await asyncio.gather(*(_ended(member, grace) for member in self.living))

    def kill(self) -> None:
        """End all workers now."""
        for member in self.living:
            member.kill()

    def give_up(self) -> None:
        """End a start that is under way."""
        self._given_up = True
        self.kill()

    async def end(self) -> None:
        """End all workers now and replace none; nothing is left of them when this returns."""
        await asyncio.gather(*(stop(keeper) for keeper in self._keepers))
        self.kill()
        await asyncio.gather(*(member.dead.wait() for member in self.living))

    async def catch_up(self) -> None:
        """Have the workers that began with older settings, and were not there to be asked, go on with the present ones.

        They accept: to end them would cut whoever has come to them, and first of all those who waited in their backlog.
        Who is about to accept is waited for, so that the old settings are nobody's any more when this returns.
        """
        await asyncio.gather(*(self._catch_up(member) for member in list(self._members.values())))

    async def _first(self, slot: int) -> None:
        """The slot's first worker. Where it cannot be had, the other slots stop trying too."""
        problem = f"worker {slot} died {START_TRIES} times while it started; see the messages above"
        for tries_left in reversed(range(START_TRIES)):
            member = await self._begin(slot)
            if member.accepts:
                return
            await member.dead.wait()
            if self._given_up:
                return
            if member.problem is not None:
                problem = member.problem
                break
            log.error("worker_died_at_start", worker=slot, tries_left=tries_left)
        self.give_up()
        raise StartError(problem)

    async def _keep(self, slot: int) -> None:
        """Replace the slot's worker for as long as this task lives."""
        young_deaths = 0
        while True:
            member = self._members[slot]
            await self._watch(member)
            young_deaths = young_deaths + 1 if member.age_ms < YOUNG_MS else 0
            log.warning("worker_replaced", worker=slot, problem=member.problem, young_deaths=young_deaths)
            await asyncio.sleep(_pause_s(young_deaths))
            self.restarts += 1
            spawn(_ended(member, Grace.of(self._orders()[1].settings)), name=f"worker-{slot} leaves")
            await self._begin(slot)

    async def _begin(self, slot: int) -> Member:
        """Start a worker; returns when it accepts or has failed to."""
        generation, orders = self._orders()
        member = Member(slot, generation, self._totals)
        self._members[slot] = member
        self._living.add(member)
        starting = spawn(member.start(self._doors.slots[slot], orders), name=f"worker-{slot} start")
        await asyncio.shield(starting)
        spawn(self._forget(member), name=f"worker-{slot} end")
        if not await _within(member.settled, START_S):
            log.error("worker_stuck_at_start", worker=slot)
            member.kill()
            await member.dead.wait()
        if member.accepts:
            log.info("worker_ready", worker=slot, pid=member.pid, after_ms=member.age_ms)
            await self._catch_up(member)
        return member

    async def _catch_up(self, member: Member) -> None:
        """Give a worker the present settings if it began with others; it is replaced if it cannot have them."""
        await _within(member.settled, PREPARE_S)  # who takes longer does this at the end of its start
        async with self.reloading:
            generation, orders = self._orders()
            if not member.accepts or member.generation == generation:
                return
            try:
                await prepare([member], generation, orders)
            except ReloadRefusedError as error:
                log.warning("worker_replaced_after_reload", worker=member.slot, problem=str(error))
                member.kill()
            else:
                await commit([member], generation)

    async def _forget(self, member: Member) -> None:
        await member.dead.wait()
        self._living.discard(member)

    async def _watch(self, member: Member) -> None:
        """Returns when the worker accepts no more; kills one that hangs."""
        while not await _within(member.leaving, PING_EVERY_S):
            try:
                await member.ask("ping", PING_WITHIN_S)
            except MemberError:
                if not member.dead.is_set():
                    log.warning("worker_hangs", worker=member.slot, pid=member.pid)
                member.kill()
                await member.dead.wait()


def _pause_s(young_deaths: int) -> float:
    """None after a first death, then 0.1, 0.2, 0.4 ... 5 s."""
    if young_deaths < 2:
        return 0.0
    doublings = min(young_deaths - 2, 10)
    return min(FIRST_PAUSE_S * (1 << doublings), LONGEST_PAUSE_S)


async def _retired(member: Member, grace: Grace) -> None:
    """Wait for a worker that is to finish what it has. One that dies has, and its replacement is new to all this."""
    with contextlib.suppress(MemberError):
        await member.ask("retire", grace.longest_s + KILL_AFTER_S)


async def _ended(member: Member, grace: Grace) -> None:
    """Wait for a worker that leaves, and end it if it does not."""
    if not await _within(member.dead, grace.longest_s + KILL_AFTER_S):
        log.warning("worker_killed_after_grace", worker=member.slot, pid=member.pid)
        member.kill()
        await member.dead.wait()


async def _within(event: asyncio.Event, within_s: float) -> bool:
    """Whether the event comes in time."""
    try:
        async with asyncio.timeout(within_s):  # unlike wait_for of Python 3.11 it never swallows a cancellation
            await event.wait()
    except TimeoutError:
        return False
    return True
