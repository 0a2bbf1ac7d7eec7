"""Sessions: touched, lapsed, released, revived, rebuilt."""

import pytest

from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.line import Life, Standing, State, Touch


@pytest.fixture
def pool(line: Line) -> Line:
    line.write(rules(1, idle_ms=60_000, max_ms=600_000))
    return line


def test_a_session_lives_by_use_and_lapses_without(pool: Line) -> None:
    """30 s to show up, then the idle timeout after every use (laws 8 and 10)."""
    told = pool.one("a")
    pool.advance(29_000)
    assert pool.use(told).expires_ms == pool.now_ms + 60_000
    pool.advance(59_000)
    assert pool.use(told).life is Life.LIVE
    pool.advance(61_000)
    assert pool.snapshot().sessions["b1"] == 0
    assert pool.snapshot().departures_total == {"lapsed": 1}


def test_a_session_nobody_uses_lapses_after_30_s(pool: Line) -> None:
    """A client that keeps no cookie holds a slot for no longer (law 10)."""
    pool.one("a")
    pool.advance(31_000)
    assert pool.snapshot().sessions["b1"] == 0


def test_max_duration_ends_what_use_would_keep(pool: Line) -> None:
    """Ten minutes are ten minutes, however busy (law 8)."""
    told = pool.one("a")
    for _ in range(15):
        pool.advance(39_000)
        assert pool.use(told).life is Life.LIVE
    pool.advance(39_000)
    assert pool.use(told).life is Life.LAPSED
    pool.advance(5_000)
    assert pool.use(told).life is Life.LAPSED


def test_a_slot_is_held_until_the_exam_ends(pool: Line) -> None:
    """Neither idling nor max duration takes it before (law 6)."""
    told = pool.one("a")
    pool.use(told, keep_until_ms=T0_MS + 7_200_000)
    pool.advance(7_190_000, step_ms=10_000)
    assert pool.snapshot().sessions["b1"] == 1
    pool.advance(20_000)
    assert pool.snapshot().sessions["b1"] == 0


def test_a_student_of_a_running_exam_never_goes_back_to_the_line(pool: Line) -> None:
    """Lapsed, the slot taken by another: in again at once, over the limit, and counted (law 6)."""
    told = pool.one("a")
    pool.advance(31_000)
    assert pool.one("b").state is State.ADMITTED
    assert pool.use(told).life is Life.LAPSED
    assert pool.use(told, keep_until_ms=T0_MS + 3_600_000).life is Life.LIVE
    assert pool.snapshot().sessions["b1"] == 2
    assert pool.snapshot().admissions_total == {"direct": 2, "return": 1}


def test_a_lapsed_pass_revives_only_into_a_free_slot_that_nobody_waits_for(pool: Line) -> None:
    """Otherwise its holder asks for a place, with the order they had."""
    told = pool.one("a")
    pool.advance(31_000)
    assert pool.use(told).life is Life.LIVE
    pool.advance(61_000)
    other = pool.one("b")
    waits = pool.again(pool.one("c"))
    pool.release(other.visitor)
    assert pool.use(told).life is Life.LAPSED
    assert pool.again(told).state is State.ADMITTED
    assert pool.again(waits).ahead == 0


def test_a_released_pass_stays_dead(pool: Line) -> None:
    """Log-out is final for this pass; a later admission is not touched by it."""
    told = pool.one("a")
    assert pool.release("a") == 1
    assert pool.release("a") == 0
    assert pool.use(told, keep_until_ms=T0_MS + 9_000_000).life is Life.RELEASED
    pool.now_ms += 1
    back = pool.again(told)
    assert back.state is State.ADMITTED
    assert pool.use(back).life is Life.LIVE
    assert pool.snapshot().departures_total == {"released": 1}


def test_a_log_out_after_the_lapse_is_final_too(pool: Line) -> None:
    """What lapsed and was then released is not revived."""
    told = pool.one("a")
    pool.advance(31_000)
    pool.release("a")
    assert pool.use(told, keep_until_ms=T0_MS + 9_000_000).life is Life.RELEASED


