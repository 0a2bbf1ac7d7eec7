"""An exam server that has died under its crowd and starts again: what happens when everybody comes back.

Law: the line is the real library in a real Valkey, the steps are the product's own, and time is virtual. Students know
nothing of any of this: they reload until they are in, sign in again (the server has forgotten them), go on with their
attempt, and then work. What they ask may be abandoned; the server works it off all the same.

There are two beginnings: `run`, in which the crowd's own start kills the server, and `blink`, in which all are at work
when somebody kills it, and it is back, cold, before a look at each second would have told. The mornings in which
everything goes wrong have the same as a fault, `backend_blinks`.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random

from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admission.line import Standing
from waitroom.admission.recovery import Course, Outcome, Phase, Return, Signs, step
from waitroom.admission.traffic import Traffic, in_a_row
from waitroom.demo.model import AUTOSAVE, LOGIN, PAGE, START, Back, Capacity, Cause, Died, Done, Machine, Verdict, Work
from waitroom.server.checks import PROBE, Pulse
from waitroom.server.regulator import LOOK_BACK_S, REPORTED_S, TROUBLE_P95_MS, is_silent, is_troubled, p95_ms
from waitroom.server.reports import Tally

PATIENCE_MS = 10_000
"""Nobody looks at an empty page for longer: they press reload."""

WAY_IN: tuple[Work, ...] = (PAGE, LOGIN, PAGE, START, PAGE)
"""What it takes to be back in an attempt."""

BACKEND = "b1"

INITIAL_MILLI = 2_000
KILLED_MS = 5_000.0
"""When, of a morning that begins at work."""


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
    """What the product sees of the backend, as one of its workers does."""

    tally: Tally = field(default_factory=Tally)
    seconds: list[Traffic] = field(default_factory=list)

    def lost(self, kind: str) -> bool:
        """A request came to nothing; whether that was one too many."""
        deserted = self.tally.failed(kind)
        self.tally.ended(502, 0.0)
        return deserted

    def turn(self, known_s: int) -> Traffic:
        """A second is over; gives the last few of those that are known."""
        self.seconds = [*self.seconds, self.tally.take(None)][-LOOK_BACK_S:]
        return in_a_row(self.seconds[-known_s:] if known_s else ())


class Mortal(Machine):
    """A machine that somebody can kill."""

    def kill(self, for_ms: float) -> Died:
        """Gone, with all that it had; it is back, cold, after so long."""
        died = self._die(Cause.MEMORY)
        self._down_until_ms = self._now_ms + for_ms
        return died


class Morning:
    """The world. `paced`: the product lets students back in; else they go straight to the server."""

    def __init__(self, server: Server, crowd: int, capacity: Capacity, seed: int, *, paced: bool) -> None:
        self.chance = Random(seed)
        self.paced = paced
        self.line = Line(server.client, (BACKEND,))
        self.line.write(rules(crowd, idle_ms=1_800_000))
        self.machine = Mortal(capacity)
        self.students = [Student(self.line.one(f"s{number:05}")) for number in range(crowd)]
        for student in self.students:
            self.line.use(student.standing)
        self.course, self.pulse, self.sight = Course(), Pulse(), Sight()
        self.rates: list[tuple[float, int]] = []
        """When the ramp's rate was what, from ms since the start."""
        self.seen: list[int] = []
        """Each second: who is at work."""
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
        self._play(for_ms)
        return self

    def blink(self, for_ms: int, outage_ms: float) -> "Morning":
        """All are at work; somebody kills the server, and it is back after so long. All notice within 20 s."""
        for student in self.students:
            student.done, student.back_ms = len(WAY_IN), 0.0
            self._at(self.chance.uniform(0, 60_000), "work", student)
        self._at(1_000, "second")
        self._play(int(KILLED_MS), until_back=False)
        self._pass_until(KILLED_MS)
        self._happened(self.machine.kill(outage_ms))
        self._play(for_ms)
        return self

    def _play(self, until_ms: int, *, until_back: bool = True) -> None:
        """Whatever happens until then, or until all are back."""
        while self._events and self._events[0][0] <= until_ms and not (until_back and self.back == len(self.students)):
            at_ms, number, what, student = heappop(self._events)
            self._pass_until(at_ms)
            if student is None:
                self._second()
            elif student.plan == number:
                self._work(student) if what == "work" else self._reload(student)

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
                self.sight.tally.ended(200, (self._now_ms - since_ms) / 1_000)
                self._answered(student, request, work)
            case Died():
                running, self._running = self._running, {}
                for request, (student, _, _) in running.items():
                    self._lost("reset")
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
            if verdict is Verdict.DOWN:
                self._lost("refused")
            else:
                self.sight.tally.ended(503, 0.0)
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

    def _lost(self, kind: str) -> None:
        """A request came to nothing. Who has met that nobody listens says so at once."""
        if self.sight.lost(kind) and self.paced and self.course.phase is not Phase.DOWN:
            self._tell(step(self.course, Signs(failed=True), INITIAL_MILLI, self.line.now_ms))

    def _second(self) -> None:
        """A second of the conductor: check, judge, tell."""
        self._at(self._now_ms + 1_000, "second")
        self.seen.append(self.back)
        if not self.paced:
            return
        self.line.sweep()
        if int(self._now_ms / 1_000) % 2 == 0:
            self.pulse.note("" if self.machine.up else "refused")
        age_s = (self.line.now_ms - self.course.since_ms) // 1_000 - REPORTED_S
        known_s = max(0, age_s) if self.course.phase is Phase.RECOVERING else LOOK_BACK_S
        seen, snapshot = self.sight.turn(known_s), self.line.snapshot()
        signs = Signs(
            failed=is_silent(seen),
            answers=self.pulse.answers(PROBE),
            trouble=is_troubled(seen, TROUBLE_P95_MS),
            p95_ms=p95_ms(seen),
            inflight=len(self._running),
            waiting=snapshot.returning[BACKEND],
            absent=snapshot.missed[BACKEND],
        )
        self._tell(step(self.course, signs, INITIAL_MILLI, self.line.now_ms))

    def _tell(self, course: Course) -> None:
        """What has been decided holds."""
        if course != self.course:
            if course.phase is not self.course.phase:
                self.pulse = Pulse() if course.phase is Phase.DOWN else self.pulse
                for student in self.students:
                    student.cleared = False
            self.line.call("wr_live", (f"phase:{BACKEND}", course.text), {}, self.line.backends)
            self.rates.append((self._now_ms, course.rate_milli))
        self.course = course
