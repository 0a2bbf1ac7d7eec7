"""Staff look a visitor up, which changes nothing, and end what they have, which cannot be undone."""

import pytest

from tests.store.driver import T0_MS, Line, rules
from tests.store.operating import audit, dismiss, visitors, where
from waitroom.admission.line import Lane, Life, Presence, Stand
from waitroom.admission.recovery import Phase, Return
from waitroom.store.operators import Known


def test_where_everybody_is(line: Line) -> None:
    """In line, absent, in a lobby, inside, waiting to come back, gone, never seen."""
    line.exams = {"x": T0_MS + 900_000}
    line.write(rules(1, idle_ms=40_000))
    inside = line.one("in")
    told = [line.one(name, exam="m") for name in ("a", "b", "c")]
    for one in told:
        line.again(one, exam="m")
    lobby = line.again(line.one("l", exam="x", opens_ms=line.exams["x"]), exam="x", opens_ms=line.exams["x"])
    line.use(inside)
    found = where(line, "b")
    assert (found.stand, found.ahead, found.among, found.lane, found.exam) == (Stand.WAITING, 1, 3, Lane.STANDARD, "m")
    assert found.arrival_us == told[1].arrival_us
    assert found.due_ms > line.now_ms
    found = where(line, "l")
    assert (found.stand, found.ahead, found.exam, found.arrival_us) == (Stand.LOBBY, 0, "x", lobby.arrival_us)
    found = where(line, "in")
    assert (found.stand, found.backend, found.admitted_ms) == (Stand.ADMITTED, "b1", inside.admitted_ms)
    assert found.expires_ms == line.now_ms + 40_000
    assert where(line, "nobody").stand is Stand.NOWHERE
    line.course("b1", Phase.DOWN)
    line.come_back(Return("in", "b1", inside.admitted_ms))
    assert where(line, "in").stand is Stand.RETURNING
    line.course("b1", Phase.UP)
    line.advance(45_000)
    found = where(line, "in")
    assert found.stand is Stand.NOWHERE
    assert found.ended_ms > 0
    assert where(line, "a").due_ms < 0


def test_to_look_is_no_heartbeat(line: Line) -> None:
    """Who is only looked at becomes absent all the same."""
    line.write(rules(1))
    line.one("in")
    line.again(line.one("a"))
    before = line.client.zscore(line.key("due"), "a")
    where(line, "a")
    assert line.client.zscore(line.key("due"), "a") == before


def test_a_session_ends(line: Line) -> None:
    """Its pass is dead, its slot is free, and the audit says who did it and why."""
    line.write(rules(1))
    admitted, waits = line.one("in"), line.one("a")
    assert dismiss(line, "in") == (2, "b1")
    assert line.use(admitted).life is Life.RELEASED
    assert line.again(waits).backend == "b1"
    assert dismiss(line, "in") == (0, "")
    (entry,) = audit(line)
    assert (entry.who, entry.what, entry.target, entry.changes[0][:2]) == ("dean", "release", "CODE", ("session", "b1"))
    line.advance(1_000)
    assert line.snapshot().departures_total == {"released": 1}


@pytest.mark.parametrize("lobby", [False, True])
def test_a_place_ends(lobby: bool, line: Line) -> None:
    """Whoever had it comes again as a newcomer, behind all who wait."""
    line.exams = {"x": T0_MS + 900_000} if lobby else {}
    more = {"exam": "x", "opens_ms": T0_MS + 900_000} if lobby else {}
    line.write(rules(1))
    line.one("in")
    a, b = (line.again(line.one(name, **more), **more) for name in ("a", "b"))
    assert (a.ahead, b.ahead) == (0, 1)
    assert dismiss(line, "a") == (1, "")
    assert where(line, "a").ended_ms < 0
    line.now_ms += 1
    assert line.again(b, **more).ahead == 0
    assert line.again(a, **more).ahead == 1


def test_nobody_is_marked_for_nothing(line: Line) -> None:
    """Who has nothing can come as if nothing had been."""
    line.write(rules(1))
    assert dismiss(line, "never") == (0, "")
    assert not line.client.exists(line.key("left"))
    assert audit(line) == []


@pytest.mark.parametrize("page", [1, 7, 1_000])
def test_everybody_is_named(page: int, line: Line) -> None:
    """In line, inside and gone, however long the pages are."""
    line.write(rules(300, idle_ms=1_000, max_ms=1_000))
    told = line.present(*[Presence(f"v{n}") for n in range(1_000)])
    for one in told:
        if not one.backend:
            line.again(one)
    inside = {one.visitor for one in told if one.backend}
    assert set(visitors(line, Known.INSIDE, page)) == inside
    assert set(visitors(line, Known.WAITING, page)) == {one.visitor for one in told} - inside
    for visitor in inside:
        line.release(visitor)
    assert set(visitors(line, Known.ENDED, page)) == inside
    assert visitors(line, Known.INSIDE, page) == []
