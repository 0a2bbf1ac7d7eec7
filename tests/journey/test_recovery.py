"""A backend goes away and comes back: its students wait with their places kept, and come back at the ramp's rate."""

import asyncio
import contextlib
import json
from pathlib import Path

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.ports import free_port
from tests.support.product import Product, look_again, serving, until
from tests.support.student import PAGE, SCRIPT, Student
from waitroom.admission.recovery import GROWTH

CONFIG = """
workers: 2
pools:
  main:
    backends:
      main-1: {{url: "http://127.0.0.1:{port}", max_sessions: 100}}
    recovery: {{initial_rate: {rate}}}
    {more}
"""

NEWCOMERS = "admission: {rate: 1000/s, burst: 1000}"
"""A rate that holds nobody up; students who come back must not depend on it."""

LONG_S = 180.0

CROWD = 30
RATE = 5


def test_students_come_back_at_the_ramps_rate(tmp_path: Path) -> None:
    """With a crowd that reloads all the time: nobody reaches a dead backend, and a fresh one is not met by all."""

    async def main() -> None:
        port = free_port()
        config = CONFIG.format(port=port, rate=f"{RATE}/s", more=NEWCOMERS)
        async with serving(tmp_path, config=config) as product, contextlib.AsyncExitStack() as crowd:
            students = await _inside(product, port, crowd)

            async def known_to_all() -> bool:
                tried = await _failures(product)
                assert all([(await student.page()).state == "down" for student in students])
                return await _failures(product) == tried

            await until(known_to_all, what="the news that the backend is down, in every worker")
            assert (await product.metrics())['waitroom_backend_up{backend="main-1",pool="main"}'] == 0
            async with counting_backend(port) as backend:
                reloads = asyncio.gather(*(_reload(student, "/back") for student in students))
                first = await asyncio.wait_for(reloads, LONG_S)
                _not_faster_than_the_ramp(backend)
                assert len(first) == CROWD

                async def all_back() -> bool:
                    seen = await product.metrics()
                    assert seen['waitroom_sessions{backend="main-1",pool="main"}'] == CROWD
                    return seen['waitroom_returning{backend="main-1",pool="main"}'] == 0

                await until(all_back, what="an empty ramp")

    run(main())


OUTAGE_S = 1.0
"""Shorter than anything that looks once a second, or at the last three of them, can tell from a slow page."""

BLIND = "health: {path: /, interval: 200ms, fall: 100, rise: 2}"
"""Checks that see a server come back, and never see one go."""


def test_a_short_outage_is_paced_too(tmp_path: Path) -> None:
    """Killed and back within a second, under a crowd that reloads: the fresh server is met by the ramp, in all workers.

    It counts as one failure, although what was refused before it came back is heard of afterwards.
    """

    async def main() -> None:
        port = free_port()
        config = CONFIG.format(port=port, rate=f"{RATE}/s", more=BLIND)
        async with serving(tmp_path, config=config) as product, contextlib.AsyncExitStack() as crowd:
            students = await _inside(product, port, crowd)
            reloads = asyncio.gather(*(_reload(student, "/back") for student in students))
            await look_again(OUTAGE_S)

            async def missed() -> bool:
                return '"backend_phase"' in product.log.read_text()

            await until(missed, what="a student who met nobody there")
            async with counting_backend(port) as backend:
                first = await asyncio.wait_for(reloads, LONG_S)
                assert len(first) == CROWD
                _not_faster_than_the_ramp(backend)
            said = [json.loads(line) for line in product.log.read_text().splitlines() if '"backend_phase"' in line]
            assert [(each["phase"], each["failures"]) for each in said][:2] == [("down", 1), ("recovering", 1)]
            assert [each["phase"] for each in said].count("down") == 1, said

    run(main())


