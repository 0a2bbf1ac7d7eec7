"""Plays the demonstration from the first click to the last, and says how it went.

Law: with and without the waiting room differ in one thing, the address that the crowd is sent to. Whatever ends the
play (the last student, the time, Ctrl-C, a process that died), the stage is cleared.
"""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from waitroom.demo.board import Scene, draw, line
from waitroom.demo.browser import pause
from waitroom.demo.crowd import Crowd, Tally
from waitroom.demo.exam import EXAMS
from waitroom.demo.stage import Places, Stage, stage
from waitroom.demo.watch import Watch, watcher
from waitroom.tasks import spawn, stop

LOOK_S = 1.0
"""Between two looks; each is one character of the history."""

LINE_S = 5.0
"""Between two lines where there is no terminal."""

FILES_A_STUDENT = 7
"""Six connections of a browser and one to spare."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played. `students` 0: nobody but whoever opens the page."""

    places: Places
    students: int
    max_sessions: int
    with_waiting_room: bool
    within_s: float | None
    seed: int
    speed: float


@dataclass(frozen=True, slots=True)
class Result:
    """How it went."""

    plan: Plan
    tally: Tally | None
    watch: Watch
    seconds: float


async def play(plan: Plan, console: Console, ended: asyncio.Event) -> Result:
    """The whole play; `ended` may be set to end it early. Raises StageError."""
    allow_files(plan.students * FILES_A_STUDENT + 200)
    loop = asyncio.get_running_loop()
    scenery = stage(
        plan.places, max_sessions=plan.max_sessions, with_waiting_room=plan.with_waiting_room, seed=plan.seed
    )
    async with scenery as running, _watching(plan) as watch:
        started_s = loop.time()
        crowd = _crowd(plan)
        sitting = spawn(_sit(plan, crowd), name="crowd")
        sitting.add_done_callback(lambda _task: ended.set())
        try:
            await _show(running, watch, lambda seconds: _scene(plan, watch, crowd, seconds), console, ended)
        finally:
            await stop(sitting)
            if crowd is not None:
                await crowd.go_home()
        if not sitting.cancelled():
            sitting.result()
        await watch.look()
        return Result(plan, crowd.tally() if crowd else None, watch, loop.time() - started_s)


async def _sit(plan: Plan, crowd: Crowd | None) -> None:
    if crowd is not None:
        await crowd.run(plan.within_s)
    elif plan.within_s is not None:
        await pause(plan.within_s)
    else:
        await asyncio.get_running_loop().create_future()


def _crowd(plan: Plan) -> Crowd | None:
    if not plan.students:
        return None
    base = plan.places.public_url if plan.with_waiting_room else plan.places.exam_url
    return Crowd(base, plan.students, exams=tuple(EXAMS), seed=plan.seed, speed=plan.speed)


@contextlib.asynccontextmanager
async def _watching(plan: Plan) -> AsyncIterator[Watch]:
    metrics = f"{plan.places.admin_url}/metrics" if plan.with_waiting_room else None
    watch = watcher(plan.places.console_url, metrics)
    try:
        yield watch
    finally:
        await watch.client.close()


async def _show(
    running: Stage, watch: Watch, scene_at: Callable[[float], Scene], console: Console, ended: asyncio.Event
) -> None:
    """Look and draw until it has ended; fails if a process of the stage has ended by itself."""
    loop = asyncio.get_running_loop()
    started_s, said_s = loop.time(), -LINE_S
    with contextlib.ExitStack() as stack:
        live: Live | None = None
        over = False
        while not over:
            over = await _wait(ended, 0.0 if not watch.history else LOOK_S)
            running.check()
            await watch.look()
            scene = scene_at(loop.time() - started_s)
            if live is not None:
                live.update(draw(scene), refresh=True)
            elif console.is_terminal:
                live = stack.enter_context(Live(draw(scene), console=console, auto_refresh=False))
            elif over or scene.seconds >= said_s + LINE_S:
                console.print(line(scene), highlight=False, soft_wrap=True)
                said_s = scene.seconds


async def _wait(ended: asyncio.Event, seconds: float) -> bool:
    """Whether it has ended within so many seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
    return ended.is_set()


def _scene(plan: Plan, watch: Watch, crowd: Crowd | None, seconds: float) -> Scene:
    tally = crowd.tally() if crowd else None
    return Scene(_title(plan), seconds, watch, tally, plan.max_sessions if plan.with_waiting_room else None)


def links(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What can be opened."""
    straight = ("Exam server", f"{plan.places.exam_url}/")
    if not plan.with_waiting_room:
        return (straight,)
    return (
        ("Students", f"{plan.places.public_url}/"),
        straight,
        ("Dashboard", f"{plan.places.admin_url}/"),
        ("Metrics", f"{plan.places.admin_url}/metrics"),
    )


def _title(plan: Plan) -> str:
    way = f"{plan.max_sessions} at a time" if plan.with_waiting_room else "straight at the server"
    return f"waitroom demo: {plan.students} students, {way}" if plan.students else f"waitroom demo: {way}"


def allow_files(number: int) -> None:
    """Raise the soft limit of open files as far as the hard one lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
