"""What is kept of a pool's past says what was so, and never more than is known."""

from dataclasses import replace

import pytest

from tests.admin.test_admin import SNAPSHOT
from waitroom.admission.past import COLUMNS, DAY, HOUR, Outage, Point, outages, point, read, shown, together, turns
from waitroom.admission.recovery import Phase
from waitroom.admission.traffic import Traffic, bucket_of

DOWN = "down 7000 0 0 1 0 0 0 0 0"
UP_AGAIN = "up 9000 0 0 1 0 0 0 0 0"


def at(at_ms: int, **values: float | None) -> Point:
    """A point of which only these are known."""
    return Point(at_ms, tuple(values.get(name) for name in COLUMNS))


def test_a_point_is_kept_whole() -> None:
    """What was seen is what is read again; a gap stays a gap."""
    durations = tuple(20 if n == bucket_of(100) else 0 for n in range(len(Traffic().durations)))
    loads = {"main-1": (Traffic(requests=21, failed_5xx=1, inflight=3, durations=durations), 10.0)}
    snapshot = replace(SNAPSHOT, now_ms=12_345, admissions_total={"direct": 5, "line": 7}, live={"phase:main-1": DOWN})
    found = point(snapshot, loads)
    assert found.at_ms == 10_000
    assert read(found.at_ms, found.text) == found
    wanted = {"waiting": 841, "lobby": 12, "sessions": 5, "admissions": 12, "requests_per_s": 2.1, "failed_per_s": 0.1,
              "inflight": 3, "held": 1, "down": 1, "last_low_s": None, "last_high_s": None}  # fmt: skip
    assert {name: found.of(name) for name in wanted} == wanted
    assert (found.of("p95_ms") or 0) >= 100
    assert len(found.text) < 120


def test_texts_of_other_versions() -> None:
    """A shorter one has columns that are not known, of a longer one the rest is left out."""
    assert read(5, "1 2").values == (1, 2, *[None] * (len(COLUMNS) - 2))
    assert len(read(5, " ".join("1" * 40)).values) == len(COLUMNS)


def test_of_several_the_worst() -> None:
    """A minute tells its longest line and its slowest second; limits and totals are those at its end."""
    one = at(0, waiting=9, sessions=3, sessions_limit=8, admissions=4, p95_ms=None, down=1, allowed_per_s=2)
    other = at(5_000, waiting=2, sessions=5, sessions_limit=4, admissions=9, p95_ms=80, down=0, allowed_per_s=None)
    both = together([one, other], 0)
    wanted = {"waiting": 9, "sessions": 5, "sessions_limit": 4, "admissions": 9, "p95_ms": 80, "down": 1,
              "allowed_per_s": None, "lobby": None}  # fmt: skip
    assert {name: both.of(name) for name in wanted} == wanted


def test_who_entered_is_a_difference() -> None:
    """Between neighbours only: over a gap, or where the store began anew, nobody knows when they did."""
    points = [at(n, admissions=total) for n, total in ((0, 3), (5_000, 5), (10_000, 5), (60_000, 90), (65_000, 2))]
    found = shown(points, HOUR.step_ms)
    assert found["admitted"] == [None, 2, 0, None, None]
    assert "admissions" not in found
    assert {len(column) for column in found.values()} == {5}
    assert shown([], DAY.step_ms)["admitted"] == []


def test_turns() -> None:
    """Only going down and coming up is one; a ramp that becomes another is none."""
    changed = {"b1": (Phase.UP, Phase.DOWN), "b2": (Phase.DOWN, Phase.RECOVERING), "b3": (Phase.RECOVERING, Phase.UP)}
    assert turns(changed) == "b1 down;b2 up"
    assert turns({"b3": (Phase.RECOVERING, Phase.UP)}) == ""


@pytest.mark.parametrize(
    ("lines", "live", "wanted"),
    [
        ([(1, "b1 down;b2 down"), (3, "b1 up"), (5, "b2 up"), (6, "b1 down"), (8, "b1 up")], {},
         [Outage("b1", 1, 3), Outage("b2", 1, 5), Outage("b1", 6, 8)]),
        ([(6_000, "b1 down")], {"phase:b1": DOWN}, [Outage("b1", 6_000, None)]),
        ([(6_000, "b1 down"), (6_500, "b1 down")], {"phase:b1": UP_AGAIN}, [Outage("b1", 6_000, 9_000)]),
        ([], {"phase:b1": DOWN}, [Outage("b1", 7_000, None)]),
        ([(1, "b1 up"), (2, "gone down"), (4, "gone up")], {}, [Outage("gone", 2, 4)]),
    ],
    ids=["pairs", "still", "nobody wrote its end", "nobody wrote its beginning", "of before"],
)  # fmt: skip
def test_outages(lines: list[tuple[int, str]], live: dict[str, str], wanted: list[Outage]) -> None:
    """In pairs, whatever could not be written down."""
    assert outages(lines, live, ["b1", "b2"]) == wanted
