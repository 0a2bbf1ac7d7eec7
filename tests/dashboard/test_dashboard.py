"""The operators' page on a real product: what is so is on the screen at once, and what is done there is done."""

import re

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import OpenTab
from tests.dashboard.house import READER, SEATS, WAITING, House
from tests.dashboard.windows import SOON_MS, TURNS, button, carry_out, dialog, sign_in, tile
from tests.support.student import PAGE
from waitroom import clock

pytestmark = pytest.mark.browser


def test_numbers_move(desk: House, window: OpenTab) -> None:
    """Who comes is counted within two seconds; the words on top say what the numbers mean."""
    page = sign_in(window(), desk)
    waiting = tile(page, "Waiting")
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    expect(waiting).to_have_text(str(desk.line))
    took_ms = list[int]()
    while not took_ms or took_ms[-1] > SOON_MS:
        assert len(took_ms) < TURNS, took_ms
        desk.comes(f"late-{len(took_ms)}")
        came_ms = clock.monotonic_ms()
        expect(waiting).to_have_text(str(desk.line))
        took_ms.append(clock.monotonic_ms() - came_ms)
    expect(page.locator("figcaption").first).to_contain_text(f"{desk.line} now")
    expect(page.locator(".uplot canvas")).to_have_count(6)
    verdict = page.locator(".verdict h1")
    expect(verdict).to_contain_text(f"Look at this: The line of main stands still: {desk.line} students wait")
    expect(page).to_have_title("Look at this – waitroom")
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    assert "operate-me" not in page.url


def test_a_limit_is_seen_before_it_is_set_and_undone(desk: House, window: OpenTab) -> None:
    """With the keyboard alone: what it would do, what will be, then that it is so; with who, why, and until when."""
    page = sign_in(window(), desk)
    button(page, "Limit… main-1").press("Enter")
    expect(dialog(page).get_by_label("Most sessions")).to_be_focused()
    page.keyboard.type("20")
    effect = dialog(page).locator(".effect")
    expect(effect).to_contain_text(re.compile(r"The last of \d+ would enter at"))
    expect(effect).to_contain_text("now nobody can tell when")
    dialog(page).get_by_label("Most sessions").fill("3")
    expect(effect).to_contain_text("main-1 has 4 sessions: nobody is thrown out, and nobody new")
    dialog(page).get_by_label("For").select_option("20 minutes")
    dialog(page).get_by_label("Why").press_sequentially("db slow")
    page.keyboard.press("Enter")
    expect(dialog(page).locator(".summary")).to_have_text("main-1: at most 3 sessions, now 4.For 20 minutes.")
    expect(button(page, "Set the limit")).to_be_visible()
    assert desk.api("GET", "pools/main")["drift"] == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog(page)).to_have_count(0)
    kept = page.locator(".set")
    expect(kept).to_contain_text("main-1: at most 3 sessions; the file says 4. By dean at")
    expect(kept).to_contain_text("db slow")
    expect(button(page, "Undo… main-1: at most 3 sessions")).to_be_visible()
    button(page, "Undo… main-1: at most 3 sessions").click()
    expect(dialog(page).locator(".effect")).not_to_be_empty()
    carry_out(page, "Undo it")
    expect(kept).to_have_count(0)
    page.get_by_role("link", name="Audit").click()
    first = page.locator("tbody tr").first
    expect(first).to_contain_text("undid main-1 in main")
    expect(first).to_contain_text("sessions of main-1: 3 → 4")


