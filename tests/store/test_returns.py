"""Coming back to a backend that was down (law 7): nobody while it is down, then in order at the ramp's rate.

Each law is held in a pool without a rate for newcomers and in one with it.
"""

from typing import Any

import pytest

from tests.store.driver import Line, Server, rules
from waitroom.admission.line import Standing, State, Touch
from waitroom.admission.recovery import Outcome, Phase, Return


class Paced(Line):
    """A pool with a rate for newcomers, in thousandths a second; 0: none."""

    rate_milli = 0


@pytest.fixture(params=[0, 1_000_000], ids=["no rate", "a rate"])
def line(server: Server, request: pytest.FixtureRequest) -> Paced:
    """A pool of its own."""
    made = Paced(server.client)
    made.rate_milli = request.param
    return made


def inside(line: Paced, count: int, **more: Any) -> list[Standing]:
    """Students with a session, who have used it."""
    line.write(rules(1_000, **{"rate_milli": line.rate_milli, **more}))
    found = [line.one(f"v{number:03}") for number in range(count)]
    for each in found:
        line.use(each)
        line.now_ms += 1
    return found


def wait(line: Line, ms: int) -> None:
    """Time goes by, and the conductor sweeps."""
    for _ in range(ms // 5_000):
        line.now_ms += 5_000
        line.sweep()


def back(student: Standing, *, attempt: bool = False, page: bool = False, keep_until_ms: int = 0) -> Return:
    return Return(student.visitor, student.backend, student.admitted_ms, keep_until_ms, attempt, page)


def test_a_backend_that_is_up_takes_everybody_back(line: Paced) -> None:
    """Who asks without need is let through."""
    (student,) = inside(line, 1)
    assert line.come_back(back(student))[0].outcome is Outcome.BACK


def test_who_comes_back_costs_no_newcomer_a_turn(line: Paced) -> None:
    """The rate is for newcomers: as many enter beside returns as without them."""
    students = inside(line, 5, rate_milli=1_000, burst=8)
    line.now_ms += 1_000
    line.course("b1", Phase.RECOVERING, 1_000_000)
    for each in students:
        line.come_back(back(each))
    line.course("b1", Phase.UP)
    entered = [line.one(f"new{number}").state for number in range(5)]
    assert entered == [State.ADMITTED] * 4 + [State.WAITING]


def test_a_backend_that_is_down_takes_nobody(line: Paced) -> None:
    """Neither those who had a session nor newcomers; their places are told."""
    students = inside(line, 3)
    line.course("b1", Phase.DOWN)
    answers = line.come_back(*map(back, students))
    assert [(answer.outcome, answer.ahead) for answer in answers] == [(Outcome.WAITS, n) for n in range(3)]
    newcomer = line.one("new")
    assert newcomer.state is State.DOWN
    assert line.snapshot().returning["b1"] == 3


def test_sessions_do_not_lapse_while_their_backend_is_down(line: Paced) -> None:
    """An outage longer than the idle timeout costs nobody the slot; afterwards the time begins anew."""
    students = inside(line, 2, idle_ms=60_000)
    line.course("b1", Phase.DOWN)
    wait(line, 200_000)
    assert line.snapshot().sessions["b1"] == 2
    line.course("b1", Phase.RECOVERING, 2_000)
    wait(line, 50_000)
    assert line.snapshot().sessions["b1"] == 2
    assert line.come_back(back(students[0]))[0].outcome is Outcome.BACK


def test_a_slot_without_a_cookie_is_not_prolonged(line: Paced) -> None:
    """Who never sent the cookie back is gone after an outage (law 10), whichever it is; who waited with it has come."""
    line.write(rules(2, idle_ms=600_000))
    _, waits = line.one("gone"), line.one("waits")
    line.course("b1", Phase.DOWN)
    wait(line, 60_000)
    assert line.come_back(back(waits))[0].outcome is Outcome.WAITS
    line.now_ms += 1_000
    line.course("b1", Phase.RECOVERING, 1_000)
    wait(line, 5_000)
    assert line.snapshot().sessions["b1"] == 1
    assert line.come_back(back(waits))[0].outcome is Outcome.BACK


def test_the_ramp_lets_back_in_order_at_its_rate(line: Paced) -> None:
    """Who was in first goes first, whoever asks first; not more than rate times time, and one."""
    students = inside(line, 20)
    line.course("b1", Phase.DOWN)
    line.come_back(*map(back, reversed(students)))
    line.now_ms += 1_000
    line.course("b1", Phase.RECOVERING, 2_000)
    order: list[str] = []
    began_ms = line.now_ms
    while len(order) < 20:
        waiting = [each for each in students if each.visitor not in order]
        answers = [(each.visitor, line.come_back(back(each))[0].outcome) for each in reversed(waiting)]
        order += [visitor for visitor, outcome in answers if outcome is Outcome.BACK]
        assert len(order) <= 1 + (line.now_ms - began_ms) * 2 / 1000
        line.now_ms += 250
    assert order == [each.visitor for each in students]
    assert line.now_ms - began_ms <= 10_000
    assert line.snapshot().missed["b1"] == 0


def test_who_is_in_an_attempt_comes_first(line: Paced) -> None:
    """Before those who were only looking, however long they have been in."""
    students = inside(line, 4)
    line.course("b1", Phase.DOWN)
    line.come_back(*map(back, students[:3]), back(students[3], attempt=True))
    line.course("b1", Phase.RECOVERING, 1_000)
    answers = line.come_back(*map(back, students[:3]), back(students[3], attempt=True))
    assert [answer.outcome for answer in answers] == [Outcome.WAITS] * 3 + [Outcome.BACK]


def test_newcomers_come_after_those_who_were_in(line: Paced) -> None:
    """Nobody new enters while somebody waits to come back; then they share the ramp."""
    students = inside(line, 2)
    line.course("b1", Phase.DOWN)
    waiting = [line.one(f"n{number}") for number in range(2)]
    line.come_back(*map(back, students))
    line.now_ms += 1_000
    line.course("b1", Phase.RECOVERING, 1_000)
    assert line.again(waiting[0]).state is not State.ADMITTED
    for student in students:
        assert line.come_back(back(student))[0].outcome is Outcome.BACK
        assert line.again(waiting[0]).state is State.WAITING
        line.now_ms += 1_000
    assert line.again(waiting[0]).state is State.ADMITTED
    assert line.again(waiting[1]).state is State.WAITING
    line.now_ms += 1_000
    assert line.again(waiting[1]).state is State.ADMITTED


def test_who_has_come_back_needs_no_second_leave(line: Paced) -> None:
    """A repeated request gets the same answer and costs no place in the ramp; a newcomer of the ramp is in as well."""
    students = inside(line, 3)
    line.course("b1", Phase.DOWN)
    line.now_ms += 1_000
    line.course("b1", Phase.RECOVERING, 1_000)
    assert [line.come_back(back(students[0]))[0].outcome for _ in range(5)] == [Outcome.BACK] * 5
    line.now_ms += 1_000
    assert line.come_back(back(students[1]))[0].outcome is Outcome.BACK
    line.now_ms += 1_000
    newcomer = line.one("new")
    assert newcomer.state is State.ADMITTED
    assert line.come_back(back(newcomer))[0].outcome is Outcome.BACK


def test_a_second_failure_needs_another_return(line: Paced) -> None:
    """Leave to come back holds for one recovery."""
    (student, other) = inside(line, 2)
    line.course("b1", Phase.RECOVERING, 1_000)
    assert line.come_back(back(student))[0].outcome is Outcome.BACK
    line.now_ms += 1_000
    line.course("b1", Phase.DOWN)
    assert line.come_back(back(student))[0].outcome is Outcome.WAITS
    line.now_ms += 1_000
    line.course("b1", Phase.RECOVERING, 1_000)
    assert [each.outcome for each in line.come_back(back(other), back(student))] == [Outcome.WAITS, Outcome.BACK]


def test_who_stays_away_blocks_nobody(line: Paced) -> None:
    """A student who no longer asks loses presence, not the order."""
    students = inside(line, 2)
    line.course("b1", Phase.DOWN)
    line.come_back(*map(back, students))
    wait(line, 20_000)
    line.course("b1", Phase.RECOVERING, 1_000)
    assert line.come_back(back(students[1]))[0].outcome is Outcome.BACK
    line.now_ms += 1_000
    assert line.come_back(back(students[0]))[0].outcome is Outcome.BACK


def test_released_and_lapsed_sessions_do_not_come_back(line: Paced) -> None:
    """Who logged out is out; whose session lapsed before the outage goes to the return lane of the line."""
    gone, late = inside(line, 2)
    line.release(gone.visitor)
    wait(line, 65_000)
    line.course("b1", Phase.RECOVERING, 1_000)
    assert [each.outcome for each in line.come_back(back(gone), back(late))] == [Outcome.RELEASED, Outcome.LAPSED]
    kept = back(late, keep_until_ms=line.now_ms + 1_000_000)
    assert line.come_back(kept)[0].outcome is Outcome.BACK


def test_sessions_move_to_a_sibling_at_its_ramp(line: Paced) -> None:
    """Where the pool says so, over its limit if need be; the sibling's own students go on undisturbed."""
    line.write(rules(1, 1, move=True))
    first, second = line.one("v1"), line.one("v2")
    for each in (first, second):
        line.use(each)
    line.course(first.backend, Phase.DOWN)
    line.now_ms += 1_000
    assert line.come_back(back(first))[0].outcome is Outcome.WAITS
    line.course(second.backend, Phase.EASING, 1_000)
    answer = line.come_back(back(first))[0]
    assert (answer.outcome, answer.backend) == (Outcome.BACK, second.backend)
    assert line.come_back(back(second))[0].outcome is Outcome.BACK
    assert line.snapshot().sessions == {first.backend: 0, second.backend: 2}
    again = line.come_back(back(first))[0]  # the old cookie, in another tab
    assert (again.outcome, again.backend) == (Outcome.BACK, second.backend)


def test_staff_hold_and_drain_a_backend(line: Paced) -> None:
    """Held: it takes nobody, and its sessions wait. Draining: nobody new, and its sessions finish."""
    (student,) = inside(line, 1)
    line.live(staff__b1="draining")
    assert line.one("new").state is State.DOWN
    assert line.come_back(back(student))[0].outcome is Outcome.BACK
    line.live(staff__b1="held")
    assert line.come_back(back(student))[0].outcome is Outcome.WAITS
    line.live(staff__b1="")
    assert line.come_back(back(student))[0].outcome is Outcome.BACK


def test_the_live_rate_lies_below_that_of_the_rules(line: Paced) -> None:
    """The adaptive rate can only slow down what the operator allows; without a rate it is the rate."""
    line.write(rules(1_000, rate_milli=10_000, burst=1))
    line.live(rate="1000")
    assert line.snapshot().rate_milli == 1_000
    line.live(rate="50000")
    assert line.snapshot().rate_milli == 10_000
    line.write(rules(1_000, version=2))
    assert line.snapshot().rate_milli == 50_000
    line.live(rate="", held="1")
    assert (line.snapshot().rate_milli, line.snapshot().held) == (0, True)


def test_workers_hear_of_each_other(line: Paced) -> None:
    """Each hears all that live; who is silent for three seconds is gone."""
    line.write(rules(1))
    assert line.report("w1", "one") == {"w1": "one"}
    line.now_ms += 1_000
    assert line.report("w2", "two words") == {"w1": "one", "w2": "two words"}
    line.now_ms += 2_500
    assert line.report("w2", "again") == {"w2": "again"}


def test_who_has_saved_something_is_in_an_attempt(line: Paced) -> None:
    """The store remembers it with the session, whoever asks later, and through the recovery before."""
    students = inside(line, 3)
    line.touch(Touch(students[2].visitor, "b1", students[2].admitted_ms, saved=True))
    for _ in range(2):
        line.now_ms += 1_000
        line.course("b1", Phase.DOWN)
        line.come_back(*map(back, students))
        line.now_ms += 1_000
        line.course("b1", Phase.RECOVERING, 1_000)
        outcomes = [answer.outcome for answer in line.come_back(*map(back, students))]
        assert outcomes == [Outcome.WAITS, Outcome.WAITS, Outcome.BACK]
        line.use(students[2])
