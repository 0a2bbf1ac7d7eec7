"""What staff set over the file: in force at once, for its time, over restarts and reloads, and told in the audit."""

import pytest

from tests.store.driver import T0_MS, Line, rules
from tests.store.operating import audit, override
from waitroom.admission.audit import Change
from waitroom.admission.estimate import regime
from waitroom.admission.line import Presence
from waitroom.admission.overrides import overrides
from waitroom.store.keys import ADDED, call


def crowd(line: Line, count: int, first: int = 0) -> int:
    """So many newcomers, who all poll once more; how many are in."""
    told = line.present(*[Presence(f"v{n}") for n in range(first, first + count)])
    again = [line.again(one) for one in told]
    return sum(bool(one.backend) for one in again)


@pytest.mark.parametrize(("most", "enter"), [(2, 2), (4, 4), (7, 7)])
def test_max_sessions_counts_in_both_directions(most: int, enter: int, line: Line) -> None:
    """Less than the file's, and more; the snapshot says what is in force."""
    line.write(rules(4))
    assert override(line, {"sessions:b1": str(most)}) == [""]
    assert line.snapshot().limits == {"b1": most, "b2": 0}
    assert crowd(line, 10) == enter


def test_a_limit_below_the_sessions_throws_nobody_out(line: Line) -> None:
    """Who is in stays in; nobody new comes until there is room below the new limit."""
    line.write(rules(4, idle_ms=600_000))
    assert crowd(line, 4) == 4
    told = line.one("late")
    override(line, {"sessions:b1": "2"})
    line.advance(4_000)
    assert line.snapshot().sessions["b1"] == 4
    for gone, enters in (("v0", False), ("v1", False), ("v2", True)):
        line.release(gone)
        assert bool(line.again(told).backend) is enters


def test_a_rate_counts_in_both_directions(line: Line) -> None:
    """So many in ten seconds as the rate that is set says, whatever the file says."""
    for milli, expected in ((5_000, 50), (40_000, 400)):
        line.pool += "x"
        line.write(rules(10_000, rate_milli=20_000, burst=1))
        override(line, {"ceiling": str(milli)})
        told = line.present(*[Presence(f"v{n}") for n in range(600)])
        waiting = [one for one in told if not one.backend]
        entered = len(told) - len(waiting)
        for _ in range(400):
            line.now_ms += 25
            again = line.present(*[Presence(one.visitor, one.arrival_us, confirmed=True) for one in waiting[:2]])
            entered += sum(bool(one.backend) for one in again)
            inside = {one.visitor for one in again if one.backend}
            waiting = [one for one in waiting if one.visitor not in inside]
        assert abs(entered - expected) <= 4


def test_a_lower_rate_cuts_what_was_saved_up(line: Line) -> None:
    """The burst goes down with the rate: forty at once would be no limit of one a second."""
    line.write(rules(100, rate_milli=20_000, burst=40))
    line.snapshot()
    override(line, {"ceiling": "1000"})
    assert crowd(line, 30) == 2
    assert line.snapshot().rate_milli == 1_000


def test_where_the_file_has_no_rate(line: Line) -> None:
    """Two seconds of the rate that is set may come at once."""
    line.write(rules(100))
    override(line, {"ceiling": "3000"})
    assert crowd(line, 30) == 6
    override(line, {"ceiling": ""})
    assert crowd(line, 30, 30) == 30


@pytest.mark.parametrize(
    ("adaptive", "ceiling", "in_force"),
    [(15_000, "10000", 10_000), (5_000, "10000", 5_000), (30_000, "25000", 25_000), (30_000, "", 20_000)],
)
def test_the_adaptive_rate_stays_below(adaptive: int, ceiling: str, in_force: int, line: Line) -> None:
    """Whichever is written last, the ceiling that is in force bounds it."""
    line.write(rules(100, rate_milli=20_000))
    override(line, {"ceiling": ceiling})
    line.live(rate=str(adaptive))
    assert line.snapshot().rate_milli == in_force


def test_it_ends_with_its_time(line: Line) -> None:
    """At the very millisecond of the store's clock for everybody; the sweep tells the audit and forgets it."""
    line.write(rules(4, rate_milli=20_000))
    override(line, {"sessions:b1": "2", "ceiling": "1000", "held": "1"}, for_ms=20_000, why="db slow")
    line.advance(19_999)
    seen = line.snapshot()
    assert (seen.limits["b1"], seen.rate_milli, seen.held) == (2, 1_000, True)
    (one,) = {(each.until_ms, each.who, each.why) for each in overrides(seen.live).values()}
    assert one == (T0_MS + 20_000, "dean", "db slow")
    line.now_ms += 1
    seen = line.snapshot()
    assert (seen.limits["b1"], seen.rate_milli, seen.held, seen.live) == (4, 20_000, False, {})
    assert crowd(line, 9) == 4
    line.sweep()
    line.sweep()
    assert line.client.exists(line.key("live")) == 0
    expired = [each for each in audit(line) if each.what == "expired"]
    assert sorted(change.key for each in expired for change in each.changes) == [
        "admission.rate", "backends.b1.max_sessions", "hold",
    ]  # fmt: skip
    assert {(each.who, each.why) for each in expired} == {("", "set by dean: db slow")}


