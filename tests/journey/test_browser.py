"""Students in real browsers before the real product: who waits comes in by themselves, and nothing of theirs is lost.

They run on asyncio's own loop: the browser's driver is no part of the product.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.support.product import Product, at_best, serving
from tests.support.site import everywhere, listening
from tests.web.browser import CHROMIUM, FLAGS, need_chromium

pytestmark = pytest.mark.browser

SOON_MS = 60_000
"""A turn is noticed at the next poll, some seconds after it came."""

NEWS_S = 5.0
"""What staff say is on every open page within 5 s."""

CONFIG = """
pools:
  main:
    backends: {main-1: {url: "URL", max_sessions: LIMIT}}
  arts:
    backends: {arts-1: {url: "OTHER", max_sessions: 1}}
default_pool: main
exams:
  MATH0001: {title: "<b>Maths</b> & more", pool: main, match: [{path: "/math/*"}]}
  ART0001: {title: "Art", pool: arts, match: [{path: "/art/*"}]}
release: [{path: "/logout"}]
"""

PAGE = (
    '<!doctype html><link rel="icon" href="data:,"><title>Exam</title><h1>The exam at {path}</h1>'
    '<a href="/logout">Leave</a>'
)


@dataclass
class Exam:
    """An exam server that shows every page and keeps every form."""

    url: str = ""
    forms: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Anything."""
        if request.method == "POST":
            self.forms.append((request.raw_path, request.headers["Content-Type"], await request.read()))
        return web.Response(text=PAGE.format(path=request.path), content_type="text/html")


@dataclass
class Town:
    """The product, the exam server behind it, and a browser for every student."""

    product: Product
    exam: Exam
    browser: Browser

    async def student(self) -> BrowserContext:
        """A browser of their own."""
        return await self.browser.new_context(locale="en-GB")

    def at(self, path: str) -> str:
        """An address of the waiting room."""
        return self.product.public + path


@asynccontextmanager
async def _town(tmp_path: Path, *arguments: str, limit: int = 1) -> AsyncIterator[Town]:
    need_chromium()
    exam = Exam()
    async with listening(everywhere(exam.answer)) as port, async_playwright() as playwright:
        config = CONFIG.replace("URL", f"http://127.0.0.1:{port}").replace("LIMIT", str(limit))
        config = config.replace("OTHER", f"http://localhost:{port}")
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            async with serving(tmp_path, *arguments, config=config) as product:
                yield Town(product, exam, browser)
        finally:
            await browser.close()


async def _inside(page: Page, path: str) -> None:
    await expect(page.locator("h1")).to_have_text(f"The exam at {path}", timeout=SOON_MS)


async def _enters_at_once(page: Page, *urls: str) -> None:
    """Somebody for whom there is a place. The second page brings the cookie back: the place is kept beyond 30 s."""
    for url in urls:
        await page.goto(url)
        await page.reload()


async def _place(page: Page, number: int) -> None:
    await expect(page.locator("#pos")).to_have_text(str(number), timeout=SOON_MS)


def test_five_students_and_two_places(tmp_path: Path) -> None:
    """Two are in at once; the others see their places, move up as others leave, and come in by themselves, in order."""

    async def main() -> None:
        async with _town(tmp_path, "--workers", "2", limit=2) as town:
            pages = [await (await town.student()).new_page() for _ in range(5)]
            for page in pages[:2]:
                await _enters_at_once(page, town.at("/math/1?q=%7E&&x=%2F"))
                await _inside(page, "/math/1")
            for page in pages[2:]:
                await page.goto(town.at("/math/1?q=%7E&&x=%2F"))
            for number, page in enumerate(pages[2:], 1):
                await _place(page, number)
                await expect(page).to_have_title(f"{number} · In line – <b>Maths</b> & more")
                assert page.url == town.at("/math/1?q=%7E&&x=%2F")
            await pages[0].get_by_role("link", name="Leave").click()
            await _inside(pages[2], "/math/1")
            await _place(pages[3], 1)
            await pages[3].reload()
            await _place(pages[3], 1)
            await _place(pages[4], 2)
            await pages[1].get_by_role("link", name="Leave").click()
            await _inside(pages[3], "/math/1")
            assert pages[3].url == town.at("/math/1?q=%7E&&x=%2F")
            await _place(pages[4], 1)

    asyncio.run(main())


