"""The limit holds, whoever comes, however many workers there are, and the line is fair."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import serving, until
from tests.support.student import PAGE, SCRIPT, Student

RELEASE = """
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 5}
release: [{path: "/logout"}]
"""


def test_the_sixth_visitor_waits_and_comes_in(tmp_path: Path) -> None:
    """Five get the server's own answer; the sixth gets 429 and the page, and enters when one releases."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=RELEASE.replace("URL", backend.url)) as product,
        ):
            students = [await Student(product.public, f"s{n}").__aenter__() for n in range(6)]
            try:
                for student in students[:5]:
                    answer = await student.page("/mod/quiz/view.php?id=%7E7&&b=%2F")
                    assert (answer.status, answer.state) == (200, None)
                    assert answer.body == b"exam server: /mod/quiz/view.php?id=%7E7&&b=%2F\n"
                sixth = students[5]
                page = await sixth.page("/mod/quiz/view.php?id=7")
                assert (page.status, page.state) == (429, "waiting")
                assert page.headers["Cache-Control"] == "no-store"
                assert int(page.headers["Retry-After"]) >= 1
                assert b"<html" in page.body
                said = await sixth.poll()
                assert (said["state"], said["position"], said["ahead"], said["waiting"]) == ("waiting", 1, 0, 1)
                assert 2_000 <= said["next_poll_ms"] <= 30_000
                assert (await students[0].page("/logout")).status == 200

                async def turn() -> bool:
                    return (await sixth.poll())["state"] == "admitted"

                await until(turn, what="the sixth visitor's turn")
                entered = await sixth.page("/mod/quiz/view.php?id=7")
                assert (entered.status, entered.state) == (200, None)
                assert (await students[0].page("/")).status == 429, "a released pass is worth nothing"
                assert backend.most_inside == 5
            finally:
                for student in students:
                    await student.__aexit__(None, None, None)

    run(main())


def test_programs_are_told_in_their_own_words(tmp_path: Path) -> None:
    """Without a pass a script, an upload and a WebSocket get problem+json: never HTML, never a 2xx."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, "--max-sessions", "1") as product,
            Student(product.public, "inside") as inside,
            Student(product.public, "program") as program,
        ):
            assert (await inside.page()).status == 200
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
            for method, headers in (("GET", SCRIPT), ("POST", SCRIPT), ("PUT", PAGE), ("GET", upgrade)):
                answer = await program.ask(method, "/x", headers)
                assert answer.status == 429, (method, headers)
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert "Retry-After" in answer.headers
                assert "Set-Cookie" not in answer.headers
            assert backend.requests["program"] == 0

    run(main())


@pytest.mark.parametrize("workers", [1, 4])
def test_two_hundred_together(tmp_path: Path, workers: int) -> None:
    """Never more than five inside, counted at the backend; everyone gets in, in the order of arrival."""

    async def visit(student: Student, backend: CountingBackend) -> None:
        async with student:
            await student.enter(every_s=0.4)
            arrivals[student.name] = student.arrival_us()
            assert student.name in backend.inside
            assert (await student.page("/logout")).status == 200

    arrivals: dict[str, int] = {}

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", str(workers), config=RELEASE.replace("URL", backend.url)) as product,
        ):
            await asyncio.gather(*(visit(Student(product.public, f"s{n:03}"), backend) for n in range(200)))
            assert backend.most_inside <= 5
            assert len(backend.entered) == 200
            by_arrival = sorted(arrivals, key=arrivals.__getitem__)
            for place, name in enumerate(backend.entered):
                earlier = set(by_arrival[: by_arrival.index(name)]) - set(backend.entered[:place])
                assert len(earlier) < 5, f"{name} overtook {sorted(earlier)}"

    run(main())


def test_a_flood_without_cookies_holds_nothing(tmp_path: Path) -> None:
    """1,000 cookieless page loads hold no slot for longer than 30 s and push nobody in the line back."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, "--max-sessions", "2") as product,
            Student(product.public, "first") as first,
            Student(product.public, "second") as second,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as flood,
        ):

            async def load() -> int:
                async with flood.get(product.public, headers=PAGE) as answer:
                    await answer.read()
                    return answer.status

            await asyncio.gather(load(), load())
            assert (await first.page()).status == 429
            assert (await first.poll())["position"] == 1
            statuses = await asyncio.gather(*(load() for _ in range(1_000)))
            assert set(statuses) == {429}
            assert (await first.poll())["position"] == 1, "the flood came later and stands behind"

            async def turn() -> bool:
                return (await first.poll())["state"] == "admitted"

            await until(turn, what="the slot that a cookieless client held")
            assert (await first.page()).status == 200
            assert (await second.enter(every_s=0.5)) >= 0

    run(main())
