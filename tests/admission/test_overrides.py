"""What staff set: read from the store, judged beside the file, foretold."""

import json
from dataclasses import replace

import pytest

from waitroom.admission.audit import Change, Entry, read_entry, write_entry
from waitroom.admission.estimate import Eta, Unknown, regime
from waitroom.admission.line import Flow, Lane, Snapshot
from waitroom.admission.overrides import (
    MOST_TIMES,
    Filed,
    overrides,
    too_fast,
    too_many_sessions,
    undone,
    would_be,
)

FILED = Filed(20_000, 40, {"a": 400, "b": None})
AT = Snapshot(
    now_ms=600_000,
    held=False,
    rate_milli=20_000,
    tokens_milli=40_000,
    waiting={Lane.RETURN: 0, Lane.PRIORITY: 0, Lane.STANDARD: 840},
    absent=0,
    lobby={},
    sessions={"a": 100, "b": 0},
    limits={"a": 400, "b": 1_000},
    flow=(Flow(590_000, 0, 0),),
    arrivals_total=0,
    admissions_total={},
    departures_total={},
)


def last(at: Snapshot) -> Eta | Unknown:
    """The wait of the last in line."""
    return regime(at).eta(839)


def test_the_last_enters_later_at_half_the_rate() -> None:
    """800 behind the burst at 20 a second, at 10 a second with half the burst; and as before where it is undone."""
    now, then = last(AT), last(would_be(AT, FILED, {"ceiling": "10000"}))
    assert isinstance(now, Eta)
    assert isinstance(then, Eta)
    assert now.low_s == int(800 / 20 * 0.9)
    assert then.low_s == int(820 / 10 * 0.9)
    halved = would_be(AT, FILED, {"ceiling": "10000"})
    assert last(would_be(replace(halved, tokens_milli=40_000), FILED, {"ceiling": ""})) == now


def test_fewer_slots_make_the_last_wait_for_those_inside() -> None:
    """With a's limit below its sessions, slots come free only as people leave, which nobody knows yet."""
    after = would_be(AT, FILED, {"sessions:a": "50", "sessions:b": "10"})
    assert after.limits == {"a": 50, "b": 10}
    assert regime(after).free == -40
    assert last(after) is Unknown.NO_FLOW
    assert would_be(after, FILED, {"sessions:a": "", "sessions:b": ""}).limits["a"] == 400


@pytest.mark.parametrize(
    ("live", "fields", "rate"),
    [
        ({"rate": "5000"}, {"ceiling": "10000"}, 5_000),
        ({"rate": "15000"}, {"ceiling": "10000"}, 10_000),
        ({"rate": "15000", "ceiling": "10000"}, {"ceiling": ""}, 15_000),
        ({}, {"ceiling": "50000"}, 50_000),
    ],
)
def test_the_adaptive_rate_in_a_forecast(live: dict[str, str], fields: dict[str, str], rate: int) -> None:
    """The smaller of the two, as in the store."""
    assert would_be(replace(AT, live=live), FILED, fields).rate_milli == rate


def test_holds_in_a_forecast() -> None:
    """Of the pool, and of a backend, whose slots are nobody's meanwhile."""
    assert last(would_be(AT, FILED, {"held": "1"})) is Unknown.HELD
    closed = would_be(AT, FILED, {"staff:a": "held"})
    assert closed.limits["a"] == 0
    assert would_be(closed, FILED, {"staff:a": ""}).limits["a"] == 400
    down = replace(closed, live={"staff:a": "held", "phase:a": "down 1 0 0 1 0 0 0 0 0"})
    assert would_be(down, FILED, {"staff:a": ""}).limits["a"] == 0


def test_the_smallest_slip_is_refused_and_what_is_meant_is_not() -> None:
    """A zero too many is ten times; five times is somebody's decision. Where the file says nothing, any number is."""
    assert MOST_TIMES < 10
    assert too_many_sessions(400, 4_000)
    assert not too_many_sessions(400, 2_000)
    assert not too_many_sessions(None, 1_000_000)
    assert too_fast(20_000, 200_000)
    assert not too_fast(20_000, 100_000)
    assert not too_fast(0, 99_999_000)


def test_what_is_set_is_read_with_who_and_why() -> None:
    """Fields of the conductor are none of staff's; what a version of before has set has no name."""
    note = write_entry("dean", "limit", "db slow")
    live = {"rate": "1", "tempo": "1 2 3 0", "phase:a": "up 1 2", "sessions:a": "300", "note:sessions:a": f"5 9 {note}",
            "held": "1"}  # fmt: skip
    found = overrides(live)
    assert list(found) == ["held", "sessions:a"]
    assert found["sessions:a"][1:] == ("300", 5, 9, "dean", "db slow")
    assert found["sessions:a"].backend == "a"
    assert found["held"][2:] == (0, 0, "", "")


def test_what_an_undo_sets() -> None:
    """All limits of the pool, or those of one backend; never what is no limit."""
    live = {"ceiling": "1", "sessions:a": "1", "sessions:gone": "1", "held": "1", "rate": "1"}
    assert undone(live) == {"ceiling": "", "sessions:a": "", "sessions:gone": ""}
    assert undone(live, ["a"]) == {"sessions:a": ""}
    assert undone(live, ["b"]) == {}


def test_an_entry_is_read_as_it_was_written() -> None:
    """With the file's values where nothing was set; a text that is too long is cut."""
    said = write_entry("dean", "limit", "x", "a", {"ceiling": "20000", "sessions:a": "400"})
    words = [said, "ceiling", "", "500", "sessions:a", "300", "", "staff:a", "", "draining", "notice:M", "",
             json.dumps({"texts": {"": "é" * 400}})]  # fmt: skip
    entry = read_entry(f"7 9 {json.dumps(words)}")
    assert entry[:5] == (7, "dean", "limit", "x", "a")
    assert entry.until_ms == 9
    assert entry.changes[:3] == (
        Change("admission.rate", "20/s", "30/min"),
        Change("backends.a.max_sessions", "300", "400"),
        Change("backends.a.hold", None, "draining"),
    )
    assert entry.changes[3].key == "announcement of M"
    assert len(entry.changes[3].new or "") == 300


def test_an_entry_of_a_time_that_is_over() -> None:
    """Nobody did it; who had set it and why is the reason."""
    said = write_entry("dean", "limit", "db slow", file={"ceiling": "0"})
    entry = read_entry(f"7 -1 {json.dumps([said, 'ceiling', '500', ''])}")
    assert entry == Entry(
        7, "", "expired", "set by dean: db slow", "", (Change("admission.rate", "30/min", "unlimited"),)
    )
