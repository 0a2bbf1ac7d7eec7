"""One Chromium for all tests of the page, and a site and a window for each."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.web.browser import Tab, launched, windows
from tests.web.site import Running, Site

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with launched() as browser:
        yield browser


@pytest.fixture
def site() -> Iterator[Site]:
    """A waiting room that says what the test tells it to."""
    with Running() as running:
        yield running


@pytest.fixture
def open_tab(chromium: Browser) -> Iterator[OpenTab]:
    """Opens windows with options of their own; an error in any of them fails the test."""
    with windows(chromium) as open_one:
        yield open_one
