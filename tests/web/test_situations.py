"""What the page finds out by itself, in a real browser: what staff say, the opening's clock, trouble on the way."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.web.browser import Tab
from tests.web.samples import OPENS_MS, said, view
from tests.web.site import Site
from waitroom.admission.line import State
from waitroom.proxy.decisions import Respond

pytestmark = pytest.mark.browser

URL = "/mod/quiz/view.php?id=7"
FAR: dict[str, Any] = {"next_poll_ms": 30_000}
OpenTab = Callable[..., Tab]


def test_news_between_polls(site: Site, open_tab: OpenTab) -> None:
    """What staff say is on the page within 5 s though the next poll is far, is spoken once, and goes again."""
    page = open_tab().page
    page.clock.install()
    site.view = view(**FAR)
    page.goto(site.url + URL)
    expect(page.locator("#dot.on")).to_be_visible()
    polls = len(site.polls)
    site.news = {"message": {"text": "<i>Ten</i> minutes", "at": "2026-06-01T07:00:00.000Z"}, "held": False}
    page.clock.run_for(5_000)
    expect(page.locator("#msgtext")).to_have_text("<i>Ten</i> minutes")
    expect(page.locator("#say")).to_have_text("New message from the exam staff: <i>Ten</i> minutes")
    site.news = {"message": None, "held": False}
    page.clock.run_for(5_000)
    expect(page.locator("#msg")).to_be_hidden()
    assert len(site.polls) == polls, "news are no polls"


def test_a_hold_is_noticed_between_polls(site: Site, open_tab: OpenTab) -> None:
    """When admissions stop, the page asks for its own state soon, and says so."""
    page = open_tab().page
    site.view = view(**FAR)
    page.goto(site.url + URL)
    expect(page.locator("#dot.on")).to_be_visible()
    with page.expect_response("**/news*"):
        pass
    site.view = view(State.HELD, **FAR)
    site.news = {"message": None, "held": True}
    expect(page.locator("h1")).to_contain_text("Entry is paused")


def test_news_that_nobody_offers_are_asked_for_once(site: Site, open_tab: OpenTab) -> None:
    """A server that knows no news answers 404; the page goes on without."""
    page = open_tab().page
    page.clock.install()
    asked: list[str] = []

    def none(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=404, body="{}")

    page.route("**/news*", none)
    site.view = view(**FAR)
    with page.expect_response("**/news*"):  # which the page may ask for as soon as it is there
        page.goto(site.url + URL)
        page.clock.run_for(5_000)
    for _ in range(6):
        page.clock.run_for(10_000)
    assert len(asked) == 1


def test_the_opening_is_counted_down_on_the_servers_clock(site: Site, open_tab: OpenTab) -> None:
    """Whole minutes from afar, seconds when it is near; a browser whose clock is wrong counts to the same instant."""
    page = open_tab().page
    site.view = view(State.LOBBY, ahead=None, opens_ms=OPENS_MS, **FAR)
    page.clock.install(time=datetime.fromtimestamp(OPENS_MS / 1000 - 1_800, UTC))
    ahead = {"Date": "Mon, 01 Jun 2026 06:30:10 GMT", "Content-Type": "application/json"}

    def answer(route: Route) -> None:
        """The first answer carries a date, ten seconds ahead of the browser's clock; the others none."""
        route.fulfill(response=route.fetch(), headers=dict(ahead))
        ahead.pop("Date", None)

    page.route("**/status*", answer)
    with page.expect_response("**/status*"):  # the only one: the next question is far
        page.goto(site.url + URL)
        expect(page.locator("#opens time")).to_have_text("09:00")
        page.clock.run_for(1_000)
    expect(page.locator("#dot.on")).to_be_visible()
    expect(page.locator("#until")).to_have_text("in 30 minutes")
    expect(page.locator("#order")).to_contain_text("in the order in which they arrived")
    page.clock.fast_forward(1_299_000)
    page.clock.run_for(1_000)
    expect(page.locator("#until")).to_have_text(re.compile("^in 8 min [01][0-9] s$"))
    page.clock.fast_forward(480_000)
    page.clock.run_for(9_000)
    expect(page.locator("#until")).to_have_text("It is opening now.")


def test_a_draw_is_explained_with_its_seal(site: Site, open_tab: OpenTab) -> None:
    """Where places are drawn the lobby says so and shows the fingerprint of the seed."""
    page = open_tab().page
    seal = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    site.view = view(State.LOBBY, ahead=None, opens_ms=OPENS_MS, seed_hash=seal, **FAR)
    page.goto(site.url + URL)
    expect(page.locator("#order")).to_contain_text(seal)
    expect(page.locator("#order")).to_contain_text("by lot")


def test_an_opening_that_moves(site: Site, open_tab: OpenTab) -> None:
    """The page says that it moved, shows the new time, and stays calm about the place."""
    page = open_tab().page
    page.clock.set_fixed_time(datetime.fromtimestamp(OPENS_MS / 1000 - 300, UTC))
    site.view = view(State.LOBBY, ahead=None, opens_ms=OPENS_MS, next_poll_ms=100)
    page.goto(site.url + URL)
    expect(page.locator("#opens time")).to_have_text("09:00")
    site.answers.append(view(State.LOBBY, ahead=None, opens_ms=OPENS_MS + 1_800_000, next_poll_ms=100))
    expect(page.locator("h1")).to_have_text("The opening has been moved; you are still in the right place.")
    expect(page.locator("#opens time")).to_have_text("09:30")


