"""The morning of Liège in virtual time: 1,400 students at nine, one exam server, once without and once with the line.

Law: the same crowd, the same clicks and the same server both times. Without the line everybody asks the server; what
does not come within `PATIENCE_MS` is asked for again, and the server works off both. With it they wait on a page of the
waiting room, by the real library, and are let in at `RATE_MILLI`; whoever is in does as before.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count
from random import Random

from tests.simulation.backends import AUTOSAVE, LOGIN, PAGE, START, Backend
from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admission.estimate import Eta, Regime, regime
from waitroom.admission.line import Presence, Standing, State, Touch
from waitroom.demo.model import Back, Capacity, Died, Done, Verdict, Work

STUDENTS = 1_400
MORNING_S = 45 * 60
SERVER = Capacity(
    cores=12, workers=150, backlog=500, ram_mib=8_192, swap_mib=1_024, session_mib=2, choke_ms=12_000,
    restart_ms=150_000, warm_requests=600, cold=3.0,
)  # fmt: skip
"""It carries 1,400 students who write: 3.5 ms of work a second each are five of its twelve cores. What it does not
carry is that they all come at once: 1.3 s of work each are two and a half minutes of all its cores."""

RATE_MILLI = 3_000
"""What the other seven cores can start: five a second, and some to spare."""

PATIENCE_MS = 10_000
RELOAD_MS = (500, 5_000)
THINK_MS = (20_000, 40_000)
WAY_IN: tuple[Work, ...] = (PAGE, LOGIN, PAGE, START, PAGE)
WAY_BACK: tuple[Work, ...] = (PAGE, LOGIN, PAGE, PAGE)
"""After a restart the server has forgotten who they are, but not their attempt."""


class Sees(StrEnum):
    """What a student has before their eyes."""

    NOT_YET = "not there yet"
    EXAM = "the exam"
    LINE = "a place in line"
    """Also while they sign in, once it is their turn."""
    NOTHING = "an error, or nothing"


@dataclass(eq=False, slots=True)
class Student:
    """One of the crowd."""

    number: int
    sees: Sees = Sees.NOT_YET
    steps: int = 0
    began: bool = False
    """Their attempt has begun, at least once."""
    asked: int = -1
    clicked_ms: float = 0.0
    standing: Standing | None = None
    came_ms: float = 0.0
    in_ms: float | None = None
    place: int = 0
    shown: Eta | None = None
    resigned: int = 0
    """How many of their sessions the server has lost: each time they sign in anew."""

    @property
    def name(self) -> str:
        """A visitor's name."""
        return f"{(self.number * 2654435761) % 2**32:08x}s{self.number:04d}"

    @property
    def way(self) -> tuple[Work, ...]:
        """To their attempt."""
        return WAY_BACK if self.began else WAY_IN


@dataclass(slots=True)
class Story:
    """What there is to see of a morning."""

    seen: list[dict[Sees, int]] = field(default_factory=list)
    """Each second."""
    deaths_s: list[float] = field(default_factory=list)
    backs_s: list[float] = field(default_factory=list)
    students: list[Student] = field(default_factory=list)
    errors: int = 0

    @property
    def everyone_s(self) -> float | None:
        """When the last of them began; None if some never did."""
        began = [one.in_ms for one in self.students if one.in_ms is not None]
        return max(began) / 1000 if len(began) == len(self.students) else None


