"""The page in a real browser: it tells the truth, keeps asking, and enters by itself."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Dialog, expect

from tests.web.browser import Tab
from tests.web.samples import OPENS_MS, said, view
from tests.web.site import Site
from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import State
from waitroom.proxy.decisions import Respond

pytestmark = pytest.mark.browser

URL = "/mod/quiz/view.php?id=%7E7&&b=%2F"
SOON: dict[str, Any] = {"next_poll_ms": 100}
LATER_MS = 60_000
"""After failures a page asks again in 2, 4, 8 ... 30 s."""

OpenTab = Callable[..., Tab]


def test_the_place_moves(site: Site, open_tab: OpenTab) -> None:
    """Place, people ahead, estimate, title and rail follow the polls, and a milestone is spoken once."""
    page = open_tab().page
    page.goto(site.url + URL)
    expect(page.locator("h1")).to_contain_text("You are in line")
    expect(page.locator("#pos")).to_have_text("312")
    expect(page).to_have_title("312 · In line – Calculus I")
    before = float(page.locator("#done").get_attribute("width").rstrip("%"))  # type: ignore[union-attr]  # it has one
    site.answers.extend([view(ahead=8, eta=Eta(20, 100), **SOON)])
    page.reload()
    expect(page.locator("#pos")).to_have_text("9")
    expect(page.locator("#ahead")).to_have_text("8 people")
    expect(page.locator("#eta")).to_contain_text("between ")
    expect(page.locator("#why")).to_have_text("in less than 2 minutes")
    expect(page.locator("#say")).to_contain_text("You are now number 9 in line. Expected entry: between")
    expect(page).to_have_title("9 · In line – Calculus I")
    assert float(page.locator("#done").get_attribute("width").rstrip("%")) > before  # type: ignore[union-attr]  # as above
    site.answers = deque([view(ahead=12, eta=Unknown.NO_FLOW, **SOON)])
    furthest = page.locator("#done").get_attribute("width")
    expect(page.locator("#pos")).to_have_text("13")
    expect(page.locator("#eta")).to_have_text("not known yet")
    assert page.locator("#done").get_attribute("width") == furthest, "the rail never goes back"


def test_enters_by_itself(site: Site, open_tab: OpenTab) -> None:
    """When the turn comes the same URL is asked for again, byte for byte, and nothing else."""
    page = open_tab().page
    site.answers.extend([view(**SOON), view(State.ADMITTED, ahead=0)])
    page.goto(site.url + URL)
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert site.loads == [("GET", URL, b""), ("GET", URL, b"")]
    assert site.polls == ["pool=sciences"] * 2


def test_enters_at_a_fragment(site: Site, open_tab: OpenTab) -> None:
    """A fragment in the address does not keep the page from being loaded."""
    page = open_tab().page
    site.answers.append(view(State.ADMITTED, ahead=0))
    page.goto(site.url + URL + "#question-3")
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert page.url.endswith("#question-3")


def test_states_change_in_place(site: Site, open_tab: OpenTab) -> None:
    """Lobby, line, hold and a message come and go without loading the page anew."""
    page = open_tab().page
    site.view = view(State.LOBBY, ahead=None, opens_ms=OPENS_MS, **SOON)
    page.clock.set_fixed_time(datetime.fromtimestamp(OPENS_MS / 1000 - 300, UTC))
    page.goto(site.url + URL)
    expect(page.locator("#opens time")).to_have_text("09:00")
    site.answers.append(view(**SOON))
    expect(page.locator("h1")).to_contain_text("You are in line")
    expect(page.locator("#opens")).to_be_hidden()
    site.answers.append(view(State.HELD, eta=Unknown.HELD, notice=said("A <b>power cut</b>", OPENS_MS), **SOON))
    expect(page.locator("h1")).to_contain_text("Entry is paused")
    expect(page.locator("#msgtext")).to_have_text("A <b>power cut</b>")
    expect(page.locator("#say")).to_contain_text("New message from the exam staff: A <b>power cut</b>")
    expect(page.locator("#why")).to_contain_text("while entry is paused")
    assert len(site.loads) == 1


def test_the_store_away(site: Site, open_tab: OpenTab) -> None:
    """While nobody knows the place, the last one known stays and the page says so."""
    page = open_tab().page
    site.answers.extend([view(**SOON), view(ahead=None, waiting=None, eta=Unknown.NO_DATA, stale=True, **SOON)])
    page.goto(site.url + URL)
    expect(page.locator("#warn")).to_contain_text("cannot be read at the moment")
    expect(page.locator("#pos")).to_have_text("312")
    site.answers.append(view(ahead=200, **SOON))
    expect(page.locator("#warn")).to_be_hidden()
    expect(page.locator("#pos")).to_have_text("201")


def test_offline_and_back(site: Site, open_tab: OpenTab) -> None:
    """Without network the page says that the place is kept; with it again it goes on at once."""
    page = open_tab().page
    site.answers.append(view(**SOON))
    page.goto(site.url + URL)
    expect(page.locator("#net")).to_contain_text("Connected.")
    page.context.set_offline(True)
    expect(page.locator("#net")).to_contain_text("No network. Your place is kept")
    site.answers.append(view(ahead=99, **SOON))
    page.context.set_offline(False)
    expect(page.locator("#net")).to_contain_text("Connected.")
    expect(page.locator("#pos")).to_have_text("100")


def test_strange_answers_are_errors(site: Site, open_tab: OpenTab) -> None:
    """A captive portal's page, a 502 and an unknown state change nothing; the page goes on asking."""
    page = open_tab().page
    html = Respond(200, ((b"Content-Type", b"text/html"),), b"<h1>Log in to the campus network</h1>")
    other = Respond(200, ((b"Content-Type", b"application/json"),), b'{"state": "dancing"}')
    site.answers.append(html)
    page.goto(site.url + URL)
    expect(page.locator("#net")).to_contain_text("No answer.")
    site.answers = deque([view(ahead=50, **SOON)])
    expect(page.locator("#pos")).to_have_text("51", timeout=LATER_MS)
    site.answers.extend([Respond(502, (), b""), other, view(ahead=40, **SOON)])
    expect(page.locator("#pos")).to_have_text("41", timeout=LATER_MS)
    assert len(site.loads) == 1