def test_two_exams_in_two_tabs_and_two_tabs_of_one(tmp_path: Path) -> None:
    """Each exam's tab shows its own place; two tabs of one exam show the same place, and both come in."""

    async def main() -> None:
        async with _town(tmp_path) as town:
            first = await (await town.student()).new_page()
            for path in ("/art/1", "/math/1"):  # where an address names no exam, as here to leave, the last pass counts
                await _enters_at_once(first, town.at(path))
                await _inside(first, path)
            student = await town.student()
            maths, again, art = [await student.new_page() for _ in range(3)]
            await maths.goto(town.at("/math/1"))
            await art.goto(town.at("/art/1"))
            await again.goto(town.at("/math/2"))
            for page in (maths, again, art):
                await _place(page, 1)
            assert "Art" in await art.title()
            assert await maths.locator("#code").text_content() == await again.locator("#code").text_content()
            assert await maths.locator("#code").text_content() != await art.locator("#code").text_content()
            await first.get_by_role("link", name="Leave").click()
            await _inside(maths, "/math/1")
            await _inside(again, "/math/2")
            await _place(art, 1)

    asyncio.run(main())


def test_back_after_entering_and_cookies_of_others(tmp_path: Path) -> None:
    """Back leads to what was before the line, not into it; forged and foreign cookies change nothing."""

    async def main() -> None:
        async with _town(tmp_path) as town:
            first = await (await town.student()).new_page()
            await _enters_at_once(first, town.at("/math/1"))
            student = await town.student()
            await student.add_cookies([
                {"name": name, "value": value, "url": town.product.public}
                for name, value in (
                    ("wr_main", "v1.k1.forged~~1~2~~main-1~1~1.AAAA"), ("wr_other", "x"), ("__Host-wr_main", "y"),
                    ("MoodleSession", "z" * 3000),
                )
                if not name.startswith("__Host")
            ])  # fmt: skip
            page = await student.new_page()
            await page.goto("about:blank")
            await page.goto(town.at("/math/1"))
            await _place(page, 1)
            await first.get_by_role("link", name="Leave").click()
            await _inside(page, "/math/1")
            await page.go_back()
            assert page.url == "about:blank"
            await page.go_forward()
            await _inside(page, "/math/1")

    asyncio.run(main())


def test_the_store_dies_and_comes_back(tmp_path: Path) -> None:
    """kill -9 of the store: the page says what it knows, keeps the place, and goes on by itself."""

    async def main() -> None:
        async with _town(tmp_path) as town:
            pages = [await (await town.student()).new_page() for _ in range(3)]
            await _enters_at_once(pages[0], town.at("/math/1"))
            for page in pages[1:]:
                await page.goto(town.at("/math/1"))
            await _place(pages[2], 2)
            code = await pages[2].locator("#code").text_content()
            for pid in town.product.children("valkey-server"):
                os.kill(pid, signal.SIGKILL)
            await pages[2].reload()
            await pages[0].get_by_role("link", name="Leave").click()
            await _inside(pages[1], "/math/1")
            await _place(pages[2], 1)
            assert await pages[2].locator("#code").text_content() == code

    asyncio.run(main())


