"""What stands on the operators' page can be read by everyone, in every look; and it is told when it is no longer so."""

import os
import signal

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import OpenTab
from tests.dashboard.house import SEATS, House
from tests.dashboard.windows import button, dialog, faults, sign_in, tile

pytestmark = pytest.mark.browser

WIDTHS = (1280, 360)


def _both(page: Page) -> list[str]:
    """What is wrong in light, and in dark, which differs in colours only."""
    page.emulate_media(color_scheme="dark")
    dark = faults(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    return [*faults(page), *(f"dark: {each}" for each in dark)]


def _views(page: Page, desk: House) -> dict[str, list[str]]:
    """What is wrong with each view, by its name."""
    found = {}
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    found["now"] = _both(page)
    button(page, "Limit… main-1").click()
    dialog(page).get_by_label("Most sessions").fill("2")
    expect(dialog(page).locator(".effect")).not_to_be_empty()
    found["limit"] = _both(page)
    dialog(page).get_by_role("button", name="Next").click()
    found["sure"] = _both(page)
    page.keyboard.press("Escape")
    button(page, "Announce… main").click()
    dialog(page).locator("summary").click()
    found["announce"] = _both(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Find a student").click()
    page.get_by_label("Code").fill(desk.code_of(desk.waiting[0]))
    page.keyboard.press("Enter")
    expect(page.locator(".student h2")).to_be_visible()
    found["student"] = _both(page)
    page.get_by_role("link", name="Audit").click()
    expect(page.locator("tbody tr").first).to_contain_text("dean")
    found["audit"] = _both(page)
    page.get_by_role("link", name="Report").click()
    button(page, "Make the report").click()
    expect(page.locator(".sheet h2")).to_be_visible()
    found["report"] = _both(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    found["sign in"] = _both(page)
    return found


def test_axe_finds_nothing(desk: House, window: OpenTab) -> None:
    """Every view and dialog, light and dark, wide and narrow; something is set and said meanwhile."""
    desk.api("PATCH", "pools/main", {"rate": "10/s", "why": "db slow"})
    desk.api("PUT", "pools/main/announcement", {"text": {"": "Ten minutes more", "ar": "عشر دقائق"}})
    try:
        found = {}
        for width in WIDTHS:
            tab = window(viewport={"width": width, "height": 800}, reduced_motion="reduce")
            found |= {f"{view} {width}": wrong for view, wrong in _views(sign_in(tab, desk), desk).items()}
            tab.page.close()
        assert {name: wrong for name, wrong in found.items() if wrong} == {}
    finally:
        desk.api("DELETE", "pools/main/announcement")
        desk.api("DELETE", "pools/main/limits")


LONG = "faculty-of-applied-sciences-0001"
"""As long as a name may be."""


def _crowded(route: Route) -> None:
    """What the service says, of eight pools with twelve backends each, long names and very large numbers."""
    answer = route.fetch()
    if not answer.ok:
        route.fulfill(response=answer)
        return
    said = answer.json()
    pool = said["pools"][0]
    big = {"waiting": 999_999, "absent": 123_456, "lanes": {"return": 1_234, "priority": 56_789, "standard": 941_976}}
    backend = pool["backends"][0]
    load = {"inflight": 12_345, "inflight_limit": 20_000, "inflight_waiting": 4_321, "requests_per_s": 98_765.4,
            "failed_per_s": 1_234.5, "p50_ms": 59_000, "p95_ms": 65_000}  # fmt: skip
    sessions = backend["sessions"] | {"live": 1_000_000, "limit": 999_999}
    backends = [backend | {"backend": f"{LONG[:-4]}{n:04}", "sessions": sessions, "load": load} for n in range(12)]
    sums = {"sessions": 12_000_000, "sessions_limit": 11_999_988}
    many = pool | sums | {"line": pool["line"] | big, "backends": backends}
    pools = [many | {"pool": f"{LONG[:-4]}{n:04}", "state": state} for n, state in enumerate(["held", "down"])]
    pools += [pool | {"pool": f"pool-{n}"} for n in range(6)]
    route.fulfill(json=said | {"pools": pools})


def test_many_and_large(desk: House, window: OpenTab) -> None:
    """Eight pools, twelve backends, the longest names and largest numbers: nothing sticks out on a desk, a tablet or a
    phone, in either language; a pool's name leads to it.
    """
    english, french = ("Token", "Sign in"), ("Jeton", "Se connecter")
    for width, locale, words in ((1280, "en-GB", english), (768, "fr-BE", french), (360, "fr-BE", french)):
        tab = window(locale=locale, viewport={"width": width, "height": 800}, reduced_motion="reduce")
        tab.page.route("**/api/v1/pools", _crowded)
        page = sign_in(tab, desk, words=words)
        expect(page.locator(".all tbody tr")).to_have_count(8)
        assert faults(page, "" if width == 360 else "color-contrast") == [], width
        name = page.locator(".all tbody button").nth(6)
        expect(name).to_have_text("pool-4")
        name.press("Enter")
        expect(page.locator("#h-pool-4")).to_be_focused()
        expect(page.locator("#h-pool-4")).to_be_in_viewport()
        page.close()


def test_keyboard_only(desk: House, window: OpenTab) -> None:
    """Everything that can be used is reached in reading order, with a focus that can be seen; a dialog keeps it."""
    page = sign_in(window(), desk)
    page.reload()
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(e => e.getAttribute('aria-label') ?? e.textContent)(document.activeElement)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", reached
    assert reached == [
        "Skip to the numbers", "Now", "Find a student", "Audit", "Report", "Sign out", "FrançaisFR", "Limit… main",
        "Hold… main", "Announce… main", "The last hour", "Backends of main", "Limit… main-1", "Hold… main-1",
    ]  # fmt: skip
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("!!document.activeElement.closest('dialog') || document.activeElement === document.body")
    page.keyboard.press("Escape")
    expect(button(page, "Hold… main-1")).to_be_focused()


def test_the_store_is_away(desk: House, window: OpenTab) -> None:
    """The page says so, keeps the last numbers and marks them as old, offers no control; then it is live again."""
    page = sign_in(window(), desk)
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    expect(tile(page, "Waiting")).to_have_text(str(desk.line))
    (store,) = desk.product.children("valkey-server")
    os.kill(store, signal.SIGSTOP)
    try:
        expect(page.locator(".verdict h1")).to_contain_text("Act now: The store does not answer.")
        expect(page.locator(".fresh")).to_contain_text("Last heard")
        expect(page.locator(".pool")).to_contain_text("old: as of")
        expect(tile(page, "Waiting")).to_have_text(str(desk.line))
        assert page.locator(".pool button").count() == 0
        assert faults(page) == []
    finally:
        os.kill(store, signal.SIGCONT)
    expect(page.locator(".fresh")).to_contain_text("Live")
    expect(page.locator(".pool .badge[data-old]")).to_be_hidden()


def test_the_listener_is_away(desk: House, window: OpenTab) -> None:
    """The same for the way to the machine."""
    page = sign_in(window(), desk)
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    page.context.set_offline(offline=True)
    expect(page.locator(".verdict h1")).to_contain_text("This page has lost the admin listener")
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    expect(page.locator(".pool .badge[data-old]")).to_be_visible()
    page.context.set_offline(offline=False)
    expect(page.locator(".fresh")).to_contain_text("Live")
