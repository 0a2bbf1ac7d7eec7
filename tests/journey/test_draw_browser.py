"""A drawn lobby in a real browser: the fingerprint is on the page, and afterwards the browser checks the draw."""

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.journey.test_browser import Exam
from tests.journey.test_draw import FAR, config, opens_soon
from tests.support.product import serving
from tests.support.site import everywhere, listening
from tests.web.browser import CHROMIUM, FLAGS, need_chromium

pytestmark = pytest.mark.browser

CHECK = """async ([seed, code]) => {
  const text = new TextEncoder();
  const hex = bytes => [...new Uint8Array(bytes)].map(b => b.toString(16).padStart(2, '0')).join('');
  const key = await crypto.subtle.importKey('raw', text.encode(seed), {name: 'HMAC', hash: 'SHA-256'}, false, ['sign']);
  const drawn = hex(await crypto.subtle.sign('HMAC', key, text.encode(code))).slice(0, 16);
  return [hex(await crypto.subtle.digest('SHA-256', text.encode(seed))), Number(BigInt('0x' + drawn) % 1000000n) + 1];
}"""
"""What anybody can do who knows seed and code, with nothing of ours."""


def test_a_student_checks_their_draw(tmp_path: Path) -> None:
    """Before the opening the fingerprint, in words; after it the number on the record, which the browser finds too."""

    async def main() -> None:
        need_chromium()
        exam = Exam()
        async with listening(everywhere(exam.answer)) as port, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            backend = f"http://127.0.0.1:{port}"
            text = config(backend, FAR, slots=9)
            try:
                async with serving(tmp_path, config=text) as product:
                    pages = [await (await browser.new_context(locale="en-GB")).new_page() for _ in range(3)]
                    for page in pages:
                        await page.goto(f"{product.public}/quiz?cmid=7")
                    shown = {await fingerprint_on(page) for page in pages}
                    assert len(shown) == 1
                    told = await pages[0].evaluate("fetch('/_waitroom/draw?exam=MATH').then(answer => answer.json())")
                    assert (told["seed"], told["fingerprint"]) == (None, *shown)
                    await opens_soon(product, backend, slots=9)
                    for page in pages:
                        await page.reload()
                    for page in pages:
                        await expect(page.locator("h1")).to_have_text("The exam at /quiz", timeout=60_000)
                    for page in pages:
                        await checks(page, shown.pop() if shown else told["fingerprint"], product.public)
            finally:
                await browser.close()

    asyncio.run(main())


async def fingerprint_on(page: Page) -> str:
    """What the lobby says of the lot."""
    await expect(page.locator("#order")).to_contain_text("by lot")
    return (await page.locator("#order").inner_text()).split()[-1]


async def checks(page: Page, fingerprint: str, public: str) -> None:
    """The record, the link on it, and the sum."""
    await page.goto(f"{public}/_waitroom/receipt?pool=main")
    code = await page.locator("dd", has_text="-").first.inner_text()
    number = await page.locator("dt", has_text="Number drawn").locator("xpath=following-sibling::dd").inner_text()
    await page.get_by_role("link", name="Check the draw yourself").click()
    told = json.loads(await page.locator("pre").inner_text())
    assert told["fingerprint"] == fingerprint
    assert await page.evaluate(CHECK, [told["seed"], code]) == [fingerprint, int(number)]
