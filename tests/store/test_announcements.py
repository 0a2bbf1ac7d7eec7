"""What staff say is kept by the store: one text a pool and exam, with its time."""

from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.line import Announced, Notice
from waitroom.store import codec

SAID = Announced((("fr", "Un « instant »"), ("en", 'A moment\nplease "now" é')), "dean")


def say(line: Line, said: Announced | None, exam: str = "", for_ms: int = 0) -> str:
    """Announce, and get the text of before."""
    own = (exam, for_ms, codec.announcement(said) if said else "")
    return line.call("wr_announce", own, {}, line.backends)[2].decode()


def test_said_replaced_and_taken_back(line: Line) -> None:
    """The snapshot has it with its instant; whoever says something gets what was said before."""
    line.write(rules(1, 1))
    assert say(line, SAID) == ""
    line.advance(1_000)
    assert line.snapshot().notices == {"": Notice(SAID.texts, T0_MS)}
    assert codec.announced(say(line, Announced((("", "again"),)))) == SAID
    assert line.snapshot().notices == {"": Notice((("", "again"),), T0_MS + 1_000)}
    assert codec.announced(say(line, None)).texts == (("", "again"),)
    assert line.snapshot().notices == {}
    assert say(line, None) == ""


def test_an_exam_has_its_own(line: Line) -> None:
    """What is said for one exam stands beside what is said for all."""
    line.write(rules(1, 1))
    say(line, SAID)
    say(line, Announced((("", "maths only"),)), "MATH0001")
    assert line.snapshot().notices.keys() == {"", "MATH0001"}
    say(line, None, "MATH0001")
    assert line.snapshot().notices.keys() == {""}


def test_it_goes_when_its_time_is_over(line: Line) -> None:
    """At the very millisecond, for every reader; the next sweep forgets it."""
    line.write(rules(1, 1))
    say(line, SAID, for_ms=20_000)
    line.advance(19_999)
    assert line.snapshot().notices
    line.now_ms += 1
    assert line.snapshot().notices == {}
    assert say(line, None) == ""
    say(line, SAID, for_ms=1)
    line.advance(1)
    assert line.client.hlen(line.key("notices")) == 0


def test_it_needs_no_rules(line: Line) -> None:
    """A pool that no worker has served yet can be spoken to: the lobby of tomorrow."""
    assert say(line, SAID) == ""
    line.write(rules(1, 1))
    assert line.snapshot().notices[""].texts == SAID.texts
