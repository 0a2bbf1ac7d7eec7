"""The client of the line: one per worker, with one connection that one task owns.

Law: no task, future or call of its own for a request. What arrives within 2 ms, or while the call before is under
way, shares one call a pool. Everything is bounded: queues, batches, the time until an answer. While the store is away
presences and checks fail at once; touches, releases and leaves wait for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from waitroom.admission.line import Announced, Presence, Rules, Snapshot, Touch, Touched
from waitroom.admission.recovery import Return
from waitroom.admission.waits import Wait
from waitroom.errors import LibraryError, StoreAwayError, StoreError
from waitroom.store import codec
from waitroom.store.keys import Argument, PoolKeys, call, lease_key
from waitroom.store.returning import ReturnDone, Returns, reports
from waitroom.store.talker import Talker, rules_command
from waitroom.store.wire import Reply, parse_url
from waitroom.store.work import (
    CheckDone,
    Endings,
    Inquiry,
    Job,
    PresentDone,
    Presents,
    Scope,
    Touches,
    WhereDone,
    Work,
    tell,
)
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

T = TypeVar("T")

GATHER_S = 0.002
"""How long the first of a batch waits for others."""

BATCH_PRESENT = 256
BATCH_TOUCH = 512
"""Tickets or passes in one call: 1 to 3 ms of the store's time."""

BATCH_ENDINGS = 128
BATCH_JOBS = 64

QUEUE_PRESENT = 50_000
"""Presences and checks that wait for a call: what the store does in a third of a second."""

QUEUE_TOUCH = 200_000
"""Passes whose use is not told yet, a pool: more than any worker serves in a second."""

QUEUE_ENDINGS = 20_000
"""Releases, and leaves, that wait for a store that is away."""

QUEUE_JOBS = 1_000
QUEUE_INQUIRIES = 500
"""Beyond this many jobs nobody is told where they stand: half of the queue is the conductor's and the operators'."""

FLUSH_S = 1.0
"""How often uses of passes are told."""

CLOSE_S = 2.0
"""Time for the last touches and releases when the worker goes."""


@dataclass(slots=True)
class _Pool:
    """What waits for one pool."""

    scope: Scope
    rules: Rules | None = None
    presents: deque[tuple[Presence, PresentDone]] = field(default_factory=deque)
    checks: deque[tuple[Touch, CheckDone]] = field(default_factory=deque)
    returns: deque[tuple[Return, ReturnDone]] = field(default_factory=deque)
    used: dict[str, Touch] = field(default_factory=dict)
    flushing: list[Touch] = field(default_factory=list)
    releases: deque[tuple[str, ...]] = field(default_factory=deque)
    leaves: deque[tuple[str, ...]] = field(default_factory=deque)

    def untold(self) -> bool:
        """Whether something would be lost if the worker went now."""
        return bool(self.used or self.flushing or self.releases or self.leaves)