def test_what_cannot_be_is_said_in_the_dialog(desk: House, window: OpenTab) -> None:
    """A rate that is none, and one beyond all measure: the dialog stays, with what was typed."""
    page = sign_in(window(), desk)
    button(page, "Limit… main").click()
    dialog(page).get_by_role("button", name="Next").click()
    expect(dialog(page).get_by_role("alert")).to_have_text("Say most sessions, or most admissions, or both.")
    for typed, said in (("fast", "such as 10/s"), ("0/s", "such as 10/s"), ("1000/s", "five times the 20/s of")):
        dialog(page).get_by_label("Most admissions").fill(typed)
        dialog(page).get_by_label("Why").focus()
        expect(dialog(page).get_by_role("alert")).to_contain_text(said)
    for number, said in (("0", "a whole number from 1"), ("1.5", "a whole number"), ("21", "five times the 4 of")):
        dialog(page).get_by_label("Most sessions").fill(number)
        dialog(page).get_by_role("button", name="Next").click()
        expect(dialog(page).get_by_role("alert")).to_contain_text(said)
    dialog(page).get_by_label("Most sessions").fill("")
    dialog(page).get_by_role("button", name="Next").click()
    expect(dialog(page).get_by_label("Most admissions")).to_have_value("1000/s")
    expect(dialog(page).locator(".summary")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(button(page, "Limit… main")).to_be_focused()


def test_hold_and_open(desk: House, window: OpenTab) -> None:
    """Nobody enters, and the page says who held it and why; then all is as before."""
    page = sign_in(window(), desk)
    button(page, "Hold… main").click()
    expect(dialog(page).locator(".effect")).to_contain_text("not before the hold ends")
    dialog(page).get_by_label("Why").fill("fire drill")
    carry_out(page, "Hold")
    expect(page.locator(".badge").first).to_have_text("held")
    expect(page.locator(".verdict h1")).to_contain_text(
        "Nobody enters main: held by dean, until it is undone (fire drill)."
    )
    assert desk.api("GET", "pools/main")["state"] == "held"
    button(page, "Open… main").click()
    carry_out(page, "Open")
    expect(page.locator(".badge").first).to_have_text("open")
    assert desk.api("GET", "pools/main")["state"] == "open"


def test_announce_and_take_back(desk: House, window: OpenTab) -> None:
    """What is said is on the students' pages and on this one, as text; each language its own."""
    page = sign_in(window(), desk)
    button(page, "Announce… main").click()
    dialog(page).get_by_label("Text").fill("Ten <b>minutes</b> more")
    dialog(page).locator("summary").click()
    dialog(page).get_by_label("French").fill("Dix minutes de plus")
    carry_out(page, "Say it")
    said = page.locator(".set.say")
    expect(said).to_contain_text("Said to all at")
    expect(said).to_contain_text("Ten <b>minutes</b> more")
    assert desk.api("GET", "pools/main")["announcements"][0]["text"]["fr"] == "Dix minutes de plus"
    button(page, "Take back… main").click()
    carry_out(page, "Take it back")
    expect(said).to_have_count(0)


def test_the_help_line_looks_and_changes_nothing(desk: House, window: OpenTab) -> None:
    """A token that may only read: all numbers, no control; a code that a student reads out finds them."""
    page = sign_in(window(), desk, READER)
    expect(page.locator("#who")).to_contain_text("helpline, read only")
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    assert page.locator(".pool button").count() == 0
    page.get_by_role("link", name="Find a student").click()
    code = desk.code_of(desk.waiting[1])
    page.get_by_label("Code").fill(code.lower())
    page.keyboard.press("Enter")
    expect(page.locator(".student h2")).to_contain_text(f"{code} waits, 2 of")
    expect(page.locator(".student")).to_contain_text("1 student ahead. The page is open.")
    assert page.locator(".student button").count() == 0
    page.get_by_label("Code").fill("ZZZZ-ZZZZ")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody has the code ZZZZ-ZZZZ")
    page.get_by_label("Code").fill("K7QF")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("eight letters and digits")
    expect(page.locator(".student")).to_be_hidden()
    assert code not in page.url


def test_the_record_of_a_wait_is_checked(desk: House, window: OpenTab) -> None:
    """What a student shows is genuine, as it stands in a mail; one letter more, and it is not, and nothing is told."""
    shown = desk.do(desk.waiting[2].ask("GET", "/_waitroom/receipt?pool=main", PAGE)).body.decode()
    (line, *_) = re.findall(r"WR1[^\s<\"]+", shown)
    page = sign_in(window(), desk, READER, view="#student")
    page.get_by_label("Signed line").fill(f"Dear help line,\n> {line}\nYours")
    page.get_by_role("button", name="Check it").click()
    record = page.locator(".record")
    expect(record.get_by_role("status")).to_contain_text("Genuine: this waiting room has signed it.")
    expect(record).to_contain_text("still waiting when it was made")
    page.get_by_label("Signed line").fill(line.replace(".", ".x", 1))
    page.get_by_role("button", name="Check it").click()
    expect(record.get_by_role("alert")).to_contain_text("Not genuine")
    expect(record.locator(".facts")).to_have_count(0)


def test_a_student_is_moved(desk: House, window: OpenTab) -> None:
    """Staff move somebody into the priority lane, and the page says that they are first."""
    page = sign_in(window(), desk, view="#student")
    code = desk.code_of(desk.waiting[4])
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Find").click()
    button(page, "Move to priority…").click()
    carry_out(page, "Move")
    try:
        expect(page.locator(".student h2")).to_contain_text("waits, 1 of")
    finally:
        desk.api("POST", f"tickets/{code}/lane", {"lane": "standard"})


def test_a_wrong_token(desk: House, window: OpenTab) -> None:
    """It is said, it is forgotten, and the next try works; signing out leaves nothing on the screen."""
    page = window().page
    page.goto(desk.url)
    page.get_by_label("Token").fill("guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is no bearer token of admin.tokens.")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_label("Token").fill("operate-me")
    page.keyboard.press("Enter")
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    page.reload()
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_focused()
    assert page.locator(".pool").count() == 0
    assert page.evaluate("sessionStorage.length") == 0


def test_the_report(desk: House, window: OpenTab) -> None:
    """Peak, waits, ways and incidents, on a page that can be printed, and as files."""
    page = sign_in(window(), desk, view="#report")
    page.get_by_role("button", name="Make the report").click()
    sheet = page.locator(".sheet")
    expect(sheet).to_contain_text("Pool main")
    expect(sheet.locator(".facts div", has_text="Longest line")).to_contain_text(re.compile(r"Longest line\d+at"))
    expect(sheet.locator(".facts div", has_text="Still waiting")).to_contain_text(f"Still waiting{desk.line}")
    expect(sheet.locator(".facts div", has_text=re.compile("^straight in"))).to_have_text(f"straight in{SEATS}")
    with page.expect_download() as csv:
        sheet.get_by_role("button", name="Save all waits as CSV").click()
    lines = csv.value.path().read_text().splitlines()
    assert lines[0].startswith("code,exam,pool,lane,arrived_at")
    assert len(lines) > SEATS + WAITING
    with page.expect_download() as json_file:
        sheet.get_by_role("button", name="Save as JSON").click()
    assert '"peak"' in json_file.value.path().read_text()
    page.emulate_media(media="print")
    expect(page.locator("header")).to_be_hidden()
    expect(sheet.locator("h2")).to_be_visible()
