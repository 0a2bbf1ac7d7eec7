"""The admission rate that follows what is seen of the backends: its laws, one at a time. Whole mornings with it:
tests/simulation/test_control.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.tempo import (
    CALM_MS,
    FIRST_SESSIONS,
    LOOK_BACK_S,
    MAX_RATE_MILLI,
    MAX_STRIDE,
    MIN_STRIDE,
    Bounds,
    Signs,
    Tempo,
    pressure_of,
    step,
)
from waitroom.admission.traffic import BUCKETS, Traffic, bucket_of

T0_MS = 1_780_000_000_000
TARGET_MS = 800
BOUNDS = Bounds(rate_milli=20_000, min_rate_milli=100, target_p95_ms=TARGET_MS)

counts = st.integers(0, 2_000)
traffics = st.builds(
    Traffic, *[counts] * 8, st.lists(counts, min_size=BUCKETS, max_size=BUCKETS).map(tuple), counts, counts
)
signs = st.builds(Signs, st.lists(traffics, max_size=3), counts, counts, counts)
tempos = st.builds(
    Tempo, st.integers(0, 20_000), st.integers(MIN_STRIDE, MAX_STRIDE), st.integers(0, 2 * T0_MS), st.booleans()
)


def traffic(
    fast: int = 0, slow: int = 0, *, load: float | None = 3.9, slow_ms: int = 4_000, failed: int = 0
) -> Traffic:
    """Answers of 100 ms and of `slow_ms`, at a load."""
    durations = [0] * BUCKETS
    durations[bucket_of(100)] += fast
    durations[bucket_of(slow_ms)] += slow
    taken_ms, alone_ms = (round(1_000 * load), 1_000) if load else (0, 0)
    return Traffic(fast + slow + failed, failed, durations=tuple(durations), taken_ms=taken_ms, alone_ms=alone_ms)


def work(sessions: int) -> Traffic:
    """What so many sessions at work ask for, all of it fast."""
    return traffic(sessions, load=1.0)


def after(tempo: Tempo, seen: Signs, seconds: int, now_ms: int = T0_MS, bounds: Bounds = BOUNDS) -> tuple[Tempo, int]:
    """The tempo after so many seconds in which nothing changes."""
    for _ in range(seconds):
        now_ms += 1_000
        tempo = step(tempo, seen, bounds, now_ms)
    return tempo, now_ms


@given(tempos, signs, st.integers(0, 2 * T0_MS))
def test_between_its_bounds(tempo: Tempo, seen: Signs, now_ms: int) -> None:
    """Whatever was, is seen, and however the clock jumps."""
    after_it = step(tempo, seen, BOUNDS, now_ms)
    assert BOUNDS.min_rate_milli <= after_it.rate_milli <= max(BOUNDS.rate_milli, tempo.rate_milli)
    assert MIN_STRIDE <= after_it.stride <= MAX_STRIDE


@given(tempos)
def test_another_conductor_goes_on(tempo: Tempo) -> None:
    """All that must be remembered is its text."""
    assert Tempo.read(tempo.text) == tempo


@pytest.mark.parametrize("text", ["", "x", "1 2 3", "1 2 3 4 5", "a b c d"])
def test_the_text_of_another_version(text: str) -> None:
    """It begins anew."""
    assert Tempo.read(text) == Tempo()


def test_it_begins_with_what_any_server_carries() -> None:
    """Half a student a second, with nothing known."""
    tempo, _ = after(Tempo(), Signs([work(0)], waiting=500), 1)
    assert tempo.rate_milli == round(FIRST_SESSIONS * 1_000 / 120)


def test_it_grows_with_what_is_proven() -> None:
    """A hundred and twentieth of the sessions at work, each second."""
    tempo, _ = after(Tempo(), Signs([work(600)], sessions=600, waiting=500), 1)
    assert tempo.rate_milli == pytest.approx(5_000, rel=0.01)


def test_sessions_that_wait_prove_nothing() -> None:
    """A thousand who were admitted at 08:45 and wait for nine o'clock."""
    tempo, _ = after(Tempo(), Signs([work(0)], sessions=1_000, waiting=500), 60)
    assert tempo.rate_milli == round(FIRST_SESSIONS * 1_000 / 120)


def test_requests_without_sessions_prove_nothing() -> None:
    """Images and style sheets are not students."""
    tempo, _ = after(Tempo(), Signs([work(9_000)], sessions=120, waiting=500), 1)
    assert tempo.rate_milli == pytest.approx(1_000, rel=0.01)


def test_as_many_as_leave() -> None:
    """At what is allowed nothing grows, and who leaves is replaced."""
    full = Signs([traffic(800, 80, slow_ms=TARGET_MS)], sessions=600, ended=60, waiting=500)
    tempo, _ = after(Tempo(), full, 30)
    assert 800 <= tempo.rate_milli <= 1_100


def test_far_beyond_it_is_the_lowest() -> None:
    """At three times the target nobody is replaced any more."""
    tempo, _ = after(Tempo(), Signs([traffic(100, failed=100)], sessions=600, ended=60, waiting=500), 1)
    assert tempo.rate_milli == BOUNDS.min_rate_milli


