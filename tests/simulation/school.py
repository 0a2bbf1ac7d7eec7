"""A morning in front of one exam server: a crowd, a line, workers with their guards, and a conductor, in virtual time.

Law: one seed, one morning. Students are a closed loop, as real ones are: each clicks, waits for the answer, thinks, and
clicks again; after an error or too long a wait they press reload, and what they asked for before goes on at the server.
What controls the server is the product's own code: a `Limiter` in each worker, and a `Tempo` at the conductor.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import exp
from random import Random
from statistics import NormalDist, fmean

from tests.simulation.backends import AUTOSAVE, LOGIN, LOGOUT, PAGE, START, SUBMIT, Backend
from waitroom.admission.limits import Limiter
from waitroom.admission.traffic import BUCKETS, Traffic, bucket_of
from waitroom.demo.model import Done, Verdict, Work

KINDS = {work: number for number, work in enumerate((PAGE, LOGIN, START, AUTOSAVE, SUBMIT, LOGOUT), start=1)}
PATIENCE_MS = 20_000
GUARD_WAIT_MS = 10_000
UNLIMITED = 1 << 30

SCATTER = [exp(0.5 * NormalDist().inv_cdf((at + 0.5) / 32) - 0.125) for at in range(32)]
"""Requests of a kind are not alike: what they take is log-normal, with a deviation of half of the mean."""
VARIANTS = {work.name: [replace(work, cpu_ms=work.cpu_ms * times) for times in SCATTER] for work in KINDS}

Script = Iterator[Work | float]
"""What a student does: a request, or milliseconds of thought."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How students behave."""

    think_ms: float = 30_000
    """Between two requests of a student who writes: a page and a save a minute."""
    exam_ms: float = 600_000
    """From the start of the attempt to its end, give or take a fifth."""
    opens_ms: float = 0
    """Before this nobody can start: whoever is in by then starts at this instant, give or take a second."""


def sits(habits: Habits, chance: Random, now_ms: Callable[[], float]) -> Script:
    """One student's exam."""
    yield LOGIN
    yield chance.uniform(2_000, 10_000)
    yield PAGE
    yield max(chance.uniform(5_000, 20_000), habits.opens_ms - now_ms() + chance.uniform(0, 1_000))
    yield START
    ends_ms = now_ms() + habits.exam_ms * chance.uniform(0.8, 1.2)
    for work in itertools.cycle((AUTOSAVE, PAGE)):
        yield habits.think_ms * chance.uniform(0.6, 1.4)
        if now_ms() >= ends_ms:
            break
        yield work
    yield SUBMIT
    yield chance.uniform(2_000, 10_000)
    yield LOGOUT


@dataclass(eq=False, slots=True)
class Student:
    """One of them, and what they are waiting for."""

    name: str
    door: "Door"
    script: Script
    errors: int = 0
    signed_in: bool = False
    done: bool = False
    asked: int = -1
    """The request that they wait for; -1: none."""


@dataclass(eq=False, slots=True)
class _Ask:
    number: int
    student: Student
    work: Work
    clicked_ms: float
    sent_ms: float = -1.0
    over: bool = False


class Door:
    """One worker's guard: so many at the backend, the others in the order of their coming."""

    def __init__(self, limiter: Limiter | None, limit: int = UNLIMITED) -> None:
        self.limiter = limiter
        self._limit = limit
        self.held = 0
        self.waiting: deque[_Ask] = deque()
        self.reached = False

    @property
    def limit(self) -> int:
        """Most at a time."""
        return self._limit if self.limiter is None else self.limiter.limit


@dataclass(slots=True)
class Second:
    """One second of the morning, for whoever looks at it afterwards."""

    at_s: int
    sessions: int
    line: int
    rate_milli: int
    admitted: int
    traffic: Traffic
    load: float
    limits: tuple[int, ...]


@dataclass(slots=True)
class _Tally:
    requests: int = 0
    failed: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * BUCKETS)


