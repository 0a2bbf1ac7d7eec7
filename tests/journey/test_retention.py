"""Who has been admitted to an exam that is running never goes back to the line (law 6)."""

import time
from pathlib import Path

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import look_again, serving, until
from tests.support.student import PAGE, Student

CONFIG = """
workers: 2
pools:
  main:
    backends:
      main-1: {{url: "{first}", max_sessions: 1}}
      main-2: {{url: "{second}", max_sessions: 1}}
    session: {{idle_timeout: {idle}{more}}}
exams:
  MATH: {{pool: main, match: [{{path: "/exam*"}}], closes: "{closes}"}}
release: [{{path: "/logout"}}]
"""


def _config(first: str, second: str, idle: str, more: str = "") -> str:
    closes = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3_600))
    return CONFIG.format(first=first, second=second, idle=idle, more=more, closes=closes)


BUSY = "5s"
"""Of a student who works on: longer than a busy machine stands still."""


async def _beyond_the_idle_timeout() -> None:
    """Twice the timeout: no event tells that nothing has lapsed."""
    await look_again(4.5)


def test_a_slot_is_kept_for_a_student_who_writes_an_essay(tmp_path: Path) -> None:
    """Idle for longer than the timeout, on another network, after a crash: at once, on the same backend, and nobody
    has taken the slot meanwhile."""

    async def main() -> None:
        async with (
            counting_backend() as first,
            counting_backend() as second,
            serving(tmp_path, config=_config(first.url, second.url, "2s")) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
            Student(product.public, "eve") as eve,
        ):
            for student in (ann, bob):
                assert (await student.page("/exam/1")).status == 200
                assert (await student.page("/exam/2")).status == 200
            assert (await eve.page("/exam/1")).status == 429
            await _beyond_the_idle_timeout()
            assert (await eve.poll())["state"] == "waiting"
            mine = first if "ann" in first.inside else second
            assert (await ann.page("/exam/3")).status == 200
            assert mine.paths[-1] == "/exam/3"
            cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in ann.client.cookie_jar)
            async with Student(product.public, "ann") as elsewhere:  # the phone's network, the same cookies
                there = await elsewhere.ask("GET", "/exam/4", PAGE | {"Cookie": cookies})
                assert there.status == 200
                assert mine.paths[-1] == "/exam/4"
            assert (await ann.page("/logout")).status == 200
            await eve.enter()

    run(main())


def test_over_the_limit_if_need_be(tmp_path: Path) -> None:
    """Where slots are not kept: others have them meanwhile, and who comes back is in all the same, where they were."""

    async def main() -> None:
        async with (
            counting_backend() as first,
            counting_backend() as second,
            serving(tmp_path, config=_config(first.url, second.url, BUSY, ", hold_until_exam_ends: false")) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
            Student(product.public, "eve") as eve,
        ):
            for student in (ann, bob):
                assert (await student.page("/exam/1")).status == 200
                assert (await student.page("/exam/2")).status == 200
            mine = first if "ann" in first.inside else second

            async def enters() -> bool:
                assert (await bob.page("/exam/3")).status == 200, "bob works on"
                return (await eve.page("/exam/1")).status == 200

            await until(enters, what="ann's slot for eve")
            assert (await eve.page("/exam/2")).status == 200
            assert (await ann.page("/exam/4")).status == 200
            assert mine.paths[-1] == "/exam/4"
            name = "main-1" if mine is first else "main-2"

            async def two() -> bool:
                return (await product.metrics())[f'waitroom_sessions{{backend="{name}",pool="main"}}'] == 2

            await until(two, what="two sessions where one is the limit")

    run(main())
