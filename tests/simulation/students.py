"""Students of a simulated world: who comes when, and what they and their browsers do until the morning is over.

Law: what somebody does is drawn for them alone, from the seed and their name, so a change in one life leaves the others
as they were. They follow the waiting page (static/page.js) and what real people do instead: close the lid, lose
cookies, open a second tab, reload, go away.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from tests.simulation.browsers import Answer, Browser
from tests.simulation.workers import pause

BACKOFF_S = (2.0, 4.0, 8.0, 16.0, 30.0)
"""What the waiting page does when its question fails."""

WORKING_S = 20.0
"""Longest pause of somebody at work: half of what a session's idle time-out is at least."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How many of a crowd do what."""

    without_cookies: float = 0.05
    hidden: float = 0.15
    """Look at another tab while they wait."""
    absent: float = 0.12
    """Close the lid for one to six minutes."""
    crash: float = 0.08
    """The browser dies and comes back with its cookies."""
    forgets: float = 0.04
    """It comes back without."""
    second_tab: float = 0.1
    impatient: float = 0.1
    """Reload the page every few seconds for a while."""
    leaves: float = 0.06
    """Give up their place."""
    no_show: float = 0.05
    """Are let in, and never look."""
    wanders: float = 0.1
    """Leave the exam without logging out."""
    idles: float = 0.15
    """Write offline for longer than the idle time-out, then go on."""


@dataclass(frozen=True, slots=True)
class Life:
    """What one student will do."""

    name: str
    exam: str
    comes_s: float
    works_s: float
    without_cookies: bool
    hidden: bool
    absent: bool
    crash: bool
    forgets: bool
    second_tab: bool
    impatient: bool
    leaves: bool
    no_show: bool
    wanders: bool
    idles: bool
    idle_s: float


class Watch(Protocol):
    """Who follows the students: the story and the checkers."""

    def did(self, name: str, what: str) -> None:
        """A student did something of their own will."""

    def went_in(self, student: "Student", backend: str) -> None:
        """The exam server's page came."""

    def interrupted(self, student: "Student", answer: Answer | None, idle_s: float) -> None:
        """Somebody at work was answered by the waiting room, or not at all."""

    def now_s(self) -> float:
        """The time."""


class Over(Exception):  # noqa: N818 - an end, not an error
    """The morning is over for this student."""