def test_what_is_over_is_not_what_was_before(line: Line) -> None:
    """Who sets it anew hears of the file's value, and the new one has a time of its own."""
    line.write(rules(4))
    override(line, {"sessions:b1": "2"}, for_ms=1_000)
    line.now_ms += 1_000
    assert override(line, {"sessions:b1": "3"}) == [""]
    line.advance(100_000)
    assert line.snapshot().limits["b1"] == 3
    assert override(line, {"sessions:b1": "1"}) == ["3"]


def test_a_hold_of_a_backend_ends_with_its_time(line: Line) -> None:
    """Its sessions have the time again that nobody could use."""
    line.write(rules(4, idle_ms=30_000))
    admitted = line.one("v0")
    line.now_ms += 1
    line.use(admitted)
    override(line, {"staff:b1": "held"}, for_ms=60_000)
    line.advance(60_000)
    assert line.snapshot().sessions["b1"] == 1
    line.now_ms += 1
    line.sweep()
    assert overrides(line.snapshot().live) == {}
    assert line.use(admitted).life == "live"


def test_a_reload_drops_nothing(line: Line) -> None:
    """New rules come under what staff set; a backend that leaves the file and comes back has it still."""
    line.write(rules(4, 4, rate_milli=20_000))
    override(line, {"sessions:b2": "2", "ceiling": "10000"})
    line.write(rules(8, version=2, rate_milli=30_000))
    assert line.snapshot().limits == {"b1": 8, "b2": 0}
    line.write(rules(8, 8, version=3, rate_milli=30_000))
    seen = line.snapshot()
    assert (seen.limits, seen.rate_milli) == ({"b1": 8, "b2": 2}, 10_000)
    assert override(line, {"sessions:b2": "", "ceiling": ""}) == ["2", "10000"]
    seen = line.snapshot()
    assert (seen.limits, seen.rate_milli, seen.live) == ({"b1": 8, "b2": 8}, 30_000, {})


def test_a_version_of_before_takes_notes_away(line: Line) -> None:
    """Its wr_live says nothing of a time: what it sets has none, and it ends what a newer one has set."""
    line.write(rules(4))
    override(line, {"held": "1"}, for_ms=5_000)
    line.live(held="1")
    line.advance(10_000)
    assert line.snapshot().held
    override(line, {"held": "1"}, for_ms=5_000)
    line.live(held="")
    assert line.snapshot().live == {}


def test_the_audit_says_from_what_to_what(line: Line) -> None:
    """With the file's value where nothing was set, in the file's spelling; a repetition of nothing is no entry."""
    line.write(rules(4, rate_milli=20_000))
    override(line, {"sessions:b1": "2", "ceiling": "500"}, why="db slow")
    line.now_ms += 1_000
    override(line, {"sessions:b1": "", "held": "1"})
    override(line, {"sessions:b1": ""})
    last, first = audit(line)
    assert first.changes == (
        Change("backends.b1.max_sessions", "4", "2"),
        Change("admission.rate", "20/s", "30/min"),
    )
    assert (first.at_ms, first.who, first.why, first.until_ms) == (T0_MS, "dean", "db slow", 0)
    assert last.changes == (Change("backends.b1.max_sessions", "2", "4"), Change("hold", None, "held"))
    assert audit(line, 1, 5) == [first]


def test_the_audit_is_bounded(line: Line) -> None:
    """The last thousand."""
    line.write(rules(4))
    for number in range(1_003):
        override(line, {"sessions:b1": str(1 + number % 7)})
    assert line.client.llen(line.key("audit")) == 1_000
    assert audit(line, 0, 1)[0].changes[0].new == str(1 + 1_002 % 7)


def test_a_reason_is_no_phase(line: Line) -> None:
    """Whatever staff write cannot pass for a backend that recovers."""
    line.write(rules(4))
    override(line, {"ceiling": "1000"}, why="recovering 1 2 easing")
    assert not regime(line.snapshot()).ramps


def test_a_conductor_of_before_ends_it_too(line: Line) -> None:
    """It names no audit: what is over goes all the same, and nothing is told."""
    line.write(rules(4))
    override(line, {"sessions:b1": "2", "held": "1"}, for_ms=1_000)
    line.now_ms += 1_000
    command = call(line.pool, "wr_sweep", line.backends, (), (), now_ms=line.now_ms)
    count = int(command[2])
    reply = line.client.execute_command(
        *command[:2], count - len(ADDED), *command[3 : 3 + count - len(ADDED)], *command[3 + count :]
    )
    assert reply[0] == 0
    assert line.snapshot().live == {}
    assert [each.what for each in audit(line)] == ["limit"]