def test_no_network_has_words_of_its_own(site: Site, open_tab: OpenTab) -> None:
    """Heading and title say so, and the page says when it is over."""
    page = open_tab().page
    site.view = view(next_poll_ms=100)
    page.goto(site.url + URL)
    expect(page.locator("#dot.on")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("h1")).to_have_text("You are offline, and your place is kept.")
    expect(page).to_have_title("312 · Offline – Calculus I")
    expect(page.locator("#pos")).to_have_text("312")
    page.context.set_offline(False)
    expect(page.locator("h1")).to_contain_text("You are in line")
    expect(page.locator("#say")).to_have_text("Connected again. Your place was kept.")


def test_a_server_that_does_not_answer_has_too(site: Site, open_tab: OpenTab) -> None:
    """After the second failure, not at the first hiccup."""
    page = open_tab().page
    site.answers.extend([view(next_poll_ms=100), Respond(502, (), b""), Respond(502, (), b"")])
    page.goto(site.url + URL)
    expect(page.locator("h1")).to_contain_text("cannot be reached at the moment")
    site.answers.append(view(next_poll_ms=100))
    expect(page.locator("h1")).to_contain_text("You are in line", timeout=60_000)  # it asks again in 2, 4, 8 ... 30 s


def test_too_many_reloads(site: Site, open_tab: OpenTab) -> None:
    """The fourth within a minute is answered with a reason to stop, which costs nothing and stores nothing."""
    page = open_tab().page
    page.goto(site.url + URL)
    for _ in range(3):
        page.reload()
        expect(page.locator("#dot.on")).to_be_visible()
    expect(page.locator("#warn")).to_be_hidden()
    page.reload()
    expect(page.locator("#warn")).to_contain_text("You are reloading this page often.")
    expect(page.locator("#pos")).to_have_text("312")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_an_alert_that_was_asked_for(site: Site, open_tab: OpenTab) -> None:
    """Nothing sounds unasked; asked for, it sounds when the turn comes, and the page enters all the same."""
    page = open_tab().page
    page.add_init_script(
        "const start = OscillatorNode.prototype.start;"
        "OscillatorNode.prototype.start = function (...a) { console.log('tone'); return start.apply(this, a); };"
    )
    tones: list[str] = []
    page.on("console", lambda message: tones.append(message.text) if message.text == "tone" else None)
    site.view = view(next_poll_ms=200)
    page.goto(site.url + URL)
    expect(page.locator("#dot.on")).to_be_visible()
    assert tones == []
    with page.expect_console_message(lambda message: message.text == "tone"):
        page.locator("#bell").click()
    expect(page.locator("#bell")).to_have_attribute("aria-pressed", "true")
    heard = len(tones)
    site.answers.append(view(State.ADMITTED, ahead=0))
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert len(tones) == 2 * heard, "once to be known, once when the turn comes"


def test_asleep_and_awake(site: Site, open_tab: OpenTab) -> None:
    """A machine that slept asks at once, not when an old timer runs out."""
    page = open_tab().page
    page.clock.install()
    site.view = view(**FAR)
    page.goto(site.url + URL)
    page.clock.run_for(2_000)
    expect(page.locator("#dot.on")).to_be_visible()
    site.view = view(ahead=3, **FAR)
    page.clock.fast_forward(20_000)
    page.clock.run_for(2_000)
    expect(page.locator("#pos")).to_have_text("4")


def test_a_script_that_breaks(site: Site, open_tab: OpenTab) -> None:
    """The plain page is there, with the place, and is loaded anew by itself."""
    tab = open_tab()
    page = tab.page
    page.add_init_script("delete Intl.PluralRules")
    page.clock.install()
    page.goto(site.url + URL)
    expect(page.locator(".plain .place")).to_have_text("312")
    expect(page.locator("#board")).to_be_hidden()
    loads = len(site.loads)
    with page.expect_navigation():
        page.clock.run_for(16_000)
    assert len(site.loads) == loads + 1
    assert any("PluralRules" in error for error in tab.errors)
    tab.errors.clear()


def test_a_form_of_another_site_asks_for_a_ticket(site: Site, open_tab: OpenTab) -> None:
    """Without a ticket in the page, a kept form asks with its own cookies, and takes one if there is none."""
    page = open_tab().page
    icon = b'<!doctype html><link rel="icon" href="data:,">'
    site.documents["/lms"] = icon + b'<form method="post" action="/launch"><button name="a">Go</button></form>'
    site.view = view(visitor="", ahead=None, cookies=())
    page.goto(site.url + "/lms")
    site.answers.append(view(next_poll_ms=200))
    with page.expect_request("**/status?pool=sciences&take=1&exam=MATH0001"):
        page.locator("button").click()
    expect(page.locator("#pos")).to_have_text("312")
    expect(page.locator("#code")).to_have_text("1DG0-DW1S")
    site.answers.append(view(State.ADMITTED, ahead=0))
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert [load[:2] for load in site.loads] == [("POST", "/launch")] * 2


def test_what_staff_say_is_in_the_first_page_too(site: Site, open_tab: OpenTab) -> None:
    """With its time in the visitor's zone, with and without script."""
    site.view = view(notice=said("Bring your card", OPENS_MS), **FAR)
    for script in (True, False):
        page = open_tab(java_script_enabled=script).page
        page.goto(site.url + URL)
        expect(page.locator("#msgtext")).to_have_text("Bring your card")
        expect(page.locator("#msgat")).not_to_be_empty()
