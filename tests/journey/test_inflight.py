"""The in-flight guard in the real product: two workers, one backend, never more requests at it than it may have."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.ports import free_port
from tests.support.product import Product, serving, until
from tests.support.student import PAGE, SCRIPT, Answer, Student
from waitroom.demo.exam_server import ExamServer
from waitroom.demo.model import Capacity, Machine, Verdict, Work

CONFIG = """
pools:
  main:
    backends: {main-1: {url: "URL", max_sessions: 400MORE}}
timeouts: {inflight_wait: WAIT}
"""
FORM = PAGE | {"Content-Type": "application/x-www-form-urlencoded"}
STUDENTS = 120
FOUND = 40
"""A bound of what may be found for a server with four cores and twelve workers, and a backlog of sixty."""


def _config(url: str, *, most: int | str | None, wait: str = "10s") -> str:
    more = f", max_inflight: {most}" if most else ""
    return CONFIG.replace("URL", url).replace("MORE", more).replace("WAIT", wait)


def _series(name: str, more: str = "") -> str:
    return f'waitroom_{name}{{backend="main-1",{more}pool="main"}}'


async def _morning(tmp_path: Path, most: int | str | None) -> tuple[ExamServer, Counter[int]]:
    """A hundred and twenty students are let in, and then all sign in and load a page at the same instant."""
    port = free_port()
    server = ExamServer("127.0.0.1", port, Capacity(ram_mib=4_096), seed=1)
    await server.start()
    statuses: Counter[int] = Counter()
    try:
        config = _config(f"http://127.0.0.1:{port}", most=most, wait="60s")
        async with serving(tmp_path, "--workers", "2", config=config) as product:
            students = [await Student(product.public, f"s{n}").__aenter__() for n in range(STUDENTS)]
            try:
                for at in range(0, STUDENTS, 20):
                    await asyncio.gather(*(student.page("/theme/exam.css") for student in students[at : at + 20]))
                answers = await asyncio.gather(
                    *(each.ask("POST", "/login/index.php", FORM, data=f"username={each.name}") for each in students),
                    *(each.page("/") for each in students),
                )
                statuses.update(answer.status for answer in answers)
                if most:
                    assert all(answer.state is None for answer in answers), "the exam server's own answers"
                    await until(lambda: _at_rest(product, most), what="rest")
            finally:
                for student in students:
                    await student.__aexit__(None, None, None)
    finally:
        await server.close()
    return server, statuses


async def _at_rest(product: Product, most: int | str) -> bool:
    """Nothing is left at the backend, and what waited is counted."""
    seen = await product.metrics()
    limit = seen[_series("inflight_limit")]
    assert 2 <= limit <= FOUND if most == "auto" else limit == most, "the workers' shares make up the whole"
    assert seen[_series("inflight_waits_total", 'end="late",')] == 0
    waited = seen[_series("inflight_waits_total", 'end="served",')]
    return waited > STUDENTS and seen[_series("inflight")] == seen[_series("inflight_waiting")] == 0


def _levels(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests are at the sample exam server, at each one's arrival."""
    levels: list[int] = []
    real = Machine.arrive

    def arrive(machine: Machine, now_ms: float, request: int, work: Work) -> Verdict:
        verdict = real(machine, now_ms, request, work)
        levels.append(machine.running + machine.queued)
        return verdict

    monkeypatch.setattr(Machine, "arrive", arrive)
    return levels


def test_the_sample_exam_server_never_has_more_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it everybody is served and nothing refused; without, it has six times as many, and refuses others."""
    levels = _levels(monkeypatch)

    async def main() -> None:
        server, statuses = await _morning(tmp_path, 12)
        assert (max(levels), server.machine.refused, server.machine.deaths) == (12, 0, [])
        assert statuses == {200: STUDENTS, 303: STUDENTS}

    async def without() -> None:
        server, statuses = await _morning(tmp_path / "without", None)
        assert max(levels) == 72, "all its workers and its whole backlog"
        assert server.machine.refused > 0
        assert statuses[503] > 0

    run(main())
    (tmp_path / "without").mkdir()
    levels.clear()
    run(without())


def test_a_limit_is_found_for_the_sample_exam_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto`, on two workers, from nothing: everybody is served, nothing refused, and the backlog never fills."""
    levels = _levels(monkeypatch)

    async def main() -> None:
        server, statuses = await _morning(tmp_path, "auto")
        assert (server.machine.refused, server.machine.deaths) == (0, [])
        assert statuses == {200: STUDENTS, 303: STUDENTS}
        assert max(levels) <= FOUND

    run(main())


def test_who_waits_too_long_gets_an_honest_answer(tmp_path: Path) -> None:
    """In their own words: a page that tries again, a form that is kept, problem+json; and nothing was sent."""

    async def served(backend: CountingBackend) -> bool:
        return "/slow" in backend.paths

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=_config(backend.url, most=1, wait="1s")) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
            Student(product.public, "eve") as newcomer,
        ):
            assert (await ann.page()).status == (await bob.page()).status == 200
            slow = asyncio.gather(ann.ask("GET", "/slow", SCRIPT))
            await until(lambda: served(backend), what="the slow request")
            page, form, save, late = await asyncio.gather(
                bob.page("/attempt"),
                bob.ask("POST", "/process", FORM, data=urlencode({"q1": "a <b> & c"})),
                bob.ask("POST", "/autosave", SCRIPT, data=b'{"q1": "a"}'),
                newcomer.page("/exam"),
            )
            for answer in (page, form, late):
                _calm(answer)
            assert b"What you typed is kept in this page" in form.body
            assert b'<textarea name="q1">\na &lt;b&gt; &amp; c</textarea>' in form.body
            assert (save.status, save.headers["Content-Type"]) == (503, "application/problem+json")
            assert b"urn:waitroom:problem:backend-busy" in save.body
            assert int(save.headers["Retry-After"]) > 0
            assert [path for path in backend.paths if path not in ("/", "/slow")] == []
            assert backend.bodies == []
            backend.slow.set()
            assert (await slow)[0].status == 200
            assert (await newcomer.page("/exam")).status == 200, "the place was kept, and it is the same"
            seen = await product.metrics()
            assert seen[_series("backend_failures_total", 'kind="busy",')] == 4
            assert seen[_series("inflight_waits_total", 'end="late",')] == 4
            assert seen['waitroom_admissions_total{pool="main",way="direct"}'] == 3

    run(main())


def _calm(answer: Answer) -> None:
    assert (answer.status, answer.state) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"The exam server is busy; you are in" in answer.body


def test_the_workers_shares_are_the_whole_whoever_dies(tmp_path: Path) -> None:
    """Ten among three; after one was killed and replaced, ten again."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "3", config=_config(backend.url, most=10)) as product,
        ):

            async def whole(restarts: int) -> bool:
                seen = await product.metrics()
                return seen[_series("inflight_limit")] == 10 and seen["waitroom_worker_restarts_total"] == restarts

            await until(lambda: whole(0), what="ten")
            os.kill(product.children("waitroom.server.worker")[0], signal.SIGKILL)
            await until(lambda: whole(1), what="ten again")

    run(main())
