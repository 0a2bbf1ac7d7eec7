"""What a snapshot says of flow, from which estimates are made: who left after how long, when slots come free."""

from tests.store.driver import Line, rules
from waitroom.admission.line import Snapshot
from waitroom.store import codec


def looked(line: Line, *ends_ms: int) -> Snapshot:
    return codec.snapshot(line.call("wr_snapshot", ends_ms, {}, line.backends), ends_ms)


def test_a_session_that_nobody_used_is_no_departure(line: Line) -> None:
    """It says nothing of how long those last that are used; it is told as a departure all the same."""
    line.write(rules(2, idle_ms=60_000))
    told = line.one("used")
    line.one("unused")
    line.advance(20_000)
    line.use(told)
    line.advance(90_000)
    seen = looked(line)
    assert (sum(each.ended for each in seen.flow), sum(each.unused for each in seen.flow)) == (1, 1)
    assert sum(each.held_ms for each in seen.flow) == 85_000, "20 s of work, 60 s idle, seen by the next sweep"
    assert seen.departures_total == {"lapsed": 2}


def test_what_is_forgotten_of_the_flow_is_forgotten_whole(line: Line) -> None:
    """After ten minutes nothing is left of a slot, unused sessions included."""
    line.write(rules(1))
    line.one("unused")
    line.advance(40_000)
    assert sum(each.unused for each in looked(line).flow) == 1
    line.advance(700_000)
    assert sum(each.unused for each in looked(line).flow) == 0
    assert not [field for field in line.client.hkeys(line.key("flow")) if field.startswith(b"u:")]


def test_slots_that_are_free_when_exams_are_over(line: Line) -> None:
    """Two are held for the morning's exam, one for the afternoon's; one is held by somebody without an exam."""
    line.write(rules(3, 1, idle_ms=60_000))
    noon_ms, evening_ms = line.now_ms + 3_600_000, line.now_ms + 18_000_000
    for visitor, keep_ms in [("a", noon_ms), ("b", noon_ms), ("c", evening_ms), ("d", 0)]:
        line.use(line.one(visitor), keep_ms)
    seen = looked(line, noon_ms, evening_ms)
    assert seen.ends == ((noon_ms, 3), (evening_ms, 4))
    line.live(phase__b2="down 1 0 1 0 0")
    assert looked(line, evening_ms).ends == ((evening_ms, 3),), "a backend that is down frees nothing for newcomers"


def test_a_store_of_before_says_nothing_of_either(line: Line) -> None:
    """During an upgrade: the reply of an older library has neither array."""
    line.write(rules(1))
    line.one("a")
    reply = line.call("wr_snapshot", (), {}, line.backends)
    seen = codec.snapshot(reply[:14], (1,))
    assert seen.ends == ()
    assert {each.unused for each in seen.flow} == {0}
    assert sum(each.admitted for each in seen.flow) == 1