Pace = Callable[["School", Traffic], int]
"""Once a second: the rate of now, in milli, from what was seen in the last second."""


class School:
    """Everything together."""

    def __init__(
        self,
        backend: Backend,
        *,
        seed: int = 1,
        workers: int = 1,
        limiters: bool = True,
        limit: int = UNLIMITED,
        pace: Pace | None = None,
        habits: Habits | None = None,
    ) -> None:
        self.backend, self.chance, self.habits = backend, Random(seed), habits or Habits()
        self.now_ms = 0.0
        self.doors = [Door(Limiter(workers) if limiters else None, max(1, limit // workers)) for _ in range(workers)]
        self.line: deque[Student] = deque()
        self.inside: set[Student] = set()
        self.left = 0
        self.history: list[Second] = []
        self.fellowship = True
        """Whether workers hear of each other's limits."""
        self._pace, self._tokens, self._rate_milli = pace, 1_000, 0
        self._tally = _Tally()
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._asks: dict[int, _Ask] = {}
        self._at(0, self._tick)

    # the crowd

    def come(self, students: int, at_ms: Callable[[], float]) -> None:
        """A crowd: who comes when is for the caller to draw."""
        for number in range(students):
            script = sits(self.habits, self.chance, lambda: self.now_ms)
            student = Student(f"s{number}", self.doors[number % len(self.doors)], script)
            self._at(at_ms(), partial(self._arrive, student))

    def at(self, at_ms: float, what: Callable[[], None]) -> None:
        """Something happens to the school at an instant."""
        self._at(at_ms, what)

    def run(self, until_ms: float) -> "School":
        """Let time go by."""
        infinite = float("inf")
        while True:
            event_ms = self._events[0][0]
            self.now_ms = min(event_ms, self.backend.next_ms() or infinite)
            if self.now_ms > until_ms:
                self.now_ms = until_ms
                return self
            for event in self.backend.advance(self.now_ms):
                if isinstance(event, Done):
                    self._answered(event.request)
            if not self.backend.up:
                self._lose_all()
            while self._events[0][0] <= self.now_ms:
                heapq.heappop(self._events)[2]()

    # students

    def _arrive(self, student: Student) -> None:
        if self._pace is None:
            self._enter(student)
        else:
            self.line.append(student)

    def _enter(self, student: Student) -> None:
        self.inside.add(student)
        self._next(student)

    def _next(self, student: Student) -> None:
        """What the script says next."""
        what = next(student.script, None)
        if what is None:
            student.done = True
            self.inside.discard(student)
            self.left += 1
        elif isinstance(what, Work):
            self._click(student, what)
        else:
            self._at(self.now_ms + what, partial(self._next, student))

    def _click(self, student: Student, work: Work) -> None:
        ask = _Ask(next(self._numbers), student, work, self.now_ms)
        student.asked = ask.number
        self._at(self.now_ms + PATIENCE_MS, partial(self._impatient, ask))
        door = student.door
        if door.held < door.limit:
            self._send(ask)
        else:
            door.reached = True
            door.waiting.append(ask)
            self._at(self.now_ms + GUARD_WAIT_MS, partial(self._turn_away, ask))

    def _send(self, ask: _Ask) -> None:
        """It has a place, and goes to the backend."""
        ask.student.door.held += 1
        ask.sent_ms = self.now_ms
        work = self.chance.choice(VARIANTS[(ask.work if ask.student.signed_in else LOGIN).name])
        if self.backend.arrive(self.now_ms, ask.number, work, ask.student.name) is Verdict.ACCEPTED:
            self._asks[ask.number] = ask
        else:
            self._end(ask, ok=False)

    def _answered(self, number: int) -> None:
        ask = self._asks.pop(number)
        if ask.over:  # nobody waits for it any more
            ask.student.signed_in = True
            return
        self._end(ask, ok=True)

    def _lose_all(self) -> None:
        """The backend has died: so have all requests that were there, and all sessions."""
        lost, self._asks = list(self._asks.values()), {}
        for student in self.inside if lost else ():
            student.signed_in = False
        for ask in lost:
            if not ask.over:
                self._end(ask, ok=False)

    def _impatient(self, ask: _Ask) -> None:
        if ask.over:
            return
        if ask.sent_ms < 0:
            ask.over = True  # its turn in the guard's line passes
            self._count(ask, ok=True)
        else:
            self._end(ask, ok=True, left=True)
        self._again(ask)

    def _turn_away(self, ask: _Ask) -> None:
        if ask.sent_ms < 0 and not ask.over:
            ask.over = True
            self._again(ask)

    def _end(self, ask: _Ask, *, ok: bool, left: bool = False) -> None:
        """An ask that was sent is over, for the proxy."""
        ask.over = True
        student = ask.student
        door = student.door
        if door.limiter is not None:
            door.limiter.observe(KINDS[ask.work], (self.now_ms - ask.sent_ms) / 1_000, door.held, ok)
        door.held -= 1
        self._count(ask, ok=ok)
        if ok and not left:
            self._went_well(ask)
        elif not ok:
            self._again(ask)
        while door.waiting and door.held < door.limit:
            waiting = door.waiting.popleft()
            if not waiting.over:
                self._send(waiting)

    def _went_well(self, ask: _Ask) -> None:
        student = ask.student
        fresh, student.signed_in = not student.signed_in, True
        if ask.number == student.asked:
            if fresh and ask.work is not LOGIN:  # it was a log-in after all
                self._click(student, ask.work)
            else:
                self._next(student)

    def _again(self, ask: _Ask) -> None:
        """An error, or a reload."""
        ask.student.errors += 1
        self._at(self.now_ms + self.chance.uniform(1_000, 5_000), partial(self._click, ask.student, ask.work))

    def _count(self, ask: _Ask, *, ok: bool) -> None:
        self._tally.requests += 1
        if ok:
            self._tally.durations[bucket_of(self.now_ms - ask.clicked_ms)] += 1
        else:
            self._tally.failed += 1

    # the second

    def _tick(self) -> None:
        seen, self._tally = self._tally, _Tally()
        load = max((door.limiter.load for door in self.doors if door.limiter), default=0.0)
        traffic = Traffic(
            requests=seen.requests,
            failed_5xx=seen.failed,
            inflight=sum(door.held for door in self.doors),
            inflight_limit=sum(door.limit for door in self.doors if door.limit < UNLIMITED),
            saturated=sum(door.reached for door in self.doors),
            waiting=sum(not ask.over for door in self.doors for ask in door.waiting),
            durations=tuple(seen.durations),
        )
        limits = tuple(door.limit for door in self.doors)
        reached = [door for door in self.doors if door.reached]
        for door in self.doors:
            if door.limiter is not None:
                others = [each.limit for each in reached if each is not door]
                door.limiter.fellows = fmean(others) if others and self.fellowship else None
                door.limiter.adjust(int(self.now_ms))
                while door.waiting and door.held < door.limit:
                    waiting = door.waiting.popleft()
                    if not waiting.over:
                        self._send(waiting)
        for door in reached:
            door.reached = bool(door.waiting)
        admitted = self._admit(traffic)
        at_s = round(self.now_ms / 1_000)
        self.history.append(
            Second(at_s, len(self.inside), len(self.line), self._rate_milli, admitted, traffic, load, limits)
        )
        self._at(self.now_ms + 1_000, self._tick)

    def _admit(self, traffic: Traffic) -> int:
        if self._pace is None:
            return 0
        self._tokens = min(self._tokens + self._rate_milli, max(1_000, 2 * self._rate_milli))
        admitted = 0
        while self.line and self._tokens >= 1_000:
            self._tokens -= 1_000
            admitted += 1
            student = self.line.popleft()
            self.inside.add(student)
            self._at(self.now_ms + self.chance.uniform(0, 1_000), partial(self._enter, student))
        self._rate_milli = self._pace(self, traffic)
        return admitted

    def _at(self, at_ms: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_ms, next(self._numbers), what))
