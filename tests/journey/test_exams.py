"""Exams go to their own pool, have their own hours, and one visitor may sit two."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.server.test_reload import reloaded
from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import serving, until
from tests.support.student import PAGE, Student

FAR, SOON = timedelta(days=1), timedelta(seconds=2)
"""Until an exam opens or closes: far, until all that must happen before has happened, and then soon."""

FORM = PAGE | {"Content-Type": "application/x-www-form-urlencoded"}


def _config(sciences: CountingBackend, letters: CountingBackend, **hours: str) -> str:
    return f"""
pools:
  sciences: {{backends: {{sci-1: {{url: "{sciences.url}", max_sessions: 1}}}}}}
  letters: {{backends: {{let-1: {{url: "{letters.url}", max_sessions: 1}}}}}}
default_pool: letters
exams:
  MATH:
    pool: sciences
    title: "Analyse <I>"
    match: [{{path: "/mod/quiz/*", query: {{cmid: "4711"}}}}]
    {hours.get("math", "")}
  HIST:
    pool: letters
    match: [{{path: "/mod/quiz/*", query: {{cmid: "12"}}}}]
    {hours.get("hist", "")}
bypass: [{{path: "/auth/saml2/*"}}]
release: [{{path: "/logout"}}]
"""


def test_a_pass_pins_the_backend_and_a_second_exam_gets_its_own(tmp_path: Path) -> None:
    """URLs that name no exam follow the pass; an exam of another pool has its own line."""

    async def main() -> None:
        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=_config(sci, let)) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            assert (await ann.page("/mod/quiz/view.php?cmid=4711")).status == 200
            assert (
                await ann.ask("POST", "/lib/ajax/service.php", {"Sec-Fetch-Mode": "cors"}, data=b"{}")
            ).status == 200
            assert sci.paths == ["/mod/quiz/view.php?cmid=4711", "/lib/ajax/service.php"]
            assert let.paths == []
            assert (await bob.page("/mod/quiz/view.php?cmid=12")).status == 200
            second = await ann.page("/mod/quiz/view.php?cmid=12")
            assert (second.status, second.state) == (429, "waiting")
            assert (await ann.poll("?pool=letters"))["pool"] == "letters"
            assert (await ann.page("/mod/quiz/attempt.php?cmid=4711")).status == 200, "the first pass still counts"
            assert (await bob.page("/logout")).status == 200

            async def turn() -> bool:
                return (await ann.poll("?pool=letters"))["state"] == "admitted"

            await until(turn, what="ann's turn in letters")
            assert (await ann.page("/mod/quiz/view.php?cmid=12")).status == 200
            assert (await ann.page("/whatever")).status == 200
            assert let.paths[-1] == "/whatever", "the last pass wins for URLs that name no exam"

    run(main())


def test_hours(tmp_path: Path) -> None:
    """Before opening a lobby, at the opening everybody at once, after closing a closed page."""

    async def main() -> None:
        now = datetime.now(UTC)

        def config(opens: datetime) -> str:
            past = now - timedelta(hours=1)
            return _config(sci, let, math=f"opens: {opens.isoformat()}", hist=f"closes: {past.isoformat()}")

        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=config(now + FAR)) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            early = await ann.page("/mod/quiz/view.php?cmid=4711")
            assert (early.status, early.state) == (429, "lobby")
            assert b"Analyse &lt;I&gt;" in early.body
            assert b"<I>" not in early.body
            assert (await ann.poll())["state"] == "lobby"
            closed = await bob.page("/mod/quiz/view.php?cmid=12")
            assert (closed.status, closed.state) == (503, "closed")
            assert sci.paths == let.paths == []

            async def turn() -> bool:
                return (await ann.poll())["state"] == "admitted"

            soon = datetime.now(UTC) + SOON
            await reloaded(product, config(soon))
            await until(turn, what="the opening")
            assert datetime.now(UTC) >= soon
            assert (await ann.page("/mod/quiz/view.php?cmid=4711")).status == 200

    run(main())


def test_bypass_and_its_tricks(tmp_path: Path) -> None:
    """A bypass rule lets through what it names and nothing that only looks like it."""

    async def main() -> None:
        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=_config(sci, let)) as product,
            Student(product.public, "x") as x,
            Student(product.public, "in") as inside,
        ):
            assert (await inside.page("/")).status == 200
            before = len(let.paths)
            assert (await x.ask("POST", "/auth/saml2/acs", {"Accept": "*/*"}, data=b"SAMLResponse=1")).status == 200
            assert let.paths[before:] == ["/auth/saml2/acs"]

    run(main())


def test_a_form_that_met_the_queue_is_kept(tmp_path: Path) -> None:
    """A form POST without a pass is carried by the page; a larger or multipart one is told plainly; none is relayed."""

    async def main() -> None:
        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=_config(sci, let)) as product,
            Student(product.public, "in") as inside,
            Student(product.public, "ann") as ann,
        ):
            assert (await inside.page("/")).status == 200
            kept = await ann.ask("POST", "/login/index.php", FORM, data=b"username=ann&note=%3Cb%3E+%C3%A9")
            assert (kept.status, kept.state) == (429, "waiting")
            assert b'name="username"' in kept.body
            assert b"&lt;b&gt; \xc3\xa9" in kept.body
            large = await ann.ask("POST", "/login/index.php", FORM, data=b"a=" + b"x" * 70_000)
            assert (large.status, large.state) == (429, "waiting")
            assert b"xxxxxxxx" not in large.body
            assert let.bodies == []

    run(main())


def test_a_form_of_a_newcomer_goes_straight_in(tmp_path: Path) -> None:
    """With a place free the first request may be a form (an LTI launch): relayed with its body, pass set."""

    async def main() -> None:
        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=_config(sci, let)) as product,
            Student(product.public, "ann") as ann,
        ):
            launch = await ann.ask("POST", "/lti/launch", FORM, data=b"id_token=abc&state=1")
            assert (launch.status, launch.state) == (200, None)
            assert let.bodies == [b"id_token=abc&state=1"]
            assert (await ann.page("/next")).status == 200

    run(main())


def test_a_form_that_no_page_can_carry_still_takes_a_place(tmp_path: Path) -> None:
    """Its sender is told that it was lost, and stands in line; with a place free an upload goes straight in."""

    async def main() -> None:
        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=_config(sci, let)) as product,
            Student(product.public, "in") as inside,
            Student(product.public, "ann") as ann,
        ):
            upload = PAGE | {"Content-Type": "multipart/form-data; boundary=x"}
            body = b"--x\r\n" + b"y" * 200_000
            assert (await inside.ask("POST", "/hand-in", upload, data=body)).status == 200
            assert let.bodies == [body]
            lost = await ann.ask("POST", "/hand-in", upload, data=body)
            assert (lost.status, lost.state) == (429, "waiting")
            assert (await ann.poll())["position"] == 1
            assert let.bodies == [body]

    run(main())


def test_who_waits_for_one_exam_is_no_worse_off_elsewhere(tmp_path: Path) -> None:
    """A ticket of another pool, of an open exam or of a closed one, does not count where a URL names no exam."""

    async def main() -> None:

        def config(after: timedelta) -> str:
            return _config(sci, let, math=f"closes: {(datetime.now(UTC) + after).isoformat()}")

        async with (
            counting_backend() as sci,
            counting_backend() as let,
            serving(tmp_path, config=config(FAR)) as product,
            Student(product.public, "in") as inside,
            Student(product.public, "ann") as ann,
        ):
            exam = "/mod/quiz/view.php?cmid=4711"
            assert (await inside.page(exam)).status == 200
            assert (await ann.page(exam)).state == "waiting"
            assert (await ann.page("/home")).status == 200, "the default pool has a place"
            assert let.paths == ["/home"]

            async def closed() -> bool:
                return (await ann.page(exam)).state == "closed"

            await reloaded(product, config(SOON))
            await until(closed, what="the end of the exam")
            assert (await ann.page("/plain")).status == 200
            assert (await inside.page("/plain")).state in {None, "waiting"}, "an exam that is over closes nothing else"

    run(main())
