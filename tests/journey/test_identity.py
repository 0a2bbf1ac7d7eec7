"""One student, one place, over two workers: by a sign-on's header, by a token, with and without cookies."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.server.test_reload import reloaded
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving, until
from tests.support.student import Answer, Student
from waitroom.settings.secrets import rotate

SECRET = "s" * 40
HEADER = {"header": "X-Remote-User"}
COOKIE = {"cookie": "uid"}


def config(backend: str, identity: dict[str, Any] | None, slots: int = 1, **more: Any) -> str:
    pool = {"backends": {"main-1": {"url": backend, "max_sessions": slots}}, **more.pop("pool", {})}
    return json.dumps({
        "pools": {"main": pool}, "workers": 2, "release": [{"path": "/logout"}],
        "trusted_proxies": ["127.0.0.1/32"], "identity": identity, **more,
    })  # fmt: skip


class Browser(Student):
    """A browser through which somebody, or nobody, has signed on."""

    def signs_on(self, name: str | None) -> None:
        """What a proxy in front says from now on."""
        self.client.headers.popall("X-Remote-User", None)
        if name is not None:
            self.client.headers["X-Remote-User"] = name

    def clear(self) -> None:
        """As Safe Exam Browser does when it starts."""
        self.client.cookie_jar.clear()

    @property
    def ticket(self) -> list[str]:
        """The fields of the ticket or pass in it."""
        for cookie in self.client.cookie_jar:
            if cookie.key == "wr_main":
                return cookie.value.split(".", 2)[2].rpartition(".")[0].split("~")
        return []


@contextlib.asynccontextmanager
async def browsers(product: Product, *names: str | None) -> AsyncIterator[list[Browser]]:
    async with contextlib.AsyncExitStack() as stack:
        found = [await stack.enter_async_context(Browser(product.public, f"b{n}")) for n in range(len(names))]
        for browser, name in zip(found, names, strict=True):
            browser.signs_on(name)
        yield found


@contextlib.asynccontextmanager
async def house(tmp_path: Path, identity: dict[str, Any], slots: int = 1, **more: Any) -> AsyncIterator[Any]:
    async with (
        counting_backend() as backend,
        serving(tmp_path, config=config(backend.url, identity, slots, **more)) as product,
    ):
        yield product, backend


async def places(found: list[Browser]) -> list[Any]:
    """Where they stand, in their order. They ask twice: who is absent, since it took long, is in nobody's way."""
    for browser in found:
        await browser.poll()
    return [(await browser.poll())["position"] for browser in found]


def entered(answer: Answer) -> bool:
    return (answer.status, answer.state) == (200, None)


async def sessions(product: Product) -> float:
    return (await product.metrics())['waitroom_sessions{backend="main-1",pool="main"}']


def test_one_place_in_every_browser(tmp_path: Path) -> None:
    """The same place, and in turn the same pass; with cleared cookies too. A stranger has their own."""

    async def main() -> None:
        async with (
            house(tmp_path, HEADER) as (product, _backend),
            browsers(product, "dan", "ann", "bob", "ann") as (dan, ann, bob, tablet),
        ):
            assert entered(await dan.page())
            for browser in (ann, bob, tablet):
                assert (await browser.page()).state == "waiting"
            told = [await browser.poll() for browser in (ann, bob, tablet)]
            assert [one["position"] for one in told] == [1, 2, 1]
            assert told[0]["code"] == told[2]["code"] != told[1]["code"]
            assert told[0]["arrived_at"] == told[2]["arrived_at"]
            ann.clear()
            assert (await ann.page()).state == "waiting"
            assert (await ann.poll())["code"] == told[0]["code"]
            await dan.page("/logout")

            async def turn() -> bool:
                return (await tablet.poll())["state"] == "admitted"

            await until(turn, what="ann's turn")
            assert entered(await tablet.page())
            assert entered(await ann.page())
            ann.clear()
            assert entered(await ann.page()), "back at once, whatever became of the cookies"
            assert ann.ticket[0] == tablet.ticket[0]
            assert ann.ticket[6] == tablet.ticket[6]
            assert await sessions(product) == 1
            assert (await bob.poll())["position"] == 1

    run(main())


def test_two_tabs_at_the_same_instant(tmp_path: Path) -> None:
    """Thirty first requests of three students at once, on two workers: three sessions."""

    async def main() -> None:
        names = [f"u{n % 3}" for n in range(30)]
        async with house(tmp_path, HEADER, slots=50) as (product, _), browsers(product, *names) as all_of_them:
            answers = await asyncio.gather(*(browser.page() for browser in all_of_them))
            assert all(entered(answer) for answer in answers)
            assert len({browser.ticket[0] for browser in all_of_them}) == 3
            assert await sessions(product) == 3

    run(main())


