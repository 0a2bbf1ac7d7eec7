"""What the tests of the dashboard do in a window, and what they look at."""

from importlib.resources import files

from playwright.sync_api import Locator, Page, expect

from tests.dashboard.house import GUEST, OPERATOR, House
from tests.web.browser import Tab

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
SOON_MS = 2_000
"""What is so is on the screen within this (ticket: live, at most 2 s)."""

TURNS = 4
"""In which a promise about time is to be kept once: a machine that stands still adds to one, a fault to each."""


def sign_in(
    tab: Tab, desk: House, token: str = OPERATOR, view: str = "", words: tuple[str, str] = ("Token", "Sign in")
) -> Page:
    """The page as the holder of a token sees it."""
    page = tab.page
    page.goto(desk.url + view)
    page.get_by_label(words[0]).fill(token)
    page.get_by_role("button", name=words[1]).click()
    expect(page.locator("#who")).to_contain_text({OPERATOR: "dean", GUEST: "guest"}.get(token, "helpline"))
    return page


def tile(page: Page, name: str) -> Locator:
    """The large number under a name."""
    return page.locator(".tile").filter(has=page.locator("dt", has_text=name)).locator("b")


def button(page: Page, name: str) -> Locator:
    """By its exact name."""
    return page.get_by_role("button", name=name, exact=True)


def dialog(page: Page) -> Locator:
    """The one that is open."""
    return page.locator("dialog[open]")


def carry_out(page: Page, go: str) -> None:
    """Both steps of a dialog that is filled in."""
    dialog(page).get_by_role("button", name="Next").click()
    dialog(page).get_by_role("button", name=go, exact=True).click()
    expect(dialog(page)).to_have_count(0)


def faults(page: Page, rule: str = "") -> list[str]:
    """What axe-core finds, by all its rules or by one, and what sticks out to the right."""
    if not page.evaluate("!!globalThis.axe"):
        page.evaluate(AXE + ";0")
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", [rule] if rule else RULES)
    told = [f"{fault['id']}: {[node['html'] for node in fault['nodes']]}" for fault in found["violations"]]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        told.append("wider than the window")
    return told