async def _inside(product: Product, port: int, crowd: contextlib.AsyncExitStack) -> list[Student]:
    """All have a session at a backend that is gone when they have."""
    students = [await crowd.enter_async_context(Student(product.public, f"s{number:02}")) for number in range(CROWD)]
    async with counting_backend(port):
        for student in students:
            assert (await student.page("/exam")).status == 200
    return students


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
    """Of students, that is: checks come beside. The ramp begins after the last check before the first student, who may
    be seen late here, with others behind.
    """
    seen = list(zip(backend.times, backend.paths, strict=True))
    arrivals = [at_s for at_s, path in seen if path == "/back"]
    assert len(arrivals) == CROWD
    began_s = max((at_s for at_s, path in seen if path != "/back" and at_s <= arrivals[0]), default=arrivals[0])
    for number, at_s in enumerate(arrivals):
        passed_s = at_s - began_s
        grown = RATE * GROWTH**passed_s
        assert number <= 1 + grown * (passed_s + 1), (number, passed_s)


TWO = """
pools:
  main:
    backends:
      main-1: {{url: "{first}", max_sessions: 10}}
      main-2: {{url: "{second}", max_sessions: 10}}
    recovery: {{initial_rate: 10/s}}
    on_backend_down: {rule}
"""


def test_sessions_move_to_a_sibling(tmp_path: Path) -> None:
    """With `on_backend_down: move` a student goes on at the other replica, and a form goes with them."""

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            second = await stack.enter_async_context(counting_backend())
            port = free_port()
            config = TWO.format(first=f"http://127.0.0.1:{port}", second=second.url, rule="move")
            product = await stack.enter_async_context(serving(tmp_path, config=config))
            ann, bob = [await stack.enter_async_context(Student(product.public, name)) for name in ("ann", "bob")]
            async with counting_backend(port) as first:
                for student in (ann, bob):
                    assert (await student.page()).status == 200
                assert (len(first.entered), len(second.entered)) == (1, 1)
                moved, stays = (ann, bob) if "ann" in first.inside else (bob, ann)

            async def there() -> bool:
                form = PAGE | {"Content-Type": "application/x-www-form-urlencoded"}
                return (await moved.ask("POST", "/answer", form, data=b"a=1")).status == 200

            await until(there, what="the other replica")
            assert second.bodies == [b"a=1"]
            assert (await stays.page()).status == 200
            assert (await moved.page()).status == 200, "the pass names the sibling now"

    run(main())


def test_staff_drain_and_hold_a_backend(tmp_path: Path) -> None:
    """Draining: no newcomers, sessions finish. Held: its students wait, and come back when it is opened again."""

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(counting_backend()) for _ in range(2)]
            config = TWO.format(first=first.url, second=second.url, rule="hold")
            product = await stack.enter_async_context(serving(tmp_path, config=config))
            names = [f"s{number}" for number in range(6)]
            students = [await stack.enter_async_context(Student(product.public, name)) for name in names]

            async def order(*words: str) -> str:
                where = ("--config", str(tmp_path / "waitroom.yaml"), "--admin", product.admin)
                code, out, err = await product.command(*words, *where)
                assert code == 0, err
                return out

            assert (await students[0].page()).status == (await students[1].page()).status == 200
            assert "finishes there" in await order("hold", "main", "--backend", "main-1", "--drain", "--why", "disk")
            for student in students[2:]:
                assert (await student.page()).status == 200
            assert len(first.entered) == 1, "nobody new"
            assert all([(await student.page()).status == 200 for student in students]), "whoever is in goes on"
            held = next(student for student in students if student.name in first.inside)
            await order("hold", "main", "--backend", "main-1")

            async def waits() -> bool:
                return (await held.page()).state == "down"

            await until(waits, what="the hold")
            script = await held.ask("GET", "/save", SCRIPT)
            assert (script.status, script.state) == (503, "down")
            await order("open", "main", "--backend", "main-1")

            async def back() -> bool:
                return (await held.page()).status == 200

            await until(back, what="the way back")
            await order("hold", "main")
            newcomer = await stack.enter_async_context(Student(product.public, "new"))

            async def stands() -> bool:
                return (await newcomer.page()).state == "held"

            await until(stands, what="the hold of the pool")
            assert (await held.page()).status == 200
            await order("open", "main")
            await newcomer.enter()

    run(main())
