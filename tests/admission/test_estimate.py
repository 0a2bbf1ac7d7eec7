"""Estimates are ranges that hold, and silence where nobody can know. Whole mornings: `tests.simulation.estimates`."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.estimate import Eta, Regime, Unknown, regime
from waitroom.admission.line import Flow, Lane, Snapshot

NOW_MS = 1_000_000


def make(**changes: Any) -> Regime:
    """A full pool of 60 slots, unlimited in rate, with a steady flow of one departure every 3 s."""
    known: dict[str, Any] = {
        "now_ms": NOW_MS, "held": False, "rate_milli": 0, "tokens": 0, "free": 0, "slots": 60, "ended": 200,
        "used_s": 60 * 600.0, "mean_s": 180.0, "flowing_s": 600.0, "young": 30, "young_s": 90.0,
    }  # fmt: skip
    return Regime(**(known | changes))


def snapshot(flow: list[Flow], **changes: Any) -> Snapshot:
    """A pool of 60 slots, all taken, with this flow."""
    found = Snapshot(
        now_ms=NOW_MS,
        held=False,
        rate_milli=0,
        tokens_milli=0,
        waiting={Lane.STANDARD: 100},
        absent=0,
        lobby={},
        sessions={"a": 60},
        limits={"a": 60},
        flow=tuple(flow),
        arrivals_total=0,
        admissions_total={},
        departures_total={},
    )
    return replace(found, **changes)


def steady(slots: int = 60, each: int = 3, stay_s: int = 200) -> list[Flow]:
    """Ten minutes in which `each` left and came in every 10 s."""
    return [Flow(NOW_MS - 10_000 * n, each, each, each * stay_s * 1000) for n in range(slots, 0, -1)]


def test_a_held_pool_promises_nothing() -> None:
    """While staff hold admissions there is no flow to extrapolate."""
    assert make(held=True).eta(3) is Unknown.HELD


def test_all_places_taken_and_nobody_leaving_is_said_so() -> None:
    """Without a departure no number is better than a wrong one."""
    assert regime(snapshot([Flow(NOW_MS - 10_000, 60, 0)])).eta(0) is Unknown.NO_FLOW


def test_a_pool_whose_backends_are_all_down_promises_nothing() -> None:
    """What flowed before says nothing of a server that does not answer."""
    assert regime(snapshot(steady(), limits={"a": 0})).eta(5) is Unknown.NO_FLOW


def test_while_a_backend_comes_back_nobody_knows() -> None:
    """Its own students go first, and how many still come is theirs to decide."""
    assert regime(snapshot(steady(), live={"phase:a": "recovering 1 2 1 1 0"})).eta(5) is Unknown.NO_FLOW


def test_free_places_at_a_rate_are_arithmetic() -> None:
    """With places free the wait is the turn over the rate: 100 people at 10/s is 10 s."""
    eta = make(free=500, slots=600, rate_milli=10_000).eta(99)
    assert isinstance(eta, Eta)
    assert eta.low_s <= 10 <= eta.high_s
    assert eta.high_s - eta.low_s < 15


@given(
    st.integers(0, 5_000),
    st.fixed_dictionaries(
        {
            "ended": st.integers(0, 2_000),
            "free": st.integers(-50, 500),
            "rate_milli": st.integers(0, 50_000),
            "young": st.integers(0, 60),
            "mean_s": st.floats(0, 5_000),
            "flowing_s": st.floats(0, 600),
        }
    ),
)
def test_a_range_is_a_range_and_grows_with_the_line(ahead: int, known: dict[str, Any]) -> None:
    """Low never exceeds high, and nobody behind you is promised an earlier turn."""
    pool = make(**known, young_s=min(known["mean_s"] / 2, 590.0))
    mine, behind = pool.eta(ahead), pool.eta(ahead + 10)
    if isinstance(mine, Eta):
        assert 0 <= mine.low_s < mine.high_s
        if isinstance(behind, Eta) and behind.low_s:
            assert behind.low_s + 1 >= mine.low_s


@pytest.mark.parametrize(("ahead", "rate"), [(0, 0.2), (5, 0.5), (40, 1.0), (300, 5.0)])
def test_four_of_five_waits_end_inside_the_range(ahead: int, rate: float) -> None:
    """Over a measured random flow at least 80 % of true waits lie in the range first shown (law 12)."""
    chance, inside, rounds = random.Random(1), 0, 2_000
    for _ in range(rounds):
        ended = _poisson(chance, rate * 120)
        wait = sum(chance.expovariate(rate) for _ in range(ahead + 1))
        eta = make(ended=ended, used_s=60 * 120.0, mean_s=0.0).eta(ahead)
        inside += isinstance(eta, Unknown) or eta.low_s <= wait <= eta.high_s
    assert inside / rounds >= 0.8


def test_a_flow_that_has_changed_is_believed_within_minutes() -> None:
    """People leave four times as fast as before: only the latest time counts."""
    flow = [Flow(NOW_MS - 10_000 * n, 0, 12 if n <= 6 else 3) for n in range(59, 0, -1)]
    assert 60 <= regime(snapshot(flow)).ended <= 84


def test_a_flow_that_has_not_changed_is_measured_over_ten_minutes() -> None:
    """The longer the same is seen, the narrower the range."""
    assert regime(snapshot(steady())).ended == 179


def test_the_time_before_the_first_departure_says_nothing_of_the_flow() -> None:
    """An exam that began 40 s ago, and 12 people who left in the last 10 s: about one a second, not 0.24."""
    flow = [Flow(NOW_MS - 10_000 * n, 10, 12 if n == 1 else 0) for n in range(5, 0, -1)]
    found = regime(snapshot(flow))
    assert found.ended == 11
    assert 0.9 <= found.counted <= 1.3


def test_flow_is_counted_for_the_full_pool() -> None:
    """A pool that was a quarter full when one left every 10 s: full, one leaves every 2.5 s."""
    flow = [Flow(NOW_MS - 10_000 * n, 1, 1) for n in range(59, 0, -1)]
    assert regime(snapshot(flow, sessions={"a": 15})).counted == pytest.approx(0.4, rel=0.05)


def test_who_was_never_there_does_not_count() -> None:
    """A probe without cookies takes a slot for 30 s every 10 s: that is no flow, also with a full pool after it."""
    flow = [Flow(NOW_MS - 10_000 * n, 1, 0, 0, 1) for n in range(59, 0, -1)]
    assert regime(snapshot(flow)).eta(10) is Unknown.NO_FLOW


def test_a_lowered_limit_is_waited_out_first() -> None:
    """With 20 more sessions than slots, 21 must leave before the first may enter."""
    over, full = regime(snapshot(steady(), limits={"a": 40})), regime(snapshot(steady(), sessions={"a": 60}))
    mine, same = over.eta(0), full.eta(0)
    assert isinstance(mine, Eta)
    assert isinstance(same, Eta)
    assert mine.low_s > same.high_s


def test_a_snapshot_from_before_the_burst_promises_no_free_place() -> None:
    """Who was not let in has no free slot, whatever was free a second ago."""
    assert make(free=40, ended=0).eta(0) is Unknown.NO_FLOW
    assert make(free=40).eta(0) == make(free=0).eta(0)


def test_a_few_departures_are_not_a_flow() -> None:
    """Nine of a flow that has just begun, or two in ten minutes: a range that spans everything is no answer."""
    assert make(ended=9, flowing_s=60.0).eta(10) is Unknown.NO_FLOW
    assert make(ended=2).eta(10) is Unknown.NO_FLOW


def test_measures_that_contradict_each_other_say_nothing() -> None:
    """The first dozen of an exam have left within a minute after 25: nobody knows yet how fast the others follow."""
    assert make(ended=12, used_s=60 * 300.0, mean_s=60.0, flowing_s=90.0, young=0).eta(30) is Unknown.NO_FLOW


def test_the_measures_agree_in_a_steady_pool() -> None:
    """60 sessions of 180 s, half of them younger than 90 s, are a departure every 3 s, however it is measured."""
    fastest_s, slowest_s = make().spans(100)
    assert fastest_s == pytest.approx(300)
    assert slowest_s == pytest.approx(300)


def test_a_pool_that_has_just_filled_gives_nothing_back_soon() -> None:
    """All came within the last half of a stay: the first leave after the other half."""
    filled = make(young=60)
    eta = filled.eta(39)
    assert filled.eta(0) is Unknown.NO_FLOW
    assert isinstance(eta, Eta)
    assert eta.high_s >= 150


def test_stays_that_a_young_flow_has_cut_short_say_nothing() -> None:
    """Who stays 400 s in the mean, and leaves at any moment as likely: of ten minutes' departures the mean is 228 s."""
    assert make(ended=90, mean_s=228.0).spans(60) == (400.0, 400.0)


