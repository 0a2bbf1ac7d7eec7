"""The page speaks English and French: all of it, by the browser's choice or the reader's, and it stays readable."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import OpenTab
from tests.dashboard.house import OPERATOR, SEATS, House
from tests.dashboard.windows import button, dialog, faults, sign_in, tile
from waitroom.assets import static_dir

pytestmark = pytest.mark.browser

FOLDER = static_dir() / "dashboard"
SAID = re.compile(r"\bt\(\s*\"([a-z0-9_.]+)\"", re.IGNORECASE)
MADE_UP = re.compile(r"\bt\(\s*`([^`]+)`")
ANY_KEY = re.compile(r'"([a-z_]+(?:\.[a-z0-9_]+)*)"', re.IGNORECASE)
OPEN, CLOSE = "⟦", "⟧"
INNERMOST = re.compile(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")

WORDS = """() => {
  const found = [];
  const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (all.nextNode()) {
    const parent = all.currentNode.parentElement;
    const isOurs = !parent.closest("script, noscript, .name, .plot, #tongues, #version, option");
    if (isOurs) found.push([parent.tagName, all.currentNode.data]);
  }
  for (const each of document.querySelectorAll("[aria-label], [placeholder], [title], [data-title], option")) {
    if (each.closest("#tongues")) continue;
    if (each.tagName === "OPTION") found.push(["OPTION", each.textContent]);
    const names = ["aria-label", "placeholder", "title", "data-title"];
    found.push(...names.map(name => [name, each.getAttribute(name) ?? ""]));
  }
  return found;
}"""
"""All texts of the page, and names for screen readers."""

NAMES = re.compile(
    rf"\bmain(-1)?|dean|db slow|MATH0001|backends\.|admission\.rate|waiting-\d|K7QF|{OPEN}|{CLOSE}|/metrics|/healthz"
    r"|/readyz|\b(s|ms|min|h)\b|Ten minutes more|fire drill|عشر دقائق|[0-9A-Z]{4}-[0-9A-Z]{4}"
)
"""What is no text of the page: names, units, what people wrote, keys of the file."""


def texts(page: Page, language: str) -> dict[str, Any]:
    """A language's file, as the browser reads it."""
    load = "async name => (await import(`/dashboard/texts/${name}.js`)).default"
    found: dict[str, Any] = page.evaluate(load, language)
    return found


def forms(text: Any) -> list[str]:
    """The text, or that of each plural."""
    return [text] if isinstance(text, str) else list(text.values())


def test_every_text_in_both(desk: House, window: OpenTab) -> None:
    """The same keys with the same gaps; of plurals the forms that the language has; none missing, none left over."""
    page = window().page
    page.goto(desk.url)
    english, french = texts(page, "en"), texts(page, "fr")
    assert list(english) == list(french)
    for key, text in english.items():
        gaps = [set(re.findall(r"\{\w+\}", " ".join(forms(each)))) for each in (text, french[key])]
        assert gaps[0] == gaps[1], key
        for each in (text, french[key]):
            assert isinstance(each, str) or set(each) == {"one", "other"}, key
        same = text == french[key] and re.search(r"[a-zà-ÿ]{5,}", re.sub(r"\{\w+\}", "", " ".join(forms(text))))
        assert not same or SAME.fullmatch(key), f"{key} is not translated"
    source = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.js")}
    code = "\n".join([*source.values(), (FOLDER / "index.html").read_text("utf-8")])
    for name, text in source.items():
        assert not [key for key in SAID.findall(text) if key not in english], name
    patterns = [re.sub(r"\\\$\\\{.*?\\\}", r"[a-z0-9_.]+", re.escape(each)) for each in MADE_UP.findall(code)]
    words = set(ANY_KEY.findall(code))
    unused = [key for key in english if key not in words and not any(re.fullmatch(each, key) for each in patterns)]
    assert unused == []


SAME = re.compile(r"report\.(pool|incidents)|.*\.pool|backends\.sessions|lane\.standard|dialog\.for\.\d+|record\.state")
"""Words that are the same in both."""


def pseudo(route: Route) -> None:
    """French, as a language whose every text can be told from what is not a text."""
    source = (FOLDER / "texts" / "en.js").read_text("utf-8")
    body = source.replace("export default {", "const en = {") + (
        f"\nconst mark = text => typeof text === 'string' ? `{OPEN}${{text}}{CLOSE}` :"
        " Object.fromEntries(Object.entries(text).map(([form, each]) => [form, mark(each)]));"
        "\nexport default Object.fromEntries(Object.entries(en).map(([key, text]) => [key, mark(text)]));\n"
    )
    route.fulfill(body=body, content_type="text/javascript")


def unsaid(page: Page) -> list[str]:
    """What stands on the page and is not from the file of texts: no text within another one's gap is lost either."""
    found = []
    for where, text in page.evaluate(WORDS):
        rest, before = text, ""
        while rest != before:
            before, rest = rest, INNERMOST.sub("", rest)
        if re.search(r"[^\W\d_]{2,}", NAMES.sub("", rest)):
            found.append(f"{where}: {text}")
    return found


