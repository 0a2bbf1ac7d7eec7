"""What waits for the store, pool by pool, and how much of it goes into one round.

Law: everything is bounded. Presences and checks are answered when the store goes; touches, releases and leaves wait.
A check is not waited for longer than `PROMPT_S`: who holds a pass goes on without the store.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from waitroom.admission.line import Presence, Touch, Touched
from waitroom.admission.recovery import Return
from waitroom.errors import StoreAwayError, StoreError
from waitroom.store.proof import Proof, Restated
from waitroom.store.returning import ReturnDone, Returns
from waitroom.store.talker import PROMPT_S
from waitroom.store.work import CheckDone, Endings, PresentDone, Presents, Scope, Touches, Work, tell

log = structlog.get_logger(__name__)

T = TypeVar("T")

BATCH_PRESENT = 256
BATCH_TOUCH = 512
"""Tickets or passes in one call: 1 to 3 ms of the store's time."""

BATCH_ENDINGS = 128
BATCH_JOBS = 64

QUEUE_TOUCH = 200_000
"""Passes whose use is not told yet, a pool: more than any worker serves in a second."""

QUEUE_ENDINGS = 20_000
"""Releases, and leaves, that wait for a store that is away: more than all students of a pool."""


@dataclass(slots=True, eq=False)
class Check:
    """Somebody who wants to know what became of a session, and is told once."""

    touch: Touch
    done: CheckDone | None
    asked_s: float

    def tell(self, answer: Touched | StoreError) -> None:
        """Answer, unless that has been done."""
        done, self.done = self.done, None
        if done is not None:
            tell(done, answer)


