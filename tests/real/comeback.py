"""`python -m tests.real.comeback`: the morning of Liège with real processes, without and with the waiting room.

A crowd begins its exam at once; nobody has told the operator how many the server can bear, so all are let in
(`max_sessions` is the crowd). The sample exam server, a process of its own, dies of that start. Then everybody wants to
be back. Straight at the server they kill it each time it returns; through the waiting room it must not die again.

With `--killed` the start goes well, on a larger machine; when all are at work the server is killed, and the small one,
cold and without their sessions, is there as soon as a process can be: within a second or two.

Law: time is real, and so are the sockets; students are the demonstration's. The two mornings of a crowd differ in the
address that it is sent to.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

import uvloop
from rich.console import Console
from rich.table import Table

from tests.support.ports import free_port
from tests.support.product import until
from waitroom.demo.browser import Ask, Browser, Page, pause
from waitroom.demo.crowd import Crowd, Outcome, State, Student, Temper
from waitroom.demo.exam import EXAMS
from waitroom.demo.play import allow_files
from waitroom.demo.stage import Places, stage
from waitroom.demo.watch import watcher
from waitroom.tasks import spawn

CROWDS = (100, 200, 400)

SERVER = ("--cores", "8", "--workers", "40", "--backlog", "80", "--ram-mib", "32768")
"""It carries them all once they are in, but not their signing in at once."""

STRONG = ("--cores", "64", "--workers", "400", "--backlog", "800", "--ram-mib", "32768")
"""It carries also that."""

LOOKS_S = (2.0, 6.0)
"""How often somebody at work loads the next page."""

DOGGED = Temper(burst_s=0.5, errors=(10_000, 20_000))
"""All within a second or two; and nobody gives up, since nobody could in an exam."""

EARLY = Temper(burst_s=8, patience_s=20, errors=(10_000, 20_000))
"""They come one after the other, as into an exam that begins when all are there."""

SPEED = 10.0
WITHIN_S = 300.0
SEEN_S = 100.0
"""After so long a crowd that goes straight at the server has shown what it does."""


@dataclass(frozen=True, slots=True)
class Morning:
    """How one went."""

    deaths: list[float]
    """Seconds after the server's start."""
    well: int
    """Who has submitted, or is at work again."""
    took_s: float


async def morning(crowd: int, *, paced: bool, seed: int, within_s: float) -> Morning:
    """One crowd, from its first click until all have submitted or the time is over."""
    places = Places(*(f"127.0.0.1:{free_port()}" for _ in range(4)))
    loop = asyncio.get_running_loop()
    async with stage(places, max_sessions=crowd, with_waiting_room=paced, seed=seed, server=SERVER):
        watch, started_s = watcher(places.console_url, None), loop.time()
        try:
            base = places.public_url if paced else places.exam_url
            students = Crowd(base, crowd, exams=tuple(EXAMS), seed=seed, speed=SPEED, temper=DOGGED)
            tally = await students.run(within_s)
            async with watch.client.get(places.console_url) as answer:
                deaths = [death["after_s"] for death in (await answer.json())["deaths"]]
        finally:
            await watch.client.close()
    return Morning(deaths, tally.states[State.SUBMITTED], loop.time() - started_s)


class AtWork(Student):
    """Looks at one page of the attempt after the other, and never hands in."""

    at_work = False

    async def _work(self, page: Page) -> Ask | None:
        self.at_work = page.name == "attempt"
        return await super()._work(page)

    async def _answer(self, page: Page) -> Ask:
        await pause(self.chance.uniform(*LOOKS_S))
        return Ask(f"/mod/quiz/attempt.php?attempt={page.number('attempt')}&cmid={self.cmid}")


class Workers(Crowd):
    """All of them."""

    def _student(self, name: str, browser: Browser, chance: Random) -> Student:
        return AtWork(
            browser, Outcome(name), chance, chance.choice(tuple(EXAMS)), SPEED, self._temper,
            lambda: self._loop.time() - self._start_s,
        )  # fmt: skip

    @property
    def at_work(self) -> int:
        """How many have a page of their attempt before them, as of the last page that came."""
        return sum(isinstance(student, AtWork) and student.at_work for student in self.students)

    def forget(self) -> None:
        """Count anew."""
        for student in self.students:
            assert isinstance(student, AtWork)
            student.at_work = False


async def killed(crowd: int, *, paced: bool, seed: int, within_s: float) -> Morning:
    """One crowd at work whose server is killed, until all are at work again or the time is over."""
    places = Places(*(f"127.0.0.1:{free_port()}" for _ in range(4)))
    loop = asyncio.get_running_loop()
    async with stage(places, max_sessions=crowd, with_waiting_room=paced, seed=seed, server=STRONG) as there:
        students = Workers(
            places.public_url if paced else places.exam_url, crowd, exams=tuple(EXAMS), seed=seed, speed=SPEED,
            temper=EARLY,
        )  # fmt: skip
        sitting = spawn(students.run(), name="the crowd")

        async def all_at_work() -> bool:
            return students.at_work == crowd

        try:
            await until(all_at_work, within_s=within_s, what="a crowd at work")
            there.exam_server.process.kill()
            await there.exam_server.process.wait()
            students.forget()
            started_s = loop.time()
            async with _small_server(places, seed + 1):
                with contextlib.suppress(AssertionError):
                    await until(all_at_work, within_s=within_s, what="the way back")
                took_s = loop.time() - started_s
                watch = watcher(places.console_url, None)
                async with watch.client.get(places.console_url) as answer:
                    deaths = [death["after_s"] for death in (await answer.json())["deaths"]]
                await watch.client.close()
        finally:
            sitting.cancel()
            await asyncio.wait([sitting])
    return Morning([0.0, *deaths], students.at_work, took_s)


@contextlib.asynccontextmanager
async def _small_server(places: Places, seed: int) -> AsyncIterator[None]:
    """In the place of the one that was killed; of another seed, so that nobody's old cookie is another's new one."""
    where = ("--listen", places.exam, "--console", places.console, "--seed", str(seed), "--parent", str(os.getpid()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "waitroom.demo.exam_server", *where, *SERVER, "--cold"
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def main(crowds: list[int], seed: int, within_s: float, *, at_work: bool) -> int:
    """Both mornings of each crowd; 1 if a paced one went wrong or an unpaced one went well."""
    allow_files(max(crowds) * 14 + 200)
    table = Table("crowd", "way", "deaths", "after s", "at work" if at_work else "submitted", "took")
    play = killed if at_work else morning
    as_told = True
    for crowd in crowds:
        for paced in (False, True):
            went = await play(crowd, paced=paced, seed=seed, within_s=within_s if paced else SEEN_S)
            good = went.well == crowd and len(went.deaths) <= 1
            as_told = as_told and (good if paced else len(went.deaths) > 1)
            table.add_row(
                str(crowd), "waiting room" if paced else "straight", str(len(went.deaths)),
                " ".join(f"{at_s:.0f}" for at_s in went.deaths), str(went.well), f"{went.took_s:.0f} s",
            )  # fmt: skip
    Console().print(table)
    return 0 if as_told else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.real.comeback", description=__doc__)
    parser.add_argument("--crowds", type=int, nargs="+", default=list(CROWDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=WITHIN_S, help="seconds that a morning may take")
    parser.add_argument("--killed", action="store_true", help="they are at work when it is killed, and is soon back")
    arguments = parser.parse_args()
    wanted = main(arguments.crowds, arguments.seed, arguments.within, at_work=arguments.killed)
    sys.exit(uvloop.run(wanted))
