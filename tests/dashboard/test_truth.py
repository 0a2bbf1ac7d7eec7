"""What the page shows is so, also when several change it at once, when it ends by itself, when the token is gone."""

import re

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import OpenTab
from tests.dashboard.house import GUEST, SEATS, House
from tests.dashboard.windows import button, dialog, sign_in, tile
from tests.support.product import until

pytestmark = pytest.mark.browser


def test_what_has_ended_meanwhile_is_not_undone(desk: House, window: OpenTab) -> None:
    """A limit for a while is over while its dialog is open: that is said, nothing is sent, and the audit knows."""
    page = sign_in(window(), desk)
    desk.api("PATCH", "pools/main", {"rate": "10/s", "for_s": 600, "why": "a while"})
    button(page, "Undo… At most 10/s admissions").click()
    expect(dialog(page)).to_contain_text("In force now: At most 10/s admissions.")
    desk.api("PATCH", "pools/main", {"rate": "10/s", "for_s": 1, "why": "a moment"})
    expect(page.locator(".set")).to_have_count(0)
    dialog(page).get_by_role("button", name="Next").click()
    expect(dialog(page).get_by_role("alert")).to_have_text("This is over already: the file counts again.")
    page.keyboard.press("Escape")
    expect(page.locator("main")).to_be_focused()

    async def audited() -> bool:
        (last,) = (await desk._api("GET", "audit?limit=1", None))["entries"]
        return (last["what"], last["why"]) == ("expired", "set by dean: a moment")

    desk.do(until(audited, what="the end of the limit in the audit"))


def test_two_operators_at_once(desk: House, window: OpenTab) -> None:
    """What a colleague changed after the second step was shown is shown before it is done; then it is done.

    Neither limit lets anybody in: those who come after find as many inside as before.
    """
    page = sign_in(window(), desk)
    button(page, "Limit… main-1").click()
    dialog(page).get_by_label("Most sessions").fill("3")
    dialog(page).get_by_role("button", name="Next").click()
    summary = dialog(page).locator(".summary")
    expect(summary).to_contain_text("main-1: at most 3 sessions, now 4.")
    desk.api("PATCH", "pools/main", {"max_sessions": 2, "backend": "main-1"})
    try:
        expect(page.locator(".set")).to_contain_text("at most 2 sessions")
        dialog(page).get_by_role("button", name="Set the limit").click()
        expect(summary).to_contain_text("main-1: at most 3 sessions, now 2.")
        assert desk.api("GET", "pools/main")["drift"][0]["in_force"] == "2"
        dialog(page).get_by_role("button", name="Set the limit").click()
        expect(page.locator(".set")).to_contain_text("at most 3 sessions")
        assert [c["old"] for c in desk.api("GET", "audit?limit=1")["entries"][0]["changes"]] == ["2"]
    finally:
        desk.api("DELETE", "pools/main/limits")


def test_a_token_that_is_taken_away(desk: House, window: OpenTab) -> None:
    """Within seconds of the change of the file: the page asks for another, says why, and shows nothing of before."""
    page = sign_in(window(), desk, GUEST)
    button(page, "Hold… main").click()
    expect(dialog(page)).to_be_visible()
    file = desk.product.data_dir.parent / "waitroom.yaml"
    before = file.read_text("utf-8")
    file.write_text(re.sub(r".*name: guest.*\n", "", before), "utf-8")
    try:
        expect(page.get_by_role("alert")).to_contain_text("no longer among admin.tokens")
        expect(page.get_by_label("Token")).to_be_focused()
        expect(dialog(page)).to_have_count(0)
        assert page.locator(".pool").count() == 0
        assert page.evaluate("sessionStorage.length") == 0
    finally:
        file.write_text(before, "utf-8")


def test_who_else_guesses_does_not_sign_anybody_out(desk: House, window: OpenTab) -> None:
    """Wrong tokens from the same address: the page waits as it is told, keeps its token, and is live again."""
    page = sign_in(window(), desk)
    expect(tile(page, "Inside")).to_have_text(str(SEATS))
    page.evaluate(
        "() => Promise.all(Array.from({length: 10}, () =>"
        " fetch('/api/v1/pools', {headers: {Authorization: 'Bearer x'}})))"
    )
    expect(page.locator(".verdict h1")).to_contain_text("Too many wrong tokens came from your address")
    expect(page.locator(".fresh")).to_contain_text("Live", timeout=60_000)
    expect(tile(page, "Inside")).to_have_text(str(SEATS))


def test_one_truth(desk: House, window: OpenTab) -> None:
    """The page, the API and the metrics say the same numbers."""
    page = sign_in(window(), desk)
    expect(tile(page, "Inside")).to_have_text(str(SEATS))

    async def same() -> bool:
        metrics = await desk.product.metrics()
        pool = await desk._api("GET", "pools/main", None)
        lanes = {lane: metrics[f'waitroom_waiting{{lane="{lane}",pool="main"}}'] for lane in pool["line"]["lanes"]}
        sessions = pool["backends"][0]["sessions"]
        assert metrics['waitroom_sessions{backend="main-1",pool="main"}'] == sessions["live"]
        assert metrics['waitroom_sessions_limit{backend="main-1",pool="main"}'] == sessions["limit"]
        return lanes == pool["line"]["lanes"]

    desk.do(until(same, what="an instant at which nobody came or went between the two"))
    expect(tile(page, "Waiting")).to_have_text(str(desk.line))