class Patience:
    """Answers checks that the store leaves waiting. One timer for all."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked: deque[Check] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, touch: Touch, done: CheckDone) -> Check:
        """Somebody asks."""
        check = Check(touch, done, self._loop.time())
        self._asked.append(check)
        if self._timer is None:
            self._timer = self._loop.call_later(PROMPT_S, self._ends)
        return check

    def close(self) -> None:
        """The worker goes."""
        if self._timer is not None:
            self._timer.cancel()

    def _ends(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._asked and (left_s := self._asked[0].asked_s + PROMPT_S - now_s) <= 0:
            self._asked.popleft().tell(StoreAwayError("the store is slow", "silent"))
        if self._asked:
            self._timer = self._loop.call_later(left_s, self._ends)


@dataclass(slots=True)
class PoolQueues:
    """What waits for one pool."""

    scope: Scope
    jobs: deque[Work] = field(default_factory=deque)
    presents: deque[tuple[Presence, PresentDone]] = field(default_factory=deque)
    checks: deque[Check] = field(default_factory=deque)
    returns: deque[tuple[Return, ReturnDone]] = field(default_factory=deque)
    used: dict[str, Touch] = field(default_factory=dict)
    flushing: list[Touch] = field(default_factory=list)
    releases: deque[tuple[str, ...]] = field(default_factory=deque)
    leaves: deque[tuple[str, ...]] = field(default_factory=deque)
    unheard: bool = False
    """Somebody was answered without the store since it went."""
    stamped: bool = False
    """A newcomer was."""
    lost: int = 0
    """Releases and leaves that had no room."""
    shown_ms: int = 0
    """What had been heard a second ago."""

    def untold(self) -> bool:
        """Whether something would be lost if the worker went now."""
        return bool(self.used or self.flushing or self.releases or self.leaves)

    def urgent(self) -> bool:
        """Whether something waits for a round."""
        asked = self.jobs or self.presents or self.checks or self.returns
        return bool(asked or self.flushing or self.releases or self.leaves)

    @property
    def waiting(self) -> int:
        """Who waits for an answer."""
        return len(self.presents) + len(self.checks) + len(self.returns)

    def use(self, touch: Touch) -> None:
        """A session was used."""
        if len(self.used) < QUEUE_TOUCH or touch.visitor in self.used:
            self.used[touch.visitor] = touch

    def end(self, queue: deque[tuple[str, ...]], ending: tuple[str, ...]) -> None:
        """A session or a place has ended."""
        if len(queue) >= QUEUE_ENDINGS:
            queue.popleft()
            self.lost += 1
            if self.lost % QUEUE_ENDINGS == 1:
                log.error("store_endings_lost", count=self.lost, error="too many wait")
        queue.append(ending)

    def flush(self) -> None:
        """Uses go with the next rounds."""
        if self.used:
            self.flushing.extend(self.used.values())
            self.used = {}

    def alone(self, presence: Presence) -> None:
        """A visitor is answered without the store."""
        self.unheard = True
        self.stamped = self.stamped or not presence.arrival_us

    def greetings(self, away_ms: int) -> list[Work]:
        """What a store is told on a new connection, or when it has lost everything."""
        works: list[Work] = []
        if self.scope.keys.backends:  # a lease has no line
            works.append(Proof(self.scope, away_ms if self.unheard else 0, self.stamped))
        if self.scope.rules is not None:
            works.append(Restated(self.scope))
        return works

    def greeted(self) -> None:
        """The store has been told."""
        self.unheard = self.stamped = False

    def prove(self) -> None:
        """A second has passed: show what was heard, if nothing was said since."""
        if self.scope.keys.backends and self.scope.heard_ms == self.shown_ms:
            self.jobs.append(Proof(self.scope))
        self.shown_ms = self.scope.heard_ms

    def fail_waiting(self, error: StoreError) -> int:
        """The store went, or the pool: who waits for an answer has one. Gives how many did."""
        while self.jobs:
            self.jobs.popleft().fail(error)
        presents, self.presents = self.presents, deque()
        checks, self.checks = self.checks, deque()
        returns, self.returns = self.returns, deque()
        for presence, done in presents:
            self.alone(presence)
            tell(done, error)
        for check in checks:
            check.tell(error)
        for _, told in returns:
            tell(told, error)
        return len(presents) + len(checks) + len(returns)

    def take(self, on_touched: Callable[[str, Touched], None]) -> Iterator[Work]:
        """At most one call of each kind, and some jobs."""
        yield from _take_left(self.jobs, BATCH_JOBS)
        if self.leaves:
            yield _endings(self.scope, "wr_leave", self.leaves)
        if self.releases:
            yield _endings(self.scope, "wr_release", self.releases)
        if self.checks:
            yield self._checks()
        if self.returns:
            come = _take_left(self.returns, BATCH_TOUCH)
            yield Returns(self.scope, [return_ for return_, _ in come], [done for _, done in come])
        if self.flushing:
            yield self._touches(on_touched)
        if self.presents:
            asked = _take_left(self.presents, BATCH_PRESENT)
            presences, dones = zip(*asked, strict=True)
            yield Presents(self.scope, presences, dones, self.alone)

    def _checks(self) -> Touches:
        asked = _take_left(self.checks, BATCH_TOUCH)

        def done(answers: list[Touched]) -> None:
            for check, answer in zip(asked, answers, strict=True):
                check.tell(answer)

        def failed(error: StoreError) -> None:
            for check in asked:
                check.tell(error)

        return Touches(self.scope, [check.touch for check in asked], done, failed)

    def _touches(self, on_touched: Callable[[str, Touched], None]) -> Touches:
        batch = self.flushing[-BATCH_TOUCH:]
        del self.flushing[-BATCH_TOUCH:]

        def done(answers: list[Touched]) -> None:
            for answer in answers:
                tell(lambda heard: on_touched(self.scope.pool, heard), answer)

        def failed(error: StoreError) -> None:
            if not error.retry:
                log.error("store_touches_lost", count=len(batch), error=str(error))
                return
            for touch in batch:  # unless there is a later use
                self.used.setdefault(touch.visitor, touch)

        return Touches(self.scope, batch, done, failed)


def _take_left(queue: deque[T], bound: int) -> list[T]:
    return [queue.popleft() for _ in range(min(bound, len(queue)))]


def _endings(scope: Scope, function: str, queue: deque[tuple[str, ...]]) -> Endings:
    taken = _take_left(queue, BATCH_ENDINGS)
    own = [word for ending in taken for word in ending]
    return Endings(scope, function, own, lambda: queue.extendleft(reversed(taken)))
