"""Whatever dies, every place and every session is found again."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import START_S, Product, alive, serving, until
from tests.support.student import Student


async def _killed(product: Product, pid: int, word: str) -> None:
    """Kill a child and wait until another stands in its place."""
    before = set(product.children(word))
    os.kill(pid, signal.SIGKILL)

    async def replaced() -> bool:
        now = set(product.children(word))
        return pid not in now and len(now) >= len(before)

    await until(replaced, what=f"a replacement for the killed {word}")


def test_a_killed_worker_loses_no_place_and_no_session(tmp_path: Path) -> None:
    """kill -9 of every worker in turn under load: same places, same sessions, nobody over the limit."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, "--max-sessions", "3", "--workers", "2") as product,
        ):
            students = [await Student(product.public, f"s{n}").__aenter__() for n in range(10)]
            try:
                for student in students:
                    await student.page()
                before = [(await student.poll())["position"] for student in students[3:]]
                arrivals = [student.arrival_us() for student in students]
                async with _load(students[:3], students[3:]) as statuses:
                    for pid in product.children("waitroom.server.worker"):
                        await _killed(product, pid, "waitroom.server.worker")
                        for student in students[:3]:
                            assert (await _patient(student)) == 200
                assert set(statuses) == {200}, "an admitted student is never turned away"
                after = [(await _poll(student))["position"] for student in students[3:]]
                assert after == before
                assert [student.arrival_us() for student in students] == arrivals
                assert backend.most_inside == 3
            finally:
                for student in students:
                    await student.__aexit__(None, None, None)

    run(main())


def test_a_killed_store_loses_no_place_and_no_session(tmp_path: Path) -> None:
    """kill -9 of the embedded store: it comes back with everybody in it; the admitted notice nothing meanwhile."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, "--max-sessions", "3") as product,
        ):
            students = [await Student(product.public, f"s{n}").__aenter__() for n in range(10)]
            try:
                for student in students:
                    await student.page()
                for student in students[:3]:
                    assert (await student.page()).status == 200
                before = [(await student.poll())["position"] for student in students[3:]]

                async def fresh() -> bool:
                    return not any([(await _poll(student))["stale"] for student in students[3:]])

                async with _load(students[:3], students[3:]) as statuses:
                    for _ in range(3):
                        (store,) = product.children("valkey")
                        await _killed(product, store, "valkey")
                        for student in students[:3]:
                            assert (await student.page()).status == 200
                        await until(fresh, what="the store's return")
                assert set(statuses) == {200}, "an admitted student notices nothing"
                assert [(await _poll(student))["position"] for student in students[3:]] == before
                assert backend.most_inside == 3
                async with Student(product.public, "late") as late:
                    assert (await late.page()).status == 429
            finally:
                for student in students:
                    await student.__aexit__(None, None, None)

    run(main())


def test_a_stopped_product_finishes_what_it_began(tmp_path: Path) -> None:
    """SIGTERM while a request is in flight: it is answered in full, the exit code is 0, and nothing is left running."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, "--max-sessions", "3") as product,
            Student(product.public, "s") as student,
        ):
            assert (await student.page()).status == 200
            children = product.children()
            slow = asyncio.ensure_future(student.page("/slow"))

            async def arrived() -> bool:
                return "/slow" in backend.paths

            await until(arrived, what="the slow request at the backend")
            product.process.send_signal(signal.SIGTERM)
            stopping = asyncio.ensure_future(product.process.wait())
            backend.slow.set()
            answer = await slow
            assert (answer.status, answer.body) == (200, b"exam server: /slow\n")
            assert await asyncio.wait_for(stopping, START_S) == 0
            assert not [pid for pid in children if alive(pid)]

    run(main())


@contextlib.asynccontextmanager
async def _load(inside: list[Student], waiting: list[Student]) -> AsyncIterator[list[int]]:
    """Everybody at work meanwhile, as fast as answers come; gives the statuses that those inside were answered with."""
    statuses: list[int] = []
    over = False

    async def work(student: Student) -> None:
        while not over:
            with contextlib.suppress(aiohttp.ClientError):  # a killed worker takes the requests in it along
                statuses.append((await student.page("/work")).status)

    async def wait(student: Student) -> None:
        while not over:
            with contextlib.suppress(aiohttp.ClientError):
                await student.poll()

    async with asyncio.TaskGroup() as group:
        for student in inside:
            group.create_task(work(student))
        for student in waiting:
            group.create_task(wait(student))
        yield statuses
        over = True


async def _poll(student: Student) -> dict[str, object]:
    """Poll, once more if the connection had gone to a worker that was just killed."""
    try:
        return await student.poll()
    except aiohttp.ClientError:
        return await student.poll()


async def _patient(student: Student) -> int:
    try:
        return (await student.page()).status
    except aiohttp.ClientError:
        return (await student.page()).status
