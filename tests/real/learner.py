"""A person at a browser: signs in to Kolibri, takes the quiz, submits and signs out, by what the pages show.

Law: everything goes by names and words on the page, as a learner would; nothing calls Kolibri's API.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Page, Playwright, Response, ViewportSize

from tests.real.platform import School
from tests.real.watch import Watch

CHROMIUM = "/usr/bin/chromium"

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_MS = 20_000
"""For anything a page should do at once, on a loaded machine."""

SCREEN = ViewportSize(width=1280, height=900)


@contextlib.asynccontextmanager
async def chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """Debian's Chromium, without a screen."""
    browser = await playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
    try:
        yield browser
    finally:
        await browser.close()


@dataclass(slots=True)
class Learner:
    """One learner with a browser of their own (cookies, cache)."""

    name: str
    base: str
    school: School
    page: Page
    watch: Watch = field(default_factory=Watch)

    async def open(self) -> Response:
        """Type the platform's address."""
        response = await self.page.goto(f"{self.base}/")
        assert response is not None
        return response

    async def sign_in(self) -> None:
        """From the sign-in page to the learner's home."""
        page = self.page
        await page.get_by_label("Username").fill(self.name)
        await page.get_by_role("button", name="Next").click()
        await page.get_by_label("Password").fill(self.school.password)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/learn/**")
        await page.get_by_role("button", name="Continue").click()  # the welcome of a first visit

    async def open_quiz(self) -> None:
        """From home into the class's quiz, with its first question shown."""
        await self.page.get_by_role("link", name=self.school.quiz).first.click()
        await self._question_shown(1)

    async def answer(self, number: int) -> None:
        """Choose the right answer of a question (the first is 1) that is on the screen."""
        await self._question_shown(number)
        choices = self.page.locator(".perseus li.perseus-radio-option")
        await choices.nth(self.school.questions[number - 1].right).locator("button").click()
        await self.page.get_by_text(f"{number} of {len(self.school.questions)} questions answered").wait_for()

    async def turn_page(self) -> None:
        """To the next question."""
        await self.page.get_by_role("button", name="Next").click()

    async def answer_from(self, first: int) -> None:
        """All questions from `first` to the last."""
        for number in range(first, len(self.school.questions) + 1):
            if number > 1:
                await self.turn_page()
            await self.answer(number)

    async def think(self, seconds: float) -> None:
        """Do nothing for a while, as learners do before a hard question."""
        await self.page.wait_for_timeout(seconds * 1000)

    async def submit(self) -> None:
        """Hand in; ends when Kolibri shows the score."""
        await self.page.get_by_role("button", name="Submit quiz").click()
        await self.page.get_by_text("Score: 100%").wait_for()

    async def sign_out(self) -> Response:
        """Sign out by the menu; the answer to the page that Kolibri sends the browser to."""
        page = self.page
        await page.get_by_role("button", name="Open site navigation").click()
        async with page.expect_response(_landed) as landing:
            await page.get_by_text("Sign out").last.click()
        return await landing.value

    async def settle(self) -> None:
        """Until the page has asked for all it needs."""
        await self.page.wait_for_load_state("networkidle")

    async def picture(self, path: Path) -> None:
        """What the learner sees now."""
        await self.page.screenshot(path=path)

    async def _question_shown(self, number: int) -> None:
        await self.page.get_by_text(f"Question {number} of {len(self.school.questions)}").wait_for()
        await self.page.locator(".perseus li.perseus-radio-option").first.wait_for()


def _landed(response: Response) -> bool:
    """The first page after the log-out and its redirects."""
    return response.request.resource_type == "document" and not 300 <= response.status < 400


@contextlib.asynccontextmanager
async def learner(browser: Browser, name: str, base: str, school: School) -> AsyncIterator[Learner]:
    """A learner sits down, and leaves with the browser closed."""
    context = await browser.new_context(viewport=SCREEN, locale="en-GB")
    watch = Watch()
    watch.attach(context)
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield Learner(name, base, school, await context.new_page(), watch)
    finally:
        await context.close()
