"""A backend goes away and comes back: its students wait with their places kept, and come back at the ramp's rate."""

import asyncio
import contextlib
from pathlib import Path

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import Product, free_port, look_again, serving, until
from tests.support.student import Student

CONFIG = """
workers: 2
pools:
  main:
    backends:
      main-1: {{url: "http://127.0.0.1:{port}", max_sessions: 100}}
    recovery: {{initial_rate: {rate}}}
    {more}
"""

CROWD = 30
RATE = 5


def test_students_come_back_at_the_ramps_rate(tmp_path: Path) -> None:
    """With a crowd that reloads all the time: nobody reaches a dead backend, and a fresh one is not met by all."""

    async def main() -> None:
        port = free_port()
        config = CONFIG.format(port=port, rate=f"{RATE}/s", more="")
        async with serving(tmp_path, config=config) as product, contextlib.AsyncExitStack() as crowd:
            students = [
                await crowd.enter_async_context(Student(product.public, f"s{number:02}")) for number in range(CROWD)
            ]
            async with counting_backend(port):
                for student in students:
                    assert (await student.page("/exam")).status == 200

            async def known_to_all() -> bool:
                tried = await _failures(product)
                assert all([(await student.page()).state == "down" for student in students])
                return await _failures(product) == tried

            await until(known_to_all, what="the news that the backend is down, in every worker")
            assert (await product.metrics())['waitroom_backend_up{backend="main-1",pool="main"}'] == 0
            async with counting_backend(port) as backend:
                reloads = asyncio.gather(*(_reload(student, "/back") for student in students))
                first = await asyncio.wait_for(reloads, 60)
                _not_faster_than_the_ramp(backend)
                assert len(first) == CROWD
                seen = await product.metrics()
                assert seen['waitroom_sessions{backend="main-1",pool="main"}'] == CROWD
                assert seen['waitroom_returning{backend="main-1",pool="main"}'] == 0

    run(main())


async def _failures(product: Product) -> float:
    """How often a request was tried in vain."""
    seen = await product.metrics()
    return sum(value for name, value in seen.items() if name.startswith("waitroom_backend_failures_total"))


async def _reload(student: Student, path: str) -> int:
    """Press reload until the exam server answers; how often that took."""
    reloads = 1
    while (answer := await student.page(path)).state is not None:
        assert answer.state in ("down", "returning")
        assert answer.status == 503 if answer.state == "down" else 429
        reloads += 1
        await look_again(0.2)
    assert answer.status == 200
    return reloads


def _not_faster_than_the_ramp(backend: CountingBackend) -> None:
    """Of students, that is: checks come beside."""
    arrivals = [at_s for at_s, path in zip(backend.times, backend.paths, strict=True) if path == "/back"]
    assert len(arrivals) == CROWD
    for number, at_s in enumerate(arrivals):
        passed_s = at_s - arrivals[0]
        grown = RATE * 1.1**passed_s
        assert number <= 1 + grown * (passed_s + 1), (number, passed_s)
