"""A synchronised click before the real product: every request arrives once, in order, at the rate; whatever dies."""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import Product, serving, until
from tests.support.student import PAGE, SCRIPT, Answer, Student
from waitroom import clock

FORM = PAGE | {"Content-Type": "application/x-www-form-urlencoded"}

BURST_S = 0.2
"""Of the rate may pass at once."""

JITTER_S = 0.3
"""How late a pass may reach the backend on a machine with two cores that does not stand still."""

TURNS = 5
"""In one of which it did not."""


@dataclass
class Hall:
    """Students inside, and what they click."""

    product: Product
    backend: CountingBackend
    students: list[Student]

    async def start(self, number: int, **more: Any) -> Answer:
        """The click of one student."""
        data = more.pop("data", f"sesskey=k{number}&cmid=7")
        return await self.students[number].ask("POST", "/start", FORM, data=data, **more)

    def arrived(self) -> list[int]:
        """Whose clicks the backend has seen, in its order."""
        return [int(body.split(b"=k")[1].split(b"&")[0]) for body in self.backend.bodies if b"=k" in body]

    async def in_line(self, at_least: int, *, beside: int = 0) -> list[bytes]:
        """The visitors that have a place, once so many have or had one: some may have had their turn by then.

        `beside`: the clicks of before, which do not count.
        """
        store = redis.asyncio.Redis(unix_socket_path=str(next(self.product.data_dir.rglob("*.sock"))))

        async def waiting() -> list[bytes]:
            found: list[bytes] = await store.zrange("wr:{start}:pace:line", 0, -1)
            return found if found and len(found) + len(self.arrived()) >= at_least + beside else []

        try:
            return await until(waiting, what=f"{at_least} places")
        finally:
            await store.aclose()

    async def outcomes(self) -> dict[str, float]:
        """What the pace did, as it is counted."""
        found = {}
        for name, value in (await self.product.metrics()).items():
            if match := re.fullmatch(r'waitroom_paced_total\{name="start",outcome="(\w+)"\}', name):
                found[match[1]] = value
        return {outcome: value for outcome, value in found.items() if value}


def visitor(student: Student) -> bytes:
    """The id in the pass that this browser holds."""
    (cookie,) = [cookie for cookie in student.client.cookie_jar if cookie.key == "wr_main"]
    return cookie.value.split(".", 2)[2].split("~")[0].encode()


def config(backend: CountingBackend, rate: str, max_wait: str, workers: int = 2) -> str:
    pace = {"name": "start", "match": {"method": "POST", "path": "/start"}, "rate": rate, "max_wait": max_wait}
    pools = {"main": {"backends": {"main-1": {"url": backend.url, "max_sessions": 5_000}}}}
    return json.dumps({"workers": workers, "pools": pools, "pace": [pace], "logging": {"access": False}})


@asynccontextmanager
async def hall(tmp_path: Path, students: int, rate: str, max_wait: str = "20s") -> AsyncIterator[Hall]:
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(counting_backend())
        product = await stack.enter_async_context(serving(tmp_path, config=config(backend, rate, max_wait)))
        inside = [await stack.enter_async_context(Student(product.public, f"s{n}")) for n in range(students)]
        for student in inside:
            assert (await student.page()).status == 200
        yield Hall(product, backend, inside)