def test_cookies_blocked(site: Site, open_tab: OpenTab) -> None:
    """A browser that keeps no cookie is told so after one new page, not sent round in circles."""
    page = open_tab().page
    site.cookies = False
    page.goto(site.url + URL)
    expect(page.locator("h1")).to_contain_text("Your browser does not keep this site’s cookie")
    expect(page).to_have_title("312 · Cookies are blocked – Calculus I")
    assert len(site.loads) == 2


def test_a_lost_ticket_is_replaced(site: Site, open_tab: OpenTab) -> None:
    """When the cookie is gone the page is loaded once more and takes a new ticket."""
    page = open_tab().page
    site.view = view(next_poll_ms=60_000)
    page.goto(site.url + URL)
    expect(page.locator("#net")).to_contain_text("Connected.")
    page.context.clear_cookies()
    with page.expect_navigation():
        page.evaluate("setTimeout(() => dispatchEvent(new Event('online')))")
    expect(page.locator("#net")).to_contain_text("Connected.")
    assert len(site.loads) == 2
    expect(page.locator("#warn")).to_be_hidden()


def test_a_hidden_tab_says_so(site: Site, open_tab: OpenTab) -> None:
    """A tab in the background announces itself, so that it is given a longer deadline."""
    page = open_tab().page
    page.goto(site.url + URL)
    expect(page.locator("#net")).to_contain_text("Connected.")
    with page.expect_request("**/status?pool=sciences&hidden=1"):
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {get: () => true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )


def test_the_display_can_be_paused(site: Site, open_tab: OpenTab) -> None:
    """Paused, nothing moves on the page, yet it goes on asking and enters (WCAG 2.2.2)."""
    page = open_tab().page
    page.goto(site.url + URL)
    page.locator("#pause").click()
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    site.answers.append(view(ahead=5, **SOON))
    with page.expect_response("**/status*"):
        page.evaluate("setTimeout(() => dispatchEvent(new Event('online')))")
    expect(page.locator("#pos")).to_have_text("312")
    page.locator("#pause").click()
    expect(page.locator("#pos")).to_have_text("6")


def test_down_does_not_hammer(site: Site, open_tab: OpenTab) -> None:
    """A page that says the server is down waits before it asks, so that reloads cannot become a storm."""
    page = open_tab().page
    site.view = view(State.DOWN, eta=Unknown.NO_DATA, next_poll_ms=60_000)
    page.goto(site.url + URL)
    page.clock.install()
    page.clock.fast_forward(5_000)
    expect(page.locator("h1")).to_contain_text("not answering")
    assert site.polls == []


