"""Mornings at full size, for what needs many waits: the real library, the product's own estimates, thousands of polls.

Law: students are as many as on a real morning and simple: they come, wait, are let in, stay, go. One batch of calls
stands for 200 ms of the morning. A seed decides who comes when, stays how long, closes the lid, never comes back.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.crowds import Shape
from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.estimate import ENOUGH, Eta, Regime, regime
from waitroom.admission.line import Flow, Presence, Rules, Standing, State, Touch

if TYPE_CHECKING:
    import redis

STEP_MS = 200
AGREE, MIXED, FULL = 1.5, 0.35, 0.1
FLOWING_S, LATELY_S = 300, 120
Stay = Callable[[Random], float]
"""How long one student stays, in seconds."""


@dataclass(frozen=True, slots=True)
class Change:
    """At `at_s` operators set other limits, another rate, a hold, or end it."""

    at_s: float
    slots: tuple[int, ...] | None = None
    rate_milli: int | None = None
    held: bool | None = None


@dataclass(frozen=True, slots=True)
class Morning:
    """One kind of morning."""

    name: str
    students: int
    shape: Shape
    span_s: float
    slots: tuple[int, ...]
    stay: Stay
    rate_milli: int = 0
    vanish: float = 0.0
    """Share that closes the tab while waiting and never comes back."""
    leave: float = 0.0
    """Share that gives the place up while waiting."""
    absent: float = 0.0
    """Share that closes the lid while waiting, and comes back some minutes later."""
    no_show: float = 0.0
    """Share that is let in and does not look."""
    changes: tuple[Change, ...] = ()
    end_s: float = 4 * 3_600.0


class Shown(NamedTuple):
    """A range, and when it was shown."""

    eta: Eta
    at_ms: int

    @property
    def middle_s(self) -> float:
        """Half way between its ends."""
        return (self.eta.low_s + self.eta.high_s) / 2


@dataclass(slots=True)
class Student:
    """One of them, and what they were told and saw."""

    number: int
    comes_ms: int
    stays_ms: int
    vanishes: bool
    leaves: bool
    absent_ms: int
    no_show: bool
    strange_at_ms: int
    standing: Standing | None = None
    shown: "Shown | None" = None
    """The first range."""
    firm: "Shown | None" = None
    """The first one that rested on an established flow (see `is_firm`), since operators last changed anything."""
    asked: bool = False
    admitted_ms: int = 0
    disturbed: bool = False
    """They were away themselves: their wait says nothing about the estimate."""

    @property
    def name(self) -> str:
        """A visitor's name."""
        return f"{(self.number * 2654435761) % 2**32:08x}v{self.number:05d}"

    def wait_s(self, shown: "Shown") -> float:
        """From the moment a range was shown until entry."""
        return (self.admitted_ms - shown.at_ms) / 1000


