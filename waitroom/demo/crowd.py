"""A crowd of students who all want into their exam in the same minute, and what became of each.

Law: one seed, one crowd: who comes when, thinks how long and loses patience after how much is drawn per student, so
that the same crowd can be sent through the waiting room and straight at the server. Exam minutes are divided by
`speed`; what servers and browsers do is real time.
"""

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from waitroom.demo.browser import NOTHING, TROUBLE, WAITING, Ask, Browser, Page, Said, pause
from waitroom.tasks import spawn, stop

LAST_ARRIVAL_S = 15.0
"""The tail of the burst ends here: who is later than that is late for the exam."""

BACKOFF_S = (2.0, 4.0, 8.0, 16.0, 30.0)
"""What the waiting page does when its question fails (static/page.js)."""


class State(StrEnum):
    """Where a student is."""

    COMING = "coming"
    WAITING = "waiting"
    INSIDE = "in the exam"
    RELOADING = "pressing reload"
    SUBMITTED = "submitted"
    FAILED = "gave up"


ENDED = (State.SUBMITTED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Temper:
    """How students behave. Times called exam time are divided by the speed."""

    burst_s: float = 1.5
    """Mean of the exponential arrival times: most come within two clicks of each other."""
    typing_s: float = 20.0
    """Exam time to sign in, to read the instructions, to look at the receipt."""
    question_s: float = 60.0
    """Exam time for a question."""
    patience_s: float = 6.0
    """Real time after which a page that does not come is reloaded."""
    reload_s: tuple[float, float] = (0.3, 2.0)
    """Real time between an error and the next reload."""
    errors: tuple[int, int] = (12, 45)
    """Errors that a student bears in a morning."""


@dataclass(slots=True)
class Outcome:
    """What became of one student. Times are in seconds from the crowd's start."""

    name: str
    state: State = State.COMING
    came_s: float = 0.0
    entered_s: float | None = None
    ended_s: float | None = None
    errors: int = 0
    reloads: int = 0
    unsaved: int = 0
    first_position: int | None = None
    promised_s: tuple[float, float] | None = None
    """The first range that the waiting page gave, from that moment, as seconds from the crowd's start."""

    @property
    def waited_s(self) -> float | None:
        """From the first click to the first page of the exam server."""
        return None if self.entered_s is None else self.entered_s - self.came_s

    @property
    def promise_held(self) -> bool | None:
        """Whether entry came inside the first range shown; None without a range or an entry."""
        if self.promised_s is None or self.entered_s is None:
            return None
        return self.promised_s[0] <= self.entered_s <= self.promised_s[1]


@dataclass(frozen=True, slots=True)
class Tally:
    """The crowd in numbers."""

    states: Counter[State]
    errors: int
    reloads: int
    unsaved: int
    median_wait_s: float | None
    longest_wait_s: float | None
    promises: int
    promises_held: int

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "Tally":
        """Count."""
        waits = [wait for outcome in outcomes if (wait := outcome.waited_s) is not None]
        held = [outcome.promise_held for outcome in outcomes if outcome.promise_held is not None]
        return cls(
            states=Counter(outcome.state for outcome in outcomes),
            errors=sum(outcome.errors for outcome in outcomes),
            reloads=sum(outcome.reloads for outcome in outcomes),
            unsaved=sum(outcome.unsaved for outcome in outcomes),
            median_wait_s=statistics.median(waits) if waits else None,
            longest_wait_s=max(waits, default=None),
            promises=len(held),
            promises_held=sum(held),
        )

    @property
    def everybody_submitted(self) -> bool:
        """Whether all of them got through."""
        return set(self.states) <= {State.SUBMITTED}


@dataclass(slots=True)
class Student:
    """One student in front of one browser."""

    browser: Browser
    outcome: Outcome
    chance: Random
    cmid: int
    speed: float
    temper: Temper
    now_s: Callable[[], float]
    answered: int = 0
    patience: int = field(init=False)

    def __post_init__(self) -> None:
        self.patience = self.chance.randint(*self.temper.errors)
        self.outcome.came_s = min(self.chance.expovariate(1 / self.temper.burst_s), LAST_ARRIVAL_S)

    async def sit(self) -> None:
        """The whole morning: come, get in, work, submit, leave."""
        try:
            await pause(self.outcome.came_s)
            ask: Ask | None = Ask(f"/mod/quiz/view.php?id={self.cmid}")
            while ask is not None:
                ask = await self._react(ask, await self.browser.open(ask))
        finally:
            self.outcome.ended_s = self.now_s()
            await self.browser.close()

    async def _react(self, asked: Ask, page: Page) -> Ask | None:
        """Look at the page and do what a student does; the next click, or None for the end."""
        if page.name in (NOTHING, TROUBLE):
            return await self._annoyed(asked)
        if page.name == WAITING:
            self._is(State.WAITING)
            await self._wait(page)
            return asked
        self._enter()
        return await self._work(page)

    async def _work(self, page: Page) -> Ask | None:
        match page.name:
            case "login":
                await self._think(self.temper.typing_s)
                wants = f"/mod/quiz/view.php?id={self.cmid}"
                return Ask("/login/index.php", {"username": self.outcome.name, "password": "x", "wantsurl": wants})
            case "view":
                await self._think(self.temper.typing_s)
                return Ask("/mod/quiz/startattempt.php", {"cmid": str(self.cmid), "sesskey": "x"})
            case "attempt":
                return await self._answer(page)
            case "review":
                self.outcome.state = State.SUBMITTED
                await self._think(self.temper.typing_s)
                return Ask("/login/logout.php")
            case "bye" if self.outcome.state is State.SUBMITTED:
                return None
            case _:
                return Ask(f"/mod/quiz/view.php?id={self.cmid}")

    async def _answer(self, page: Page) -> Ask:
        form = {"attempt": str(page.number("attempt")), "cmid": str(self.cmid)}
        while self.answered < page.number("questions"):
            await self._think(self.temper.question_s)
            self.answered += 1
            form[f"q{self.answered}"] = str(self.chance.randint(1, 4))
            saved = await self.browser.ask("/mod/quiz/autosave.ajax.php", form)
            self.outcome.unsaved += saved.body.get("status") != "OK"
        return Ask("/mod/quiz/processattempt.php", form)

    async def _wait(self, page: Page) -> None:
        """What the waiting page's script does; ends when it is time to load the page again."""
        fails = 0
        await pause(self.chance.random())
        while True:
            said = await self.browser.ask(page.status_url)
            if said.status == 401 or said.body.get("state") == "admitted":
                return
            if said.status != 200:
                await pause(BACKOFF_S[min(fails, len(BACKOFF_S) - 1)] * self.chance.uniform(0.75, 1.25))
                fails += 1
                continue
            fails = 0
            self._note(said)
            await pause(max(1, int(said.body.get("next_poll_ms") or 30_000)) / 1000)

    def _note(self, said: Said) -> None:
        outcome, eta = self.outcome, said.body.get("eta")
        if outcome.first_position is None:
            outcome.first_position = said.body.get("position")
        if outcome.promised_s is None and eta:
            now_s = self.now_s()
            outcome.promised_s = now_s + eta["low_s"], now_s + eta["high_s"]

    async def _annoyed(self, asked: Ask) -> Ask | None:
        """An error page or nothing: reload, until patience ends. Who has submitted has nothing to lose."""
        self.outcome.errors += 1
        self.patience -= 1
        if self.outcome.state is State.SUBMITTED:
            return asked if self.patience > 0 else None
        if self.patience <= 0:
            self.outcome.state = State.FAILED
            return None
        self._is(State.RELOADING)
        await pause(self.chance.uniform(*self.temper.reload_s))
        self.outcome.reloads += 1
        return asked

    def _enter(self) -> None:
        self._is(State.INSIDE)
        if self.outcome.entered_s is None:
            self.outcome.entered_s = self.now_s()

    def _is(self, state: State) -> None:
        if self.outcome.state is not State.SUBMITTED:
            self.outcome.state = state

    async def _think(self, exam_s: float) -> None:
        await pause(exam_s / self.speed * self.chance.uniform(0.6, 1.4))


class Crowd:
    """All of them."""

    def __init__(
        self, base: str, number: int, *, exams: tuple[int, ...], seed: int, speed: float, temper: Temper | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._start_s = self._loop.time()
        self._tasks: list[asyncio.Task[None]] = []
        self._exams, self._speed, self._temper = exams, speed, temper or Temper()
        self.students = [
            self._student(
                f"s{index + 1:04}", Browser(base, patience_s=self._temper.patience_s), Random(f"{seed}/{index}")
            )
            for index in range(number)
        ]

    def tally(self) -> Tally:
        """Where they are now."""
        return Tally.of([student.outcome for student in self.students])

    async def run(self, within_s: float | None = None) -> Tally:
        """Let them come; ends when each has submitted or given up, or the time is over."""
        self._start_s = self._loop.time()
        self._tasks = [spawn(student.sit(), name=student.outcome.name) for student in self.students]
        try:
            await asyncio.wait(self._tasks, timeout=within_s)
        finally:
            await self.go_home()
        return self.tally()

    async def go_home(self) -> None:
        """Stop whoever is still at it."""
        for task in self._tasks:
            await stop(task)
        for student in self.students:
            await student.browser.close()

    def _student(self, name: str, browser: Browser, chance: Random) -> Student:
        return Student(
            browser=browser,
            outcome=Outcome(name),
            chance=chance,
            cmid=chance.choice(self._exams),
            speed=self._speed,
            temper=self._temper,
            now_s=lambda: self._loop.time() - self._start_s,
        )