def test_the_stride_is_halved_once_for_each_time() -> None:
    """Pressure that stays says no more than pressure that comes."""
    pressed = Signs([traffic(100, 100)], sessions=600, waiting=500)
    tempo, now_ms = after(Tempo(), pressed, 60)
    assert tempo.stride == MAX_STRIDE // 2
    tempo, now_ms = after(tempo, Signs([work(600)], sessions=600, waiting=500), 5, now_ms)
    tempo, now_ms = after(tempo, pressed, 60, now_ms)
    assert tempo.stride == MAX_STRIDE // 4


def test_the_stride_is_doubled_in_the_calm() -> None:
    """A minute in which people wait and nothing is wrong; not one in which nobody waits, or nothing is seen."""
    tempo = Tempo(stride=MIN_STRIDE, calm_since_ms=T0_MS)
    seconds = CALM_MS // 1_000
    assert after(tempo, Signs([work(600)], 600, waiting=9), seconds)[0].stride == 2 * MIN_STRIDE
    assert after(tempo, Signs([work(600)], 600), seconds)[0].stride == MIN_STRIDE
    assert after(tempo, Signs([work(1)], 600, waiting=9), seconds)[0].stride == MIN_STRIDE
    assert after(tempo, Signs([], 600, waiting=9), seconds)[0].stride == MIN_STRIDE


def test_a_quiet_hour_inflates_nothing() -> None:
    """While nobody waits the rate only falls, slowly, to what it would be; and the next crowd starts from there."""
    tempo, now_ms = after(Tempo(), Signs([work(1_200)], sessions=1_200, waiting=500), 10)
    busy = tempo.rate_milli
    tempo, now_ms = after(tempo, Signs([work(1_200)], sessions=1_200), 60, now_ms)
    assert tempo.rate_milli <= busy
    tempo, now_ms = after(tempo, Signs([work(20)], sessions=20), 3_600, now_ms)
    assert tempo.rate_milli == pytest.approx(500, abs=60)


def test_few_answers_are_chance() -> None:
    """Two slow answers of twenty are no 95th percentile; twenty of two hundred are."""
    assert pressure_of(traffic(18, 2), TARGET_MS) <= 1
    assert pressure_of(traffic(180, 20), TARGET_MS) > 1
    assert pressure_of(traffic(0, 4, load=None), TARGET_MS) == 0


def test_a_slow_page_is_not_load() -> None:
    """A report that takes 4 s in every tenth request, on a server that is idle."""
    assert pressure_of(traffic(900, 100, load=1.0), TARGET_MS) <= 0.5
    assert pressure_of(traffic(900, 100, load=1.9), TARGET_MS) < 1
    assert pressure_of(traffic(900, 100, load=4.0), TARGET_MS) >= 2


def test_a_load_that_a_limit_should_keep_away_presses() -> None:
    """Quick answers or not: something else than requests slows the server down."""
    assert pressure_of(traffic(900, load=3.0), TARGET_MS) < 1
    assert pressure_of(traffic(900, load=5.0), TARGET_MS) > 1


def test_where_no_load_is_known() -> None:
    """Slow answers count from four requests at a time on."""
    a_few = 3 * LOOK_BACK_S * 1_000 // 4_000
    assert pressure_of(traffic(40, a_few, load=None), TARGET_MS) <= 0.5
    assert pressure_of(traffic(40, 3 * a_few, load=None), TARGET_MS) > 1


@pytest.mark.parametrize(("failed", "low", "high"), [(1, 0, 0.2), (20, 0, 0.5), (80, 1.0, 1.5), (300, 3, 10)])
def test_failures_press(failed: int, low: float, high: float) -> None:
    """Of a thousand requests: one is nothing, more than fifty are too many."""
    assert low <= pressure_of(traffic(1_000 - failed, failed=failed, load=None), TARGET_MS) <= high


def test_who_waits_for_a_place_presses() -> None:
    """Half as many as there are places are too many; a limit that is just reached slows growth down."""
    assert pressure_of(Traffic(inflight_limit=40, waiting=20, saturated=1), TARGET_MS) == 1
    assert pressure_of(Traffic(inflight_limit=40, waiting=0, saturated=1), TARGET_MS) == 0.8
    assert pressure_of(Traffic(inflight_limit=0, waiting=20), TARGET_MS) == 0


def test_the_slowest_backend_decides() -> None:
    """Newcomers are dealt to all alike."""
    tempo, _ = after(Tempo(), Signs([work(600), traffic(100, 100)], sessions=600, waiting=9), 1)
    assert tempo.rate_milli == BOUNDS.min_rate_milli


def test_nothing_up_nothing_learned() -> None:
    """While all backends are down the tempo stands still."""
    tempo, now_ms = after(Tempo(), Signs([work(600)], sessions=600, waiting=9), 5)
    later, _ = after(tempo, Signs([], sessions=600, waiting=900), 600, now_ms)
    assert (later.rate_milli, later.stride) == (tempo.rate_milli, tempo.stride)


def test_a_pool_without_a_rate_has_a_ceiling() -> None:
    """Which no exam server reaches."""
    huge = Signs([work(10_000_000)], sessions=10_000_000, waiting=9)
    assert after(Tempo(), huge, 1, bounds=BOUNDS._replace(rate_milli=0))[0].rate_milli == MAX_RATE_MILLI