def test_three_hundred_clicks_at_one_instant(tmp_path: Path) -> None:
    """Each arrives once, in the order of arrival, never above the rate and one burst; each student sees the answer."""

    async def main() -> None:
        async with hall(tmp_path, CLICKS, f"{A_SECOND}/s", max_wait="60s") as it:
            faults: list[str] = []
            for _ in range(TURNS):
                clicks = [asyncio.ensure_future(it.start(n)) for n in range(CLICKS)]
                line = [visitor(student) for student in it.students]
                order = [line.index(each) for each in await it.in_line(CLICKS // 2)]
                answers = await asyncio.gather(*clicks)
                assert [answer.status for answer in answers] == [200] * CLICKS
                assert sorted(it.arrived()) == list(range(CLICKS))
                if not (fault := _out_of_step(it, order)):
                    break
                faults.append(fault)
                it.backend.bodies.clear()
                it.backend.times_s.clear()
            assert len(faults) < TURNS, faults
            assert (await it.outcomes()).keys() == {"direct", "waited"}

    run(main())


CLICKS, A_SECOND = 300, 60


def _out_of_step(it: Hall, order: list[int]) -> str:
    """What was above the rate and one burst, or out of the order of arrival by more than that; else nothing."""
    burst, known = A_SECOND * BURST_S, set(order)
    seen = {number: at for at, number in enumerate(each for each in it.arrived() if each in known)}
    if (shift := max(abs(seen[number] - place) for place, number in enumerate(order))) > burst:
        return f"{shift} places out of order"
    times_s = sorted(it.backend.times_s)
    for first, start_s in enumerate(times_s):
        for last in range(first + 1, len(times_s)):
            if last - first + 1 > burst + A_SECOND * (times_s[last] - start_s + JITTER_S):
                return f"{last - first + 1} within {times_s[last] - start_s:.2f} s"
    return ""


def test_the_store_is_killed_in_between(tmp_path: Path) -> None:
    """kill -9 of the store: each worker goes on alone, nobody is turned away and nothing is sent twice."""

    async def main() -> None:
        async with hall(tmp_path, 120, "40/s") as it:
            clicks = [asyncio.ensure_future(it.start(n)) for n in range(120)]
            await it.in_line(60)
            for pid in it.product.children("valkey"):
                os.kill(pid, signal.SIGKILL)
            assert {answer.status for answer in await asyncio.gather(*clicks)} == {200}
            assert sorted(it.arrived()) == list(range(120))

    run(main())


def test_a_second_click_has_the_place_of_the_first(tmp_path: Path) -> None:
    """The browser gives the first request up: it is not sent; the second passes at the time of the first."""

    async def main() -> None:
        async with hall(tmp_path, 4, "12/min", max_wait="1m") as it:
            assert (await it.start(0)).status == 200
            before = asyncio.ensure_future(it.start(1))
            await it.in_line(1, beside=1)
            first = asyncio.ensure_future(it.start(2))
            await it.in_line(2, beside=1)
            behind = asyncio.ensure_future(it.start(3))
            await it.in_line(3, beside=1)
            first.cancel()
            again = await it.start(2)
            assert again.status == 200, (again.body[-400:], await it.outcomes(), it.arrived())
            await asyncio.gather(before, behind)
            assert it.arrived() == [0, 1, 2, 3]
            await until(lambda: _has(it, "left"), what="the first click's end")
            assert await it.outcomes() == {"direct": 1, "waited": 3, "left": 1}

    run(main())


async def _has(it: Hall, outcome: str) -> bool:
    return outcome in await it.outcomes()


def test_two_copies_at_once_are_sent_once(tmp_path: Path) -> None:
    """Tabs with the same form, held in two workers: one is sent, the others are told so, and may send on purpose."""

    async def main() -> None:
        async with hall(tmp_path, 2, "2/s") as it:
            assert (await it.start(0)).status == 200
            copies = await asyncio.gather(*[it.start(1) for _ in range(3)])
            assert sorted((copy.status, copy.state) for copy in copies if copy.state) == [(429, "paced")] * 2
            assert it.arrived() == [0, 1]
            told = next(copy.body.decode() for copy in copies if copy.state)
            assert "This has been sent already" in told
            assert _first(told)["state"] == "sent"
            assert (await it.start(1)).status == 200
            assert it.arrived() == [0, 1, 1]

    run(main())


def _first(page: str) -> dict[str, Any]:
    """What the page was told before it asks."""
    found = re.search(r'id="first">(.*?)</script>', page)
    assert found is not None
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_a_worker_that_dies_has_sent_nothing(tmp_path: Path) -> None:
    """kill -9 of all workers while they hold: connections break, nothing has arrived; a new click has its place."""

    async def main() -> None:
        async with hall(tmp_path, 8, "20/min", max_wait="1m") as it:
            assert (await it.start(0)).status == 200
            clicks = [asyncio.ensure_future(it.start(n)) for n in range(1, 5)]
            await it.in_line(4, beside=1)
            before = it.product.children("waitroom.server.worker")
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            broken = await asyncio.gather(*clicks, return_exceptions=True)
            assert all(isinstance(each, aiohttp.ClientError) or each.status == 200 for each in broken)
            arrived = Counter(it.arrived())

            async def replaced() -> bool:
                return len(set(it.product.children("waitroom.server.worker")) - set(before)) == 2

            await until(replaced, what="new workers")
            again = [n for n, each in enumerate(broken, 1) if isinstance(each, Exception)]
            assert all(arrived[n] == 0 for n in again)
            answers = await asyncio.gather(*[_patient(it, n) for n in again])
            assert {answer.status for answer in answers} == {200}
            assert Counter(it.arrived()) == Counter(range(5))

    run(main())


async def _patient(it: Hall, number: int) -> Answer:
    """A click, once more if its connection had gone to a worker that was just killed."""
    try:
        return await it.start(number)
    except aiohttp.ClientError:
        return await it.start(number)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_held_when_settings_or_processes_change(tmp_path: Path, ending: signal.Signals) -> None:
    """A product that stops gives everybody the page that keeps their form; a reload changes the rate for all."""

    async def main() -> None:
        async with hall(tmp_path, 4, "6/min") as it:
            assert (await it.start(0)).status == 200
            clicks = [asyncio.ensure_future(it.start(n)) for n in (1,)]
            await it.in_line(1, beside=1)
            if ending is signal.SIGHUP:
                (tmp_path / "waitroom.yaml").write_text(config(it.backend, "50/s", "20s"))
            it.product.process.send_signal(ending)
            (answer,) = await asyncio.gather(*clicks)
            if ending is signal.SIGHUP:
                assert answer.status == 200
                assert sorted(it.arrived()) == [0, 1]
            else:
                assert (answer.status, answer.state) == (429, "paced")
                assert b'<textarea name="sesskey">\nk1</textarea>' in answer.body
                assert it.arrived() == [0]

    run(main())


def test_beyond_max_wait_a_page_keeps_the_form_and_its_place(tmp_path: Path) -> None:
    """It asks when it was told to, and sends when its turn has come: all arrive, in order, at the rate."""

    async def main() -> None:
        async with hall(tmp_path, 30, "5/s", max_wait="1s") as it:
            answers = await asyncio.gather(*[_to_the_end(it, n) for n in range(30)])
            assert {answer.status for answer in answers} == {200}
            assert sorted(it.arrived()) == list(range(30))
            outcomes = await it.outcomes()
            assert outcomes["page"] >= 10
            assert sum(outcomes.values()) - outcomes["page"] == 30

    run(main())


async def _to_the_end(it: Hall, number: int) -> Answer:
    """As page.js does it."""
    loop = asyncio.get_running_loop()
    while (answer := await it.start(number)).state is not None:
        told = _first(answer.body.decode())
        assert (answer.status, told["state"]) == (429, "paced")
        word = told["pace"]
        while told["state"] != "admitted":
            assert told["state"] == "paced"
            asks = loop.create_future()
            loop.call_later(told["next_poll_ms"] / 1000, asks.set_result, None)
            await asks
            told = await it.students[number].poll(f"?pool=main&pace={word}")
    return answer


def test_programs_and_forged_words(tmp_path: Path) -> None:
    """A program is told when to come back, and never HTML; nobody can ask for another's place or a better one."""

    async def main() -> None:
        async with hall(tmp_path, 3, "3/min", max_wait="1s") as it:
            began_ms = clock.monotonic_ms()  # a loop's own time stands still within a turn of it
            assert (await it.start(0)).status == 200
            refused = await it.students[1].ask("POST", "/start", SCRIPT, data=b"{}")
            assert (refused.status, refused.state) == (429, "paced")
            assert 20 - (clock.monotonic_ms() - began_ms) / 1000 <= int(refused.headers["Retry-After"]) <= 20
            assert refused.headers["Content-Type"] == "application/problem+json"
            word = _first((await it.start(1)).body.decode())["pace"]
            assert (await it.students[1].poll(f"?pool=main&pace={word}"))["state"] == "paced"
            said = word.split(".")
            earlier = ".".join([said[0], said[1], str(int(said[2]) - 1_000_000), said[3]])
            for student, asked in ((2, word), (1, earlier), (1, "start..1." + "A" * 43), (1, "%00")):
                assert (await it.students[student].poll(f"?pool=main&pace={asked}"))["state"] == "admitted"
            second = int((await it.start(2)).headers["Retry-After"])
            least = 0.4 * (40 - (clock.monotonic_ms() - began_ms) / 1000)
            assert least <= second <= 16, "the next poll of the second in line: 0.4 x 40 s"
            assert it.arrived() == [0]

    run(main())


def test_a_newcomer_is_given_a_pass_and_then_a_turn(tmp_path: Path) -> None:
    """Whose first request is a paced form: the page in its place brings the pass with which it is sent."""

    async def main() -> None:
        async with hall(tmp_path, 1, "15/min", max_wait="1s") as it, Student(it.product.public, "new") as new:
            assert (await it.start(0)).status == 200
            it.students.append(new)
            assert (await _to_the_end(it, 1)).status == 200
            assert it.arrived() == [0, 1]
            assert (await new.poll())["state"] == "admitted"

    run(main())


def test_files_wait_unread(tmp_path: Path) -> None:
    """What no page can carry is held as it comes and arrives whole, or is met by a page that says it was not sent."""
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    async def main() -> None:
        async with hall(tmp_path, 10, "1/s", max_wait="2s") as it:
            assert (await it.start(0)).status == 200
            files = [bytes([65 + n]) * 1_000_000 for n in range(9)]
            answers = await asyncio.gather(
                *[
                    student.ask("POST", "/start", PAGE | kind, data=file)
                    for student, file in zip(it.students[1:], files, strict=True)
                ]
            )
            whole = [n for n, answer in enumerate(answers) if answer.state is None]
            assert 2 <= len(whole) < 9
            assert sorted(it.backend.bodies[1:]) == [files[n] for n in whole]
            for answer in answers:
                if answer.state is not None:
                    assert (answer.status, answer.state) == (429, "paced")
                    assert b"What you sent could not be kept here, and none of it was sent on." in answer.body

    run(main())