@dataclass(slots=True)
class Play:
    """One morning with one seed."""

    morning: Morning
    line: Line
    students: list[Student]
    regime: Regime | None = None
    flow: Sequence[Flow] = ()
    _due: list[tuple[int, int, str]] = field(default_factory=list)
    _version: int = 1
    _full_s: int = 0

    def run(self) -> list[Student]:
        """All of it; ends when nobody waits any more."""
        morning, line = self.morning, self.line
        wanted = rules(*morning.slots, rate_milli=morning.rate_milli, burst=max(1, morning.rate_milli // 500),
                       idle_ms=12 * 3_600_000, max_ms=24 * 3_600_000)  # fmt: skip
        line.write(wanted)
        changes = sorted(morning.changes, key=lambda change: change.at_s)
        for student in self.students:
            heapq.heappush(self._due, (T0_MS + student.comes_ms, student.number, "present"))
        second = 0
        while self._due and line.now_ms < T0_MS + morning.end_s * 1000:
            line.now_ms += STEP_MS
            while changes and line.now_ms >= T0_MS + changes[0].at_s * 1000:
                wanted = self._changed(wanted, changes.pop(0))
                for student in self.students:
                    student.firm = None
                line.write(wanted)
            if line.now_ms // 1000 != second:
                second = line.now_ms // 1000
                line.sweep()
                snapshot = line.snapshot()
                self.regime, self.flow = regime(snapshot), snapshot.flow
                self._full_s = self._full_s + 1 if self.regime.free <= FULL * self.regime.slots else 0
            self._step()
        return self.students

    def _changed(self, wanted: Rules, change: Change) -> Rules:
        self._version += 1
        fresh = replace(wanted, version=self._version)
        if change.slots is not None:
            fresh = replace(fresh, backends=rules(*change.slots).backends)
        if change.rate_milli is not None:
            fresh = replace(fresh, rate_milli=change.rate_milli)
        if change.held is not None:
            fresh = replace(fresh, held=change.held)
        return fresh

    def _step(self) -> None:
        batch: list[Student] = []
        while self._due and self._due[0][0] <= self.line.now_ms:
            _, number, what = heapq.heappop(self._due)
            student = self.students[number]
            if what == "leave session":
                self.line.release(student.name)
            elif what == "use":
                told = student.standing
                assert told is not None
                self.line.touch(Touch(told.visitor, told.backend, told.admitted_ms))
            elif self._shows_up(student):
                batch.append(student)
        for at in range(0, len(batch), 256):
            part = batch[at : at + 256]
            for student, told in zip(part, self.line.present(*map(_presence, part)), strict=True):
                self._told(student, told)

    def _shows_up(self, student: Student) -> bool:
        if student.standing is None or self.line.now_ms < student.strange_at_ms:
            return True
        student.strange_at_ms = 1 << 62
        if student.vanishes:
            return False
        if student.leaves:
            self.line.leave(student.name)
            return False
        student.disturbed = True
        heapq.heappush(self._due, (self.line.now_ms + student.absent_ms, student.number, "present"))
        return False

    def _told(self, student: Student, told: Standing) -> None:
        student.standing, now_ms = told, self.line.now_ms
        if told.state is State.ADMITTED:
            student.admitted_ms = told.admitted_ms
            if not student.no_show:
                heapq.heappush(self._due, (now_ms + 3_000, student.number, "use"))
                heapq.heappush(self._due, (now_ms + student.stays_ms, student.number, "leave session"))
            return
        if student.firm is None and self.regime is not None:
            eta = self.regime.eta(told.ahead)
            student.asked = True
            if isinstance(eta, Eta):
                shown = Shown(eta, now_ms)
                student.shown = student.shown or shown
                student.firm = shown if is_firm(self.regime, self.flow, self._full_s, told.ahead) else None
        heapq.heappush(self._due, (now_ms + told.next_poll_ms + 50, student.number, "present"))


def is_firm(known: Regime, flow: Sequence[Flow], full_s: float, ahead: int) -> bool:
    """Flow is established: the rate decides; or the pool has been full, and people have left, for as long as one stays
    and for five minutes; in the last two about as many as was to be expected; those inside came at all times; and the
    measures of how fast they leave agree.
    """
    if known.rate_milli and ahead < known.free:
        return True
    if min(full_s, known.flowing_s) < max(FLOWING_S, known.mean_s) or not known.ended:
        return False
    mixed = known.slots * known.young_s / known.mean_s
    if abs(known.young - mixed) > MIXED * mixed:
        return False
    lately = sum(part.ended for part in flow if part.start_ms >= known.now_ms - LATELY_S * 1000)
    expected = known.counted * LATELY_S
    if abs(lately - expected) > 2 * sqrt(expected):
        return False
    fastest_s, slowest_s = known.spans(ahead + 1 - known.free)
    return known.ended >= ENOUGH and slowest_s <= AGREE * fastest_s


def _presence(student: Student) -> Presence:
    told = student.standing
    if told is None:
        return Presence(student.name, page=True)
    return Presence(student.name, told.arrival_us, confirmed=True)


def play(morning: Morning, seed: int, client: "redis.Redis[bytes]") -> list[Student]:
    """The students of one morning, after it."""
    chance = Random(f"{morning.name}/{seed}")
    students = []
    for number, comes_s in enumerate(sorted(morning.shape(chance, morning.span_s) for _ in range(morning.students))):
        kind = chance.random()
        vanishes, kind = kind < morning.vanish, kind - morning.vanish
        leaves, kind = 0 <= kind < morning.leave, kind - morning.leave
        absent = 0 <= kind < morning.absent
        strange = vanishes or leaves or absent
        students.append(
            Student(
                number, int(comes_s * 1000) + 1, int(morning.stay(chance) * 1000), vanishes, leaves,
                int(chance.uniform(120, 600) * 1000), chance.random() < morning.no_show,
                T0_MS + int((comes_s + chance.uniform(10, 900)) * 1000) if strange else 1 << 62,
            )
        )  # fmt: skip
    backends = [f"b{number}" for number, _ in enumerate(morning.slots, 1)]
    found = Play(morning, Line(client, backends), students).run()
    client.flushdb()
    return found
