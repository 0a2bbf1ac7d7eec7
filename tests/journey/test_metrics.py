"""Every metric in a short and eventful morning: each is there, and moves when what it counts happens.

Law: nothing is taken on trust from the catalogue; a family that stands still through all of this is a lie on a screen.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import Product, serving, until
from tests.support.student import Student
from waitroom.metrics.catalogue import CATALOGUE, PREFIX, Kind, Source

STILL = {"build_info"}
"""Always 1."""

FAILED = f"{PREFIX}store_failures_total"
DOWN = "http://127.0.0.1:9"


def config(backend: str, **more: Any) -> str:
    """A pool with a backend that takes one request at a time, one that is not there, a lobby and a pace."""
    backends = {
        "main-1": {"url": backend, "max_sessions": 200, "max_inflight": 1},
        "main-2": {"url": DOWN, "max_sessions": 200},
    }
    pool = {
        "backends": backends,
        "admission": {"rate": "2/s", "burst": 2},
        "health": {"path": "/", "interval": "500ms"},
    }
    exam = {"pool": "main", "match": [{"path": "/maths"}], "opens": "2060-06-01T09:00:00+02:00"}
    pace = {"name": "start", "match": {"path": "/start"}, "rate": "5/s", "max_wait": "5s"}
    return json.dumps({
        "workers": 1, "pools": {"main": pool}, "exams": {"MATH": exam}, "pace": [pace],
        "release": [{"path": "/logout"}], "timeouts": {"inflight_wait": "30s"}, **more,
    })  # fmt: skip


@dataclass(slots=True)
class Morning:
    """A service, and every value that its metrics have shown."""

    product: Product
    backend: CountingBackend
    stack: AsyncExitStack
    seen: dict[str, set[float]] = field(default_factory=dict)

    async def scrape(self) -> dict[str, float]:
        """As Prometheus does; what is shown is remembered."""
        found = await self.product.metrics()
        for name, value in found.items():
            self.seen.setdefault(name, set()).add(value)
        return found

    async def shows(self, what: str, true: Callable[[dict[str, float]], bool]) -> None:
        """Scrape until it shows this."""

        async def look() -> bool:
            return true(await self.scrape())

        await until(look, what=what)

    async def student(self, name: str) -> Student:
        """One more browser."""
        return await self.stack.enter_async_context(Student(self.product.public, name))

    async def command(self, *words: str) -> None:
        """Something that staff do."""
        code, _, err = await self.product.command(*words, "--admin", self.product.admin)
        assert code == 0, err

    def still(self) -> set[str]:
        """The families none of whose series has shown two values."""
        found = set()
        for metric in CATALOGUE.values():
            ends = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
            names = {f"{PREFIX}{metric.name}{end}" for end in ends}
            moved = any(len(values) > 1 for series, values in self.seen.items() if series.partition("{")[0] in names)
            if metric.source is not Source.LATER and not moved:
                found.add(metric.name)
        return found


def value(found: dict[str, float], name: str, labels: str = "") -> float:
    """A sample; 0 where there is none."""
    return found.get(f"{PREFIX}{name}{labels}", 0)


@asynccontextmanager
async def morning(folder: Path) -> AsyncIterator[Morning]:
    """A service that has just been started."""
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(counting_backend())
        product = await stack.enter_async_context(serving(folder, config=config(backend.url)))
        yield Morning(product, backend, stack)


async def the_line_moves(day: Morning) -> list[Student]:
    """Some enter at once, some wait and enter, one is early, one logs out, one forges; gives those inside."""
    await day.shows("the backend that is down", lambda m: m[f'{PREFIX}backend_up{{backend="main-2",pool="main"}}'] == 0)
    crowd = [await day.student(f"s{number}") for number in range(6)]
    early = await day.student("early")
    assert (await early.page("/maths")).state == "lobby"
    await asyncio.gather(*(student.page() for student in crowd))
    await early.poll()
    await day.scrape()
    for student in crowd:
        await student.enter()
        await student.page()
    await day.shows("six inside", lambda m: value(m, "sessions", '{backend="main-1",pool="main"}') >= 6)
    async with aiohttp.ClientSession() as forger:
        await forger.get(day.product.public, headers={"Accept": "text/html", "Cookie": "wr_main=v1.k1.AAAA.BBBB"})
    await crowd[5].page("/cut")
    await crowd[5].page("/logout")
    await asyncio.gather(*(student.page("/start") for student in crowd[:3]))
    await day.scrape()
    return crowd[:5]


async def estimates_are_judged(day: Morning) -> None:
    """Students come to a line that is known by then, until the wait of one of them has been held against its range."""
    waiting: list[Student] = []

    async def look() -> bool:
        waiting.append(await day.student("late"))
        await waiting[-1].page()
        for student in waiting[:-1]:
            if (await student.poll())["state"] == "admitted":
                await student.page()
                waiting.remove(student)
        return value(await day.scrape(), "wait_estimate_ratio_count", '{pool="main"}') > 0

    await until(look, what="an estimate that was judged")


async def the_backend_is_busy_and_then_away(day: Morning, inside: list[Student]) -> None:
    """One request is slow, another waits behind it; then staff take the backend out, and students wait to come back."""
    slow = asyncio.ensure_future(inside[0].page("/slow"))
    await day.shows("a request under way", lambda m: value(m, "inflight", '{backend="main-1",pool="main"}') == 1)
    behind = asyncio.ensure_future(inside[1].page("/x"))
    await day.shows("one behind it", lambda m: value(m, "inflight_waiting", '{backend="main-1",pool="main"}') == 1)
    day.backend.slow.set()
    await asyncio.gather(slow, behind)
    await day.command("hold", "main", "--backend", "main-1")

    async def returning() -> bool:
        return (await inside[2].page()).state is not None

    await until(returning, what="the page of a backend that is out")
    await inside[2].poll()
    await day.shows("one who returns", lambda m: value(m, "returning", '{backend="main-1",pool="main"}') >= 1)
    await day.command("open", "main", "--backend", "main-1")
    await inside[2].enter()


async def staff_and_faults(day: Morning) -> None:
    """A hold, a limit, a death of the store and of a worker, a reload with another limit and one that is refused."""
    await day.command("hold", "main")
    await day.command("limit", "main", "--rate", "1/s", "--max-sessions", "190")
    await day.shows("the hold", lambda m: value(m, "held", '{pool="main"}') == 1)
    await day.shows("the rate", lambda m: value(m, "admission_rate", '{pool="main"}') == 1)
    (store,) = day.product.children("valkey")
    os.kill(store, signal.SIGKILL)
    await day.shows("the store away", lambda m: value(m, "store_up") == 0 or value(m, "store_restarts_total") == 1)
    await day.shows("what was wrong", lambda m: any(m[each] for each in m if each.startswith(FAILED)))
    await day.shows("the store again", lambda m: value(m, "store_up") == value(m, "store_restarts_total") == 1)

    async def nobody_serves() -> bool:
        """Another worker is there soon, perhaps before anybody looks: then that one is killed."""
        for worker in day.product.children("waitroom.server.worker"):
            os.kill(worker, signal.SIGKILL)
        return value(await day.scrape(), "workers") == 0

    await until(nobody_serves, what="no worker")
    await day.shows("another worker", lambda m: value(m, "workers") == 1 and value(m, "worker_restarts_total") >= 1)
    for status, success in ((503, 1), (200, 0)):
        text = config(day.backend.url, queue_status=status)
        before = value(await day.scrape(), "config_last_reload_timestamp_seconds")
        (day.product.log.parent / "waitroom.yaml").write_text(text, encoding="utf-8")
        day.product.process.send_signal(signal.SIGHUP)
        await day.shows(
            f"the reload with {status}",
            lambda m, success=success, before=before: (
                value(m, "config_reload_success") == success
                and (not success or value(m, "config_last_reload_timestamp_seconds") > before)
            ),
        )


def test_every_metric_moves(tmp_path: Path) -> None:
    """In one morning in which everything happens that a metric counts."""

    async def main() -> None:
        async with morning(tmp_path) as day:
            await day.scrape()
            inside = await the_line_moves(day)
            await estimates_are_judged(day)
            await the_backend_is_busy_and_then_away(day, inside)
            await staff_and_faults(day)
            assert day.still() == STILL

    run(main())
