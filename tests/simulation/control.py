"""Mornings under control, for tests and plots: the limit of requests in flight, and the admission rate.

Law: what controls is the product's own code (admission/limits.py, admission/tempo.py); this only feeds it as workers
and the conductor do, and measures. A settled value is a mean over the stretch that is looked at; how steady it is, the
lowest and the highest mean over a part of the stretch, in shares of it: see `Steadiness`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from tests.simulation.backends import Backend, Shape
from tests.simulation.school import Habits, School
from waitroom.admission.tempo import LOOK_BACK_ENDS_S, LOOK_BACK_S, Bounds, Signs, Tempo, step
from waitroom.admission.traffic import Traffic, in_a_row

BEST_PER_S = {Shape.CPU: 19.0, Shape.POOL: 47.6, Shape.LOCKS: 32.0, Shape.MEMORY: 19.0}
"""Requests a second of students who write, half pages and half saves, that a server gets done at its best."""

CROWDS = {Shape.CPU: 3_000, Shape.POOL: 5_000, Shape.LOCKS: 4_000, Shape.MEMORY: 3_000}
"""Several times what the server carries."""

BOUNDS = Bounds(rate_milli=20_000, min_rate_milli=17, target_p95_ms=2_000)
"""At most 20/s, at least 1/min; the start of an attempt takes 0.9 s on an idle server."""


class Conductor:
    """Steps the tempo once a second, and remembers of it what the store would: its text."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.bounds = bounds
        self.text = ""
        self._seen: deque[Traffic] = deque(maxlen=LOOK_BACK_S)
        self._left: deque[int] = deque(maxlen=LOOK_BACK_ENDS_S + 1)

    def __call__(self, school: School, traffic: Traffic) -> int:
        """The rate of the next second."""
        self._seen.append(traffic)
        self._left.append(school.left)
        up = [in_a_row(self._seen)] if school.backend.up else []
        signs = Signs(up, len(school.inside), self._left[-1] - self._left[0], len(school.line))
        tempo = step(Tempo.read(self.text), signs, self.bounds, int(school.now_ms))
        self.text = tempo.text
        return tempo.rate_milli


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steady a value was: its mean, and the lowest and highest mean of `part` values in a row, as shares of it."""

    mean: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float], part: int) -> "Steadiness":
        """Measure it."""
        mean = fmean(values)
        parts = [fmean(values[at : at + part]) / mean for at in range(0, len(values) - part + 1, max(1, part // 4))]
        return cls(mean, min(parts), max(parts))

    @property
    def within(self) -> float:
        """The farthest from the mean that it went, as a share of it."""
        return max(1 - self.lowest, self.highest - 1)


def p95_ms(school: School, from_s: int, until_s: int | None = None) -> int:
    """The 95th percentile of a stretch."""
    return in_a_row(second.traffic for second in school.history[from_s:until_s]).quantile_ms(0.95) or 0


def per_s(school: School, from_s: int) -> float:
    """Requests a second that were answered."""
    return fmean(second.traffic.answered for second in school.history[from_s:])


@cache
def rush(shape: Shape, seed: int, workers: int = 1, seconds: int = 1_200) -> School:
    """More students at once than the server carries, all of them in: only the limits hold."""
    few = shape is Shape.MEMORY  # more sessions would not fit
    students = {Shape.CPU: 700, Shape.POOL: 1_700, Shape.LOCKS: 1_000, Shape.MEMORY: 200}[shape]
    habits = Habits(exam_ms=1e9, think_ms=7_000 if few else 30_000)
    school = School(Backend(shape), seed=seed, workers=workers, habits=habits)
    school.come(students, lambda: school.chance.uniform(0, 120_000))
    return school.run(seconds * 1_000)


@cache
def morning(shape: Shape, seed: int, *, minutes: int = 45, hindered_s: int = 0) -> School:
    """A crowd that comes within a minute, of students who stay for a quarter of an hour; both controls hold."""
    school = School(Backend(shape), seed=seed, workers=2, pace=Conductor(), habits=Habits(exam_ms=900_000))
    school.come(CROWDS[shape], lambda: school.chance.uniform(0, 60_000))
    if hindered_s:
        school.at(hindered_s * 1_000, lambda: school.backend.hinder(2))
        school.at((hindered_s + 60) * 1_000, lambda: school.backend.hinder(1))
    return school.run(minutes * 60_000)


@cache
def uncontrolled(shape: Shape, seed: int, seconds: int = 240) -> School:
    """A third of the same crowd, straight at the server."""
    school = School(Backend(shape), seed=seed, limiters=False, habits=Habits(exam_ms=900_000))
    school.come(CROWDS[shape] // 3, lambda: school.chance.uniform(0, 60_000))
    return school.run(seconds * 1_000)


@cache
def synchronised(shape: Shape, seed: int) -> School:
    """1,500 students who come within the quarter of an hour before nine, and all start at nine: at second 900."""
    habits = Habits(exam_ms=3_600_000, opens_ms=900_000)
    school = School(Backend(shape), seed=seed, workers=2, pace=Conductor(), habits=habits)
    school.come(1_500, lambda: school.chance.uniform(0, 900_000))
    return school.run(2_400_000)
