"""The client of the line: one per worker, with one connection a server, each owned by one task.

Law: no task, future or call of its own for a request. What arrives within 2 ms, or while the call before is under
way, shares one call a pool; once they are many, they do not wait those 2 ms out. Everything is bounded: queues,
batches, the time until an answer. While the store is away presences and checks fail at once; touches, releases and
leaves wait for it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from waitroom.admission.draw import Lot
from waitroom.admission.line import Presence, Rules, Snapshot, Touch, Touched
from waitroom.admission.pacing import PaceRules, Step
from waitroom.admission.recovery import Return
from waitroom.errors import LibraryError, StoreAwayError
from waitroom.store import codec
from waitroom.store.keys import Argument, PoolKeys, call, keep_call, lease_key
from waitroom.store.pace import PaceDone, PaceQueues
from waitroom.store.places import Places
from waitroom.store.proof import rules_command
from waitroom.store.queues import Patience, PoolQueues
from waitroom.store.returning import ReturnDone, reports
from waitroom.store.talker import Talker
from waitroom.store.wire import Reply
from waitroom.store.work import CheckDone, Inquiry, Job, PresentDone, Scope, WhereDone, Work, tell
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

GATHER_S = 0.002
"""How long the first of a batch waits for others."""

ENOUGH = 50
"""So many wait for nobody: in a batch of them a call's own cost hardly counts any more (tests/bench/store_bench.py)."""

QUEUE_PRESENT = 50_000
"""Presences and checks that wait for a call: what the store does in a third of a second."""

QUEUE_JOBS = 1_000
QUEUE_INQUIRIES = 500
"""Beyond this many jobs of a pool nobody is told where they stand: half is the conductor's and the operators'."""

FLUSH_S = 1.0
"""How often uses of passes are told."""