def test_a_newcomer_whom_the_server_failed_tries_again(site: Site, open_tab: OpenTab) -> None:
    """Without a ticket there is nothing to poll for; the page is loaded again, gently."""
    page = open_tab().page
    page.clock.install(time=0)
    page.clock.pause_at(1_000)  # no time passes in the page but what is said here
    site.view = view(State.DOWN, visitor="", ahead=None, eta=Unknown.NO_DATA, next_poll_ms=8_000)
    page.goto(site.url + URL)
    expect(page.locator("h1")).to_contain_text("not answering")
    page.clock.fast_forward(7_900)
    assert len(site.loads) == 1
    site.inside = True
    page.clock.fast_forward(8_200)
    expect(page.locator("h1")).to_have_text("The exam itself")
    assert site.polls == []


def test_turned_away_after_admission(site: Site, open_tab: OpenTab) -> None:
    """Told to enter and met by the page again, it asks at the interval given, not at once: no storm of reloads."""
    page = open_tab().page
    site.answers.append(view(State.ADMITTED, ahead=0))
    page.goto(site.url + URL)
    expect(page.locator("h1")).to_have_text("The exam itself")
    site.view = view(next_poll_ms=60_000)
    site.inside = False
    page.goto(site.url + URL, referer=site.url + URL)
    asked = len(site.polls)
    page.clock.install()
    page.clock.fast_forward(20_000)
    expect(page.locator("h1")).to_contain_text("You are in line")
    assert len(site.polls) == asked


def test_markup_in_a_title_is_text(site: Site, open_tab: OpenTab) -> None:
    """An exam's title is shown as it was written, whatever it contains."""
    page = open_tab().page
    site.view = view(exam="EVIL", notice=said("</script><script>alert(3)</script>"))
    dialogs: list[str] = []

    def opened(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", opened)
    page.goto(site.url + URL)
    expect(page.locator("#net")).to_contain_text("Connected.")
    expect(page.locator("#exam")).to_have_text("<img src=x onerror=alert(1)>&amp;</title><script>alert(2)</script>")
    expect(page.locator("#msgtext")).to_have_text("</script><script>alert(3)</script>")
    assert page.title().endswith("<img src=x onerror=alert(1)>&amp;</title><script>alert(2)</script>")
    assert dialogs == []


@pytest.mark.parametrize(
    ("locale", "lang", "said"),
    [
        ("fr-BE", "fr", ("Vous êtes dans la file", "311 personnes")),
        ("nl-BE", "nl", ("U staat in de rij", "311 personen")),
        ("de-BE", "de", ("Sie stehen in der Warteschlange", "311 Personen")),
        ("en-IE", "en", ("You are in line", "311 people")),
        ("da-DK", "en", ("You are in line", "311 people")),
        ("es-MX", "es", ("Está en la fila", "311 personas")),
        ("it-IT", "it", ("Sei in coda", "311 persone")),
        ("pt-BR", "pt", ("Está na fila", "311 pessoas")),
        ("ar-MA", "ar", ("أنت في الطابور", "311 شخصًا")),
    ],
)
def test_languages(site: Site, open_tab: OpenTab, locale: str, lang: str, said: tuple[str, str]) -> None:
    """The page speaks the browser's language, with and after the script."""
    page = open_tab(locale=locale).page
    page.goto(site.url + URL)
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("#dot.on")).to_be_visible()
    expect(page.locator("h1")).to_contain_text(said[0])
    expect(page.locator("#ahead")).to_have_text(said[1])


def test_without_script(site: Site, open_tab: OpenTab) -> None:
    """Without script there are place and minutes, and an automatic refresh that can be stopped and started again."""
    page = open_tab(java_script_enabled=False).page
    page.goto(site.url + URL)
    expect(page.locator(".plain .place")).to_have_text("312")
    expect(page.locator("div.plain")).to_contain_text("in about 9 to 12 minutes")
    expect(page.locator(".plain .code")).to_contain_text("1DG0-DW1S")
    for scripted in ("#board", "#pause", "#coded"):
        expect(page.locator(scripted)).to_be_hidden()
    assert '<meta http-equiv="refresh" content="10">' in page.content()
    refresh = page.locator('meta[http-equiv="refresh"]')
    for link, automatic in (("Stop the automatic loading", 0), ("Load it now", 0), ("Load automatically again", 1)):
        with page.expect_navigation():
            page.get_by_role("link", name=link).click()
        expect(refresh).to_have_count(automatic)
        assert page.url == site.url + URL
    assert {load[1] for load in site.loads} == {URL}
