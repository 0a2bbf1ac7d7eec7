"""A crowd that clicks, in virtual time before the real library: requests held by workers, pages that come back.

Law: everybody asks when they were told to, at most as late as their line is slow. Nothing here judges; it only notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.store.driver import T0_MS
from waitroom.admission.pacing import ANSWERED, ASKS, UNANSWERED, UNSENT, PaceRules, Step, Turn, Verdict
from waitroom.store.keys import PACE, pace_call, pool_key
from waitroom.store.pace import pace_arguments, turns

if TYPE_CHECKING:
    import redis

_numbers = count()

LONG_MS = 600_000
"""The whole morning: nobody waits on beyond it."""


class Pace:
    """One pace at a virtual instant."""

    def __init__(self, client: "redis.Redis[bytes]", rate_milli: int = 25_000, burst: int = 5) -> None:
        self.client = client
        self.name = f"pace-{next(_numbers)}"
        self.rules = PaceRules(rate_milli, burst)
        self.now_ms = T0_MS

    def ask(self, *steps: Step) -> list[Turn]:
        own = pace_arguments(steps)
        command = pace_call(self.name, self.rules.rate_milli, self.rules.burst, own, now_ms=self.now_ms)
        return turns(self.client.execute_command(*command))

    def click(self, visitor: str, form: str = "f", *, since_us: int = 0, patience_ms: int = 20_000) -> Turn:
        """A request asks."""
        return self.ask(Step(visitor, form, since_us, patience_ms))[0]

    def page(self, visitor: str, form: str = "f", *, since_us: int) -> Turn:
        """A page asks."""
        return self.click(visitor, form, since_us=since_us, patience_ms=ASKS)

    def end(self, visitor: str, form: str = "f", *, answered: bool = True) -> None:
        """What was passed has ended."""
        self.ask(Step(visitor, form, 0, ANSWERED if answered else UNANSWERED))

    def give_back(self, visitor: str, form: str, since_us: int) -> None:
        """What was passed has not been sent."""
        self.ask(Step(visitor, form, since_us, UNSENT))

    def key_names(self) -> list[str]:
        return [pool_key(self.name, part) for part in PACE]

    def wipe(self) -> None:
        """The store loses everything."""
        self.client.delete(*self.key_names())


@dataclass(frozen=True)
class Student:
    """One who clicks: when, how long a worker holds the request, how slow their line is, and what they do meanwhile."""

    at_ms: int
    patience_ms: int = 20_000
    line_ms: int = 0
    leaves_ms: int = LONG_MS
    """After the click; their browser is closed."""
    again_ms: int = LONG_MS
    """After the click they click once more: the browser gives up the first request, or the page."""


@dataclass
class Crowd:
    """Students before one pace, from first click to last answer."""

    pace: Pace
    students: Sequence[Student]
    service_ms: int = 300
    passed: list[tuple[int, str, int]] = field(default_factory=list)
    """When (ms), who, and in which click."""
    promised: dict[str, int] = field(default_factory=dict)
    """When the turn was to come by the first answer, ms."""
    _events: list[tuple[int, int, Any]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)
    _clicks: dict[str, int] = field(default_factory=dict)

    def run(self, *, wipe_at_ms: int = LONG_MS) -> None:
        """Until nobody waits any more."""
        for number, student in enumerate(self.students):
            name = f"v{number}"
            self._at(student.at_ms, lambda name=name, student=student: self._click(name, student))
            if student.again_ms < student.leaves_ms:
                self._at(
                    student.at_ms + student.again_ms, lambda name=name, student=student: self._click(name, student)
                )
        if wipe_at_ms < LONG_MS:
            self._at(wipe_at_ms, self.pace.wipe)
        while self._events:
            at_ms, _, act = heappop(self._events)
            self.pace.now_ms = T0_MS + at_ms
            act()

    def _at(self, at_ms: int, act: Any) -> None:
        heappush(self._events, (at_ms, next(self._numbers), act))

    def _now(self) -> int:
        return self.pace.now_ms - T0_MS

    def _click(self, name: str, student: Student) -> None:
        if any(who == name for _, who, _ in self.passed):
            return  # the exam is open: nothing to click any more
        self._clicks[name] = self._clicks.get(name, 0) + 1
        self._held(name, student, self._clicks[name], 0, self._now() + student.patience_ms)

    def _there(self, name: str, student: Student, click: int) -> bool:
        """Whether the browser still waits for what this click led to."""
        return self._clicks[name] == click and self._now() < student.at_ms + student.leaves_ms

    def _held(self, name: str, student: Student, click: int, since_us: int, until_ms: int) -> None:
        if not self._there(name, student, click):
            return
        turn = self.pace.click(name, since_us=since_us, patience_ms=max(1, until_ms - self._now()))
        self.promised.setdefault(name, self._now() + turn.wait_ms)
        if turn.verdict in (Verdict.DIRECT, Verdict.TURN):
            self.passed.append((self._now(), name, click))
            self._at(self._now() + self.service_ms, lambda: self.pace.end(name))
        elif turn.verdict is Verdict.HOLD:
            self._at(self._now() + turn.next_ms, lambda: self._held(name, student, click, turn.since_us, until_ms))
        elif turn.verdict is Verdict.PAGE:
            self._comes_back(turn, name, student, click)

    def _comes_back(self, turn: Turn, name: str, student: Student, click: int) -> None:
        at_ms = self._now() + turn.next_ms + student.line_ms
        self._at(at_ms, lambda: self._asks(name, student, click, turn.since_us))

    def _asks(self, name: str, student: Student, click: int, since_us: int) -> None:
        if not self._there(name, student, click):
            return
        turn = self.pace.page(name, since_us=since_us)
        if turn.verdict is Verdict.GO:
            self._at(self._now() + student.line_ms, lambda: self._sends(name, student, click))
        elif turn.verdict is not Verdict.SENT:
            self._comes_back(turn, name, student, click)

    def _sends(self, name: str, student: Student, click: int) -> None:
        if self._there(name, student, click):
            self._held(name, student, click, 0, self._now() + student.patience_ms)
