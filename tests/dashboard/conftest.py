"""One Chromium and one product for all tests here; a window of its own for each test."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.dashboard.house import House, house
from tests.web.browser import Tab, launched, windows

OpenTab = Callable[..., Tab]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The product."""
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with launched() as browser:
        yield browser


@pytest.fixture
def window(chromium: Browser) -> Iterator[OpenTab]:
    """Opens windows; an error in any of them, or a breach of the policy, fails the test."""
    with windows(chromium) as open_one:
        yield open_one
