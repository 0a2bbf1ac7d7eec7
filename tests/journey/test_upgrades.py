"""A morning of reloads and restarts under load: no request, no place and no session is lost."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.manager import Manager, managing
from tests.support.product import START_S, Product, serving, until
from tests.support.student import Student
from tests.support.traffic import ExamServer, Traffic, beside, exam_server

WORKER = "waitroom.server.worker"
INSIDE, WAITING, RELOADS = 6, 4, 20
SUCCESS, WHEN = "waitroom_config_reload_success", "waitroom_config_last_reload_timestamp_seconds"


def config(backend: str, **more: object) -> str:
    """A settings file (JSON is YAML) with a place for each of those inside."""
    pools = {"main": {"backends": {"main-1": {"url": backend, "max_sessions": INSIDE}}}}
    drains = {"drain": "10m", "tunnel_drain": "10m"}  # longer than whatever is under way may take here
    return json.dumps({"pools": pools, "workers": 2, "timeouts": drains, "logging": {"access": False}, **more})


@dataclass(slots=True)
class Day:
    """An exam day: who is in, who waits, and what they do."""

    product: Product
    inside: list[Student]
    waiting: list[Student]
    traffic: Traffic

    def cookie(self, number: int) -> str:
        """The pass of one of those inside."""
        return "; ".join(f"{each.key}={each.value}" for each in self.inside[number].client.cookie_jar)

    async def nothing_is_lost(self) -> None:
        """Every place and session is there, in the same order, and no request went wrong."""
        assert self.traffic.lost == []
        said = [await student.poll() for student in self.waiting]
        assert [(each["state"], each["position"]) for each in said] == [("waiting", n + 1) for n in range(WAITING)]
        for student in self.inside:
            assert (await student.page()).state is None
        assert (await self.product.metrics())['waitroom_sessions{backend="main-1",pool="main"}'] == INSIDE

    async def more(self, kind: str, by: int = 1) -> None:
        """Wait until so much more has been done."""
        before = self.traffic.done[kind]

        async def look() -> bool:
            return self.traffic.done[kind] >= before + by or bool(self.traffic.lost)

        await until(look, what=f"{by} more of: {kind}")


@contextlib.asynccontextmanager
async def students(product: Product) -> AsyncIterator[Day]:
    """As many inside as there are places, and some who wait behind them."""
    async with AsyncExitStack() as stack:
        names = [f"s{number}" for number in range(INSIDE + WAITING)]
        crowd = [await stack.enter_async_context(Student(product.public, name)) for name in names]
        for student in crowd[:INSIDE]:
            assert (await student.page()).state is None
            assert (await student.page()).state is None  # the cookie came back: the session is no longer provisional
        for student in crowd[INSIDE:]:
            assert (await student.page()).state == "waiting"
            assert (await student.poll())["state"] == "waiting"
        yield Day(product, crowd[:INSIDE], crowd[INSIDE:], Traffic(product.public))


@contextlib.asynccontextmanager
async def load(day: Day) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Everything at once: new connections, saved answers, a tunnel, an upload; gives what ends the last two."""
    over, hurry = asyncio.Event(), asyncio.Event()
    clients = [partial(day.traffic.newcomers, day.cookie(n)) for n in (0, 1)]
    clients += [partial(day.traffic.saves, day.cookie(n)) for n in (2, 3)]
    clients += [
        partial(day.traffic.tunnel, day.cookie(4), over),
        partial(day.traffic.upload, day.cookie(5), hurry),
    ]
    async with beside(day.traffic, *clients):
        try:
            for kind in ("new connection", "POST", "word"):
                await day.more(kind)
            yield over, hurry
        finally:
            over.set()
            hurry.set()


async def reload_once(product: Product, text: str) -> dict[str, float]:
    """Write the file, ask for a reload, and wait until it has come to something."""
    marks = ("config_reloaded", "config_reload_refused")

    def outcomes() -> int:
        logged = product.log.read_text()
        return sum(logged.count(f'"event": "{mark}"') for mark in marks)

    before = outcomes()
    (product.log.parent / "waitroom.yaml").write_text(text, encoding="utf-8")
    product.process.send_signal(signal.SIGHUP)

    async def look() -> bool:
        return outcomes() > before

    await until(look, what="the outcome of a reload")
    return await product.metrics()


async def replace_workers(day: Day) -> None:
    """One worker after the other is told to leave, and another has its slot; what the old ones have goes on there."""
    for number, pid in enumerate(day.product.children(WORKER), start=1):
        os.kill(pid, signal.SIGTERM)

        async def replaced(number: int = number) -> bool:
            seen = await day.product.metrics()
            return seen["waitroom_worker_restarts_total"] >= number and seen["waitroom_workers"] == 2

        await until(replaced, what=f"replacement {number}")
        for kind in ("new connection", "POST", "word"):
            await day.more(kind, 3)


def test_reloads_and_a_rolling_restart_lose_nothing(tmp_path: Path) -> None:
    """20 reloads, one of a bad file, and every worker replaced, under all kinds of load."""

    async def main() -> None:
        async with (
            exam_server() as exam,
            serving(tmp_path, config=config(exam.url)) as product,
            students(product) as day,
        ):
            async with load(day) as (over, hurry):
                for number in range(RELOADS):
                    good = await reload_once(product, config(exam.url, queue_status=429 if number % 2 else 503))
                    assert good[SUCCESS] == 1
                await day.more("word", 3)
                applied = (await product.metrics())[WHEN]
                bad = await reload_once(product, config(exam.url, queue_status=200))
                assert (bad[SUCCESS], bad[WHEN]) == (0, applied)
                assert day.traffic.done["tunnel"] == day.traffic.done["upload"] == 0  # both are under way since before
                await replace_workers(day)
                assert day.traffic.done["tunnel"] == day.traffic.done["upload"] == 0
                over.set()
                hurry.set()
                for kind in ("tunnel", "upload"):
                    await day.more(kind, 1 - day.traffic.done[kind])
            await day.nothing_is_lost()
            every_answer_once(exam, day.traffic)

    run(main())


def test_a_restart_of_the_whole_service_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped and started again on the socket that its manager holds: newcomers wait, nobody is refused or reset."""

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            async with exam_server() as exam, AsyncExitStack() as services:
                start = partial(
                    serving, tmp_path, config=config(exam.url), manager=manager.launch, public=manager.bind()
                )
                product = await services.enter_async_context(start())
                async with students(product) as day:
                    async with load(day) as (over, hurry):
                        await stop(manager, day, over, hurry)
                        day.product = await services.enter_async_context(start())
                        for kind in ("new connection", "POST"):
                            await day.more(kind, 3)
                    await day.nothing_is_lost()
                    every_answer_once(exam, day.traffic)

    run(main())


async def stop(manager: Manager, day: Day, over: asyncio.Event, hurry: asyncio.Event) -> None:
    """The service is told to stop: it serves all until the tunnel and the upload are finished, and ends by itself."""
    process = day.product.process
    process.send_signal(signal.SIGTERM)
    await manager.hears("STOPPING=1")
    for kind in ("new connection", "POST", "word"):
        await day.more(kind, 3)
    assert process.returncode is None
    over.set()
    hurry.set()
    assert await asyncio.wait_for(process.wait(), START_S) == 0
    assert (day.traffic.done["tunnel"], day.traffic.done["upload"]) == (1, 1)


def every_answer_once(exam: ExamServer, traffic: Traffic) -> None:
    """No saved answer was lost, and none was sent twice."""
    assert set(exam.saved.values()) == {1}
    assert len(exam.saved) >= traffic.done["POST"] > 20
