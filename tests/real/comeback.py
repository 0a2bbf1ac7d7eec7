"""`python -m tests.real.comeback`: the morning of Liège with real processes, without and with the waiting room.

A crowd begins its exam at once; nobody has told the operator how many the server can bear, so all are let in
(`max_sessions` is the crowd). The sample exam server, a process of its own, dies of that start. Then everybody wants to
be back. Straight at the server they kill it each time it returns; through the waiting room it must not die again.

Law: time is real, and so are the sockets; students are the demonstration's. The two mornings of a crowd differ in the
address that it is sent to.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

import uvloop
from rich.console import Console
from rich.table import Table

from tests.support.ports import free_port
from waitroom.demo.crowd import Crowd, State, Temper
from waitroom.demo.exam import EXAMS
from waitroom.demo.play import allow_files
from waitroom.demo.stage import Places, stage
from waitroom.demo.watch import watcher

CROWDS = (100, 200, 400)

SERVER = ("--cores", "8", "--workers", "40", "--backlog", "80", "--ram-mib", "32768")
"""It carries them all once they are in, but not their signing in at once."""

DOGGED = Temper(burst_s=0.5, errors=(10_000, 20_000))
"""All within a second or two; and nobody gives up, since nobody could in an exam."""

SPEED = 10.0
WITHIN_S = 300.0
SEEN_S = 100.0
"""After so long a crowd that goes straight at the server has shown what it does."""


@dataclass(frozen=True, slots=True)
class Morning:
    """How one went."""

    deaths: list[float]
    """Seconds after the server's start."""
    submitted: int
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


async def main(crowds: list[int], seed: int, within_s: float) -> int:
    """Both mornings of each crowd; 1 if a paced one went wrong or an unpaced one went well."""
    allow_files(max(crowds) * 14 + 200)
    table = Table("crowd", "way", "deaths", "after s", "submitted", "took")
    as_told = True
    for crowd in crowds:
        for paced in (False, True):
            went = await morning(crowd, paced=paced, seed=seed, within_s=within_s if paced else SEEN_S)
            good = went.submitted == crowd and len(went.deaths) <= 1
            as_told = as_told and (good if paced else len(went.deaths) > 1)
            table.add_row(
                str(crowd), "waiting room" if paced else "straight", str(len(went.deaths)),
                " ".join(f"{at_s:.0f}" for at_s in went.deaths), str(went.submitted), f"{went.took_s:.0f} s",
            )  # fmt: skip
    Console().print(table)
    return 0 if as_told else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.real.comeback", description=__doc__)
    parser.add_argument("--crowds", type=int, nargs="+", default=list(CROWDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=WITHIN_S, help="seconds that a morning may take")
    arguments = parser.parse_args()
    sys.exit(uvloop.run(main(arguments.crowds, arguments.seed, arguments.within)))
