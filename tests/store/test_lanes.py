"""Priority and standard take turns; staff move a ticket from one to the other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.clicks import Pace
from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admission.line import Lane, Presence, Standing, State
from waitroom.admission.waits import Outcome
from waitroom.store import codec, library

OPENS_MS = T0_MS + 60_000


@pytest.fixture
def pool(line: Line) -> Line:
    """One slot, and somebody in it."""
    line.write(rules(1))
    line.one("in")
    return line


def arrive(pool: Line, lanes: str, begin: int = 0) -> list[Standing]:
    """P and S in this order, each with its cookie sent back."""
    lane = {"P": Lane.PRIORITY, "S": Lane.STANDARD}
    batch = [Presence(f"{each}{n:03d}", lane=lane[each]) for n, each in enumerate(lanes, begin)]
    return [pool.again(one) for one in pool.present(*batch)]


def let_in(pool: Line, told: list[Standing]) -> str:
    """Free the slot again and again; who goes in, in their order."""
    inside, order = "in", ""
    while told:
        pool.release(inside)
        pool.now_ms += 50
        now = [pool.again(one) for one in told]
        (entered,) = [one for one in now if one.state is State.ADMITTED]
        inside, order = entered.visitor, order + entered.visitor[0]
        told = [pool.again(one) for one in now if one is not entered]
        assert sorted(one.ahead for one in told) == list(range(len(told))), "everybody has a place of their own"
    return order


@pytest.mark.parametrize(
    ("percent", "order"),
    [(50, "PSPSPSSSS"), (25, "PSSSPSSSP"), (75, "PSPPSSSSS"), (1, "PSSSSSSPP"), (99, "PSPPSSSSS"), (40, "PSSPSPSSS")],
)
def test_turns(pool: Line, percent: int, order: str) -> None:
    """Priority is first, then has at most its share while both wait, whatever the order in which they came."""
    pool.write(rules(1, version=2, percent=percent))
    assert let_in(pool, arrive(pool, "SSPSPSSSP")) == order


@settings(max_examples=40, deadline=None)
@given(percent=st.integers(1, 99), lanes=st.text("PS", min_size=2, max_size=24))
def test_the_first_position_told_comes_true(server: Server, percent: int, lanes: str) -> None:
    """Where nobody else comes, each goes in exactly behind those who were said to be ahead (law 12)."""
    pool = Line(server.client)
    pool.write(rules(1, percent=percent))
    pool.one("in")
    told = [pool.again(one) for one in arrive(pool, lanes)]
    assert sorted(one.ahead for one in told) == list(range(len(lanes)))
    by_position = "".join(one.visitor[0] for one in sorted(told, key=lambda one: one.ahead))
    assert let_in(pool, told) == by_position


def test_lanes_take_turns_whatever_a_fresh_library_was_asked_first(server: Server) -> None:
    """A store that has just started may be asked for a turn of a pace before anybody stands in line."""
    server.client.function_load(library.source(), replace=True)
    Pace(server.client).click("a")
    pool = Line(server.client)
    pool.write(rules(1))
    pool.one("in")
    assert let_in(pool, arrive(pool, "SSP")) == "PSS"


def test_a_trickle_of_priority_does_not_starve_standard(pool: Line) -> None:
    """Each comes alone and finds its lane empty, and still every second turn is standard's."""
    waiting, order, inside = arrive(pool, "SSSS"), "", "in"
    for n in range(8):
        waiting += arrive(pool, "P", begin=100 + n) if not any(one.visitor[0] == "P" for one in waiting) else []
        pool.release(inside)
        pool.now_ms += 50
        now = [pool.again(one) for one in waiting]
        (entered,) = [one for one in now if one.state is State.ADMITTED]
        inside, order = entered.visitor, order + entered.visitor[0]
        waiting = [one for one in now if one is not entered]
    assert order == "PSPSPSPS"


def test_turns_that_nobody_waited_for_are_not_owed(pool: Line) -> None:
    """A hundred standard admissions while no priority waited give it one first turn, not a hundred."""
    told = arrive(pool, "S" * 60)
    assert let_in(pool, told) == "S" * 60
    pool.release(told[-1].visitor)
    pool.one("in")
    assert let_in(pool, arrive(pool, "SSPPP", begin=100)) == "PSPSP"


def move(pool: Line, visitor: str, lane: Lane) -> tuple[int, int]:
    exams = dict.fromkeys(pool.exams, -1)
    reply = pool.call("wr_lane", (visitor, int(lane)), exams, pool.backends)
    return reply[2], reply[3]


