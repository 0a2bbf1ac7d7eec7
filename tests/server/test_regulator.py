"""How the conductor judges backends from what all workers saw."""

import pytest

from waitroom.admission.traffic import BUCKETS, Traffic, bucket_of
from waitroom.server.regulator import TROUBLE_P95_MS, fails_everybody, is_silent, is_troubled, p95_ms
from waitroom.server.reports import Reports


def answers(count: int, ms: int) -> tuple[int, ...]:
    found = [0] * BUCKETS
    found[bucket_of(ms)] = count
    return tuple(found)


@pytest.mark.parametrize(
    ("promise", "seen", "silent"),
    [
        ("nothing asked", Traffic(), False),
        ("five refused in a row", Traffic(5, failed_connect=5), True),
        ("four", Traffic(4, failed_connect=4), False),
        ("one answered among many", Traffic(50, failed_connect=49), False),
        ("an error is an answer", Traffic(50, failed_connect=49, failed_5xx=1), False),
        ("ten taken and not answered", Traffic(10, failed_other=10), True),
        ("a few lost", Traffic(9, failed_other=9), False),
    ],
)
def test_nothing_gets_through(promise: str, seen: Traffic, silent: bool) -> None:
    """Only a backend from which nothing at all comes is said to be down by what requests met."""
    assert is_silent(seen) is silent, promise


@pytest.mark.parametrize(
    ("seen", "broken"),
    [(Traffic(20, failed_5xx=20), True), (Traffic(19, failed_5xx=19), False), (Traffic(40, failed_5xx=35), False),
     (Traffic(40, failed_5xx=36), True)],
)  # fmt: skip
def test_nearly_all_are_errors(seen: Traffic, broken: bool) -> None:
    """One broken page takes no exam server out."""
    assert fails_everybody(seen) is broken


@pytest.mark.parametrize(
    ("promise", "seen", "troubled"),
    [
        ("well", Traffic(100, durations=answers(100, 50)), False),
        ("one failure of a few", Traffic(3, failed_5xx=1, durations=answers(2, 50)), False),
        ("more than one in twenty", Traffic(30, failed_5xx=2, durations=answers(28, 50)), True),
        ("slow", Traffic(10, durations=answers(10, 3_000)), True),
        ("too few answers to tell", Traffic(4, durations=answers(4, 3_000)), False),
        ("more wait here than may be there", Traffic(inflight=8, inflight_limit=8, waiting=9), True),
        ("some wait here", Traffic(inflight=8, inflight_limit=8, waiting=8), False),
    ],
)
def test_trouble(promise: str, seen: Traffic, troubled: bool) -> None:
    """What slows a ramp down."""
    assert is_troubled(seen, TROUBLE_P95_MS) is troubled, promise


def test_a_percentile_needs_answers() -> None:
    """Not of three."""
    assert p95_ms(Traffic(durations=answers(4, 100))) is None
    assert p95_ms(Traffic(durations=answers(5, 100))) == 128


def test_reports_of_all_workers_add_up() -> None:
    """Each worker tells its second and hears all; a request that failed is counted once, by the way it failed."""
    here, there = Reports(), Reports()
    for _ in range(3):
        here.tally("p/a").ended(200, 0.050)
    for status, kind in [(502, "refused"), (504, "response_timeout"), (200, "")]:
        there.tally("p/a").ended(status, 0.050)
        if kind:
            there.tally("p/a").failed(kind)
    there.tally("p/a").ended(500, 0.010)
    told = {each.worker: each.take("p", ["a", "b"], {}) for each in (here, there)}
    here.heard("p", told)
    seen = here.lately("p", "a", 3)
    assert (seen.requests, seen.failed_connect, seen.failed_other, seen.failed_5xx) == (7, 1, 1, 1)
    assert sum(seen.durations) == 4
    assert here.lately("p", "b", 3) == Traffic()
    assert here.lately("q", "a", 3) == Traffic()
    assert {here.rank, 1 - here.rank} == {0, 1}
    here.heard("p", {here.worker: here.take("p", ["a"], {})})
    assert (here.lately("p", "a", 1).requests, here.lately("p", "a", 2).requests) == (0, 7)
    assert here.workers == (here.worker,)
