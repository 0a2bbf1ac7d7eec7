"""Estimates are ranges that hold, and silence where nobody can know."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.estimate import Eta, Regime, Unknown, regime
from waitroom.admission.line import Flow, Snapshot


def make(**changes: object) -> Regime:
    """A pool that is full, unlimited in rate, with a steady flow of one departure every 3 s."""
    known: dict[str, object] = {
        "now_ms": 0,
        "held": False,
        "rate_milli": 0,
        "tokens": 0,
        "free": 0,
        "ended": 20,
        "window_s": 60.0,
    }
    return Regime(**(known | changes))  # type: ignore[arg-type]  # a table of fields


def test_a_held_pool_promises_nothing() -> None:
    """While staff hold admissions there is no flow to extrapolate."""
    assert make(held=True).eta(3) is Unknown.HELD


def test_all_places_taken_and_nobody_leaving_is_said_so() -> None:
    """Without a departure no number is better than a wrong one."""
    assert make(ended=0).eta(0) is Unknown.NO_FLOW


def test_free_places_at_a_rate_are_arithmetic() -> None:
    """With places free the wait is the turn over the rate: 100 people at 10/s is 10 s."""
    eta = make(free=500, rate_milli=10_000).eta(99)
    assert isinstance(eta, Eta)
    assert eta.low_s <= 10 <= eta.high_s
    assert eta.high_s - eta.low_s < 15


@given(st.integers(0, 5_000), st.integers(1, 2_000), st.integers(0, 500), st.integers(0, 50_000))
def test_a_range_is_a_range_and_grows_with_the_line(ahead: int, ended: int, free: int, rate_milli: int) -> None:
    """Low never exceeds high, and nobody behind you is promised an earlier turn."""
    pool = make(ended=ended, free=free, rate_milli=rate_milli)
    mine, behind = pool.eta(ahead), pool.eta(ahead + 10)
    if isinstance(mine, Eta) and isinstance(behind, Eta):
        assert 0 <= mine.low_s < mine.high_s
        assert behind.high_s >= mine.high_s


@pytest.mark.parametrize(("ahead", "rate"), [(0, 0.2), (5, 0.5), (40, 1.0), (300, 5.0)])
def test_four_of_five_waits_end_inside_the_range(ahead: int, rate: float) -> None:
    """Over a measured random flow at least 80 % of true waits lie in the range first shown (law 12)."""
    chance, inside, rounds = random.Random(1), 0, 2_000
    for _ in range(rounds):
        ended = _poisson(chance, rate * 60)
        wait = sum(chance.expovariate(rate) for _ in range(ahead + 1))
        eta = make(ended=ended).eta(ahead)
        inside += isinstance(eta, Unknown) or eta.low_s <= wait <= eta.high_s
    assert inside / rounds >= 0.8


def test_flow_is_measured_over_the_shortest_window_that_saw_enough() -> None:
    """A flow that has just doubled is believed within minutes."""
    now = 1_000_000
    flow = [Flow(now - 10_000 * n, 0, 10 if n <= 6 else 1) for n in range(1, 60)]
    found = regime(snapshot(now, flow))
    assert (found.ended, found.window_s) == (60, 60.0)


def test_the_time_before_the_first_departure_says_nothing_of_the_flow() -> None:
    """An exam that began 40 s ago, and 12 people who left in the last 10 s: 1.2 a second, not 0.24."""
    now = 1_000_000
    flow = [Flow(now - 10_000 * n, 10, 12 if n == 1 else 0) for n in range(1, 6)]
    found = regime(snapshot(now, flow))
    assert (found.ended, found.window_s) == (12, 10.0)


def test_a_snapshot_from_before_the_burst_promises_no_free_place() -> None:
    """Who was not let in has no free slot, whatever was free a second ago."""
    assert make(free=40, ended=0).eta(0) is Unknown.NO_FLOW
    assert make(free=40).eta(0) == make(free=0).eta(0)


def test_two_departures_are_not_a_flow() -> None:
    """A range that spans everything is no answer."""
    assert make(ended=2).eta(10) is Unknown.NO_FLOW


def snapshot(now_ms: int, flow: list[Flow]) -> Snapshot:
    """A full pool with this flow."""
    return Snapshot(
        now_ms=now_ms,
        held=False,
        rate_milli=0,
        tokens_milli=0,
        waiting={},
        absent=0,
        lobby={},
        sessions={"a": 5},
        limits={"a": 5},
        flow=tuple(flow),
        arrivals_total=0,
        admissions_total={},
        departures_total={},
    )


def _poisson(chance: random.Random, mean: float) -> int:
    count, time = 0, chance.expovariate(mean)
    while time < 1:
        count, time = count + 1, time + chance.expovariate(mean)
    return count


def test_a_young_exam_is_between_the_two_measures() -> None:
    """40 sessions, the first 3 ended after 12 s: counted 0.8 a second, by their length 3.3; place 146 waited 39 s."""
    young = make(ended=3, window_s=3.8, taken=40, mean_s=12.0).eta(145)
    assert isinstance(young, Eta)
    assert young.low_s <= 39 <= young.high_s


def test_the_measures_agree_in_a_steady_pool() -> None:
    """40 sessions of 12 s are 3.3 departures a second either way, and the range is no wider for two measures."""
    both = make(ended=200, window_s=60.0, taken=40, mean_s=12.0).eta(100)
    assert both == make(ended=200, window_s=60.0).eta(100)
