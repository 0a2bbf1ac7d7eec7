"""A pool on one screen: every number from one snapshot, beside what the file says and what workers saw."""

from dataclasses import replace
from typing import Any

import pytest

from tests.admin.desk import settings_of
from tests.admin.test_admin import House
from waitroom.admin.overview import Overview
from waitroom.admin.pulse import PoolPulse
from waitroom.admin.shapes import PoolShown
from waitroom.admission.audit import write_entry
from waitroom.admission.line import Flow, Lane, Notice, Snapshot
from waitroom.admission.traffic import Traffic, bucket_of, write
from waitroom.store.operators import Told

SETTINGS = settings_of(House())
AT = Snapshot(
    now_ms=1_000_000,
    held=False,
    rate_milli=8_200,
    tokens_milli=0,
    waiting={Lane.RETURN: 1, Lane.PRIORITY: 2, Lane.STANDARD: 837},
    absent=12,
    lobby={"MATH0001": 3, "gone": 0},
    sessions={"b1": 4, "b2": 4},
    limits={"b1": 4, "b2": 4},
    flow=tuple(Flow(start_ms, 1, 1, 80_000) for start_ms in range(410_000, 1_000_000, 10_000)),
    arrivals_total=845,
    admissions_total={"direct": 5},
    departures_total={"lapsed": 1},
)


def shown(at: Snapshot = AT, loads: Any = None) -> PoolShown:
    """The pool main."""
    return Overview("main", SETTINGS.pools["main"], {"MATH0001": SETTINGS.exams["MATH0001"]}, at, loads or {}).shown()


def live(**fields: str) -> Snapshot:
    """With these set; `__` stands for a colon."""
    return replace(AT, live={name.replace("__", ":"): value for name, value in fields.items()})


def test_the_line() -> None:
    """By lane and exam, with a wait for the last and for a newcomer that begins at the store's now."""
    line = shown().line
    assert (line.waiting, line.absent, [each.exam for each in line.lobby]) == (840, 12, ["MATH0001"])
    assert line.model_dump(by_alias=True)["lanes"] == {"return": 1, "priority": 2, "standard": 837}
    assert line.last.unknown is None
    assert line.last.low_s is not None
    assert line.last.low_at_ms == 1_000_000 + 1000 * line.last.low_s
    assert (line.newcomer.high_s or 0) >= (line.last.high_s or 0)


def test_the_hours_of_exams() -> None:
    """Those that have any."""
    exam = SETTINGS.exams["MATH0001"]
    exams = {"MATH0001": exam, "BIO": exam.model_copy(update={"opens_ms": 5})}
    found = Overview("main", SETTINGS.pools["main"], exams, AT, {}).shown()
    assert found.exams == ["MATH0001", "BIO"]
    assert [(each.exam, each.opens_ms, each.closes_ms) for each in found.hours] == [("BIO", 5, None)]


def test_nobody_waits() -> None:
    """Then nobody has to, unless all slots are taken: a newcomer would."""
    nobody = replace(AT, waiting=dict.fromkeys(Lane, 0))
    full, free = shown(nobody).line, shown(replace(nobody, sessions={"b1": 4, "b2": 1})).line
    assert (full.last.high_s, (full.newcomer.high_s or 0) > 0) == (0, True)
    assert (free.last.high_s, free.newcomer.high_s) == (0, 0)


def test_rates() -> None:
    """Allowed now, at most, by the file, and what was seen in the last minute."""
    rate = shown(live(ceiling="10000")).rate
    assert (rate.allowed_per_s, rate.ceiling_per_s, rate.file_per_s, rate.adaptive) == (8.2, 10, 20, False)
    assert rate.admitted_per_s == pytest.approx(0.1, abs=0.02)
    assert shown(replace(AT, rate_milli=0)).rate.allowed_per_s is None


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (AT, "open"),
        (replace(AT, held=True), "held"),
        (live(staff__b1="held"), "open"),
        (live(staff__b1="held", staff__b2="draining"), "closed"),
        (live(phase__b1="down 1 0 0 1 0 0 0 0 0", staff__b2="held"), "down"),
    ],
)
def test_whether_newcomers_may_enter(at: Snapshot, state: str) -> None:
    """One word, the gravest."""
    assert shown(at).state == state


def test_drift_names_what_undoes_it() -> None:
    """A command for each thing that is not as in the file, holds too."""
    note = f"5 9 {write_entry('dean', 'limit', 'db slow')}"
    at = live(sessions__b1="2", note__sessions__b1=note, held="1", staff__b2="draining", ceiling="500")
    drift = {each.key: each for each in shown(at).drift}
    assert {key: each.set.undo for key, each in drift.items()} == {
        "main.backends.b1.max_sessions": "waitroom limit main --backend b1 --undo",
        "main.hold": "waitroom open main",
        "main.backends.b2.hold": "waitroom open main --backend b2",
        "main.admission.rate": "waitroom limit main --rate file",
    }
    one = drift["main.backends.b1.max_sessions"]
    assert (one.file, one.in_force, one.set.who, one.set.until_ms) == ("4", "2", "dean", 9)


def test_announcements_are_shown() -> None:
    """As they are said."""
    (said,) = shown(replace(AT, notices={"MATH0001": Notice((("fr", "Un instant"),), 7)})).announcements
    assert (said.exam, said.text, said.at_ms) == ("MATH0001", {"fr": "Un instant"}, 7)


def second(requests: int, duration_ms: int, inflight: int) -> str:
    """A worker's second at b1."""
    counts = [0] * len(Traffic().durations)
    counts[bucket_of(duration_ms)] = requests
    return write({"b1": Traffic(requests=requests, failed_5xx=1, inflight=inflight, durations=tuple(counts))})


def test_what_workers_saw_counts_once() -> None:
    """However often it is looked at; levels are those of the last second, rates those of all that were heard."""
    pulse = PoolPulse()
    for at_ms in (1, 1, 2):
        pulse.hear([Told("w1", at_ms, second(10, 100, 3)), Told("w2", at_ms, second(20, 100, 4))])
    load = shown(loads=pulse.loads()).backends[0].load
    assert load is not None
    assert (load.inflight, load.requests_per_s, load.failed_per_s) == (7, 20, pytest.approx(1.33, abs=0.01))
    assert load.p95_ms is not None
    assert load.p95_ms >= 100
    assert shown(loads=pulse.loads()).backends[1].load is None


def test_who_has_not_told_anew_is_still_there() -> None:
    """Workers tell once a second and so are they heard, not in step: nobody's requests vanish for a second."""
    pulse = PoolPulse()
    pulse.hear([Told("w1", 1, second(10, 100, 3)), Told("w2", 1, second(20, 100, 4))])
    pulse.hear([Told("w1", 2, second(10, 100, 5)), Told("w2", 1, second(20, 100, 4))])
    load = shown(loads=pulse.loads()).backends[0].load
    assert load is not None
    assert (load.inflight, load.requests_per_s) == (9, 20)
    pulse.hear([])
    assert shown(loads=pulse.loads()).backends[0].load is None
