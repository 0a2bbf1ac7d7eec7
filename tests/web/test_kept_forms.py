"""A form that met the line, in a real browser: nothing typed is lost, and it is sent exactly once."""

from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web.browser import Tab
from tests.web.samples import view
from tests.web.site import Site
from waitroom.admission.line import State

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Tab]
SOON: dict[str, Any] = {"next_poll_ms": 100}

FIELDS = [
    ("answer", 'Zoé & "co" <b>\n\nnew line'),
    ("lead", "\nafter an empty line"),
    ("answer", "again ~*-._+% "),
    ("odd name[]\"'<>", ""),
    ("submit", "shadow"),
    ("action", "/elsewhere"),
    ("outside", "€ 5 – 🎓 Ω"),
    ("markup", "</textarea><script>alert(1)</script>&amp;"),
]


def _document(charset: str) -> bytes:
    fields = "".join(f'<textarea name="{escape(name)}">\n{escape(value)}</textarea>' for name, value in FIELDS)
    text = (
        f'<!doctype html><meta charset="{charset}"><link rel="icon" href="data:,"><title>Quiz</title>'
        f'<form method="post" action="/mod/quiz/processattempt.php?cmid=4711&amp;x=%7E">{fields}'
        '<input type="hidden" name="_charset_"><button id="hand-in">Hand in</button></form>'
    )
    return text.encode(charset, "xmlcharrefreplace")


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_comes_back_byte_for_byte(site: Site, open_tab: OpenTab, charset: str) -> None:
    """The body that reaches the exam is the body the browser sent first, at the same URL, exactly once."""
    page = open_tab().page
    site.documents["/quiz"] = _document(charset)
    site.answers.extend([view(**SOON), view(State.ADMITTED, ahead=0)])
    page.goto(site.url + "/quiz")
    page.locator("#hand-in").click()
    expect(page.locator("h1")).to_have_text("The exam itself")
    first, second = site.loads
    assert first == second
    assert first[:2] == ("POST", "/mod/quiz/processattempt.php?cmid=4711&x=%7E")
    assert b"_charset_=" + (b"UTF-8" if charset == "utf-8" else b"windows-1252") in first[2]


def test_the_largest_form(site: Site, open_tab: OpenTab) -> None:
    """60 KiB of essay come back whole."""
    page = open_tab().page
    essay = ("Lorem ipsum é, " * 6_000)[: 60 * 1024 - 6_000]
    site.documents["/quiz"] = (
        '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><form method="post" action="/save">'
        f'<textarea name="essay">{essay}</textarea><button id="hand-in">Hand in</button></form>'
    ).encode()
    site.answers.append(view(State.ADMITTED, ahead=0))
    page.goto(site.url + "/quiz")
    page.locator("#hand-in").click()
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert len(site.loads) == 2
    assert site.loads[0] == site.loads[1]
    assert len(site.loads[0][2]) > 60 * 1024


def test_waits_with_what_was_typed(site: Site, open_tab: OpenTab) -> None:
    """While it waits the page says that it keeps what was typed, and shows none of it."""
    page = open_tab().page
    site.documents["/quiz"] = _document("utf-8")
    page.goto(site.url + "/quiz")
    page.locator("#hand-in").click()
    expect(page.locator("#keptnote")).to_contain_text("What you typed is kept in this page.")
    expect(page.locator("#send")).to_be_hidden()
    for field in page.locator("textarea").all():
        expect(field).to_be_hidden()


def test_without_script(site: Site, open_tab: OpenTab) -> None:
    """Without script a button sends the form again; nothing refreshes the page and so drops it."""
    page = open_tab(java_script_enabled=False).page
    site.documents["/quiz"] = _document("iso-8859-1")
    page.goto(site.url + "/quiz")
    with page.expect_navigation():
        page.locator("#hand-in").click()
    assert 'http-equiv="refresh"' not in page.content()
    with page.expect_navigation():
        page.get_by_role("button", name="Send now").click()
    site.inside = True
    page.get_by_role("button", name="Send now").click()
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert len(site.loads) == 3
    assert len(set(site.loads)) == 1


def test_a_form_that_cannot_be_kept(site: Site, open_tab: OpenTab) -> None:
    """The page says that nothing was sent, stays when the turn comes, and leads back to what was typed."""
    page = open_tab().page
    site.documents["/quiz"] = _document("utf-8")
    site.lost = True
    site.answers.extend([view(**SOON), view(State.ADMITTED, ahead=0)])
    page.goto(site.url + "/quiz")
    page.locator("[name=submit]").fill("typed by hand")
    page.locator("#hand-in").click()
    expect(page.locator("h1")).to_contain_text("could not be kept here, and none of it was sent on")
    expect(page.locator("h1")).to_contain_text("You are in")
    assert len(site.loads) == 1
    page.get_by_role("button", name="Back to the previous page").click()
    expect(page.locator("[name=submit]")).to_have_value("typed by hand")


def test_a_kept_form_and_no_cookies(site: Site, open_tab: OpenTab) -> None:
    """Where no cookie is kept, the form is not sent round in circles: the student is told and may send it by hand."""
    page = open_tab().page
    site.cookies = False
    site.documents["/quiz"] = _document("utf-8")
    page.goto(site.url + "/quiz")
    page.locator("#hand-in").click()
    expect(page.locator("h1")).to_contain_text("does not keep this site’s cookie")
    expect(page.locator("#send")).to_be_visible()
    assert len(site.loads) == 1
