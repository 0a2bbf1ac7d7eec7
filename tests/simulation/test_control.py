"""The control laws hold servers of unknown capacity at what they carry, whichever way they fail.

How steadiness is measured: of sessions, each second of the last 20 minutes of a morning of 45; of the rate, means over
five minutes of the same stretch; of the limit, means over a minute in the last five of a rush of 20. Each lies within
25 % of the mean of its stretch. `CONTROL_SEEDS=20` runs more mornings than CI does.
"""

import os
from statistics import fmean

import pytest

from tests.simulation.backends import Shape
from tests.simulation.control import (
    BEST_PER_S,
    BOUNDS,
    Steadiness,
    morning,
    p95_ms,
    per_s,
    rush,
    synchronised,
    uncontrolled,
)

DEEP = int(os.environ.get("CONTROL_SEEDS", "0"))
SEEDS = range(1, 1 + (DEEP or 1))
RUSHES = [(shape, 1) for shape in (Shape.CPU, Shape.LOCKS, Shape.MEMORY)] + [(shape, 4) for shape in Shape]
ALL_RUSHES = [(shape, workers) for shape in Shape for workers in (1, 2, 4)]
WITHIN = 0.25
SETTLED_S, END_S = 1_500, 2_700
"""Of a morning."""
RUSHED_S = 900

seeds = pytest.mark.parametrize("seed", SEEDS)
shapes = pytest.mark.parametrize("shape", Shape)


@seeds
@pytest.mark.parametrize(("shape", "workers"), ALL_RUSHES if DEEP else RUSHES)
def test_the_limit_settles_where_most_gets_done(shape: Shape, workers: int, seed: int) -> None:
    """In a rush of more students than the server carries at least nine tenths of its best, steadily, and no death."""
    school = rush(shape, seed, workers)
    limit = Steadiness.of([sum(second.limits) for second in school.history[RUSHED_S:]], part=60)
    assert per_s(school, RUSHED_S) >= 0.9 * BEST_PER_S[shape]
    assert limit.within <= WITHIN
    assert school.backend.deaths == []


@seeds
@pytest.mark.parametrize(("shape", "workers"), [each for each in (ALL_RUSHES if DEEP else RUSHES) if each[1] > 1])
def test_workers_are_alike(shape: Shape, workers: int, seed: int) -> None:
    """Of several that share a server none has three times what another has; together they have what one would."""
    rushed = rush(shape, seed, workers).history[RUSHED_S:]
    limits = [fmean(second.limits[worker] for second in rushed) for worker in range(workers)]
    alone = fmean(second.limits[0] for second in rush(shape, seed).history[RUSHED_S:])
    assert max(limits) <= 3 * min(limits)
    assert 0.4 * alone <= sum(limits) <= 2.5 * alone


@seeds
@shapes
def test_the_rate_settles(shape: Shape, seed: int) -> None:
    """A crowd of several times what the server carries: within a quarter of an hour sessions are steady, and stay so.

    The rate follows those who leave: where a wave of students ends at once, as many enter. Where memory is what counts
    there is no gentle slope to settle on, and the rate is only as steady as that.
    """
    school = morning(shape, seed)
    settled = school.history[SETTLED_S:]
    sessions = Steadiness.of([second.sessions for second in settled], part=1)
    rate = Steadiness.of([second.rate_milli for second in settled], part=300)
    assert sessions.within <= WITHIN
    assert shape is Shape.MEMORY or rate.within <= WITHIN
    assert max(second.sessions for second in school.history) <= (1 + WITHIN) * sessions.mean


@seeds
@shapes
def test_the_server_is_well(shape: Shape, seed: int) -> None:
    """It never dies, fails nobody, and answers about as fast as was asked for."""
    school = morning(shape, seed)
    assert school.backend.deaths == []
    assert sum(second.traffic.failed for second in school.history) == 0
    assert p95_ms(school, SETTLED_S) <= 2 * BOUNDS.target_p95_ms


@seeds
@shapes
def test_without_control_it_is_not(shape: Shape, seed: int) -> None:
    """A third of the same crowd kills the pool and the memory; the other two answer later than anybody waits."""
    school = uncontrolled(shape, seed)
    assert bool(school.backend.deaths) == (shape in {Shape.POOL, Shape.MEMORY})
    assert p95_ms(school, 120) > 10_000
    assert per_s(school, 120) < 0.6 * BEST_PER_S[shape]


@seeds
@pytest.mark.parametrize("shape", Shape if DEEP else [Shape.CPU, Shape.LOCKS])
def test_half_the_capacity_gone_for_a_minute(shape: Shape, seed: int) -> None:
    """Fewer enter at once, nothing dies, and five minutes later all is as before."""
    school = morning(shape, seed, hindered_s=1_500)
    before, during, after = school.history[1_200:1_500], school.history[1_520:1_560], school.history[1_860:2_160]
    assert fmean(s.rate_milli for s in during) < 0.6 * fmean(s.rate_milli for s in before)
    assert fmean(s.sessions for s in after) == pytest.approx(fmean(s.sessions for s in before), rel=WITHIN)
    assert p95_ms(school, 1_860, 2_160) <= 2 * BOUNDS.target_p95_ms
    assert school.backend.deaths == []


@seeds
@pytest.mark.parametrize("shape", Shape if DEEP else [Shape.LOCKS, Shape.MEMORY])
def test_the_quiet_before_nine_inflates_nothing(shape: Shape, seed: int) -> None:
    """1,500 come in the quarter of an hour before; those who are in ask for nothing and so let in nobody."""
    school = synchronised(shape, seed)
    quiet = school.history[60:900]
    assert max(second.rate_milli for second in quiet) <= 600
    if shape is Shape.MEMORY:
        assert school.history[900].sessions <= 340
        assert all(died.at_ms > 900_000 for died in school.backend.deaths)
    else:
        assert school.backend.deaths == []
        assert p95_ms(school, 2_100) <= 2 * BOUNDS.target_p95_ms