def test_a_tombstone_outlives_every_ticket_and_no_longer(pool: Line) -> None:
    """A dead pass is remembered for the day that a browser may keep it."""
    told = pool.one("a")
    pool.release("a")
    pool.advance(86_300_000, step_ms=14_000_000 // 1000)
    assert pool.use(told, keep_until_ms=pool.now_ms + 1).life is Life.RELEASED
    pool.advance(200_000)
    assert pool.client.zcard(pool.key("left")) == 0


def rebuild(pool: Line, visitor: str, admitted_ms: int) -> Life:
    return pool.touch(Touch(visitor, "b1", admitted_ms))[0].life


def test_a_pass_the_store_never_heard_of_gets_its_session_back(pool: Line) -> None:
    """The store was lost, not the admission: rebuilt even over the limit (law 9)."""
    assert [rebuild(pool, f"v{n}", T0_MS - 5_000) for n in range(3)] == [Life.LIVE] * 3
    assert pool.snapshot().sessions["b1"] == 3
    assert pool.snapshot().admissions_total == {}


def test_an_old_pass_is_not_rebuilt(pool: Line) -> None:
    """Max duration holds for what the store forgot, too."""
    assert rebuild(pool, "v", T0_MS - 600_000) is Life.LAPSED


def test_nobody_enters_an_empty_store_until_the_line_is_whole(line: Line) -> None:
    """A ticket or pass from before this store's first call proves a loss: a minute's freeze (law 9)."""
    line.write(rules(1))
    old = [line.one(f"old{n}", arrival_us=(T0_MS - 9_000) * 1000 + n, confirmed=True) for n in (2, 1)]
    assert [one.state for one in old] == [State.WAITING] * 2
    assert line.one("new").ahead == 2
    for _ in range(20):
        line.advance(2_900)
        old = [line.again(one) for one in old]
        assert [one.ahead for one in old] == [1, 0]
    line.advance(2_100)
    assert [line.again(one).state for one in old] == [State.WAITING, State.ADMITTED]


def test_a_pass_for_another_backend_than_the_session_is_not_live(line: Line) -> None:
    """An old copy of a cookie must not lead to a backend where its holder has no slot."""
    line.write(rules(1, 1))
    told: Standing = line.one("a")
    other = "b2" if told.backend == "b1" else "b1"
    assert line.touch(Touch("a", other, told.admitted_ms))[0].life is Life.LAPSED
    assert line.use(told).life is Life.LIVE


def test_a_session_left_behind_on_another_backend_ends_alone(line: Line) -> None:
    """Who was let in elsewhere by a worker with other settings keeps the new session when the old entry runs out."""
    line.write(rules(1, 2))
    told = line.one("a")
    assert told.backend == "b1"
    other = Line(line.client, backends=("b2",), pool=line.pool)
    moved = other.again(told)
    assert (moved.state, moved.backend) == (State.ADMITTED, "b2")
    for _ in range(4):
        line.advance(10_000)
        assert line.use(moved).life is Life.LIVE
    assert line.snapshot().sessions == {"b1": 0, "b2": 1}
    assert line.snapshot().departures_total == {}


def test_each_departure_is_told_once(pool: Line) -> None:
    """Whoever ends a session, a sweep tells it, and no second sweep tells it again: totals need no other source."""
    pool.one("a")
    pool.release("a")
    pool.one("b")
    assert pool.sweep() == {"released": 1}
    assert pool.sweep() == {}
    pool.advance(31_000)
    assert pool.snapshot().departures_total == {"released": 1, "lapsed": 1}


def test_who_is_in_an_exam_that_runs_never_goes_back_to_the_line(pool: Line) -> None:
    """Even where slots are not kept: a lapsed session is another's, and its holder is in again over the limit."""
    pool.write(rules(1, version=2, idle_ms=60_000, max_ms=120_000))
    told, over_ms = pool.one("v"), T0_MS + 3_600_000
    use = Touch("v", told.backend, told.admitted_ms, over_ms, lapses=True)
    pool.touch(use)
    for _ in range(14):
        pool.now_ms += 5_000
        pool.sweep()
    other = pool.one("w")
    assert other.state is State.ADMITTED
    pool.use(other)
    assert pool.touch(use)[0].life is Life.LIVE
    assert pool.snapshot().sessions[told.backend] == 2
    pool.now_ms = told.admitted_ms + 130_000  # beyond max_duration
    assert pool.touch(use)[0].life is Life.LIVE
    pool.now_ms = over_ms + 1
    assert pool.touch(use)[0].life is Life.LAPSED
