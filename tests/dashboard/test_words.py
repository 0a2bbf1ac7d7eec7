"""What the page makes of numbers: its pure modules, run in the browser that will run them."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route

from tests.dashboard.conftest import OpenTab
from waitroom.assets import static_dir

pytestmark = pytest.mark.browser

Made = Callable[[str, str, Any], Any]
NOW_MS = 1_780_300_800_000
WAIT = {"low_s": 600, "high_s": 900, "low_at_ms": NOW_MS, "high_at_ms": NOW_MS, "unknown": None}
LOAD = {"inflight": 1, "inflight_limit": 80, "inflight_waiting": 0, "requests_per_s": 20, "failed_per_s": 0,
        "p50_ms": 20, "p95_ms": 90}  # fmt: skip
HOLD = {"at_ms": 0, "until_ms": 0, "who": "dean", "why": "fire drill", "undo": ""}


@pytest.fixture
def made(window: OpenTab) -> Made:
    """What a function of a module gives for one argument."""
    page = window().page

    def send(route: Route) -> None:
        name = route.request.url.removeprefix("http://dashboard.example/")
        if name:
            route.fulfill(body=(static_dir() / "dashboard" / name).read_text("utf-8"), content_type="text/javascript")
        else:
            route.fulfill(body="<title>x</title>", content_type="text/html")

    page.route("http://dashboard.example/**", send)
    page.goto("http://dashboard.example/")

    def call(module: str, function: str, given: Any) -> Any:
        return page.evaluate(
            "async ([module, name, given]) => (await import(`/${module}.js`))[name](given)", [module, function, given]
        )

    return call


def pool(backend: dict[str, Any] | None = None, load: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A pool in which all is well, but for what is said."""
    usual = {"backend": "b1", "phase": "up", "phase_since_ms": NOW_MS, "hold": None, "hold_set": None, "returning": 0,
             "return_rate_per_s": None, "sessions": {"live": 4, "limit": 9}, "load": LOAD | (load or {})}  # fmt: skip
    line = {"waiting": 3, "lobby": [], "last": WAIT, "newcomer": WAIT}
    return {"pool": "main", "state": "open", "hold_set": None, "sessions": 4, "sessions_limit": 9, "line": line,
            "backends": [usual | (backend or {})]} | more  # fmt: skip


def state(*pools: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the page knows."""
    return {"pools": list(pools), "missing": [], "storeUp": True, "trouble": "", "at": NOW_MS} | more


def test_the_verdict(made: Made) -> None:
    """Each rule by itself: its level, and that its words name what is so; the worst comes first."""
    lines = {"waiting": 3, "lobby": [], "last": WAIT, "newcomer": WAIT}
    cases = [
        (state(pool()), "ok", "3 students wait and 4 students are inside; the last enters at about"),
        (state(pool(line=lines | {"waiting": 0})), "ok", "Nobody waits, and 4 students are inside."),
        (state(pool(line=lines | {"waiting": 0, "lobby": [{"exam": "M", "tickets": 7, "opens_ms": NOW_MS}]})), "ok",
         "7 in the lobby; the next exam opens at"),
        (state(pool({"phase": "down"})), "act", "b1 has not answered since"),
        (state(pool({"phase": "down", "hold": "held", "hold_set": HOLD})), "mind", "b1 is held: nobody goes there"),
        (state(pool({"phase": "recovering", "returning": 5, "return_rate_per_s": 2})), "mind", "5 students of before"),
        (state(pool({"phase": "recovering", "return_rate_per_s": 2})), "mind", "b1 is back, and takes people in"),
        (state(pool(load={"failed_per_s": 0.1})), "ok", "3 students wait"),
        (state(pool(load={"failed_per_s": 0.5})), "mind", "b1 fails 0.5 of 20 requests a second."),
        (state(pool(load={"failed_per_s": 2})), "act", "b1 fails 2 of 20"),
        (state(pool(load={"p95_ms": 3_100})), "mind", "takes over 3.1 s"),
        (state(pool(load={"inflight_waiting": 4})), "mind", "all it takes at a time (80 requests), and 4 wait"),
        (state(pool({"sessions": {"live": 10, "limit": 9}})), "mind", "10 sessions where 9 are allowed"),
        (state(pool(state="held", hold_set=HOLD)), "mind", "held by dean, until it is undone (fire drill)."),
        (state(pool(state="down")), "act", "Nobody enters main: no backend answers."),
        (state(pool(state="closed")), "mind", "staff hold all its backends"),
        (state(pool(line=lines | {"last": {"unknown": "no_flow"}})), "mind", "The line of main stands still"),
        (state(pool(line=lines | {"last": WAIT | {"high_s": 4_000}})), "mind", "may wait 67 min"),
        (state(missing=["main"]), "act", "The store says nothing of main"),
        (state(storeUp=False), "act", "The store does not answer."),
        (state(trouble="Gone."), "act", "This page has lost the admin listener. Gone."),
        (state(pool(load={"p95_ms": 9_000}), pool({"phase": "down"})), "act", "And 1 more."),
    ]  # fmt: skip
    for given, level, text in cases:
        found = made("verdict", "verdict", given)
        assert found["level"] == level, (text, found)
        assert text in found["text"], found


def test_what_waits_come_to(made: Made) -> None:
    """Nearest rank, a line that is longest when it was, quotes and line ends of RFC 4180, and nobody at all."""
    head = "code,exam,pool,lane,arrived_at,outcome,outcome_at,wait_s,backend,position_on_arrival"
    lines = [
        "A,M,main,standard,2026-06-01T09:00:00.000Z,admitted,2026-06-01T09:00:00.100Z,0.100,b1,",
        "B,M,main,standard,2026-06-01T09:00:00.000Z,admitted,2026-06-01T09:01:00.000Z,60.000,b1,1",
        'C,"M, ""2""",main,priority,2026-06-01T09:00:30.000Z,left,2026-06-01T09:02:30.000Z,120.000,,2',
        "D,M,main,standard,2026-06-01T09:01:00.000Z,admitted,2026-06-01T09:03:00.000Z,120.000,b1,1",
        "E,M,main,standard,2026-06-01T09:02:00.000Z,waiting,2026-06-01T09:05:00.000Z,180.000,,2",
    ]
    rows = made("waits", "parse", "\r\n".join([head, *lines, ""]))
    assert (len(rows), rows[2]["exam"], rows[4]["position_on_arrival"]) == (5, 'M, "2"', "2")
    found = made("waits", "summary", rows)
    wanted = {"came": 5, "admitted": 3, "straight_in": 1, "waited": 2, "left": 1, "still_waiting": 1}
    assert {name: found[name] for name in wanted} == wanted
    assert (found["median_s"], found["p95_s"], found["longest_s"]) == (60, 120, 120)
    assert found["peak"] == {"waiting": 3, "at": 1_780_304_520_000}
    assert made("waits", "summary", [])["median_s"] is None


