"""Lobbies: before an exam opens, and the instant it does."""

import pytest

from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.line import Presence, Standing, State

OPENS_MS = T0_MS + 60_000


@pytest.fixture
def pool(line: Line) -> Line:
    line.write(rules(2, rate_milli=1_000, burst=2))
    line.exams = {"x": OPENS_MS}
    return line


def arrive(pool: Line, count: int, opens_ms: int = OPENS_MS) -> list[Standing]:
    batch = [Presence(f"s{n:03d}", exam="x", opens_ms=opens_ms) for n in range(count)]
    return [pool.again(one, exam="x", opens_ms=opens_ms) for one in pool.present(*batch)]


def test_the_lobby_waits_and_whoever_polls_first_wins_nothing(pool: Line) -> None:
    """At the opening all are eligible at once, in their order (law 2), and the first second has no burst."""
    told = arrive(pool, 6)
    assert [one.state for one in told] == [State.LOBBY] * 6
    assert [one.ahead for one in told] == [0, 1, 2, 3, 4, 5]
    pool.now_ms = OPENS_MS + 10
    back = [pool.again(one, exam="x", opens_ms=OPENS_MS) for one in reversed(told)]
    assert [one.state for one in back] == [State.WAITING] * 5 + [State.ADMITTED]
    assert pool.one("new").ahead == 5
    pool.now_ms += 1_000
    back = [pool.again(one, exam="x", opens_ms=OPENS_MS) for one in reversed(back)]
    assert [one.state for one in back] == [State.ADMITTED, State.ADMITTED] + [State.WAITING] * 4


def test_somebody_of_another_exam_does_not_slip_in_at_the_opening(pool: Line) -> None:
    """The lobby moves in whatever call comes first, even one that knows nothing of the exam (law 4)."""
    arrive(pool, 3)
    pool.now_ms = OPENS_MS
    other = pool.one("other")
    assert (other.state, other.ahead) == (State.WAITING, 3)


def test_a_lobby_does_not_hold_up_what_is_open(pool: Line) -> None:
    """Until then others enter freely."""
    arrive(pool, 3)
    assert pool.one("other").state is State.ADMITTED


def test_polls_after_the_opening_come_in_order_at_the_admission_rate(pool: Line) -> None:
    """The opening is no stampede: a second apart at 1/s, never before the opening, everybody still present (law 11)."""
    told = arrive(pool, 20)
    assert all(20_000 <= one.next_poll_ms <= 30_000 for one in told)
    pool.advance(30_000)
    told = [pool.again(one, exam="x", opens_ms=OPENS_MS) for one in told]
    due = [one.now_ms + one.next_poll_ms - OPENS_MS for one in told]
    assert all(n * 1_000 <= after <= (n + 1) * 1_000 for n, after in enumerate(due))
    pool.advance(30_000 + 19_000)
    assert pool.snapshot().absent == 0


def test_an_opening_that_is_moved_earlier_counts(pool: Line) -> None:
    """The first poll with the new hour opens the lobby for all."""
    told = arrive(pool, 3)
    pool.now_ms += 5_000
    first = pool.again(told[2], exam="x", opens_ms=pool.now_ms)
    assert (first.state, first.ahead) == (State.WAITING, 2)
    assert pool.one("new").ahead == 3


def test_an_opening_that_is_moved_later_counts(pool: Line) -> None:
    """Even when the old hour has passed and the lobby has opened already."""
    told = arrive(pool, 3)
    later = OPENS_MS + 600_000
    pool.now_ms = OPENS_MS + 1_000
    assert pool.one("other").ahead == 3
    back = [pool.again(one, exam="x", opens_ms=later) for one in told]
    assert [one.state for one in back] == [State.LOBBY] * 3
    assert pool.snapshot().lobby["x"] == 3
    pool.now_ms += 6_000
    assert pool.again(pool.one("third")).state is State.ADMITTED


def test_a_draw_decides_not_the_arrival(pool: Line) -> None:
    """`order_us` is the place within the lane, before the opening instant."""
    places = [OPENS_MS * 1000 - draw for draw in (10, 30, 20)]
    told = [
        pool.one(f"d{n}", arrival_us=(T0_MS + n) * 1000, order_us=place, exam="x", opens_ms=OPENS_MS, confirmed=True)
        for n, place in enumerate(places)
    ]
    assert [one.ahead for one in told] == [0, 0, 1]
    pool.now_ms = OPENS_MS
    assert pool.one("new").ahead == 3


def test_who_left_the_lobby_is_not_there_at_the_opening(pool: Line) -> None:
    """An absent ticket keeps its order and blocks nobody, also across the opening."""
    told = arrive(pool, 3)
    pool.advance(OPENS_MS - T0_MS - 500)
    pool.again(told[2], exam="x", opens_ms=OPENS_MS)
    pool.advance(1_000)
    assert pool.snapshot().absent == 2
    assert pool.again(told[2], exam="x", opens_ms=OPENS_MS).state is State.ADMITTED
    assert pool.again(told[0], exam="x", opens_ms=OPENS_MS).ahead == 0


def test_leaving_the_lobby_is_leaving(pool: Line) -> None:
    """Giving up a place before the opening frees it at once."""
    told = arrive(pool, 3)
    assert pool.leave(told[0].visitor) == 1
    assert pool.again(told[1], exam="x", opens_ms=OPENS_MS).ahead == 0
