"""The way of a backend through failure and back, step by step and in whole mornings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.recovery import (
    CALM_MS,
    LEAST_RATE_MILLI,
    MAX_RATE_MILLI,
    RECALL_MS,
    SETTLE_MS,
    STEP,
    UP,
    Course,
    Phase,
    Signs,
    course_of,
    ease,
    eta,
    step,
)

T0_MS = 1_780_000_000_000
INITIAL = 2_000
BUSY = Signs(waiting=50, absent=50)
DEAD = Signs(failed=True, answers=False)

counts = st.integers(0, 1_000)
signs = st.builds(
    Signs, st.booleans(), st.booleans(), st.booleans(), st.none() | st.integers(1, 60_000), counts, counts, counts,
    st.booleans(),
)  # fmt: skip
jumps_ms = st.one_of(st.just(1_000), st.integers(-100_000, 100_000))


def after(course: Course, seen: Signs, seconds: int, now_ms: int, initial: int = INITIAL) -> tuple[Course, int]:
    """The course after so many seconds in which the signs stay the same."""
    for _ in range(seconds):
        now_ms += 1_000
        course = step(course, seen, initial, now_ms)
    return course, now_ms


def down_and_back(course: Course, now_ms: int) -> tuple[Course, int]:
    course, now_ms = after(course, DEAD, 5, now_ms)
    assert course.phase is Phase.DOWN
    return after(course, Signs(), 1, now_ms)


def test_the_ramp_begins_at_the_initial_rate_and_grows() -> None:
    """While somebody waits and nothing is wrong: four-fold in half a minute, then by the same each second."""
    course, now_ms = down_and_back(UP, T0_MS)
    assert (course.phase, course.rate_milli) == (Phase.RECOVERING, INITIAL)
    course, now_ms = after(course, BUSY, 30, now_ms)
    assert 7_500 < course.rate_milli < 9_000
    later, _ = after(course, BUSY, 100, now_ms)
    assert later.rate_milli == course.rate_milli + 100 * 100


def test_a_ramp_that_is_not_used_does_not_grow() -> None:
    """Else a quiet minute would let the crowd of the next in at once."""
    course, now_ms = down_and_back(UP, T0_MS)
    course, _ = after(course, Signs(absent=500), 600, now_ms)
    assert (course.phase, course.rate_milli) == (Phase.RECOVERING, INITIAL)


def test_trouble_halves_it_once_in_a_while() -> None:
    """What was let in before is still on its way; until it is served the ramp rests, then it goes on slowly."""
    course, now_ms = down_and_back(UP, T0_MS)
    course, now_ms = after(course, BUSY, 30, now_ms)
    rate = course.rate_milli
    course, now_ms = after(course, BUSY._replace(trouble=True), SETTLE_MS // 1_000, now_ms)
    assert course.rate_milli == rate // 2
    course, now_ms = after(course, BUSY._replace(trouble=True), 60, now_ms)
    assert course.rate_milli == course.pass_milli == LEAST_RATE_MILLI
    course, now_ms = after(course, BUSY, 1, now_ms)
    assert not course.rests
    slow, _ = after(course, BUSY, 40, now_ms)
    assert slow.rate_milli <= course.rate_milli + 40 * INITIAL * STEP
    assert slow.rate_milli > course.rate_milli + 30 * INITIAL * STEP


def test_a_ramp_that_rests_lets_hardly_anybody_through() -> None:
    """What the store reads is not the rate that comes after the rest."""
    course, now_ms = down_and_back(UP, T0_MS)
    course, _ = after(course, BUSY._replace(trouble=True), 1, now_ms)
    assert course.rests
    assert (course.rate_milli, course.pass_milli) == (INITIAL // 2, LEAST_RATE_MILLI)
    assert course.text.split()[2] == str(LEAST_RATE_MILLI)


def test_a_strained_server_is_not_asked_for_more() -> None:
    """Answers that take half as long again as a little before stop its growth; three times as long is trouble."""
    course, now_ms = down_and_back(UP, T0_MS)
    course, now_ms = after(course, BUSY._replace(p95_ms=200), 20, now_ms)
    rate = course.rate_milli
    course, now_ms = after(course, BUSY._replace(p95_ms=400), 4, now_ms)
    assert course.rate_milli == rate
    course, now_ms = after(course, BUSY._replace(p95_ms=1_000), 1, now_ms)
    assert course.rate_milli == rate // 2
    course, now_ms = after(course, BUSY._replace(p95_ms=400), 60, now_ms)
    assert rate // 2 < course.rate_milli < rate * 3


def test_requests_that_pile_up_are_seen_before_they_are_answered() -> None:
    """Twice as many as a little before stop its growth, three times as many are trouble, and a few more are nothing."""
    course, now_ms = down_and_back(UP, T0_MS)
    course, now_ms = after(course, BUSY._replace(inflight=8), 20, now_ms)
    rate = course.rate_milli
    grown, _ = after(course, BUSY._replace(inflight=18), 1, now_ms)
    assert grown.rate_milli > rate
    course, now_ms = after(course, BUSY._replace(inflight=24), 1, now_ms)
    assert (course.rate_milli, course.rests) == (rate, False)
    course, _ = after(course, BUSY._replace(inflight=48), 1, now_ms)
    assert (course.rate_milli, course.rests) == (rate // 2, True)


def test_each_failure_soon_after_begins_lower() -> None:
    """Half of the ramp before; after a long time of health it is the first again."""
    course, now_ms, rates = UP, T0_MS, []
    for _ in range(7):
        course, now_ms = down_and_back(course, now_ms)
        rates.append(course.rate_milli)
    assert rates == [2_000, 1_000, 500, 250, 125, LEAST_RATE_MILLI, LEAST_RATE_MILLI]
    course, now_ms = after(course, Signs(), CALM_MS // 1_000 + 1, now_ms)
    assert course.phase is Phase.UP
    course, now_ms = down_and_back(course, now_ms + RECALL_MS + 1_000)
    assert course.rate_milli == INITIAL


def test_it_is_over_when_all_are_back() -> None:
    """Not while many are still to come, however quiet it is: they may all come at once."""
    course, now_ms = down_and_back(UP, T0_MS)
    course, now_ms = after(course, Signs(absent=3), 120, now_ms)
    assert course.phase is Phase.RECOVERING
    course, _ = after(course, Signs(absent=2), CALM_MS // 1_000 + 1, now_ms)
    assert course.phase is Phase.UP


def test_staff_hold_a_backend() -> None:
    """It is no failure, and it comes back at a ramp, once it answers."""
    course, now_ms = after(UP, Signs(held=True), 10, T0_MS)
    assert (course.phase, course.failures) == (Phase.DOWN, 1)
    course, now_ms = after(course, Signs(answers=False), 3, now_ms)
    assert course.phase is Phase.DOWN
    course, _ = after(course, Signs(), 1, now_ms)
    assert (course.phase, course.rate_milli) == (Phase.RECOVERING, INITIAL)


def test_others_come_to_a_backend_that_is_well_at_a_ramp() -> None:
    """One that is coming back itself is left as it is."""
    course = ease(UP, INITIAL, T0_MS)
    assert (course.phase, course.rate_milli) == (Phase.EASING, INITIAL)
    assert ease(course, INITIAL, T0_MS + 5) is course


@given(st.lists(st.tuples(signs, jumps_ms), max_size=60), st.integers(1, 50_000))
def test_whatever_comes(story: list[tuple[Signs, int]], initial: int) -> None:
    """The rate stays within its bounds, the phases' names grow, a text gives the same course, no clock stops it."""
    course, now_ms = UP, T0_MS
    for seen, jump_ms in story:
        now_ms += jump_ms
        before, course = course, step(course, seen, initial, now_ms)
        assert Course.read(course.text) == course
        assert course.since_ms >= before.since_ms
        if course.phase is not before.phase and course.phase is not Phase.UP:
            assert course.since_ms > before.since_ms
        if course.ramps:
            assert min(initial, LEAST_RATE_MILLI) <= course.rate_milli <= max(initial, MAX_RATE_MILLI)
            if seen.trouble and before.ramps:
                assert course.rate_milli <= before.rate_milli
        else:
            assert course.rate_milli == 0