def test_the_next_student_at_a_machine_gets_nothing_of_the_one_before(tmp_path: Path) -> None:
    """Neither the session nor the place; and the one before is still in, elsewhere."""

    async def main() -> None:
        async with (
            house(tmp_path, HEADER, slots=1) as (product, _),
            browsers(product, "ann", None) as (lab, home),
        ):
            assert entered(await lab.page())
            lab.signs_on("bob")
            page = await lab.page()
            assert page.state == "waiting"
            assert (await lab.poll())["position"] == 1
            home.signs_on("ann")
            assert entered(await home.page())
            lab.signs_on(None)
            assert (await lab.page()).state == "waiting", "who has signed off is whose ticket it is"
            assert await sessions(product) == 1

    run(main())


def test_a_forged_or_missing_name_is_a_stranger_s(tmp_path: Path) -> None:
    """From who is no trusted proxy, said twice, or what Apache says of nobody: an ordinary ticket of one's own."""

    async def main() -> None:
        async with counting_backend() as backend:
            text = config(backend.url, HEADER, slots=50, trusted_proxies=["203.0.113.0/24"])
            async with serving(tmp_path, config=text) as product, browsers(product, "ann", "ann") as (one, two):
                assert entered(await one.page())
                assert entered(await two.page())
                assert one.ticket[0] != two.ticket[0]
                assert one.ticket[4] == ""
                await reloaded(product, config(backend.url, HEADER, slots=50))
                one.clear()
                two.clear()
                for browser in (one, two):
                    browser.signs_on("(null)")
                    assert entered(await browser.page())
                assert one.ticket[0] != two.ticket[0], "all who have not signed on are not one student"
                one.clear()
                one.client.headers.add("X-Remote-User", "bob")
                assert entered(await one.page())
                assert one.ticket[4] == ""

    run(main())


def test_who_signs_on_after_they_were_let_in(tmp_path: Path) -> None:
    """Their pass becomes theirs with the next page, without a second slot, and is found from anywhere after."""

    async def main() -> None:
        async with house(tmp_path, COOKIE, slots=3) as (product, backend), browsers(product, *[None] * 3) as found:
            one, two, other = found
            assert entered(await one.page())
            assert one.ticket[4] == ""
            one.client.cookie_jar.update_cookies({"uid": "ann"})
            assert (await one.ask("POST", "/save", {"Sec-Fetch-Mode": "cors"}, data=b"1")).status == 200
            assert one.ticket[4] == "", "an answer that is being saved changes nothing"
            assert entered(await one.page("/next"))
            assert one.ticket[4] != ""
            two.client.cookie_jar.update_cookies({"uid": "ann"})
            assert entered(await two.page())
            assert two.ticket[:1] == one.ticket[:1]
            assert await sessions(product) == 1
            assert entered(await other.page()), "in as nobody, and then as ann: the first session stays"
            assert await sessions(product) == 2
            other.client.cookie_jar.update_cookies({"uid": "ann"})
            assert entered(await other.page())
            assert other.ticket[0] == one.ticket[0]
            assert await sessions(product) == 1
            assert backend.paths.count("/save") == 1

    run(main())


def test_a_token(tmp_path: Path) -> None:
    """A signed one names a student until it is too old; any other names nobody; a new key in front changes nothing."""

    def token(name: str, secret: str = SECRET, **more: Any) -> str:
        return jwt.encode({"sub": name, "aud": "exam", **more}, secret, algorithm="HS256")

    async def main() -> None:
        key = tmp_path / "key"
        key.write_text(f"{SECRET}\n")
        how = {"jwt": {"cookie": "token", "key_file": str(key), "algorithm": "HS256", "audience": "exam"}}
        async with (
            house(tmp_path, how, slots=50) as (product, backend),
            browsers(product, *[None] * 6) as found,
        ):
            tokens = [token("ann"), token("ann"), token("ann", secret="x" * 40), token("ann", exp=1), "a.b.c",
                      token("ann", aud="mail")]  # fmt: skip
            for browser, each in zip(found, tokens, strict=True):
                browser.client.cookie_jar.update_cookies({"token": each})
                assert entered(await browser.page())
            visitors = [browser.ticket[0] for browser in found]
            assert visitors[0] == visitors[1]
            assert len(set(visitors)) == 5
            assert [browser.ticket[4] != "" for browser in found] == [True, True, False, False, False, False]
            assert await sessions(product) == 5

            rotate(product.data_dir / "secrets")
            await reloaded(product, config(backend.url, how, slots=50))
            before = found[0].ticket
            found[1].clear()
            found[1].client.cookie_jar.update_cookies({"token": tokens[0]})
            assert entered(await found[1].page())
            assert found[1].ticket[0] == before[0]
            assert found[1].ticket[4] != before[4]
            assert entered(await found[0].page())
            assert await sessions(product) == 5

    run(main())