def test_staff_move_a_ticket(pool: Line) -> None:
    """At once, with its order; the next answer says so, and the ticket may say either from then on."""
    told = arrive(pool, "SSSP")
    assert [pool.again(one).ahead for one in told] == [1, 2, 3, 0]
    assert move(pool, told[1].visitor, Lane.PRIORITY) == (1, Lane.STANDARD)
    now = [pool.again(one) for one in told]
    assert [one.lane for one in now] == [Lane.STANDARD, Lane.PRIORITY, Lane.STANDARD, Lane.PRIORITY]
    assert [one.ahead for one in now] == [1, 0, 3, 2], "by arrival within the lane"
    assert [pool.again(one).ahead for one in now] == [1, 0, 3, 2], "with the ticket that says it"
    assert move(pool, told[1].visitor, Lane.STANDARD) == (1, Lane.PRIORITY)
    assert [pool.again(one).lane for one in now] == [Lane.STANDARD, Lane.STANDARD, Lane.STANDARD, Lane.PRIORITY]
    assert pool.snapshot().waiting == {Lane.RETURN: 0, Lane.PRIORITY: 1, Lane.STANDARD: 3}


def test_a_ticket_of_a_better_lane_counts_where_staff_said_nothing(pool: Line) -> None:
    """A student is found on the roster after they came: the ticket says priority from then on."""
    told = arrive(pool, "SSS")
    assert pool.again(told[2]._replace(lane=Lane.PRIORITY)).ahead == 0
    assert pool.again(told[0]).ahead == 1


def test_staff_move_who_is_absent_and_who_is_in_a_lobby(pool: Line) -> None:
    """Wherever they stand; of a drawn place the draw stays."""
    (away,) = arrive(pool, "S")
    pool.advance(60_000)
    assert pool.snapshot().absent == 1
    assert move(pool, away.visitor, Lane.PRIORITY) == (1, Lane.STANDARD)
    arrive(pool, "SS", begin=10)
    back = pool.again(away)
    assert (back.ahead, back.lane) == (0, Lane.PRIORITY)
    pool.exams = {"x": pool.now_ms + 60_000}
    early = {"exam": "x", "opens_ms": pool.exams["x"]}
    places = {f"d{n}": pool.exams["x"] * 1000 - 10 * (n + 1) for n in range(3)}
    told = [pool.one(name, order_us=place, **early) for name, place in places.items()]
    told = [pool.again(one, order_us=places[one.visitor], **early) for one in told]
    assert [one.ahead for one in told] == [2, 1, 0]
    assert move(pool, "d0", Lane.PRIORITY) == (1, Lane.STANDARD)
    now = [pool.again(one, order_us=places[one.visitor], **early) for one in told]
    assert [(one.ahead, one.lane) for one in now] == [(0, 1), (2, 2), (1, 2)]


def test_who_cannot_be_moved(pool: Line) -> None:
    """Who is in, who was in before (they go ahead of both lanes), who is not there."""
    assert move(pool, "in", Lane.PRIORITY) == (3, 0)
    assert move(pool, "nobody", Lane.PRIORITY) == (0, 0)
    pool.again(pool.one("back", lane=Lane.RETURN, arrival_us=1))
    assert move(pool, "back", Lane.STANDARD) == (2, 0)


def test_a_lost_store_loses_no_lane_that_the_ticket_has(pool: Line) -> None:
    """The lane is part of the ticket."""
    told = arrive(pool, "SS")
    move(pool, told[1].visitor, Lane.PRIORITY)
    told = [pool.again(one) for one in told]
    for key in pool.client.scan_iter(f"wr:{{{pool.pool}}}:*"):
        pool.client.delete(key)
    pool.now_ms += 1_000
    pool.write(rules(1))
    [pool.again(one) for one in told]
    assert [pool.again(one).ahead for one in told] == [1, 0]


def test_what_staff_chose_is_forgotten_with_the_ticket(pool: Line) -> None:
    """Nothing of a lane is left when nothing of its ticket is."""
    (told,) = arrive(pool, "S")
    move(pool, told.visitor, Lane.PRIORITY)
    pool.use(pool.one("in"), keep_until_ms=T0_MS + 100_000_000)
    pool.advance(60_000)
    assert pool.client.hlen(pool.key("who")) == 1
    pool.advance(700_000)
    assert pool.client.hlen(pool.key("who")) == 0


def test_waits_say_the_lane(pool: Line) -> None:
    """Also of who was moved."""
    told = arrive(pool, "SS")
    move(pool, told[1].visitor, Lane.PRIORITY)
    assert {each.visitor: each.lane for each in pool.waits() if each.outcome is Outcome.WAITING} == {
        told[0].visitor: Lane.STANDARD, told[1].visitor: Lane.PRIORITY,
    }  # fmt: skip


def test_a_worker_of_version_4_is_not_told_of_lanes(pool: Line) -> None:
    """It asks for the brief reply, and could not read it."""
    told = arrive(pool, "SS")
    move(pool, told[1].visitor, Lane.PRIORITY)
    batch = [Presence(one.visitor, one.arrival_us, confirmed=True) for one in told]
    exams, own = codec.present_arguments(batch)
    own[-1] = "brief"
    reply = pool.call("wr_present", own, exams, pool.backends)
    assert reply[2] < 64
    assert 0 <= reply[6] < 64
