"""Pacing alone while the store is away, and the words with which pages ask."""

import re

from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.pacing import (
    AGAIN_MS,
    ASKS,
    IDLE_MS,
    LONE_PLACES,
    LonePace,
    PaceRules,
    PaceSeal,
    Step,
    Turn,
    Verdict,
)

US = 1_780_000_000_000_000


class Alone:
    """A worker's pace of 10 a second, at an instant."""

    def __init__(self, rate_milli: int = 10_000) -> None:
        self.pace = LonePace(rate_milli)
        self.now_ms = 0

    def ask(self, visitor: str, form: str = "f", since_us: int = 0, patience_ms: int = 60_000) -> Turn:
        return self.pace.ask(Step(visitor, form, since_us, patience_ms), self.now_ms, US + self.now_ms * 1000)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60))
def test_those_who_come_from_the_store_pass_in_its_order(sinces: list[int]) -> None:
    """They ask anew within a second, in any order; the first passes when all have, and the rate holds."""
    alone = Alone()
    waiting = {f"v{n}": US - 1_000_000_000 + since for n, since in enumerate(sinces)}
    passed: list[tuple[int, str]] = []
    asks_ms = {name: n * 997 % AGAIN_MS for n, name in enumerate(waiting)}
    while asks_ms:
        name = min(asks_ms, key=lambda each: asks_ms[each])
        alone.now_ms = asks_ms.pop(name)
        turn = alone.ask(name, since_us=waiting[name])
        if turn.verdict is Verdict.TURN:
            passed.append((alone.now_ms, name))
        else:
            assert turn.verdict is Verdict.HOLD
            asks_ms[name] = alone.now_ms + turn.next_ms
    order = [waiting[name] for _, name in passed]
    assert order == sorted(order)
    assert len(passed) == len(waiting)
    assert passed[0][0] >= AGAIN_MS - 1
    for first, (start_ms, _) in enumerate(passed):
        for more, (end_ms, _) in enumerate(passed[first:]):
            assert more * 100 <= end_ms - start_ms


def test_a_newcomer_waits_a_second_and_is_told_so() -> None:
    """The first after the store went may not be the first in line."""
    alone = Alone()
    turn = alone.ask("a")
    assert (turn.verdict, turn.next_ms, turn.wait_ms, turn.since_us) == (Verdict.HOLD, 1_000, 1_000, US)
    alone.now_ms = 1_000
    assert alone.ask("a", since_us=turn.since_us).verdict is Verdict.TURN
    alone.now_ms = 1_100
    assert alone.ask("b").verdict is Verdict.DIRECT
    assert alone.ask("c").wait_ms == 100


def test_pages_and_the_impatient() -> None:
    """A page is told when to come back and when to send; a visitor has one place; what was sent is sent once."""
    alone = Alone()
    page = alone.ask("a", patience_ms=0)
    assert (page.verdict, page.next_ms) == (Verdict.PAGE, 1_000)
    other = alone.ask("a", patience_ms=0)
    assert other.wait_ms == page.wait_ms
    alone.now_ms = 1_000
    assert alone.ask("a", since_us=page.since_us, patience_ms=ASKS).verdict is Verdict.GO
    assert alone.ask("a").verdict is Verdict.DIRECT
    alone.now_ms = 1_100
    assert alone.ask("a", since_us=other.since_us, patience_ms=ASKS).verdict is Verdict.SENT


def test_nobody_is_waited_for_and_all_is_bounded() -> None:
    """The head that does not come back is passed over; a pace that was idle begins anew."""
    alone = Alone()
    gone, stays = alone.ask("gone"), alone.ask("stays")
    alone.now_ms = 1_000
    alone.ask("stays", since_us=stays.since_us)
    alone.now_ms = gone.next_ms + AGAIN_MS + 1
    assert alone.ask("stays", since_us=stays.since_us).verdict is Verdict.TURN
    for n in range(LONE_PLACES + 100):
        alone.ask(f"v{n}")
    assert len(alone.pace._places) == len(alone.pace._order) == LONE_PLACES
    alone.now_ms += IDLE_MS
    alone.ask("later")
    assert len(alone.pace._places) == 1


def test_a_word_is_good_for_its_visitor_and_as_it_was_signed() -> None:
    """With any of our keys; nothing in it can be changed."""
    seal, older = PaceSeal([b"new" * 11, b"old" * 11]), PaceSeal([b"old" * 11])
    form = seal.form(b"POST", b"/start", b"cmid=7")
    word = older.sign("start-attempt", "v1", form, US)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,200}", word)
    assert seal.open(word, "v1") == ("start-attempt", form, US)
    assert seal.open(word, "v2") is None
    assert older.open(seal.sign("start-attempt", "v1", form, US), "v1") is None
    for at, character in enumerate(word):
        changed = word[:at] + ("A" if character != "A" else "B") + word[at + 1 :]
        assert seal.open(changed, "v1") is None
    for other in ("", "a.b", word + ".", "start..1." + "A" * 43, "é" * 80):
        assert seal.open(other, "v1") is None


def test_forms_differ_by_every_part() -> None:
    """No two ways of cutting the same bytes into parts have one name."""
    seal = PaceSeal([b"k" * 32])
    names = {
        seal.form(*parts)
        for parts in ((b"POST", b"/a", b"b"), (b"POST", b"/ab", b""), (b"POS", b"T/a", b"b"), (b"POST", b"/a", b"c"))
    }
    assert len(names) == 4
    assert PaceSeal([b"l" * 32]).form(b"POST", b"/a", b"b") not in names


def test_a_burst_is_a_fifth_of_a_second() -> None:
    """And at least one."""
    assert [PaceRules.of(rate).burst for rate in (1, 1_000, 25_000, 200_000)] == [1, 1, 5, 40]