class Morning:
    """Plays it."""

    def __init__(self, seed: int, line: Line | None) -> None:
        self.chance, self.line = Random(seed), line
        self.backend = Backend(SERVER)
        self.story = Story(students=[Student(number) for number in range(STUDENTS)])
        self.now_ms = 0.0
        self._regime: Regime | None = None
        self._numbers = count()
        self._events: list[tuple[float, int, Student, str]] = []
        self._asks: dict[int, Student] = {}
        for student in self.story.students:
            comes_s = min(self.chance.expovariate(1 / 12.0), 120.0)
            self._at(comes_s * 1000, student, "click")

    def run(self) -> Story:
        """All of it."""
        if self.line is not None:
            self.line.write(rules(STUDENTS, rate_milli=RATE_MILLI, burst=6, idle_ms=1_800_000, max_ms=14_400_000))
        for second in range(MORNING_S):
            for tenth in range(1, 11):
                self._until(second * 1000 + tenth * 100)
            if self.line is not None:
                self.line.sweep()
                self._regime = regime(self.line.snapshot())
            self.story.seen.append(dict.fromkeys(Sees, 0))
            for student in self.story.students:
                late = student.asked >= 0 and self.now_ms - student.clicked_ms > PATIENCE_MS / 2
                self.story.seen[-1][Sees.NOTHING if late else student.sees] += 1
        return self.story

    def _until(self, until_ms: float) -> None:
        """A tenth of a second."""
        batch: list[Student] = []
        while True:
            due_ms = self._events[0][0] if self._events else until_ms
            next_ms = min(due_ms, self.backend.next_ms() or until_ms, until_ms)
            self.now_ms = next_ms
            self._happened()
            if next_ms >= until_ms:
                break
            while self._events and self._events[0][0] <= self.now_ms:
                _, number, student, what = heappop(self._events)
                self._do(student, what, number, batch)
        if batch and self.line is not None:
            self._present(self.line, batch)

    def _do(self, student: Student, what: str, number: int, batch: list[Student]) -> None:
        if what == "patience":
            if student.asked == number:
                self._fail(student)
        elif what == "poll" or (student.sees is Sees.NOT_YET and self.line is not None):
            batch.append(student)
        else:
            if student.sees is Sees.NOT_YET:
                student.came_ms, student.sees = self.now_ms, Sees.NOTHING
            self._ask(student)

    # The line

    def _present(self, line: Line, batch: list[Student]) -> None:
        line.now_ms = T0_MS + int(self.now_ms)
        for at in range(0, len(batch), 256):
            part = batch[at : at + 256]
            for student, told in zip(part, line.present(*map(_presence, part)), strict=True):
                self._told(line, student, told)

    def _told(self, line: Line, student: Student, told: Standing) -> None:
        if student.standing is None:
            student.came_ms, student.place = self.now_ms, told.ahead + 1
        student.standing = told
        student.sees = Sees.LINE
        if told.state is State.ADMITTED:
            line.touch(Touch(told.visitor, told.backend, told.admitted_ms))
            self._at(self.now_ms + self.chance.uniform(50, 300), student, "click")
            return
        if student.shown is None and self._regime is not None:
            eta = self._regime.eta(told.ahead)
            student.shown = eta if isinstance(eta, Eta) else None
        self._at(self.now_ms + told.next_poll_ms + self.chance.uniform(20, 200), student, "poll")

    # The server

    def _ask(self, student: Student) -> None:
        work = student.way[student.steps] if student.steps < len(student.way) else self.chance.choice((AUTOSAVE, PAGE))
        number = next(self._numbers)
        verdict = self.backend.arrive(self.now_ms, number, work, f"{student.number}/{student.resigned}")
        if verdict is Verdict.ACCEPTED:
            self._asks[number] = student
            student.asked, student.clicked_ms = number, self.now_ms
            heappush(self._events, (self.now_ms + PATIENCE_MS, number, student, "patience"))
        else:
            self._fail(student)

    def _happened(self) -> None:
        for event in self.backend.advance(self.now_ms):
            match event:
                case Done(request):
                    student = self._asks.pop(request, None)
                    if student is not None and student.asked == request:
                        self._answered(student)
                case Died():
                    self.story.deaths_s.append(self.now_ms / 1000)
                    self._asks.clear()
                    for student in self.story.students:
                        student.steps, student.resigned = 0, student.resigned + 1
                        if student.asked >= 0:
                            self._fail(student)
                case Back():
                    self.story.backs_s.append(self.now_ms / 1000)

    def _answered(self, student: Student) -> None:
        student.asked = -1
        student.steps += 1
        if student.steps < len(student.way):
            pause_ms = self.chance.uniform(1_500, 6_000)
        else:
            student.sees, student.began = Sees.EXAM, True
            student.in_ms = student.in_ms or self.now_ms
            pause_ms = self.chance.uniform(*THINK_MS)
        self._at(self.now_ms + pause_ms, student, "click")

    def _fail(self, student: Student) -> None:
        student.asked, student.sees = -1, Sees.NOTHING
        self.story.errors += 1
        self._at(self.now_ms + self.chance.uniform(*RELOAD_MS), student, "click")

    def _at(self, at_ms: float, student: Student, what: str) -> None:
        heappush(self._events, (at_ms, next(self._numbers), student, what))


def _presence(student: Student) -> Presence:
    told = student.standing
    return Presence(student.name, told.arrival_us, confirmed=True) if told else Presence(student.name, page=True)


def both(seed: int = 2020) -> tuple[Story, Story]:
    """The morning without the line, and with it."""
    server = Server()
    try:
        return Morning(seed, None).run(), Morning(seed, Line(server.client, ("b1",))).run()
    finally:
        server.stop()
