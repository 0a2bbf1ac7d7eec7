"""Every state of the page, light and dark, narrow and wide: axe-core finds nothing, and nothing sticks out."""

from collections.abc import Callable
from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser import Tab
from tests.web.samples import EVERY_STATE, view
from tests.web.site import Site

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Tab]
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
LOOKS = [("light", 320), ("light", 1280), ("dark", 320), ("dark", 1280)]


def _faults(page: Page) -> list[str]:
    page.evaluate(AXE + ";0")
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [f"{fault['id']}: {[node['html'] for node in fault['nodes']]}" for fault in found["violations"]]


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_state(site: Site, open_tab: OpenTab, theme: str, width: int) -> None:
    """No fault of WCAG 2.2 A and AA or good practice, and no sideways scrolling, in any state."""
    page = open_tab(color_scheme=theme, viewport={"width": width, "height": 800}, reduced_motion="reduce").page
    faults: list[str] = []
    for name, situation in EVERY_STATE.items():
        site.view = situation
        site.answers.clear()
        page.goto(f"{site.url}/{name}")
        faults += [f"{name}: {fault}" for fault in _faults(page)]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"{name}: wider than the window")
    assert faults == []


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_forms_and_errors(site: Site, open_tab: OpenTab, theme: str, width: int) -> None:
    """The same with a form kept, a form lost, and without network."""
    page = open_tab(color_scheme=theme, viewport={"width": width, "height": 800}, reduced_motion="reduce").page
    site.documents["/quiz"] = b'<!doctype html><form method="post" action="/s"><button name="a">Go</button></form>'
    faults: list[str] = []
    for lost in (False, True):
        site.lost = lost
        page.goto(f"{site.url}/quiz")
        page.locator("button").click()
        expect(page.locator("h1")).to_be_visible()
        faults += _faults(page)
    page.context.set_offline(True)
    expect(page.locator("#net")).to_contain_text("No network")
    faults += _faults(page)
    assert faults == []


STICKING_OUT = """() => [...document.querySelectorAll('main *, header *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && !e.closest('.vh, details:not([open]) ul') && (box.left < -1 || box.right > innerWidth + 1);
}).map(e => e.id || e.outerHTML.slice(0, 60))"""


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_right_to_left(site: Site, open_tab: OpenTab, theme: str, width: int) -> None:
    """Arabic in every state: laid out from the right, nothing sticks out on either side, digits of one kind."""
    looks = {"color_scheme": theme, "viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
    page = open_tab(locale="ar-EG", **looks).page
    faults: list[str] = []
    for name, situation in EVERY_STATE.items():
        site.view = situation
        site.answers.clear()
        page.goto(f"{site.url}/{name}")
        assert page.evaluate("[document.documentElement.lang, getComputedStyle(document.body).direction]") == [
            "ar",
            "rtl",
        ]
        faults += [f"{name}: {fault}" for fault in _faults(page)]
        faults += [f"{name}: sticks out: {each}" for each in page.evaluate(STICKING_OUT)]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"{name}: wider than the window")
        if page.evaluate("/[\u0660-\u0669\u06f0-\u06f9]/.test(document.body.innerText)"):
            faults.append(f"{name}: digits of two kinds")
        if page.evaluate("getComputedStyle(document.querySelector('a[href^=tel]')).direction") != "ltr":
            faults.append(f"{name}: a telephone number from the right")
    assert faults == []


def test_a_visitor_chooses_a_language(site: Site, open_tab: OpenTab) -> None:
    """With the keyboard, by its own name; it leads back to the very page and stays after a reload."""
    page = open_tab().page
    page.goto(f"{site.url}/mod/quiz/view.php?id=4711&x=%7E")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="العربية").press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    assert page.url == f"{site.url}/mod/quiz/view.php?id=4711&x=%7E"
    page.reload()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert _faults(page) == []
    page.locator("summary").click()
    expect(page.locator("[aria-current]")).to_have_text("العربية")
    assert _faults(page) == []


def test_keyboard_only(site: Site, open_tab: OpenTab) -> None:
    """Everything that can be used is reached with the keyboard, in reading order, with a visible focus."""
    page = open_tab().page
    page.goto(site.url)
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("(e => e.id || e.getAttribute('href') || e.localName)(document.activeElement)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == [
        "summary", "pause", "bell", "tel:+3243660000", "mailto:exams@uni.example", "https://help.uni.example/exams",
    ]  # fmt: skip


def test_print_and_forced_colours(site: Site, open_tab: OpenTab) -> None:
    """On paper and in forced colours the place and the code are there to be read."""
    page = open_tab().page
    site.view = view()
    page.goto(site.url)
    page.emulate_media(media="print")
    expect(page.locator("#pos")).to_be_visible()
    expect(page.locator("#pause")).to_be_hidden()
    page.emulate_media(media="screen", forced_colors="active")
    expect(page.locator("#code")).to_be_visible()
