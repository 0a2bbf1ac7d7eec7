"""Showing up: what a single visitor, or a flood of them, sees of the line."""

from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.line import BackendRules, Lane, Life, Presence, Standing, State
from waitroom.store import codec


def opened(line: Line, *slots: int, **more: int) -> Line:
    line.write(rules(*slots, **more))
    return line


def fill(line: Line, count: int) -> list[Standing]:
    return [line.one(f"in{number}") for number in range(count)]


def test_a_lost_response_loses_no_place_and_no_slot(line: Line) -> None:
    """The same request again gets the same answer, admitted or waiting (law 5)."""
    opened(line, 1)
    first, repeat = line.one("a"), line.one("a")
    assert (first.state, first.repeated, repeat.repeated) == (State.ADMITTED, False, True)
    assert (repeat.backend, repeat.admitted_ms) == (first.backend, first.admitted_ms)
    waits, again = line.one("b"), line.one("b")
    assert (waits.arrival_us, waits.ahead) == (again.arrival_us, again.ahead)
    assert line.snapshot().sessions["b1"] == 1
    assert line.snapshot().arrivals_total == 2


def test_the_same_visitor_twice_in_a_batch_is_one(line: Line) -> None:
    """Two tabs of a browser that poll together count once."""
    opened(line, 1)
    found = line.present(Presence("a"), Presence("a"), Presence("b"), Presence("b"))
    assert [one.state for one in found] == [State.ADMITTED, State.ADMITTED, State.WAITING, State.WAITING]
    assert found[2].arrival_us == found[3].arrival_us
    assert line.snapshot().waiting[Lane.STANDARD] == 1


def test_a_batch_is_decided_as_one_by_one(line: Line) -> None:
    """Sharing a call changes nobody's lot."""
    batch = [Presence(f"v{n}", lane=Lane.PRIORITY if n % 3 == 0 else Lane.STANDARD) for n in range(40)]
    opened(line, 7, 4, rate_milli=1_000, burst=9)
    single = Line(line.client)
    opened(single, 7, 4, rate_milli=1_000, burst=9)
    for _ in range(3):
        together = line.present(*batch)
        alone = [single.present(one)[0] for one in batch]
        assert together == alone
        batch = [
            Presence(one.visitor, arrival_us=one.arrival_us, lane=one.lane, confirmed=True)
            for one in reversed(together)
        ]
        for each in (line, single):
            each.now_ms += 2_500
    assert line.snapshot() == single.snapshot()


def test_a_thousand_cookieless_requests_hold_nothing(line: Line) -> None:
    """Slots they took are free after 30 s, places after 15 s, and nobody is pushed back for longer (law 10)."""
    opened(line, 5)
    honest = line.one("honest-1")
    assert honest.state is State.ADMITTED
    line.use(honest)
    flood = [Presence(f"bot{n}") for n in range(1_000)]
    told = [one for at in range(0, 1_000, 250) for one in line.present(*flood[at : at + 250])]
    assert sum(one.state is State.ADMITTED for one in told) == 4
    late = line.one("honest-2")
    assert (late.state, late.ahead) == (State.WAITING, 996)
    line.advance(3_000)
    late = line.again(late)
    line.advance(8_000)
    late = line.again(late)
    line.advance(5_000)
    late = line.again(late)
    assert (late.ahead, late.waiting) == (0, 1)
    line.advance(20_000)
    line.use(honest)
    assert line.again(late).state is State.ADMITTED
    assert line.snapshot().sessions["b1"] == 2


def test_an_absent_head_blocks_nobody_and_is_first_again(line: Line) -> None:
    """A closed tab keeps its order, not its turn (law 3)."""
    opened(line, 1)
    (inside,) = fill(line, 1)
    head, second = line.again(line.one("head")), line.again(line.one("second"))
    assert (head.ahead, second.ahead) == (0, 1)
    for _ in range(10):
        line.advance(2_000)
        line.use(inside)
        second = line.again(second)
    assert (second.ahead, line.snapshot().absent) == (0, 1)
    assert line.again(head).ahead == 0
    assert line.again(second).ahead == 1
    line.release(inside.visitor)
    assert line.again(second).state is State.WAITING
    assert line.again(head).state is State.ADMITTED


def test_a_hidden_tab_has_a_longer_deadline(line: Line) -> None:
    """Browsers run its timers once a minute: that is no absence."""
    opened(line, 0)
    shown, hidden = line.again(line.one("shown")), line.again(line.one("hidden"), hidden=True)
    line.advance(60_000)
    assert line.snapshot().waiting[Lane.STANDARD] == 1
    assert line.snapshot().absent == 1
    assert line.again(hidden, hidden=True).ahead == 0
    assert line.again(shown).ahead == 0


def test_polls_lengthen_with_the_distance_and_differ(line: Line) -> None:
    """From 2 s at the head to 30 s far back, jittered, the same for a visitor each time (law 11)."""
    opened(line, 0)
    found = [
        one
        for at in range(0, 3_000, 250)
        for one in line.present(*[Presence(f"{n:04d}"[::-1]) for n in range(at, at + 250)])
    ]
    polls = [line.again(one).next_poll_ms for one in found]
    assert all(2_000 <= poll <= 30_000 for poll in polls)
    assert max(polls[:10]) < 3_000
    assert min(polls[2_500:]) >= 24_000
    assert len(set(polls[2_500:])) > 100
    assert polls[:50] == [line.again(one).next_poll_ms for one in found[:50]]


