"""One Chromium and one product for all tests here; a window of its own for each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.dashboard.house import House, house
from tests.web.browser import CHROMIUM, FLAGS, Tab, need_chromium, usual

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The product."""
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[OpenTab]:
    """Opens windows; an error in any of them, or a breach of the policy, fails the test."""
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