def test_no_name_is_anywhere(tmp_path: Path) -> None:
    """Not in the log, not in the store's files, not in the metrics, not in what a browser is given."""
    name = "very-secret-student-4711"

    async def main() -> None:
        roster = tmp_path / "roster.txt"
        roster.write_text(f"{name}\n")
        async with house(tmp_path, HEADER, slots=1, pool={"priority": {"roster": str(roster)}}) as (product, _):
            async with browsers(product, "dan", name, name) as (dan, one, two):
                assert entered(await dan.page())
                for browser in (one, two):
                    assert (await browser.page()).state == "waiting"
                    await browser.poll()
                assert one.ticket[3] == "1"
                given = str([cookie.value for cookie in one.client.cookie_jar])
            metrics = str(await product.metrics())
            await product.stop()
            files = [path for path in product.data_dir.rglob("*") if path.is_file()]
            assert files
            digest = hashlib.sha256(name.encode()).hexdigest()
            for kept in (product.log.read_bytes(), metrics.encode(), given.encode(), *(f.read_bytes() for f in files)):
                assert name.encode() not in kept
                assert digest.encode() not in kept

    run(main())


@pytest.mark.parametrize("hashed", [False, True])
def test_a_roster(tmp_path: Path, hashed: bool) -> None:
    """Who stands on it goes in turns with the others; who is put on it while waiting moves up at the next poll."""

    async def main() -> None:
        roster = tmp_path / "roster.txt"

        def write(*names: str) -> None:
            lines = [f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" if hashed else name for name in names]
            roster.write_text("\n".join(["# extra time", *lines, ""]))

        write("zoe")
        pool = {"priority": {"roster": str(roster)}}
        names = ["dan", "u1", "u2", "zoe", "yan", "u3"]
        async with house(tmp_path, HEADER, pool=pool) as (product, backend), browsers(product, *names) as found:
            for browser in (found[0], *found):  # who is in comes back, and stays beyond 30 s
                await browser.page()
            waiting = found[1:]
            assert await places(waiting) == [2, 3, 1, 4, 5]
            write("zoe", "yan")
            await reloaded(product, config(backend.url, HEADER, pool=pool))
            assert await places(waiting) == [2, 4, 1, 3, 5]
            metrics = await product.metrics()
            assert metrics['waitroom_waiting{lane="priority",pool="main"}'] == 2

    run(main())


def test_staff_move_a_student(tmp_path: Path) -> None:
    """By the code on the page, on the phone: at once, with its reason in the log; and what cannot be moved is said."""

    async def main() -> None:
        async with house(tmp_path, COOKIE) as (product, _), browsers(product, *[None] * 4) as found:
            for browser in found:
                await browser.page()
            codes = [(await browser.poll())["code"] for browser in found]
            assert await places(found[1:]) == [1, 2, 3]
            spoken = codes[3].lower().replace("-", " ").replace("0", "o")
            where = ("--admin", product.admin)
            code, out, _ = await product.command("ticket", "lane", spoken, "priority", "--why", "extra time", *where)
            undo = f"Undo it with: waitroom ticket lane {codes[3]} standard"
            assert (code, out) == (0, f"{codes[3]} in main: standard before, priority now. {undo}\n")
            assert await places(found[1:]) == [2, 3, 1]
            assert found[3].ticket[3] == "1", "the ticket says it too"
            code, out, _ = await product.command("ticket", "lane", codes[3], "standard", "--json", *where)
            assert (code, json.loads(out)["before"]) == (0, "priority")
            assert await places(found[1:]) == [1, 2, 3]
            lines = [json.loads(line) for line in product.log.read_text().splitlines() if '"lane_changed"' in line]
            assert [(line["old"], line["new"], line["why"]) for line in lines] == [
                ("standard", "priority", "extra time"), ("priority", "standard", ""),
            ]  # fmt: skip
            for asked, wrong in (
                (codes[0], "has been let in"),
                ("AAAA-AAAA", "Nobody waits"),
                ("x", "eight letters"),
            ):
                code, _, err = await product.command("ticket", "lane", asked, "priority", *where)
                assert code == 1
                assert wrong in err

    run(main())