CLOSE_S = 2.0
"""Time for the last touches and releases when the worker goes."""


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
        on_failure: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._pools = {name: PoolQueues(Scope(name, keys)) for name, keys in pools.items()}
        self._leases: dict[str, PoolQueues] = {}
        self._paces = PaceQueues()
        self._on_touched = on_touched
        self._tell_up = on_up
        self._observe_call = observe_call
        self._on_failure = on_failure
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self._patience = Patience()
        self._gathering: asyncio.Handle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._places = Places(url)
        self._talkers: dict[str, Talker] = {}
        """One for all; of a cluster one a pool, and one a lease or a pace that has no pool of its name."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for name in self._pools if self._places.apart else ("",):
            self._talk(name)

    @property
    def up(self) -> bool:
        """Whether the store answers, in a cluster for any pool."""
        return any(talker.up for talker in self._talkers.values())

    async def start(self, wait_s: float = 5.0) -> bool:
        """Begin to connect, for ever; returns whether the store answered within `wait_s`."""
        for name, talker in self._talkers.items():
            self._tasks[name] = spawn(talker.run(), name=f"store {name}".strip())
        self._ticking = self._loop.call_later(FLUSH_S, self._tick)
        try:
            async with asyncio.timeout(wait_s):
                for talker in tuple(self._talkers.values()):
                    await talker.came_up()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Tell the store what it has not been told yet, if it answers, and go."""
        if self._ticking is not None:
            self._ticking.cancel()
        try:
            async with asyncio.timeout(CLOSE_S):
                while any(pool.untold() and self._talker(name).up for name, pool in self._pools.items()):
                    self._flush()
                    for talker in self._talkers.values():
                        talker.wake()
                        await talker.idle()
        except TimeoutError:
            log.warning("store_left_untold")
        for task in self._tasks.values():
            await stop(task)
        if self._gathering is not None:
            self._gathering.cancel()
        self._patience.close()
        for name in (*self._pools, *self._leases, *self._paces.rules):
            self._fail_waiting(name, StoreAwayError("the worker is going", "left"))

    def set_pools(self, pools: Mapping[str, PoolKeys]) -> None:
        """New settings: other pools, backends or exams. What waits for a pool that is gone fails."""
        for name, keys in pools.items():
            if name in self._pools:
                self._pools[name].scope.keys = keys
            else:
                self._pools[name] = PoolQueues(Scope(name, keys))
                if self._places.apart and name not in self._talkers:
                    self._talk(name)
        for name in self._pools.keys() - pools.keys():
            gone = self._pools.pop(name)
            self._waiting -= gone.fail_waiting(LibraryError(f"pool {name} is gone"))
            if name in self._talkers and name not in self._leases and name not in self._paces.rules:
                del self._talkers[name]
                self._tasks.pop(name).cancel()

    def set_paces(self, paces: Mapping[str, PaceRules]) -> None:
        """How fast each pace lets requests pass, from now on. What waits for one that is gone fails."""
        for done in self._paces.adopt(paces):
            tell(done, LibraryError("the pace is gone"))
        for name in paces if self._places.apart else ():
            if name not in self._talkers:
                self._talk(name)

    def pace(self, name: str, step: Step, done: PaceDone) -> None:
        """A request asks for its turn, or its end is told; `done` as with `present`."""
        if self._paces.full or name not in self._paces.rules or not self._talker(name).up:
            self._loop.call_soon(done, StoreAwayError("the store is away, or too much waits", "silent"))
            return
        self._paces.put(name, step, done)
        self._gather()

    def present(self, pool: str, presence: Presence, done: PresentDone) -> None:
        """A visitor shows up; `done` is called exactly once, never from within this call."""
        if self._talker(pool).up and self._waiting < QUEUE_PRESENT:
            self._pools[pool].presents.append((presence, done))
            self._waiting += 1
            if self._gathering is None or self._waiting == ENOUGH:
                self._gather()
        else:
            self._pools[pool].alone(presence)
            self._loop.call_soon(done, self._refusal(pool))

    def check(self, pool: str, touch: Touch, done: CheckDone) -> None:
        """Ask what became of a session, and keep it alive; `done` as with `present`, and within `PROMPT_S`."""
        if self._talker(pool).prompt() and self._waiting < QUEUE_PRESENT:
            self._pools[pool].checks.append(self._patience.begin(touch, done))
            self._waiting += 1
            self._gather()
        else:
            self._loop.call_soon(done, self._refusal(pool))

    def come_back(self, pool: str, return_: Return, done: ReturnDone) -> None:
        """The holder of a pass wants its session, whose backend is down or comes back; `done` as with `present`."""
        if self._talker(pool).up and self._waiting < QUEUE_PRESENT:
            self._pools[pool].returns.append((return_, done))
            self._waiting += 1
            self._gather()
        else:
            self._loop.call_soon(done, self._refusal(pool))

    def where(self, pool: str, visitor: str, exam: str, order: int, done: WhereDone) -> None:
        """Ask where a ticket of this order key stands, which is no heartbeat; `done` as with `present`."""
        asked = self._pools[pool]
        if not self._talker(pool).up or len(asked.jobs) >= QUEUE_INQUIRIES:
            self._loop.call_soon(done, self._refusal(pool))
            return
        asked.jobs.append(Inquiry(asked.scope, visitor, exam, order, done))
        self._gather()

    def touch(self, pool: str, touch: Touch) -> None:
        """A session was used; the store is told within a second, and `on_touched` hears what it says."""
        self._pools[pool].use(touch)

    def release(self, pool: str, visitor: str, reason: str) -> None:
        """A session has ended. Told to the store as soon as it can be; what was not told before is forgotten."""
        queues = self._pools[pool]
        queues.used.pop(visitor, None)
        queues.end(queues.releases, (visitor, reason))
        self._gather()

    def leave(self, pool: str, visitor: str) -> None:
        """A ticket gives up its place. Told to the store as soon as it can be."""
        queues = self._pools[pool]
        queues.end(queues.leaves, (visitor,))
        self._gather()

    async def snapshot(self, pool: str, ends: Sequence[int] = ()) -> Snapshot:
        """The pool as it is; `ends`: instants (ms) at which exams are over."""
        return codec.snapshot(await self._pool_job(pool, "wr_snapshot", tuple(ends)), ends)

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

    async def keep(self, pool: str, record: str, at_ms: int, text: str, *, lines: int, ttl_ms: int) -> bool:
        """Add to a record of numbers, bounded by `lines`, that goes if nothing is added for `ttl_ms`; whether this was
        the first to say something of that instant.
        """
        own = (at_ms, lines, ttl_ms, text)
        reply = await self._ask(self._pools[pool], lambda scope: keep_call(scope.pool, record, own))
        return bool(reply[2])

    async def draw(self, pool: str, proposed: Mapping[str, Lot]) -> dict[str, Lot]:
        """Propose seeds for the openings of exams; gives those that count."""
        return codec.lots(proposed, await self._pool_job(pool, "wr_draw", tuple(codec.draw_arguments(proposed))))

    async def write_rules(self, pool: str, rules: Rules) -> int:
        """Put rules in force, now and whenever the store has lost them; returns the version that is in force."""
        self._pools[pool].scope.rules = rules
        reply = await self._ask(self._pools[pool], rules_command)
        version: int = reply[2]
        return version

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """Take or renew a lease; whether `owner` has it now."""
        command: list[Argument] = ["FCALL", "wr_lease", 1, lease_key(name), owner, ttl_ms]
        queues = self._leases.get(name)
        if queues is None:
            queues = self._leases[name] = PoolQueues(Scope(name, PoolKeys(())))
            if self._places.apart and name not in self._talkers:
                self._talk(name)
        return bool(await self._ask(queues, lambda _scope: command))

    def _talk(self, name: str) -> None:
        """Keep a connection for what this serves: a pool and a lease of a cluster, or "": all."""
        self._talkers[name] = talker = Talker(
            self._places.of(name),
            take=lambda: self._take(name),
            greetings=lambda pool: self._greetings(name, pool),
            on_up=lambda up: self._on_up(name, up),
            on_failure=self._on_failure,
            observe_call=self._observe_call,
            serves=name,
        )
        if self._ticking is not None:
            self._tasks[name] = spawn(talker.run(), name=f"store {name}")

    def _talker(self, pool: str) -> Talker:
        return self._talkers.get(pool) or self._talkers[""]

    def _served(self, name: str) -> list[PoolQueues]:
        if not name:
            return [*self._leases.values(), *self._pools.values()]
        return [found[name] for found in (self._leases, self._pools) if name in found]

    async def _pool_job(self, pool: str, function: str, own: tuple[Argument, ...] = ()) -> Reply:
        return await self._ask(
            self._pools[pool], lambda scope: call(scope.pool, function, scope.backends(), scope.exams(), own)
        )

    async def _ask(self, queues: PoolQueues, make: Callable[[Scope], list[Argument]]) -> Reply:
        name = queues.scope.pool
        if not self._talker(name).up or len(queues.jobs) >= QUEUE_JOBS:
            raise self._refusal(name)
        future = self._loop.create_future()
        queues.jobs.append(Job(queues.scope, make, future))
        self._gather()
        return await future

    def _refusal(self, pool: str) -> StoreAwayError:
        slow = self._talker(pool).up
        return StoreAwayError("the store is slow, or too much waits" if slow else "the store is away", "silent")

    def _gather(self) -> None:
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_S, self._gathered)
        elif self._waiting == ENOUGH:
            self._gathering.cancel()
            self._gathering = self._loop.call_soon(self._gathered)  # with all that this turn of the loop still reads

    def _gathered(self) -> None:
        self._gathering = None
        for talker in self._talkers.values():
            talker.wake()

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(FLUSH_S, self._tick)
        self._flush()
        for name, pool in self._pools.items():
            if self._talker(name).up:
                pool.prove()
        for talker in self._talkers.values():
            talker.tick()

    def _flush(self) -> None:
        for name, pool in self._pools.items():
            if self._talker(name).up:
                pool.flush()

    def _greetings(self, name: str, pool: str) -> list[Work]:
        away_ms = int(self._talkers[name].away_s * 1000)
        served = self._served(name)
        return [said for each in served if pool in ("", each.scope.pool) for said in each.greetings(away_ms)]

    def _on_up(self, name: str, up: bool) -> None:
        if up:
            for queues in self._served(name):
                queues.greeted()
        else:
            self._fail_waiting(name, StoreAwayError("the store is away"))
        tell(self._tell_up, up)

    def _fail_waiting(self, name: str, error: StoreAwayError) -> None:
        for queues in self._served(name):
            self._waiting -= queues.fail_waiting(error)
        self._paces.fail(error, name)

    def _take(self, name: str) -> list[Work]:
        """Everything for the next round: of each pool at most one call of each kind."""
        works: list[Work] = []
        served = self._served(name)
        for queues in served:
            asked = queues.waiting
            works.extend(queues.take(self._on_touched))
            self._waiting -= asked - queues.waiting
        works.extend(self._paces.take(name))
        if self._paces.waits(name) or any(queues.urgent() for queues in served):
            self._gather()  # more than one round can carry
        return works
