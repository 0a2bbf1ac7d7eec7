"""The page of a paced click in a real browser: it sends what it keeps once, whatever its student does meanwhile.

They run on asyncio's own loop: the browser's driver is no part of the product.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, Error, Page, async_playwright, expect

from tests.server.test_reload import reloaded
from tests.support.ports import free_port
from tests.support.product import Product, serving
from tests.support.site import everywhere, listening
from tests.support.student import PAGE, Student
from tests.web.browser import CHROMIUM, FLAGS, need_chromium

pytestmark = pytest.mark.browser

SOON_MS = 60_000

VIEW = (
    '<!doctype html><link rel="icon" href="data:,"><title>View</title><h1>Ready?</h1>'
    '<form method="post" action="/start"><input name="sesskey" value="é &amp; 1"><textarea name="cmid">7\n8</textarea>'
    '<button>Start</button></form><a href="/heavy">Heavy</a>'
)
OPEN = '<!doctype html><link rel="icon" href="data:,"><title>Exam</title><h1>The exam is open</h1>'
SENT = b"POST sesskey=%C3%A9+%26+1&cmid=7%0D%0A8"


@dataclass
class Exam:
    """An exam server with one heavy start, by a form, and one heavy page."""

    starts: list[bytes] = field(default_factory=list)
    heavy: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Anything."""
        if request.path == "/start":
            self.starts.append(request.method.encode() + b" " + await request.read())
        self.heavy += request.path == "/heavy"
        return web.Response(text=VIEW if request.path == "/view" else OPEN, content_type="text/html")


@dataclass
class Room:
    """The product with its exam server, one student's browser, and somebody before them."""

    product: Product
    exam: Exam
    browser: BrowserContext
    config: dict[str, Any]

    async def turns_come(self, *pages: Page) -> None:
        """Nobody's turn comes before all has happened that is to happen before: now it does, by another rate."""
        soon = {"pace": [pace | {"rate": "6/s"} for pace in self.config["pace"]]}
        await reloaded(self.product, json.dumps(self.config | soon))
        for page in pages:  # what a browser tells a page that is looked at again: it asks at once
            with contextlib.suppress(Error):  # one that has just asked by itself is on its way
                await page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")

    async def view(self) -> Page:
        """A tab in which the exam can be started; everything that would be a turn is taken."""
        page = await self.browser.new_page()
        await page.goto(self.product.public + "/view")
        await expect(page.locator("h1")).to_have_text("Ready?", timeout=SOON_MS)
        return page


@asynccontextmanager
async def _room(tmp_path: Path) -> AsyncIterator[Room]:
    """A pace with one turn at a time, the first of which somebody else has just taken."""
    need_chromium()
    exam, port = Exam(), free_port()
    matches = {"start": {"path": "/start", "method": "POST"}, "heavy": {"path": "/heavy"}}
    config: dict[str, Any] = {
        "workers": 2,
        "pools": {"main": {"backends": {"main-1": {"url": f"http://127.0.0.1:{port}", "max_sessions": 50}}}},
        "pace": [{"name": name, "match": match, "rate": "1/min", "max_wait": "1s"} for name, match in matches.items()],
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(everywhere(exam.answer), port))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.push_async_callback(browser.close)
        product = await stack.enter_async_context(serving(tmp_path, config=json.dumps(config)))
        context = await browser.new_context(locale="en-GB")
        room = Room(product, exam, context, config)
        await (await room.view()).close()
        other = await stack.enter_async_context(Student(product.public, "other"))
        await other.page("/heavy")
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await other.ask("POST", "/start", PAGE | kind, data=b"other")).status == 200
        exam.starts.clear()
        exam.heavy = 0
        yield room


async def _open(page: Page) -> None:
    await expect(page.locator("h1")).to_have_text("The exam is open", timeout=SOON_MS)


async def _paced(page: Page) -> None:
    await expect(page.locator("h1")).to_have_text("You are in; your exam starts in a moment.", timeout=SOON_MS)


def test_the_page_sends_once(tmp_path: Path) -> None:
    """By itself, byte for byte; after a double click and two reloads, and going back sends nothing again."""

    async def main() -> None:
        async with _room(tmp_path) as room:
            page = await room.view()
            await page.get_by_role("button", name="Start").dblclick()
            await _paced(page)
            for _ in range(2):
                await page.reload()
                await _paced(page)
            await room.turns_come(page)
            await _open(page)
            assert room.exam.starts == [SENT]
            with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser asks whether to send it again
                await page.go_back()
            assert room.exam.starts == [SENT]

    asyncio.run(main())


def test_of_two_tabs_one_sends(tmp_path: Path) -> None:
    """The other says so, and sends only if its student says so; both had one place."""

    async def main() -> None:
        async with _room(tmp_path) as room:
            tabs = [await room.view() for _ in range(2)]
            for tab in tabs:
                await tab.get_by_role("button", name="Start").click()
                await _paced(tab)
            await room.turns_come(*tabs)
            opened = [asyncio.ensure_future(_open(tab)) for tab in tabs]
            done, late = await asyncio.wait(opened, return_when=asyncio.FIRST_COMPLETED)
            assert room.exam.starts == [SENT]
            (tab,) = [tab for tab, future in zip(tabs, opened, strict=True) if future in late]
            for future in late:
                future.cancel()
            assert len(done) == 1
            await expect(tab.locator("h1")).to_contain_text("This has been sent already", timeout=SOON_MS)
            await expect(tab.locator("#keptnote")).to_contain_text("has been sent once")
            assert room.exam.starts == [SENT]
            await tab.get_by_role("button", name="Send now").click()
            await _open(tab)
            assert room.exam.starts == [SENT] * 2

    asyncio.run(main())


def test_a_heavy_page_loads_itself(tmp_path: Path) -> None:
    """A paced GET needs no form: the page asks for it again when its turn has come, and without script too."""

    async def main() -> None:
        async with _room(tmp_path) as room:
            page = await room.view()
            await page.get_by_role("link", name="Heavy").click()
            await _paced(page)
            await room.turns_come(page)
            await _open(page)
            assert room.exam.heavy == 1
            assert page.url == room.product.public + "/heavy"

    asyncio.run(main())