def test_incidents(made: Made) -> None:
    """A hold and its end are one, whoever ends it; what is not over has no end; an outage is one too."""

    def entry(at_ms: int, what: str, key: str, old: str | None, new: str | None) -> dict[str, Any]:
        who = "" if what == "expired" else "dean"
        return {"at_ms": at_ms, "pool": "main", "who": who, "what": what, "target": "", "why": "w", "until_ms": 0,
                "changes": [{"key": key, "old": old, "new": new}]}  # fmt: skip

    sessions = "backends.b1.max_sessions"
    entries = [
        entry(6, "limit", "admission.rate", "20/s", "5/s"),
        entry(5, "expired", sessions, "3", "4"),
        entry(4, "open", "hold", "held", None),
        entry(3, "announce", "announcement", None, "x"),
        entry(2, "limit", sessions, "4", "3"),
        entry(1, "hold", "hold", None, "held"),
    ]
    found = made("incidents", "ofAudit", entries)
    assert [(each["kind"], each["from_ms"], each["to_ms"]) for each in found] == [
        ("hold", 1, 4), ("limit", 2, 5), ("limit", 6, None),
    ]  # fmt: skip
    down = made("incidents", "ofOutages", [{"backend": "b1", "from_ms": 5_000, "to_ms": None}])
    assert [(each["kind"], each["what"], each["from_ms"], each["to_ms"]) for each in down] == [
        ("outage", "b1", 5_000, None)
    ]


def test_spans_and_rates(made: Made) -> None:
    """As people say them."""
    assert [made("words", "span", s) for s in (0, 89, 90, 3_600, 5_400)] == [
        "0 s",
        "89 s",
        "2 min",
        "60 min",
        "1 h 30 min",
    ]
    assert [made("words", "rate", r) for r in (None, 20, 1.5, 0.5)] == ["unlimited", "20/s", "1.5/s", "30/min"]
    assert [made("words", "took", ms) for ms in (None, 90, 2_900)] == ["–", "90 ms", "2.9 s"]


def test_what_would_be(made: Made) -> None:
    """The API's sentence with the times of the browser's zone (Brussels in summer), and what follows it."""
    then = WAIT | {"low_at_ms": NOW_MS + 600_000, "high_at_ms": NOW_MS + 1_200_000}
    given = {"waiting": 840, "now": {"last": WAIT, "free": 0}, "then": {"last": then, "free": 0}, "crowded": []}
    found = made("words", "effect", given | {"crowded": [{"backend": "b1", "live": 9, "to_end": 2}]})
    assert found == (
        "The last of 840 would enter at about 10:15 (10:10 to 10:20) instead of at 10:00."
        " b1 has 9 sessions: nobody is thrown out, and nobody new goes there before 2 of them have ended."
    )
    held, lost = {"last": {"unknown": "held"}, "free": 0}, {"last": {"unknown": "no_flow"}, "free": 0}
    soon = {"last": WAIT | {"low_s": 20, "high_s": 35}, "free": 0}
    for now, then, said in (
        (held, held, "The last of 840 would enter not before the hold ends, as without it."),
        (lost, lost, "When the last of 840 enters nobody can tell, with it or without."),
        (given["now"], lost, "When the last of 840 would enter nobody could tell; now it is at 10:00."),
        (lost, given["now"], "The last of 840 would enter at 10:00; now nobody can tell when."),
        (given["now"], soon, "The last of 840 would enter in 20 to 35 s instead of in 10 to 15 min."),
        (lost, lost | {"free": 9}, "with it or without. For 9 of them there would be a place at once."),
    ):
        assert said in made("words", "effect", given | {"now": now, "then": then})
