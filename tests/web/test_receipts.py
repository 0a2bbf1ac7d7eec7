"""The record of a wait in a real browser: every outcome and direction, on phone and paper, axe-core finds nothing."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.browser import Tab
from tests.web.samples import HELP, STATIC, TITLES
from tests.web.test_accessible import LOOKS, _faults
from waitroom.admission.receipts import Receipt, Wait
from waitroom.proxy.decisions import Respond
from waitroom.web import catalogue
from waitroom.web.languages import LANGUAGES
from waitroom.web.look import Look as OwnLook
from waitroom.web.packing import PACKINGS
from waitroom.web.pages import PageSettings
from waitroom.web.receipts import Asked, Look, ReceiptPages, facts

OpenTab = Callable[..., Tab]

LINE = "WR1.A1." + "0123456789ABCDEFGHJKMNPQRSTVWXYZ" * 5 + "." + "0" * 32
PAGES = ReceiptPages(PageSettings("/_waitroom/", 429, HELP, TITLES), STATIC)
ARRIVAL_MS = 1_780_297_080_123


def receipt(state: Wait = Wait.ADMITTED, **more: object) -> Receipt:
    """Twelve minutes and a bit."""
    usual: dict[str, object] = {
        "pool": "sciences", "exam": "MATH0001", "code": "K7QF-2M9D", "arrival_us": ARRIVAL_MS * 1000,
        "issued_ms": ARRIVAL_MS + 723_000, "first": 312, "last": 7 if state is not Wait.ADMITTED else 0,
        "admitted_ms": ARRIVAL_MS + 722_000 if state is Wait.ADMITTED else 0,
    }  # fmt: skip
    return Receipt(state=state, **(usual | more))  # type: ignore[arg-type]  # keywords of a table row


RECORDS = {str(state): receipt(state) for state in Wait} | {
    "evil": receipt(exam="EVIL"),
    "unknown": receipt(Wait.WAITING, first=0, last=0, exam=""),
    "long": receipt(Wait.WAITING, exam="A" * 64),
}


def page_of(record: Receipt, language: str = "en", encoding: str = "") -> Respond:
    """As the worker answers."""
    return PAGES.receipt(record, LINE, Asked(download=False, back="/math/1?a=1&b=2"), Look(language, encoding))


def show(page: Page, answer: Respond) -> None:
    """Let the browser have it under its own headers, so that the policy is in force."""

    def serve(route: Route) -> None:
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        route.fulfill(status=answer.status, body=answer.body, headers=headers)

    page.unroute_all()
    page.route("**/*", serve)
    page.goto("https://exam.uni.example/_waitroom/receipt?pool=sciences")


@pytest.mark.browser
@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_every_outcome(open_tab: OpenTab, theme: str, width: int) -> None:
    """No fault of WCAG 2.2 A and AA, no sideways scrolling, no element of a title come alive."""
    page = open_tab(color_scheme=theme, viewport={"width": width, "height": 800}).page
    faults = []
    answers = {
        f"{name} {language}": page_of(one, language) for name, one in RECORDS.items() for language in ("en", "ar")
    }
    answers["none"] = PAGES.none(Asked(download=False, back="/"), Look("en", ""))
    for name, answer in answers.items():
        show(page, answer)
        faults += [f"{name}: {fault}" for fault in _faults(page)]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            faults.append(f"{name}: wider than the window")
    assert faults == []


@pytest.mark.browser
def test_on_paper(open_tab: OpenTab) -> None:
    """Printed, everything that proves something is there and black, and what is only a link is not."""
    page = open_tab().page
    show(page, page_of(RECORDS["admitted"]))
    page.emulate_media(media="print")
    expect(page.locator(".signed code")).to_have_text(LINE)
    expect(page.locator(".facts")).to_contain_text("K7QF-2M9D")
    expect(page.locator(".save")).to_be_hidden()
    expect(page.locator(".back")).to_be_hidden()
    assert page.locator(".facts dd").first.evaluate("e => getComputedStyle(e).color") == "rgb(0, 0, 0)"
    assert len(page.pdf(format="A4")) > 1_000
    assert page.evaluate("document.body.scrollHeight") < 1_100, "one sheet"


@pytest.mark.browser
def test_what_can_be_done_with_it(open_tab: OpenTab) -> None:
    """Without script: a file to save, a way back, and the whole line chosen by one click."""
    page = open_tab(java_script_enabled=False).page
    show(page, page_of(RECORDS["waiting"]))
    expect(page.locator(".save")).to_have_attribute("href", "/_waitroom/receipt?pool=sciences&download=1")
    expect(page.locator(".back a")).to_have_attribute("href", "/math/1?a=1&b=2")
    assert page.locator("a").count() == 2
    instant = page.locator("time").first.get_attribute("datetime") or ""
    assert datetime.fromisoformat(instant) == datetime(2026, 6, 1, 6, 58, 0, 123_000, UTC)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_each_record(language: str) -> None:
    """Each outcome is said in each language, in the page and in the file, and none is like another."""
    words = catalogue.read(STATIC / "locale" / f"{language}.po")
    told = {name: facts(words, one, "Exam") for name, one in RECORDS.items()}
    assert len({told[state][3] for state in Wait}) == len(Wait)
    for name, one in RECORDS.items():
        assert f'lang="{language}"'.encode() in page_of(one, language).body
        saved = PAGES.receipt(one, LINE, Asked(download=True, back="/"), Look(language, ""))
        text = saved.body.decode()
        assert all(f"{fact.name}: {fact.text}" in text for fact in told[name] if fact.name != words.say("receipt.exam"))
        assert LINE in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_599, "59 min 59 s"), (7_384, "2 h 3 min 4 s")]
)
def test_how_long(seconds: int, text: str) -> None:
    """In the largest units that are needed."""
    words = catalogue.read(STATIC / "locale" / "en.po")
    one = receipt(admitted_ms=ARRIVAL_MS + seconds * 1000)
    assert text in {fact.text for fact in facts(words, one, "")}


def test_the_operators_words_and_look() -> None:
    """A record looks like the pages that it speaks of: own messages, logo and style, in both page and file."""
    look = OwnLook(messages={"en": {"site": "Exam office", "receipt.title": "Proof"}}, logo="data:x", css=".own{top:0}")
    made = ReceiptPages(PageSettings("/_waitroom/", 429, HELP, TITLES, look), STATIC)
    answer = made.receipt(RECORDS["admitted"], LINE, Asked(download=False, back="/"), Look("en", ""))
    text = answer.body.decode()
    assert "<h1>Proof</h1>" in text
    assert "Exam office" in text
    assert '<img class="logo" src="data:x" alt="">' in text
    assert text.index(".record .facts") < text.index(".own{top:0}")
    saved = made.receipt(RECORDS["admitted"], LINE, Asked(download=True, back="/"), Look("en", ""))
    assert saved.body.startswith(b"Proof\r\n")


@pytest.mark.parametrize("encoding", PACKINGS)
def test_packed(encoding: str) -> None:
    """Each packing says so, is small, and the second record of a language begins with the same packed bytes."""
    first, second = page_of(RECORDS["admitted"], "en", encoding), page_of(RECORDS["waiting"], "en", encoding)
    assert dict(first.headers).get(b"Content-Encoding", b"").decode() == encoding
    assert first.body[:1_000] == second.body[:1_000]
    assert first.body != second.body
    if encoding:
        assert len(first.body) < 12_000
