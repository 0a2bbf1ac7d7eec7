"""Outages and clocks that jump: nobody pays for them."""

from tests.store.driver import Line, rules
from waitroom.admission.line import State

HOUR_MS = 3_600_000


def busy(line: Line) -> Line:
    line.write(rules(1, 1, max_ms=24 * HOUR_MS, grace_ms=30_000))
    for name in ("a", "b"):
        line.use(line.one(name))
    for name in ("c", "d"):
        line.again(line.one(name))
    return line


def test_an_outage_lapses_neither_sessions_nor_presence(line: Line) -> None:
    """After more than 15 s of silence nothing expires for a minute: everybody has the time to come back."""
    busy(line)
    line.now_ms += 10 * 60_000
    line.sweep()
    assert sum(line.snapshot().sessions.values()) == 2
    assert sum(line.snapshot().waiting.values()) == 2
    line.advance(59_000)
    assert sum(line.snapshot().sessions.values()) == 2
    line.advance(62_000)
    assert sum(line.snapshot().sessions.values()) == 0
    assert sum(line.snapshot().waiting.values()) == 0


def test_a_clock_that_jumps_forward_is_an_outage(line: Line) -> None:
    """An hour ahead: sessions and places are still there, and live on when used."""
    busy(line)
    line.now_ms += HOUR_MS
    assert line.one("e").ahead == 2
    assert sum(line.snapshot().sessions.values()) == 2


def test_a_clock_that_jumps_back_leaves_no_session_for_hours(line: Line) -> None:
    """What was given by the wrong clock is pulled in, and lapses as if given now; an exam's end stays what it is."""
    line.now_ms += 5 * HOUR_MS
    busy(line)
    kept = line.now_ms - 2 * HOUR_MS
    line.use(line.one("a"), keep_until_ms=kept)
    line.now_ms -= 5 * HOUR_MS
    line.sweep()
    assert sum(line.snapshot().sessions.values()) == 2
    line.advance(70_000)
    assert sum(line.snapshot().sessions.values()) == 1
    line.advance(200_000)
    assert sum(line.snapshot().waiting.values()) == 0
    line.now_ms = kept - 1_000
    line.sweep()
    line.advance(70_000)
    assert sum(line.snapshot().sessions.values()) == 0


def test_admissions_go_on_after_the_clock_went_back(line: Line) -> None:
    """Tokens, freeze and mercy from the future do not stop the line."""
    line.write(rules(50, rate_milli=1_000, burst=1))
    assert line.one("a").state is State.ADMITTED
    line.now_ms -= HOUR_MS
    waits = line.one("b")
    admitted = 0
    for _ in range(5):
        line.advance(2_000)
        admitted += line.again(waits).state is State.ADMITTED
    assert admitted == 5