def test_polls_follow_the_measured_flow(line: Line) -> None:
    """With 10 people a second getting in, 50 back asks again within 2.5 s; never later than 20 ms a place."""
    opened(line, 1_000)
    for second in range(60):
        line.advance(1_000)
        line.present(*[Presence(f"x{second}-{n}") for n in range(10)])
    line.write(rules(0, version=2))
    found = [line.again(one) for one in line.present(*[Presence(f"w{n:03d}") for n in range(200)])]
    assert 2_000 <= found[50].next_poll_ms <= 2_500
    assert 4_700 <= found[199].next_poll_ms <= 6_000


def test_a_used_ticket_stands_where_a_newcomer_would(line: Line) -> None:
    """Who hands in and comes back with the old ticket does not pass those who waited meanwhile."""
    opened(line, 1)
    done = line.one("done")
    waits = line.again(line.one("waits"))
    line.release("done")
    back = line.again(done)
    assert (back.state, back.ahead) == (State.WAITING, 1)
    assert back.arrival_us > waits.arrival_us
    assert line.again(done).ahead == 1
    assert line.again(waits).state is State.ADMITTED


def test_a_full_and_a_closed_and_a_held_pool_say_so(line: Line) -> None:
    """Waiting, down and held are different words."""
    opened(line, 1)
    fill(line, 1)
    assert line.one("a").state is State.WAITING
    down = rules(version=2)
    line.write(type(down)(2, 0, 1, 60_000, 60_000, 60_000, (BackendRules("b1", 9, open=False),)))
    assert line.one("b").state is State.DOWN
    line.write(rules(9, version=3, held=True))
    assert line.one("c").state is State.HELD


def test_lanes_are_served_in_their_order(line: Line) -> None:
    """Return before all; priority and standard in turns, priority first; inside a lane by arrival (law 2)."""
    opened(line, 1)
    fill(line, 1)
    lanes = [Lane.STANDARD, Lane.PRIORITY, Lane.RETURN, Lane.STANDARD, Lane.PRIORITY]
    told = [line.one(f"l{n}", lane=lane) for n, lane in enumerate(lanes)]
    assert [line.again(one).ahead for one in told] == [2, 1, 0, 4, 3]
    assert line.again(told[2]).state is State.RETURNING
    assert line.snapshot().waiting == {Lane.RETURN: 1, Lane.PRIORITY: 2, Lane.STANDARD: 2}


def test_arrivals_never_go_back_with_the_clock(line: Line) -> None:
    """Newcomers are stamped later than everybody before them, whatever the clock does (law 2)."""
    opened(line, 0)
    stamps = []
    for step in (0, 5, -900, -3_600_000, 10, 7_200_000, -1):
        line.now_ms += step
        stamps += [one.arrival_us for one in line.present(Presence(f"{step}a"), Presence(f"{step}b"))]
    assert stamps == sorted(set(stamps))


def test_tokens_bound_admissions_and_refill_in_whole_numbers(line: Line) -> None:
    """Burst at once, then exactly the rate; a clock that goes back earns nothing and stops nothing."""
    opened(line, 1_000, rate_milli=2_000, burst=3)
    assert sum(line.one(f"n{n}").state is State.ADMITTED for n in range(10)) == 3
    line.now_ms -= 900
    assert line.one("later").state is State.WAITING
    admitted = 0
    for _ in range(10):
        line.now_ms += 1_000
        waiting = [line.one(f"n{n}", arrival_us=T0_MS * 1_000 + n, confirmed=True) for n in range(3, 10)]
        admitted += sum(one.state is State.ADMITTED and not one.repeated for one in waiting)
    assert admitted == 7


def test_a_backend_of_other_settings_is_not_used(line: Line) -> None:
    """A worker is never told to send somebody to a backend that its settings do not name."""
    opened(line, 1, 5)
    other = Line(line.client, backends=("b1",), pool=line.pool)
    assert [other.one(f"o{n}").backend for n in range(2)] == ["b1", ""]
    assert line.one("w", arrival_us=T0_MS * 1000, confirmed=True).backend == "b2"


def test_a_removed_backends_sessions_stay_counted_until_they_end(line: Line) -> None:
    """New rules without a backend let nobody in there and forget nobody who is there."""
    opened(line, 1, 1)
    told = fill(line, 2)
    line.write(rules(1, version=2))
    assert line.snapshot().sessions == {"b1": 1, "b2": 1}
    assert line.snapshot().limits == {"b1": 1, "b2": 0}
    assert line.use(next(one for one in told if one.backend == "b2")).life is Life.LIVE
    line.backends = ("b1",)
    assert line.snapshot().sessions == {"b1": 1, "b2": 1}
    line.advance(70_000)
    line.sweep()
    assert line.snapshot().sessions == {"b1": 0}


def test_a_worker_of_version_1_is_answered_as_it_expects(line: Line) -> None:
    """It does not ask for the brief reply, and reads seven numbers a ticket in the order of before."""
    line.write(rules(1))
    inside, waiting = line.one("a"), line.one("b", page=True)
    batch = [
        Presence("b", arrival_us=waiting.arrival_us, confirmed=True),
        Presence("b", arrival_us=waiting.arrival_us, confirmed=True),
        Presence("c"),
        Presence("a", arrival_us=inside.arrival_us, confirmed=True),
    ]
    exams, own = codec.present_arguments(batch)
    assert own.pop() == "lanes"
    reply = line.call("wr_present", own, exams, line.backends)
    rows = [reply[at : at + 7] for at in range(2, len(reply), 7)]
    assert [row[:3] + row[4:6] for row in rows] == [
        [0, waiting.arrival_us, 0, 0, 1],
        [0, waiting.arrival_us, 0, 0, 1],
        [0, rows[2][1], 0, 1, 2],
        [17, inside.arrival_us, 1, 0, 2],
    ]
    assert rows[2][1] > waiting.arrival_us
    assert all(row[6] > 0 for row in rows)
    assert rows[3][3] == inside.admitted_ms