class LineStore:
    """See the module's docstring. Make it and call it on the loop that it runs on."""

    def __init__(
        self,
        url: str,
        pools: Mapping[str, PoolKeys],
        *,
        on_touched: Callable[[str, Touched], None] = lambda _pool, _touched: None,
        on_up: Callable[[bool], None] = lambda _up: None,
        observe_call: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._pools = {name: _Pool(Scope(name, keys)) for name, keys in pools.items()}
        self._on_touched = on_touched
        self._tell_up = on_up
        self._jobs: deque[Job | Inquiry] = deque()
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self._gathering: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._talker = Talker(
            parse_url(url), take=self._take, rules_of=self._rules_of, on_up=self._on_up, observe_call=observe_call
        )

    @property
    def up(self) -> bool:
        """Whether the store answers."""
        return self._talker.up

    async def start(self, wait_s: float = 5.0) -> bool:
        """Begin to connect, for ever; returns whether the store answered within `wait_s`."""
        self._task = spawn(self._talker.run(), name="store")
        self._ticking = self._loop.call_later(FLUSH_S, self._tick)
        try:
            async with asyncio.timeout(wait_s):
                await self._talker.came_up()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Tell the store what it has not been told yet, if it answers, and go."""
        if self._ticking is not None:
            self._ticking.cancel()
        try:
            async with asyncio.timeout(CLOSE_S):
                while self.up and any(pool.untold() for pool in self._pools.values()):
                    self._flush()
                    self._talker.wake()
                    await self._talker.idle()
        except TimeoutError:
            log.warning("store_left_untold")
        await stop(self._task)
        if self._gathering is not None:
            self._gathering.cancel()
        self._fail_waiting(StoreAwayError("the worker is going"))

    def set_pools(self, pools: Mapping[str, PoolKeys]) -> None:
        """New settings: other pools, backends or exams. What waits for a pool that is gone fails."""
        for name, keys in pools.items():
            if name in self._pools:
                self._pools[name].scope.keys = keys
            else:
                self._pools[name] = _Pool(Scope(name, keys))
        for name in self._pools.keys() - pools.keys():
            self._fail_pool(self._pools.pop(name), LibraryError(f"pool {name} is gone"))

    def present(self, pool: str, presence: Presence, done: PresentDone) -> None:
        """A visitor shows up; `done` is called exactly once, never from within this call."""
        if self._accepts(done):
            self._pools[pool].presents.append((presence, done))
            self._waiting += 1
            self._gather()

    def check(self, pool: str, touch: Touch, done: CheckDone) -> None:
        """Ask what became of a session, and keep it alive; `done` as with `present`."""
        if self._accepts(done):
            self._pools[pool].checks.append((touch, done))
            self._waiting += 1
            self._gather()

    def come_back(self, pool: str, return_: Return, done: ReturnDone) -> None:
        """The holder of a pass wants its session, whose backend is down or comes back; `done` as with `present`."""
        if self._accepts(done):
            self._pools[pool].returns.append((return_, done))
            self._waiting += 1
            self._gather()

    def where(self, pool: str, visitor: str, exam: str, done: WhereDone) -> None:
        """Ask where a ticket stands, which is no heartbeat; `done` as with `present`."""
        if not self.up or len(self._jobs) >= QUEUE_INQUIRIES:
            self._loop.call_soon(done, self._refusal())
            return
        self._jobs.append(Inquiry(self._pools[pool].scope, visitor, exam, done))
        self._gather()

    def touch(self, pool: str, touch: Touch) -> None:
        """A session was used; the store is told within a second, and `on_touched` hears what it says."""
        used = self._pools[pool].used
        if len(used) < QUEUE_TOUCH or touch.visitor in used:
            used[touch.visitor] = touch

    def release(self, pool: str, visitor: str, reason: str) -> None:
        """A session has ended. Told to the store as soon as it can be; what was not told before is forgotten."""
        self._pools[pool].used.pop(visitor, None)
        self._end(self._pools[pool].releases, (visitor, reason))

    def leave(self, pool: str, visitor: str) -> None:
        """A ticket gives up its place. Told to the store as soon as it can be."""
        self._end(self._pools[pool].leaves, (visitor,))

    async def snapshot(self, pool: str, ends: Sequence[int] = ()) -> Snapshot:
        """The pool as it is; `ends`: instants (ms) at which exams are over."""
        return codec.snapshot(await self._pool_job(pool, "wr_snapshot", tuple(ends)), ends)

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """Those still waiting in their order, from the order key `first` on."""
        return codec.waiting(await self._pool_job(pool, "wr_waits", (0, first, count)))

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        """How others' waits ended, latest first, after the `read` latest."""
        return codec.ended(await self._pool_job(pool, "wr_waits", (1, read, count)))

    async def sweep(self, pool: str) -> dict[str, int]:
        """The conductor's second; gives the departures since the sweep before, by reason, each to one caller."""
        return codec.departures(await self._pool_job(pool, "wr_sweep"))

    async def set_live(self, pool: str, fields: Mapping[str, str]) -> dict[str, str]:
        """Set what lies over the rules of a pool, "" for no more of it; gives what was there before."""
        reply = await self._pool_job(pool, "wr_live", tuple(word for pair in fields.items() for word in pair))
        return {name: before.decode() for name, before in zip(fields, reply[2:], strict=True)}

    async def report(self, pool: str, worker: str, text: str) -> dict[str, str]:
        """Tell what a worker saw of the backends; gives what all that live have told."""
        return reports(await self._pool_job(pool, "wr_report", (worker, text)))

    async def announce(self, pool: str, exam: str, said: Announced | None, for_ms: int = 0) -> Announced | None:
        """Say something on the pages of a pool, or of one exam; None: nothing any more. Gives what was said before."""
        own = (exam, for_ms, codec.announcement(said) if said else "")
        reply = await self._ask(
            self._pools[pool].scope, lambda scope: call(pool, "wr_announce", scope.backends(), (), own)
        )
        return codec.announced(reply[2].decode()) if reply[2] else None

    async def write_rules(self, pool: str, rules: Rules) -> int:
        """Put rules in force, now and whenever the store has lost them; returns the version that is in force."""
        self._pools[pool].rules = rules
        reply = await self._ask(self._pools[pool].scope, lambda scope: rules_command(scope, rules))
        version: int = reply[2]
        return version

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """Take or renew a lease; whether `owner` has it now."""
        command: list[Argument] = ["FCALL", "wr_lease", 1, lease_key(name), owner, ttl_ms]
        return bool(await self._ask(Scope("", PoolKeys(())), lambda _scope: command))

    async def _pool_job(self, pool: str, function: str, own: tuple[Argument, ...] = ()) -> Reply:
        return await self._ask(
            self._pools[pool].scope, lambda scope: call(scope.pool, function, scope.backends(), scope.exams(), own)
        )

    async def _ask(self, scope: Scope, make: Callable[[Scope], list[Argument]]) -> Reply:
        if not self.up or len(self._jobs) >= QUEUE_JOBS:
            raise self._refusal()
        future = self._loop.create_future()
        self._jobs.append(Job(scope, make, future))
        self._gather()
        return await future

    def _accepts(self, done: Callable[[Any], None]) -> bool:
        if self.up and self._waiting < QUEUE_PRESENT:
            return True
        self._loop.call_soon(done, self._refusal())
        return False

    def _refusal(self) -> StoreAwayError:
        return StoreAwayError("too much waits for the store" if self.up else "the store is away")

    def _end(self, queue: deque[tuple[str, ...]], ending: tuple[str, ...]) -> None:
        if len(queue) >= QUEUE_ENDINGS:
            queue.popleft()
            log.error("store_endings_lost", count=1, error="too many wait")
        queue.append(ending)
        self._gather()

    def _gather(self) -> None:
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._talker.wake()

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(FLUSH_S, self._tick)
        self._flush()
        self._talker.tick()

    def _flush(self) -> None:
        if not self.up:
            return
        for pool in self._pools.values():
            if pool.used:
                pool.flushing.extend(pool.used.values())
                pool.used = {}

    def _rules_of(self, pool: str) -> Rules | None:
        return self._pools[pool].rules if pool in self._pools else None

    def _on_up(self, up: bool) -> None:
        if not up:
            self._fail_waiting(StoreAwayError("the store is away"))
        tell(self._tell_up, up)

    def _fail_waiting(self, error: StoreError) -> None:
        while self._jobs:
            self._jobs.popleft().fail(error)
        for pool in self._pools.values():
            self._fail_pool(pool, error)

    def _fail_pool(self, pool: _Pool, error: StoreError) -> None:
        asked = [done for queue in (pool.presents, pool.checks, pool.returns) for _, done in queue]
        self._waiting -= len(asked)
        pool.presents.clear()
        pool.checks.clear()
        pool.returns.clear()
        for done in asked:
            tell(done, error)

    def _take(self) -> list[Work]:
        """Everything for the next round: of each pool at most one call of each kind."""
        works: list[Work] = [self._jobs.popleft() for _ in range(min(BATCH_JOBS, len(self._jobs)))]
        for pool in self._pools.values():
            works.extend(self._take_from(pool))
        if (
            self._jobs
            or self._waiting
            or any(pool.flushing or pool.leaves or pool.releases for pool in self._pools.values())
        ):
            self._gather()  # more than one round can carry
        return works

    def _take_from(self, pool: _Pool) -> Iterator[Work]:
        if pool.leaves:
            yield _endings(pool.scope, "wr_leave", pool.leaves)
        if pool.releases:
            yield _endings(pool.scope, "wr_release", pool.releases)
        if pool.checks:
            yield self._checks(pool)
        if pool.returns:
            come = _take_left(pool.returns, BATCH_TOUCH)
            self._waiting -= len(come)
            yield Returns(pool.scope, [return_ for return_, _ in come], [done for _, done in come])
        if pool.flushing:
            yield self._touches(pool)
        if pool.presents:
            asked = _take_left(pool.presents, BATCH_PRESENT)
            self._waiting -= len(asked)
            yield Presents(pool.scope, [presence for presence, _ in asked], [done for _, done in asked])

    def _checks(self, pool: _Pool) -> Touches:
        asked = _take_left(pool.checks, BATCH_TOUCH)
        self._waiting -= len(asked)

        def done(answers: list[Touched]) -> None:
            for (_, callback), answer in zip(asked, answers, strict=True):
                tell(callback, answer)

        def failed(error: StoreError) -> None:
            for _, callback in asked:
                tell(callback, error)

        return Touches(pool.scope, [touch for touch, _ in asked], done, failed)

    def _touches(self, pool: _Pool) -> Touches:
        batch = pool.flushing[-BATCH_TOUCH:]
        del pool.flushing[-BATCH_TOUCH:]

        def done(answers: list[Touched]) -> None:
            for answer in answers:
                tell(lambda heard: self._on_touched(pool.scope.pool, heard), answer)

        def failed(error: StoreError) -> None:
            if not error.retry:
                log.error("store_touches_lost", count=len(batch), error=str(error))
                return
            for touch in batch:  # unless there is a later use
                pool.used.setdefault(touch.visitor, touch)

        return Touches(pool.scope, batch, done, failed)


def _take_left(queue: deque[T], bound: int) -> list[T]:
    return [queue.popleft() for _ in range(min(bound, len(queue)))]


def _endings(scope: Scope, function: str, queue: deque[tuple[str, ...]]) -> Endings:
    taken = _take_left(queue, BATCH_ENDINGS)
    own = [word for ending in taken for word in ending]
    return Endings(scope, function, own, lambda: queue.extendleft(reversed(taken)))
