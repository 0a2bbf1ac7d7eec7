"""Staff speak, and everyone who waits can read it: from the command to the page."""

import asyncio
import json
import os
import signal
from pathlib import Path

import aiohttp

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, at_best, serving, until
from tests.support.student import PAGE, SCRIPT, Student

CONFIG = """
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 1}
exams:
  MATH0001: {pool: main, match: [{path: "/math/*"}]}
"""

SOON_S = 5.0
"""What staff say is on every open page within this."""

NEWS = "/_waitroom/news?pool=main"
MARKUP = '<script>alert("x")</script> & more'


async def announce(product: Product, *arguments: str) -> tuple[int, str]:
    """`waitroom announce`: exit code and what it said."""
    code, out, err = await product.command("announce", *arguments, "--admin", product.admin)
    return code, out + err


async def hears(student: Student, text: str | None) -> bool:
    """Whether a poll of this student, and the news that their page asks for, say so."""
    polled, asked = (await student.poll())["message"], await student.ask("GET", NEWS, SCRIPT)
    told = json.loads(asked.body)["message"]
    return (polled and polled["text"]) == text and (told and told["text"]) == text


def test_from_the_command_to_every_page(tmp_path: Path) -> None:
    """Five waiting students, two workers: all hear it within 5 s, in their language, as text; and that it is over."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "2", config=CONFIG.replace("URL", backend.url)) as product,
            Student(product.public, "inside") as inside,
            Student(product.public, "a") as a,
            Student(product.public, "b") as b,
            Student(product.public, "c") as c,
            Student(product.public, "d") as d,
            Student(product.public, "e") as e,
        ):
            assert (await inside.page()).status == 200
            students = (a, b, c, d, e)
            for student in students:
                assert (await student.page()).status == 429
            undo = "Take it back with: waitroom announce main --clear"

            async def heard_s() -> float:
                """From the command's end until all five have heard it."""
                await announce(product, "main", "Something else")
                code, said = await announce(product, "main", MARKUP, "--in", "fr=Un <b>instant</b>", "--for", "20m")
                assert (code, said) == (0, f"main: said; on every open page within 5 s. {undo}\n")
                said_s = asyncio.get_running_loop().time()
                for student in students:
                    await until(lambda student=student: hears(student, MARKUP), what=f"{student.name}'s news")
                return asyncio.get_running_loop().time() - said_s

            await at_best(heard_s, within_s=SOON_S, what="the news")
            page = (await a.page()).body.decode()
            assert MARKUP not in page
            assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more" in page
            french = await a.ask("GET", "/", PAGE | {"Accept-Language": "fr"})
            assert "Un &lt;b&gt;instant&lt;/b&gt;" in french.body.decode()
            assert (await inside.page()).state is None, "who is inside sees nothing of it"
            assert (await announce(product, "main", "--clear"))[0] == 0
            for student in students:
                await until(lambda student=student: hears(student, None), what=f"{student.name}'s silence")
            log = product.log.read_text()
            assert '"who": "cli on loopback"' in log

    run(main())


def test_it_outlives_the_store_and_a_worker(tmp_path: Path) -> None:
    """kill -9 of the store and of the workers: what was said is still said, also while the store is away."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=CONFIG.replace("URL", backend.url)) as product,
            Student(product.public, "inside") as inside,
            Student(product.public, "a") as a,
        ):
            assert (await inside.page()).status == 200
            assert (await a.page("/math/1")).status == 429
            assert (await announce(product, "main", "for maths", "--exam", "MATH0001"))[0] == 0

            async def told() -> bool:
                return ((await a.poll("?pool=main"))["message"] or {}).get("text") == "for maths"

            await until(told, what="the message")
            for pid in product.children("valkey-server"):
                os.kill(pid, signal.SIGKILL)
            assert await told()
            (worker,) = product.children("waitroom.server.worker")
            os.kill(worker, signal.SIGKILL)

            async def told_again() -> bool:
                try:
                    return await told()
                except (aiohttp.ClientError, OSError):  # the connection to the worker that was killed
                    return False

            await until(told_again, what="the message of before")
            other = json.loads((await a.ask("GET", NEWS, SCRIPT)).body)
            assert other["message"] is None, "who comes for no exam, or another, is not told"

    run(main())


def test_news_cost_nothing_twice(tmp_path: Path) -> None:
    """A page that has heard it gets 304; who asks for nothing that exists 404; a HEAD has no body."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=CONFIG.replace("URL", backend.url)) as product,
            Student(product.public, "a") as a,
        ):
            first = await a.ask("GET", NEWS, SCRIPT)
            assert (first.status, json.loads(first.body)) == (200, {"message": None, "held": False, "next_ms": 4_000})
            again = await a.ask("GET", NEWS, SCRIPT | {"If-None-Match": first.headers["Etag"]})
            assert (again.status, again.body) == (304, b"")
            assert again.headers["Etag"] == first.headers["Etag"]
            await announce(product, "main", "New")

            async def changed() -> bool:
                got = await a.ask("GET", NEWS, SCRIPT | {"If-None-Match": first.headers["Etag"]})
                return got.status == 200 and json.loads(got.body)["message"]["text"] == "New"

            await until(changed, what="the change")
            for path in ("/_waitroom/news", "/_waitroom/news?pool=nope", "/_waitroom/news?pool="):
                assert (await a.ask("GET", path, SCRIPT)).status == 404
            head = await a.ask("HEAD", NEWS, SCRIPT)
            assert (head.status, head.body) == (200, b"")
            assert (await a.ask("POST", NEWS, SCRIPT)).status == 405

    run(main())


def test_what_the_command_says_when_it_cannot(tmp_path: Path) -> None:
    """One line and an exit code: a pool that there is not, no token, nobody there, nothing to say."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=CONFIG.replace("URL", backend.url)) as product,
        ):
            nowhere = "waitroom: There is no such pool. The pools are: main.\n"
            assert await announce(product, "maths", "x") == (1, nowhere)
            code, said = await announce(product, "main", "x", "--token-file", "/dev/null")
            assert (code, said.startswith("waitroom: /dev/null: holds no token; ")) == (1, True)
            code, said = await announce(product, "main")
            assert (code, "Either something to say" in said) == (2, True)
            code, said = await announce(product, "main", "x", "--for", "soon")
            assert (code, "--for: " in said) == (2, True)
            await product.stop()
            code, said = await announce(product, "main", "x")
            assert (code, "does not answer" in said) == (2, True)

    run(main())