@dataclass(slots=True)
class Student:
    """One student with one browser."""

    life: Life
    browser: Browser
    chance: Random
    watch: Watch
    calm: Callable[[], bool]
    """Whether the time of faults is over: then nobody does anything strange any more."""
    inside_s: float | None = None
    used_s: float = 0.0
    """When the exam server answered last."""
    done: bool = False
    gave_up: bool = False
    worked_s: float = 0.0
    _strange: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Their name."""
        return self.life.name

    @property
    def page(self) -> bytes:
        """Where their exam is."""
        return b"/quiz/" + self.life.exam.encode()

    async def morning(self) -> None:
        """All of it."""
        await pause(self.life.comes_s)
        try:
            if self.life.without_cookies:
                await self._without_cookies()
            else:
                await self._come_in(self._sit)
        except Over:
            pass
        self.done = True

    async def other_tab(self) -> None:
        """The same browser once more, a little later: it waits too, and is content once they are in."""
        await pause(self.life.comes_s + self.chance.uniform(0.0, 30.0))

        async def look() -> None:
            raise Over

        with suppress(Over):
            await self._come_in(look, strange=False)

    async def _come_in(self, then: Callable[[], Awaitable[None]], *, strange: bool = True) -> None:
        """Until the end: get in, work, and get in again if that was not the end."""
        fails = 0
        while True:
            answer = await self.browser.load(self.page)
            if answer is None or (answer.status >= 500 and not answer.said):
                await pause(BACKOFF_S[min(fails, 4)] * self.chance.uniform(0.3, 1.0))
                fails += 1
                continue
            fails = 0
            if answer.inside:
                self._in(answer)
                await then()
            elif answer.state == "closed":
                self.watch.did(self.name, "is told that the exam is over")
                self.gave_up = True
                raise Over
            else:
                await self._wait(answer, strange=strange)

    def _in(self, answer: Answer) -> None:
        now_s = self.watch.now_s()
        self.used_s = now_s
        if self.inside_s is None:
            self.inside_s = now_s
        self.watch.went_in(self, answer.backend)

    async def _wait(self, page: Answer, *, strange: bool) -> None:
        """What the waiting page's script does; returns when the page is to be loaded again."""
        next_s, fails = page.said.get("next_poll_ms", 5_000) / 1000, 0
        url = page.status_url
        while True:
            if strange and not self.calm():
                next_s = await self._something_strange(next_s)
                if next_s < 0:
                    return
            hidden = self.life.hidden and not self.calm()
            await pause(max(next_s, 60.0) if hidden else next_s)
            answer = await self.browser.script(url + (b"&hidden=1" if hidden else b""))
            if answer is None or answer.status not in (200, 401):
                next_s, fails = BACKOFF_S[min(fails, 4)] * self.chance.uniform(0.75, 1.25), fails + 1
                continue
            if answer.status == 401 or answer.state == "admitted":
                return
            next_s, fails = answer.said["next_poll_ms"] / 1000, 0
            if answer.state == "closed":
                return

    async def _something_strange(self, next_s: float) -> float:
        """What people do; the seconds until the next question, or -1 to load the page now."""
        life, chance = self.life, self.chance
        if life.leaves and self._now("leaves", 0.1):
            self.watch.did(self.name, "gives up the place")
            await self.browser.script(b"/_waitroom/leave", b"POST")
            self.gave_up = True
            raise Over
        if life.impatient and self._now("impatient", 0.3, times=8):
            await pause(chance.uniform(0.3, 3.0))
            return -1.0
        if life.absent and self._now("absent", 0.3):
            away_s = chance.uniform(60.0, 360.0)
            self.watch.did(self.name, f"closes the lid for {away_s:.0f} s")
            await pause(away_s)
            return 0.0
        if life.crash and self._now("crash", 0.3):
            self.watch.did(self.name, "'s browser crashes")
            await pause(chance.uniform(5.0, 90.0))
            self.browser.crash()
            return -1.0
        if life.forgets and self._now("forgets", 0.3):
            self.watch.did(self.name, "'s browser forgets its cookies")
            self.browser.jar.clear()
            return -1.0
        return next_s

    def _now(self, what: str, chance: float, times: int = 1) -> bool:
        if self._strange.get(what, 0) >= times or self.chance.random() >= chance:
            return False
        self._strange[what] = self._strange.get(what, 0) + 1
        return True

    async def _sit(self) -> None:
        """Work; returns if the waiting room comes between."""
        if self.life.no_show:
            self.watch.did(self.name, "does not look at what they waited for")
            raise Over
        if self.life.idles and not self.calm() and self._now("idles", 1.0):
            self.watch.did(self.name, f"writes offline for {self.life.idle_s:.0f} s")
            await pause(self.life.idle_s)
        while self.worked_s < self.life.works_s:
            step_s = self.chance.uniform(2.0, WORKING_S)
            await pause(step_s)
            idle_s = self.watch.now_s() - self.used_s
            answer = await self.browser.load(self.page)
            if answer is None or not answer.inside:
                self.watch.interrupted(self, answer, idle_s)
                if answer is not None and not answer.inside:
                    return
                continue
            self.worked_s += step_s
            self.used_s = self.watch.now_s()
        if self.life.wanders:
            self.watch.did(self.name, "walks away without logging out")
            raise Over
        await self._log_out()

    async def _log_out(self) -> None:
        for _ in range(8):
            answer = await self.browser.load(b"/logout")
            if answer is not None and answer.status < 500:
                self.watch.did(self.name, "logs out")
                raise Over
            await pause(2.0)
        raise Over

    async def _without_cookies(self) -> None:
        """A client that keeps no cookies comes again and again as somebody new."""
        self.browser.keeps_cookies = False
        for _ in range(self.chance.randint(2, 8)):
            await self.browser.load(self.page)
            await pause(self.chance.uniform(1.0, 20.0))
        self.gave_up = True
