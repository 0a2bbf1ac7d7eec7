"""An exam server that has died under its crowd and starts again: what happens when everybody comes back.

Law: the line is the real library in a real Valkey, the steps are the product's own, and time is virtual. Students know
nothing of any of this: they reload until they are in, sign in again (the server has forgotten them), go on with their
attempt, and then work. What they ask may be abandoned; the server works it off all the same.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random

from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admission.line import Standing
from waitroom.admission.recovery import Course, Outcome, Phase, Return, Signs, step
from waitroom.admission.traffic import BUCKETS, Traffic, bucket_of, in_a_row
from waitroom.demo.model import AUTOSAVE, LOGIN, PAGE, START, Back, Capacity, Died, Done, Machine, Verdict, Work
from waitroom.server.checks import PROBE, Pulse
from waitroom.server.regulator import LOOK_BACK_S, TROUBLE_P95_MS, is_silent, is_troubled, p95_ms

PATIENCE_MS = 10_000
"""Nobody looks at an empty page for longer: they press reload."""

WAY_IN: tuple[Work, ...] = (PAGE, LOGIN, PAGE, START, PAGE)
"""What it takes to be back in an attempt."""

BACKEND = "b1"


@dataclass(slots=True)
class Student:
    """One of the crowd."""

    standing: Standing
    done: int = 0
    """Steps of the way in that were answered since the server came back."""
    asked: int = 0
    """The request that is waited for; what comes back for an older one is not looked at."""
    plan: int = 0
    """What they will do next: the number of the event; whatever they had planned before is forgotten."""
    cleared: bool = False
    back_ms: float | None = None
    """When they were in their attempt again."""


@dataclass(slots=True)
class Sight:
    """What the product sees of the backend."""

    seconds: list[Traffic] = field(default_factory=list)
    requests: int = 0
    errors: int = 0
    refused: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def turn(self) -> Traffic:
        """A second is over; gives the last few."""
        seen = Traffic(self.requests, self.errors, self.refused, durations=tuple(self.durations))
        self.seconds = [*self.seconds, seen][-LOOK_BACK_S:]
        self.requests = self.errors = self.refused = 0
        self.durations = [0] * BUCKETS
        return in_a_row(self.seconds)


class Morning:
    """The world. `paced`: the product lets students back in; else they go straight to the server."""

    def __init__(self, server: Server, crowd: int, capacity: Capacity, seed: int, *, paced: bool) -> None:
        self.chance = Random(seed)
        self.paced = paced
        self.line = Line(server.client, (BACKEND,))
        self.line.write(rules(crowd, idle_ms=1_800_000))
        self.machine = Machine(capacity)
        self.students = [Student(self.line.one(f"s{number:05}")) for number in range(crowd)]
        for student in self.students:
            self.line.use(student.standing)
        self.course, self.pulse, self.sight = Course(), Pulse(), Sight()
        self.rates: list[tuple[float, int]] = []
        """When the ramp's rate was what, from ms since the start."""
        self._now_ms = 0.0
        self._events: list[tuple[float, int, str, Student | None]] = []
        self._numbers = count(1)
        self._running: dict[int, tuple[Student, float, Work]] = {}

    @property
    def deaths(self) -> int:
        """How often the server died."""
        return len(self.machine.deaths)

    @property
    def back(self) -> int:
        """Who is in their attempt again."""
        return sum(student.back_ms is not None for student in self.students)

    def run(self, for_ms: int) -> "Morning":
        """The server dies of the crowd's start, and from then on everybody wants to be back."""
        for student in self.students:
            self._at(self.chance.uniform(0, 500), "reload", student)
        self._at(1_000, "second")
        while self._events and self.back < len(self.students):
            at_ms, number, what, student = heappop(self._events)
            if at_ms > for_ms:
                break
            self._pass_until(at_ms)
            if student is None:
                self._second()
            elif student.plan == number:
                self._work(student) if what == "work" else self._reload(student)
        return self

    # time

    def _at(self, at_ms: float, what: str, student: Student | None = None) -> None:
        number = next(self._numbers)
        if student is not None:
            student.plan = number
        heappush(self._events, (at_ms, number, what, student))

    def _pass_until(self, at_ms: float) -> None:
        """The server lives on; its answers come when they come."""
        while (moment := self.machine.next_ms()) is not None and moment <= at_ms:
            self._now_ms = max(self._now_ms, moment)
            for event in self.machine.advance(self._now_ms):
                self._happened(event)
        self._now_ms = at_ms
        for event in self.machine.advance(at_ms):
            self._happened(event)
        self.line.now_ms = T0_MS + int(at_ms)

    def _happened(self, event: Done | Died | Back) -> None:
        match event:
            case Done(request):
                student, since_ms, work = self._running.pop(request)
                self.sight.requests += 1
                self.sight.durations[bucket_of(self._now_ms - since_ms)] += 1
                self._answered(student, request, work)
            case Died():
                running, self._running = self._running, {}
                for request, (student, _, _) in running.items():
                    self.sight.requests += 1
                    self.sight.refused += 1
                    self._failed(student, request)
                for student in self.students:
                    student.done = 0
                    if student.back_ms is not None:
                        student.back_ms = None
                        self._at(self._now_ms + self.chance.uniform(0, 20_000), "reload", student)
            case Back():
                pass

    # students

    def _reload(self, student: Student) -> None:
        """Ask for a page: of the product, or of the server."""
        student.asked = 0
        if self.paced and not self._let_in(student):
            return
        self._ask(student, WAY_IN[student.done])

    def _let_in(self, student: Student) -> bool:
        """What the product says to a request with a pass."""
        if self.course.phase not in (Phase.DOWN, Phase.RECOVERING) or student.cleared:
            return True
        standing = student.standing
        answer = self.line.come_back(Return(standing.visitor, BACKEND, standing.admitted_ms, page=True))[0]
        if answer.outcome is Outcome.BACK:
            student.cleared = True
            return True
        assert answer.outcome is Outcome.WAITS, answer
        self._at(self._now_ms + answer.next_poll_ms, "reload", student)
        return False

    def _ask(self, student: Student, work: Work) -> None:
        request = next(self._numbers)
        verdict = self.machine.arrive(self._now_ms, request, work)
        if verdict is not Verdict.ACCEPTED:
            self.sight.requests += 1
            self.sight.refused += verdict is Verdict.DOWN
            self.sight.errors += verdict is Verdict.REFUSED
            student.asked = request
            self._failed(student, request)
            return
        student.asked = request
        self._running[request] = (student, self._now_ms, work)
        self._at(self._now_ms + PATIENCE_MS, "work" if student.back_ms else "reload", student)

    def _failed(self, student: Student, request: int) -> None:
        """An error page: press reload, after a moment of disbelief."""
        if student.asked == request:
            student.asked = 0
            if student.back_ms is None:
                self._at(self._now_ms + self.chance.uniform(1_000, 5_000), "reload", student)
            else:  # an autosave is tried again by itself
                self._at(self._now_ms + self.chance.uniform(20_000, 60_000), "work", student)

    def _answered(self, student: Student, request: int, work: Work) -> None:
        if student.asked != request:
            return  # they had reloaded meanwhile; the server has worked for nothing
        student.asked = 0
        if student.back_ms is not None:
            self._at(self._now_ms + self.chance.uniform(20_000, 60_000), "work", student)
            return
        if work is WAY_IN[student.done]:
            student.done += 1
        if student.done == len(WAY_IN):
            student.back_ms = self._now_ms
            self._at(self._now_ms + self.chance.uniform(20_000, 60_000), "work", student)
        else:
            self._at(self._now_ms + self.chance.uniform(300, 2_000), "reload", student)

    def _work(self, student: Student) -> None:
        """An autosave, now and then."""
        if student.back_ms is not None:
            self._ask(student, AUTOSAVE)

    # the conductor

    def _second(self) -> None:
        """A second of the conductor: check, judge, tell."""
        self._at(self._now_ms + 1_000, "second")
        if not self.paced:
            return
        self.line.sweep()
        if int(self._now_ms / 1_000) % 2 == 0:
            self.pulse.note("" if self.machine.up else "refused")
        seen, snapshot = self.sight.turn(), self.line.snapshot()
        signs = Signs(
            failed=is_silent(seen),
            answers=self.pulse.answers(PROBE),
            trouble=is_troubled(seen, TROUBLE_P95_MS),
            p95_ms=p95_ms(seen),
            inflight=len(self._running),
            waiting=snapshot.returning[BACKEND],
            absent=snapshot.missed[BACKEND],
        )
        course = step(self.course, signs, 2_000, self.line.now_ms)
        if course != self.course:
            if course.phase is not self.course.phase:
                self.pulse = Pulse() if course.phase is Phase.DOWN else self.pulse
                for student in self.students:
                    student.cleared = False
            self.line.call("wr_live", (f"phase:{BACKEND}", course.text), {}, self.line.backends)
            self.rates.append((self._now_ms, course.rate_milli))
        self.course = course
