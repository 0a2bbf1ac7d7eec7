"""One Chromium for all tests of the page, and a site and a window for each."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.web.browser import CHROMIUM, FLAGS, Tab, need_chromium, usual
from tests.web.site import Running, Site

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser."""
    need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A waiting room that says what the test tells it to."""
    with Running() as running:
        yield running


@pytest.fixture
def open_tab(chromium: Browser) -> Iterator[OpenTab]:
    """Opens windows with options of their own; an error in any of them fails the test."""
    windows: list[tuple[BrowserContext, Tab]] = []

    def open_one(**options: Any) -> Tab:
        context = chromium.new_context(**usual(**options))
        tab = Tab(context)
        windows.append((context, tab))
        return tab

    yield open_one
    errors = [error for _, tab in windows for error in tab.errors]
    for context, _ in windows:
        context.close()
    assert not errors
