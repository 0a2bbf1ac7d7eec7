"""Chromium for the tests of the page, and what must never happen in it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import expect as async_expect
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox"]

PATIENCE_MS = 30_000
"""For what is to be on a page. Playwright's own, 5 s, is less than a busy machine can need for one."""

expect.set_options(timeout=PATIENCE_MS)
async_expect.set_options(timeout=PATIENCE_MS)

_NOTE_VIOLATIONS = """
addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI));
"""

_EXPECTED = ("Failed to load resource", "net::ERR_")
"""Chromium reports each 429, 401 and cut connection; those are the tests' subject."""


def need_chromium() -> None:
    """Fail with the remedy where there is no browser."""
    assert Path(CHROMIUM).exists(), "these tests need Debian's browser: apt-get install -y chromium"


class Tab:
    """A page that notes every error: a script's, or one of the Content-Security-Policy."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.add_init_script(_NOTE_VIOLATIONS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known in message.text for known in _EXPECTED):
            self.errors.append(message.text)


def usual(**more: Any) -> dict[str, Any]:
    """Options of a browser window in Liège."""
    return {"locale": "en-GB", "timezone_id": "Europe/Brussels", "viewport": {"width": 1280, "height": 800}} | more


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A browser for as long as the block runs."""
    need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def windows(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens windows with options of their own; an error in any of them fails the test."""
    opened: list[tuple[BrowserContext, Tab]] = []

    def open_one(**options: Any) -> Tab:
        context = chromium.new_context(**usual(**options))
        tab = Tab(context)
        opened.append((context, tab))
        return tab

    yield open_one
    errors = [error for _, tab in opened for error in tab.errors]
    for context, _ in opened:
        context.close()
    assert not errors