@pytest.mark.parametrize(
    "text", ["", "up", "down x", "asleep 1 2 3 4 5 6 7 8 9", "down 1 2 3 4 5 6 7 8 9 0", "down 1 2"]
)
def test_what_is_no_course_is_up(text: str) -> None:
    """The text of another version stops nobody."""
    assert Course.read(text) == UP


def test_who_staff_hold_counts_as_down() -> None:
    """Whatever its own health is; draining is not down."""
    ramp = Course(Phase.RECOVERING, 5, 2_000, 1, 5)
    live = {"phase:a": ramp.text, "staff:a": "held", "staff:b": "held", "staff:c": "draining"}
    assert course_of(live, "a") == ramp._replace(phase=Phase.DOWN, rate_milli=0)
    assert course_of(live, "b").phase is Phase.DOWN
    assert course_of(live, "c") == course_of(live, "d") == UP


def test_the_wait_at_a_ramp() -> None:
    """From a ramp that grows all the while to one that halves; unknown where it stands still."""
    ramp = Course(Phase.RECOVERING, 5, 2_000, 1, 5)
    assert eta(ramp, 0) == Eta(0, 7)
    found = eta(ramp, 300)
    assert isinstance(found, Eta)
    assert found.low_s < 300 / 2 < found.high_s
    assert eta(Course(Phase.DOWN, 5), 3) is Unknown.NO_DATA
