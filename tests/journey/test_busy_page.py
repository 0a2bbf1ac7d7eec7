"""Students in real browsers before an exam server that has as many requests as it may have.

They run on asyncio's own loop: the browser's driver is no part of the product.
"""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tests.support.backend import counting_backend
from tests.support.product import serving, until
from tests.support.student import SCRIPT, Student
from tests.web.browser import CHROMIUM, FLAGS, need_chromium

pytestmark = pytest.mark.browser

SOON_MS = 60_000
"""The page knocks again after five to ten seconds."""

CONFIG = """
pools:
  main:
    backends: {main-1: {url: "URL", max_sessions: 9, max_inflight: 1}}
timeouts: {inflight_wait: 1s}
"""
FORM = '<form method="post" action="/process?attempt=1"><input name="q1" value="π²/6 &amp; more"><button>Next</button>'


def test_a_busy_server_costs_nobody_an_answer(tmp_path: Path) -> None:
    """The page says that it is busy and gets in by itself; a form is kept, and sent exactly once when there is room."""
    need_chromium()

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=CONFIG.replace("URL", backend.url)) as product,
            async_playwright() as playwright,
            Student(product.public, "somebody") as somebody,
        ):
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                reader, writer = [await (await browser.new_context(locale="en-GB")).new_page() for _ in range(2)]
                for page in (reader, writer):
                    await page.goto(product.public + "/icon")
                await writer.evaluate("html => { document.body.innerHTML = html; }", FORM)
                assert (await somebody.page()).status == 200
                slow = asyncio.gather(somebody.ask("GET", "/slow", SCRIPT))

                async def is_busy() -> bool:
                    return "/slow" in backend.paths

                await until(is_busy, what="the request that takes all the room")
                await reader.goto(product.public + "/page?x=%7E")
                await writer.get_by_role("button", name="Next").click()
                for page in (reader, writer):
                    await expect(page.locator("#h")).to_contain_text("The exam server is busy; you are in")
                    await expect(page).to_have_title("Server busy")
                await expect(writer.locator("#keptnote")).to_be_visible()
                assert not any(path.startswith(("/page", "/process")) for path in backend.paths)
                assert backend.bodies == []
                backend.slow.set()
                await slow
                for page, path in ((reader, "/page?x=%7E"), (writer, "/process?attempt=1")):
                    await expect(page.locator("body")).to_have_text(f"exam server: {path}", timeout=SOON_MS)
                    assert page.url == product.public + path
                assert backend.bodies == [b"q1=%CF%80%C2%B2%2F6+%26+more"]
            finally:
                await browser.close()

    asyncio.run(main())