def test_a_form_of_another_site_is_kept_and_takes_nobodys_place(tmp_path: Path) -> None:
    """A launch or log-in that ends in a POST from another site comes without our cookies. Who waits already keeps their
    place, who is new gets one, and the form arrives once, as it was sent; somebody inside goes straight on.
    """

    async def main() -> None:
        async with _town(tmp_path) as town:
            launch = (
                '<!doctype html><link rel="icon" href="data:,"><form method="post" action="{}">'
                '<textarea name="id_token">eyJ é+&amp;=</textarea><input name="state" value="">'
                "<button>Go</button></form>"
            ).format(town.at("/math/launch?x=%7E"))

            async def elsewhere(_request: web.Request) -> web.Response:
                return web.Response(text=launch, content_type="text/html")

            async with listening(everywhere(elsewhere)) as port:
                site = f"http://localhost:{port}/"
                first = await (await town.student()).new_page()
                await _enters_at_once(first, town.at("/math/1"))
                waiting = await (await town.student()).new_page()
                await waiting.goto(town.at("/math/1"))
                await _place(waiting, 1)
                code = await waiting.locator("#code").text_content()
                fresh = await (await town.student()).new_page()
                for page, place in ((waiting, 1), (fresh, 2)):
                    await page.goto(site)
                    await page.get_by_role("button", name="Go").click()
                    await expect(page.locator("#keptnote")).to_be_visible()
                    await _place(page, place)
                assert await waiting.locator("#code").text_content() == code
                assert town.exam.forms == []
                await first.get_by_role("link", name="Leave").click()
                await _inside(waiting, "/math/launch")
                sent = (
                    "/math/launch?x=%7E",
                    "application/x-www-form-urlencoded",
                    b"id_token=eyJ+%C3%A9%2B%26%3D&state=",
                )
                assert town.exam.forms == [sent]
                await _place(fresh, 1)
                await waiting.goto(site)
                await waiting.get_by_role("button", name="Go").click()
                await _inside(waiting, "/math/launch")
                assert town.exam.forms == [sent, sent]
                sessions = (await town.product.metrics())['waitroom_sessions{backend="main-1",pool="main"}']
                assert sessions == 1, "who is inside takes no second place by a launch"
                await waiting.goto(town.at("/logout"))
                await _inside(fresh, "/math/launch")
                assert town.exam.forms == [sent] * 3
                assert _files_with(tmp_path, b"eyJ") == [], "no value of a form is in a log or in the store"

    asyncio.run(main())


def _files_with(folder: Path, word: bytes) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and word in each.read_bytes()]


def test_a_choice_of_language_stays(tmp_path: Path) -> None:
    """Chosen on the page, with or without script, it leads back to the same address and holds from then on."""

    async def main() -> None:
        async with _town(tmp_path) as town:
            first = await (await town.student()).new_page()
            await _enters_at_once(first, town.at("/math/1"))
            for script in (True, False):
                student = await town.browser.new_context(locale="en-GB", java_script_enabled=script)
                page = await student.new_page()
                await page.goto(town.at("/math/1?q=%7E&&x=%2F"))
                await page.locator("#tongues summary").click()
                await page.get_by_role("link", name="Français").click()
                await expect(page.locator("html")).to_have_attribute("lang", "fr")
                assert page.url == town.at("/math/1?q=%7E&&x=%2F")
                await page.goto(town.at("/math/2"))
                await expect(page.locator("h1")).to_contain_text("Vous êtes dans la file")

    asyncio.run(main())


def test_an_announcement_is_on_the_open_page_within_five_seconds(tmp_path: Path) -> None:
    """As text, with its time, and spoken; gone when it is taken back."""

    async def main() -> None:
        async with _town(tmp_path) as town:
            first = await (await town.student()).new_page()
            await _enters_at_once(first, town.at("/math/1"))
            pages = [await (await town.student()).new_page() for _ in range(2)]
            for page in pages:
                await page.goto(town.at("/math/1"))
                await expect(page.locator("#dot.on")).to_be_visible()

            async def heard_s() -> float:
                """From the command's end until it is on both pages."""
                await _say(town, "main", "<b>Ten</b> more minutes")
                said_s = asyncio.get_running_loop().time()
                for page in pages:
                    await expect(page.locator("#msgtext")).to_have_text("<b>Ten</b> more minutes")
                heard_s = asyncio.get_running_loop().time() - said_s
                for page in pages:
                    await expect(page.locator("#say")).to_contain_text("New message")
                    assert await page.locator("#msgat").text_content()
                await _say(town, "main", "--clear")
                for page in pages:
                    await expect(page.locator("#msg")).to_be_hidden()
                return heard_s

            await at_best(heard_s, within_s=NEWS_S, what="the news")

    asyncio.run(main())


async def _say(town: Town, *arguments: str) -> None:
    code, _, err = await town.product.command("announce", *arguments, "--admin", town.product.admin)
    assert code == 0, err