def test_absent_people_may_be_gone_when_their_turn_comes() -> None:
    """A fifth of the line is absent: as many of those present will be, and the turn may come sooner by that."""
    without, with_some = regime(snapshot(steady())), regime(snapshot(steady(), absent=25))
    mine, same = without.eta(80), with_some.eta(80)
    assert isinstance(mine, Eta)
    assert isinstance(same, Eta)
    assert same.low_s < mine.low_s
    assert same.high_s == mine.high_s


def test_the_end_of_an_exam_is_a_bound_where_nothing_else_is_known() -> None:
    """Nobody leaves before the end, in half an hour: then 50 slots are free, and nothing can be said of the 51st."""
    taken = regime(snapshot([Flow(NOW_MS - 10_000, 60, 0)], ends=((NOW_MS + 1_800_000, 50),)))
    assert taken.eta(49) == Eta(0, 1_806)
    assert taken.eta(50) is Unknown.NO_FLOW


def test_the_end_of_an_exam_cuts_a_range() -> None:
    """However slow the flow is, the end of the exam ends the wait."""
    slow = make(ended=30, ends=((NOW_MS + 300_000, 60),)).eta(40)
    assert isinstance(slow, Eta)
    assert slow.high_s <= 306


def _poisson(chance: random.Random, mean: float) -> int:
    count, time = 0, chance.expovariate(mean)
    while time < 1:
        count, time = count + 1, time + chance.expovariate(mean)
    return count
