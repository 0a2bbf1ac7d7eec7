"""The sample exams and what the exam server remembers: who is signed in, who answers what.

Law: sessions live in memory and die with the machine; attempts live in the database and survive it.
"""

import itertools
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True)
class Question:
    """One multiple-choice question."""

    text: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exam:
    """One exam, by the number that its URLs carry."""

    cmid: int
    code: str
    title: str
    minutes: int
    questions: tuple[Question, ...]


EXAMS: dict[int, Exam] = {
    exam.cmid: exam
    for exam in (
        Exam(
            4711,
            "MATH0001",
            "Calculus I",
            90,
            (
                Question("What is the derivative of x² · ln x?", ("2x ln x", "2x ln x + x", "x + ln x", "2 ln x")),
                Question("The series Σ 1/n² over n ≥ 1 converges to", ("1", "π²/6", "e", "it does not converge")),
                Question("∫₀^π sin x dx equals", ("0", "1", "2", "π")),
                Question("lim (1 + 1/n)ⁿ as n → ∞ is", ("1", "e", "∞", "ln 2")),
                Question(
                    "A continuous function on [a, b]", ("is bounded", "is monotone", "is linear", "has no maximum")
                ),
            ),
        ),
        Exam(
            4712,
            "PHYS0002",
            "Mechanics",
            60,
            (
                Question("The SI unit of momentum is", ("N", "kg·m/s", "J", "W")),
                Question("A body on which no net force acts", ("rests", "stops", "keeps its velocity", "falls")),
                Question("Kinetic energy at twice the speed is", ("twice", "four times", "half", "the same")),
                Question("The period of a pendulum of length l is about", ("2π√(l/g)", "2π√(g/l)", "l/g", "√(lg)")),
            ),
        ),
        Exam(
            4713,
            "HIST0101",
            "A history of examinations",
            45,
            (
                Question("Imperial examinations in China ended in", ("1644", "1796", "1905", "1949")),
                Question("Cambridge's first written Tripos was in", ("history", "mathematics", "law", "theology")),
                Question("The University of Liège was founded in", ("1425", "1789", "1817", "1968")),
            ),
        ),
    )
}


@dataclass(slots=True)
class Attempt:
    """One student's attempt at one exam."""

    number: int
    student: str
    exam: Exam
    started_ms: int
    answers: dict[str, str] = field(default_factory=dict)
    submitted: bool = False

    @property
    def answered(self) -> int:
        """Questions with an answer."""
        return sum(bool(answer) for answer in self.answers.values())

    def take(self, answers: dict[str, str]) -> None:
        """Keep what belongs to a question of this exam; after submission nothing changes."""
        names = {f"q{index}" for index in range(1, len(self.exam.questions) + 1)}
        if not self.submitted:
            self.answers.update({name: answer[:200] for name, answer in answers.items() if name in names})


@dataclass(slots=True)
class Records:
    """Everything the exam server knows. `chance` makes session cookies; seeded, since this is a play."""

    chance: Random
    sessions: dict[str, str] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1001))
    _by_student: dict[tuple[str, int], Attempt] = field(default_factory=dict)

    def sign_in(self, student: str) -> str:
        """A new session's cookie."""
        cookie = f"{self.chance.getrandbits(128):032x}"
        self.sessions[cookie] = student
        return cookie

    def sign_out(self, cookie: str) -> bool:
        """End a session; whether there was one."""
        return self.sessions.pop(cookie, None) is not None

    def forget_sessions(self) -> None:
        """The machine died: memory is gone, the database is not."""
        self.sessions.clear()

    def start(self, student: str, exam: Exam, now_ms: int) -> Attempt:
        """The student's attempt at this exam, a new one if there is none: started twice is started once."""
        known = self._by_student.get((student, exam.cmid))
        if known is not None:
            return known
        attempt = Attempt(next(self._numbers), student, exam, now_ms)
        self.attempts[attempt.number] = attempt
        self._by_student[student, exam.cmid] = attempt
        return attempt

    def attempt(self, number: str, student: str) -> Attempt | None:
        """An attempt by the number in a URL, if it is this student's."""
        attempt = self.attempts.get(int(number)) if number.isdecimal() and len(number) < 10 else None
        return attempt if attempt is not None and attempt.student == student else None

    @property
    def submitted(self) -> int:
        """Attempts that were handed in."""
        return sum(attempt.submitted for attempt in self.attempts.values())
