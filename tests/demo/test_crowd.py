"""The crowd's books: what is counted for each student, and that a student behaves as a browser would."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import until
from tests.support.site import everywhere, listening
from waitroom.demo.browser import NOTHING, TROUBLE, WAITING, Ask, Browser
from waitroom.demo.crowd import Crowd, Outcome, State, Tally, Temper
from waitroom.demo.exam_server import ExamServer
from waitroom.demo.model import Capacity

QUICK = 1_500.0
"""A speed at which an exam takes a quarter of a second."""

LONG_S = 120.0
"""For what ends by itself."""


@contextlib.asynccontextmanager
async def exam_server(capacity: Capacity | None = None) -> AsyncIterator[str]:
    port = free_port()
    server = ExamServer("127.0.0.1", port, capacity or Capacity(), seed=1)
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.close()


def test_a_small_crowd_submits() -> None:
    """Five students sign in, start, answer with autosaves, submit and log out; no error, nothing unsaved."""

    async def main() -> Tally:
        async with exam_server() as base:
            temper = Temper(burst_s=0.01, patience_s=LONG_S)  # nobody reloads because this machine is busy
            crowd = Crowd(base, 5, exams=(4711, 4713), seed=1, speed=QUICK, temper=temper)
            return await crowd.run(within_s=LONG_S)

    tally = run(main())
    assert tally.everybody_submitted
    assert tally.states[State.SUBMITTED] == 5
    assert (tally.errors, tally.reloads, tally.unsaved) == (0, 0, 0)


def test_a_crowd_of_nobody_lets_in_gives_up() -> None:
    """Where nobody listens, each student bears the errors that were drawn for them, then leaves."""

    async def main() -> Crowd:
        temper = Temper(burst_s=0.01, reload_s=(0, 0.01), errors=(3, 3))
        crowd = Crowd(f"http://127.0.0.1:{free_port()}", 4, exams=(4711,), seed=1, speed=QUICK, temper=temper)
        await crowd.run(within_s=LONG_S)
        return crowd

    crowd = run(main())
    assert crowd.tally().states == {State.FAILED: 4}
    assert all(student.outcome.errors == 3 for student in crowd.students)
    assert all(student.outcome.reloads == 2 for student in crowd.students)


def test_the_deadline_ends_the_morning() -> None:
    """Whoever is still at it when the time is over is stopped, and counted where they stand."""

    async def main() -> Tally:
        async with exam_server() as base:
            crowd = Crowd(base, 3, exams=(4711,), seed=1, speed=0.01, temper=Temper(burst_s=0.001))
            return await crowd.run(within_s=3)

    assert run(main()).states == {State.INSIDE: 3}


def test_one_seed_one_crowd() -> None:
    """Arrivals, exams and patience depend on seed and number alone, not on how many others there are."""

    async def main() -> list[tuple[float, int, int]]:
        drawn = []
        for number in (3, 7):
            crowd = Crowd("http://127.0.0.1:1", number, exams=(4711, 4712), seed=5, speed=1)
            drawn.append([(each.outcome.came_s, each.cmid, each.patience) for each in crowd.students][:3])
            await crowd.go_home()
        assert drawn[0] == drawn[1]
        return drawn[0]

    assert len(set(run(main()))) == 3


def test_the_waiting_page_is_followed() -> None:
    """A student on the waiting page asks where the page says, waits as told, and loads the page again once admitted."""
    polls: list[str] = []

    async def view(_request: web.Request) -> web.Response:
        if len(polls) < 3:
            body = '<body data-status="/_waitroom/status?pool=a&amp;b=1">'
            return web.Response(status=429, text=body, content_type="text/html", headers={"X-Waitroom": "waiting"})
        return web.Response(text='<body data-page="bye">', content_type="text/html")

    async def status(request: web.Request) -> web.Response:
        polls.append(request.path_qs)
        if len(polls) < 3:
            said = {"state": "waiting", "position": 4 - len(polls), "next_poll_ms": 1}
            return web.json_response(said | {"eta": {"low_s": 0, "high_s": 60}})
        return web.json_response({"state": "admitted", "next_poll_ms": 2_000})

    async def main() -> Outcome:
        application = web.Application()
        application.router.add_get("/_waitroom/status", status)
        application.router.add_get("/{tail:.*}", view)
        async with listening(application) as port:
            crowd = Crowd(
                f"http://127.0.0.1:{port}", 1, exams=(4711,), seed=1, speed=QUICK, temper=Temper(burst_s=0.001)
            )
            student = crowd.students[0]
            running = asyncio.ensure_future(crowd.run(within_s=LONG_S))

            async def entered() -> bool:
                return student.outcome.entered_s is not None

            await until(entered, what="the exam's page")
            running.cancel()
            await asyncio.wait([running])
            return student.outcome

    outcome = run(main())
    assert polls[:3] == ["/_waitroom/status?pool=a&b=1"] * 3
    assert outcome.first_position == 3
    assert outcome.entered_s is not None
    assert outcome.promise_held


def test_pages_are_told_apart() -> None:
    """The waiting room's page, the exam server's, an error, and nothing at all."""

    async def answer(request: web.Request) -> web.Response:
        match request.path:
            case "/waiting":
                return web.Response(status=503, text="...", headers={"X-Waitroom": "held"})
            case "/broken":
                return web.Response(status=502, text='<body data-page="view">')
            case _:
                return web.Response(text='<body data-page="attempt" data-attempt="17" data-questions="4">')

    async def main() -> None:
        async with listening(everywhere(answer), free_port()) as port:
            base = f"http://127.0.0.1:{port}"
            browser = Browser(base, patience_s=60)
            names = [(await browser.open(Ask(path))).name for path in ("/waiting", "/broken", "/x")]
            assert names == [WAITING, TROUBLE, "attempt"]
            assert (await browser.open(Ask("/x"))).number("attempt") == 17
            await browser.close()
        browser = Browser(base, patience_s=60)
        assert (await browser.open(Ask("/x"))).name == NOTHING
        await browser.close()

    run(main())


def test_a_death_resets_everybody_and_the_patient_one_gets_in_later() -> None:
    """A crowd kills a tiny machine and gives up on resets and refusals; then one student alone gets through on it."""

    async def main() -> tuple[int, Tally, Tally]:
        tiny = Capacity(cores=1, workers=1, backlog=2, choke_ms=100, restart_ms=100, warm_requests=1)
        port = free_port()
        server = ExamServer("127.0.0.1", port, tiny, seed=1)
        await server.start()
        hasty = Temper(burst_s=0.01, reload_s=(0.01, 0.03), errors=(30, 30))
        stubborn = Temper(burst_s=0.01, reload_s=(0.02, 0.02), errors=(1_000, 1_000))
        base = f"http://127.0.0.1:{port}"
        many = await Crowd(base, 12, exams=(4713,), seed=1, speed=QUICK, temper=hasty).run(within_s=LONG_S)
        one = await Crowd(base, 1, exams=(4713,), seed=2, speed=QUICK, temper=stubborn).run(within_s=LONG_S)
        deaths = len(server.machine.deaths)
        await server.close()
        return deaths, many, one

    deaths, many, one = run(main())
    assert deaths > 0
    assert many.states[State.FAILED] > 6
    assert one.everybody_submitted


def test_the_tally_counts() -> None:
    """Waits are from the first click to the first page; a promise counts once it can be checked."""
    outcomes = [
        Outcome("a", State.SUBMITTED, came_s=1, entered_s=11, promised_s=(5, 12)),
        Outcome("b", State.SUBMITTED, came_s=2, entered_s=4, promised_s=(5, 12)),
        Outcome("c", State.WAITING, came_s=2, promised_s=(5, 12), errors=2, reloads=1),
    ]
    tally = Tally.of(outcomes)
    assert (tally.median_wait_s, tally.longest_wait_s) == (6, 10)
    assert (tally.promises, tally.promises_held) == (2, 1)
    assert (tally.errors, tally.reloads) == (2, 1)
    assert not tally.everybody_submitted
