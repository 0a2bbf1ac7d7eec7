"""Sessions end by themselves, and whoever was in before is not treated as a stranger."""

from pathlib import Path

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import serving, until
from tests.support.student import PAGE, SCRIPT, Student

SHORT = """
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 1}
    session: {idle_timeout: 5s}
release: [{path: "/logout"}]
"""


async def _enter(student: Student) -> None:
    async def turn() -> bool:
        return (await student.poll())["state"] == "admitted"

    await until(turn, what=f"{student.name}'s turn")
    assert (await student.page()).status == 200


def test_an_idle_session_lapses_and_its_holder_stands_ahead_of_strangers(tmp_path: Path) -> None:
    """The slot goes to who waits; who had it comes back to the head of the line, in the lane of those who return."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=SHORT.replace("URL", backend.url)) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
            Student(product.public, "eve") as eve,
        ):
            assert (await ann.page()).status == 200
            assert (await ann.page("/again")).status == 200
            for waiting in (bob, eve):
                assert (await waiting.page()).status == 429
            await _enter(bob)
            back = await ann.page("/exam")
            assert (back.status, back.state) == (429, "returning")
            assert (await ann.poll())["position"] == 1
            assert (await eve.poll())["position"] == 2
            assert (await ann.ask("GET", "/x", SCRIPT)).status == 429
            await _enter(ann)

    run(main())


def test_the_counts_add_up(tmp_path: Path) -> None:
    """Arrivals, admissions by way, departures by reason: what Prometheus reads is what happened."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "2", config=SHORT.replace("URL", backend.url)) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            assert (await ann.page()).status == 200
            assert (await bob.page()).status == 429
            assert (await ann.page("/logout")).status == 200
            await _enter(bob)

            async def counted() -> bool:
                seen = await product.metrics()
                return seen['waitroom_departures_total{pool="main",reason="lapsed"}'] == 1

            await until(counted, what="bob's lapse")
            seen = await product.metrics()
            assert seen['waitroom_arrivals_total{pool="main"}'] == 2
            assert seen['waitroom_admissions_total{pool="main",way="direct"}'] == 1
            assert seen['waitroom_admissions_total{pool="main",way="line"}'] == 1
            assert seen['waitroom_departures_total{pool="main",reason="released"}'] == 1
            assert seen['waitroom_sessions{backend="main-1",pool="main"}'] == 0
            assert seen['waitroom_wait_seconds_count{pool="main"}'] == 2
            assert seen['waitroom_requests_total{backend="main-1",code="2xx",pool="main"}'] == 3

    run(main())


def test_a_pass_that_was_given_back_opens_nothing(tmp_path: Path) -> None:
    """Neither a page nor the log-out itself, on whichever worker somebody who kept the old cookie tries it."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(
                tmp_path, "--workers", "3", config=SHORT.replace("URL", backend.url).replace("5s", "60s")
            ) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            assert (await ann.page()).status == 200
            (kept,) = [f"{cookie.key}={cookie.value}" for cookie in ann.client.cookie_jar]
            assert (await ann.page("/logout")).status == 200
            assert (await bob.page()).status == 200
            before = list(backend.paths)
            for _ in range(12):  # each on a connection of its own, and so on any worker
                async with Student(product.public, "thief") as thief:
                    for path in ("/exam", "/logout"):
                        stolen = await thief.ask("GET", path, PAGE | {"Cookie": kept})
                        assert stolen.status == 429
            assert backend.paths == before

    run(main())