def test_no_text_is_missing(desk: House, window: OpenTab) -> None:
    """Whatever view and dialog: each word is a text of the language, a name, or what somebody wrote."""
    desk.api("PATCH", "pools/main", {"rate": "10/s", "why": "db slow"})
    desk.api("PUT", "pools/main/announcement", {"text": {"": "Ten minutes more", "ar": "عشر دقائق"}})
    try:
        tab = window(locale="fr-BE")
        page = tab.page
        page.route("**/dashboard/texts/fr.js", pseudo)
        page.goto(desk.url)
        expect(page.get_by_role("heading")).to_contain_text(OPEN)
        assert unsaid(page) == []
        page.locator("#token").fill(OPERATOR)
        page.keyboard.press("Enter")
        expect(page.locator(".tile b").nth(2)).to_have_text(str(SEATS))
        assert unsaid(page) == []
        for number in range(page.locator(".pool button").count()):
            page.locator(".pool button").nth(number).click()
            assert unsaid(page) == [], number
            page.keyboard.press("Escape")
        page.locator(".pool button").first.click()
        page.locator("#sessions").fill("3")
        page.locator("dialog .buttons button").first.click()
        expect(page.locator(".sure")).to_be_visible()
        assert unsaid(page) == []
        page.keyboard.press("Escape")
        for view in ("student", "audit", "report"):
            page.locator(f'#views a[href="#{view}"]').click()
            if view == "student":
                page.locator("#code").fill(desk.code_of(desk.waiting[0]))
                page.keyboard.press("Enter")
                expect(page.locator(".student h2")).to_be_visible()
            if view == "report":
                page.locator(".look-up button").click()
                expect(page.locator(".sheet h2")).to_be_visible()
            if view == "audit":
                expect(page.locator("tbody tr").first).to_contain_text("dean")
            assert unsaid(page) == [], view
    finally:
        desk.api("DELETE", "pools/main/announcement")
        desk.api("DELETE", "pools/main/limits")


def test_the_browser_chooses_and_the_reader(desk: House, window: OpenTab) -> None:
    """French where the browser asks for it, English where for neither; a choice outlives a reload, the token stays."""
    page = window(locale="de-DE").page
    page.goto(desk.url)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page = sign_in(window(locale="fr-BE"), desk, words=("Jeton", "Se connecter"))
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(tile(page, "À l’intérieur")).to_have_text(str(SEATS))
    expect(page.locator(".fresh")).to_contain_text("En direct")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="Français")).to_be_focused()
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    page.reload()
    expect(page.locator(".fresh")).to_contain_text("Live")
    assert json.loads(page.evaluate("JSON.stringify(localStorage)")) == {"waitroom.language": "en"}
    page.get_by_role("button", name="Français").click()
    expect(page.get_by_role("link", name="Journal")).to_be_visible()


def test_numbers_and_times_are_the_languages(desk: House, window: OpenTab) -> None:
    """The point, the thousands and the hours as they are written there; never a clock of twelve hours."""
    for locale, wanted in (("fr-BE", "1 234,5"), ("en-GB", "1,234.5"), ("en-US", "1,234.5")):
        page = window(locale=locale).page
        page.goto(desk.url)
        said = page.evaluate(
            "async () => { const w = await import('/dashboard/words.js');"
            " const at = new Date(2026, 5, 1, 15, 4).getTime(); return [w.fine(1234.5), w.time(at, at)] }"
        )
        assert [re.sub(r"\s", " ", said[0]), said[1]] == [wanted, "15:04"], locale


def test_french_is_readable(desk: House, window: OpenTab) -> None:
    """On a phone and a desk, each view and the widest dialog: axe finds nothing, nothing sticks out."""
    for width in (1280, 360):
        page = sign_in(
            window(locale="fr-BE", viewport={"width": width, "height": 800}, reduced_motion="reduce"), desk,
            words=("Jeton", "Se connecter"),
        )  # fmt: skip
        expect(tile(page, "À l’intérieur")).to_have_text(str(SEATS))
        found = {"now": faults(page)}
        button(page, "Limiter… main").click()
        dialog(page).locator("#sessions").fill("3")
        expect(dialog(page).locator(".effect")).not_to_be_empty()
        dialog(page).get_by_role("button", name="Suivant").click()
        found["limit"] = faults(page)
        page.keyboard.press("Escape")
        for view in ("student", "audit", "report"):
            page.locator(f'#views a[href="#{view}"]').click()
            if view == "report":
                page.get_by_role("button", name="Faire le rapport").click()
                expect(page.locator(".sheet h2")).to_be_visible()
            found[view] = faults(page)
        assert {name: wrong for name, wrong in found.items() if wrong} == {}, width
        page.close()
