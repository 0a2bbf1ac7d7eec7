"""How waits ended, and for which exam people wait: kept by the store, bounded, at no cost a waiting ticket."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admin import waits
from waitroom.admission.line import Lane, Presence, State
from waitroom.admission.waits import Outcome
from waitroom.store import library

DAY_MS = 86_400_000
OPENS_MS = T0_MS + 60_000


@pytest.fixture
def pool(line: Line) -> Line:
    line.write(rules(1))
    return line


def test_each_outcome_with_its_exam(pool: Line) -> None:
    """Straight in, through the line, left by choice, forgotten as absent, still waiting; each for its exam."""
    told = {
        name: pool.one(name, exam=exam) for name, exam in [("in", "x"), ("a", "x"), ("b", "y"), ("c", ""), ("d", "y")]
    }
    for name in "abcd":
        told[name] = pool.again(told[name], exam={"a": "x", "b": "y", "c": "", "d": "y"}[name])
    pool.leave("b")
    pool.release("in")
    pool.now_ms += 500
    assert pool.again(told["a"], exam="x").state is State.ADMITTED
    pool.advance(300_000)
    told["d"] = pool.again(told["d"], exam="y")
    pool.advance(400_000)
    found = {each.visitor: each for each in pool.waits()}
    assert {name: (each.outcome, each.exam) for name, each in found.items()} == {
        "in": (Outcome.ADMITTED, "x"), "a": (Outcome.ADMITTED, "x"), "b": (Outcome.LEFT, "y"), "c": (Outcome.LEFT, ""),
        "d": (Outcome.ADMITTED, "y"),
    }  # fmt: skip
    assert [found[name].backend for name in ("in", "a", "b")] == ["b1", "b1", ""]
    assert [found[name].first for name in ("in", "a")] == [1, 0]
    assert found["a"].arrival_us == told["a"].arrival_us
    assert found["a"].at_ms - T0_MS == 500
    assert [each.visitor for each in pool.waits("y")] == ["d", "b"], "the latest end first"


def test_a_lobby_keeps_its_exam_through_the_opening(pool: Line) -> None:
    """Before the opening, absent in the lobby, and after all have moved into the line."""
    pool.exams = {"x": OPENS_MS, "z": OPENS_MS + DAY_MS}
    pool.one("in")
    early = {"exam": "x", "opens_ms": OPENS_MS}
    told = [pool.again(pool.one(name, **early), **early) for name in ("p", "q")]
    pool.again(pool.one("r", exam="z", opens_ms=pool.exams["z"]), exam="z", opens_ms=pool.exams["z"])
    assert {each.visitor: each.exam for each in pool.waits() if each.outcome is Outcome.WAITING} == {
        "p": "x", "q": "x", "r": "z",
    }  # fmt: skip
    pool.advance(58_000)
    pool.again(told[0], **early)
    pool.advance(4_000)
    waiting = {each.visitor: each.exam for each in pool.waits() if each.outcome is Outcome.WAITING}
    assert waiting == {"p": "x", "q": "x", "r": "z"}


def test_who_comes_back_after_being_forgotten_is_told_once(pool: Line) -> None:
    """Absent for too long is `left`; back with the ticket it is the same wait, which goes on."""
    pool.one("in")
    pool.use(pool.one("in"), keep_until_ms=T0_MS + DAY_MS)
    told = pool.again(pool.one("a", exam="x"), exam="x")
    pool.advance(700_000)
    assert [each.outcome for each in pool.waits("x")] == [Outcome.LEFT]
    pool.again(told, exam="x")
    assert [each.outcome for each in pool.waits("x")] == [Outcome.WAITING]


def test_returns_keep_the_line_of_the_first_time(pool: Line) -> None:
    """Who was in and waits to go back has waited once, whatever becomes of the return."""
    told = pool.one("a")
    pool.advance(31_000)
    pool.one("in")
    back = pool.again(told._replace(lane=Lane.RETURN))
    assert back.state is State.RETURNING
    (wait,) = [each for each in pool.waits() if each.visitor == "a"]
    assert (wait.outcome, wait.lane) == (Outcome.ADMITTED, Lane.STANDARD)
    pool.release("in")
    assert pool.again(told._replace(lane=Lane.RETURN)).state is State.ADMITTED
    assert [each.at_ms for each in pool.waits() if each.visitor == "a"] == [wait.at_ms]
    assert pool.client.llen(pool.key("waits")) == 2, "nor does a return push out what others' waits were"


@pytest.mark.parametrize("exam", ["", "x"])
def test_the_exam_moves_no_deadline(pool: Line, exam: str) -> None:
    """Absent in the first ms after the deadline and not before; forgotten when the grace is over, to the ms."""
    pool.use(pool.one("in"), keep_until_ms=T0_MS + DAY_MS)
    pool.one("other", exam="y")
    pool.again(pool.one("a", exam=exam), exam=exam)
    deadline_ms = int(pool.client.zscore(pool.key("due"), "a") or 0)
    pool.advance(deadline_ms - pool.now_ms)
    assert pool.snapshot().absent == 0
    pool.advance(1)
    assert pool.snapshot().absent == 1
    pool.advance(600_000 - 1)
    assert pool.snapshot().absent == 1
    pool.advance(1)
    assert pool.snapshot().absent == 0
    assert [each.outcome for each in pool.waits() if each.visitor == "a"] == [Outcome.LEFT]


@pytest.mark.parametrize("page", [1, 2, 3, 256])
def test_pages(pool: Line, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a page, everybody is there once, those of one and the same microsecond too."""
    monkeypatch.setattr(waits, "PAGE", page)
    for n in range(7):
        pool.one(f"in{n}")
        pool.release(f"in{n}")
    pool.one("in")
    pool.present(*[Presence(f"w{n}", arrival_us=T0_MS * 1000 + n // 2 if page > 2 else T0_MS * 1000 + n, confirmed=True)
                   for n in range(7)])  # fmt: skip
    told = [each.visitor for each in pool.waits()]
    assert sorted(told) == sorted([*(f"in{n}" for n in range(7)), "in", *(f"w{n}" for n in range(7))])


def test_it_is_bounded_and_forgotten() -> None:
    """At most WAITS_MAX ends are kept, the latest; a day later none."""
    text = library.source()
    assert "local WAITS_MAX = 200000 " in text
    small = Server()
    try:
        small.client.function_load(text.replace("local WAITS_MAX = 200000 ", "local WAITS_MAX = 3 "), replace=True)
        line = Line(small.client)
        line.write(rules(0, 1))
        for n in range(5):
            line.one(f"v{n}")
            line.release(f"v{n}")
        assert [each.visitor for each in line.waits()] == ["v4", "v3", "v2"]
        line.now_ms += DAY_MS - 1_000
        line.sweep()
        assert len(line.waits()) == 3
        line.advance(20_000)
        assert line.waits() == []
    finally:
        small.stop()


def test_numbers_of_exams_are_given_again(pool: Line) -> None:
    """Once nobody waits, the numbers are free: years of exams never use them up."""
    pool.one("in")
    pool.use(pool.one("in"), keep_until_ms=T0_MS + DAY_MS)
    for n in range(3):
        pool.one(f"v{n}", exam=f"x{n}")
    assert pool.client.hget(pool.key("state"), "exams") == b"3"
    pool.advance(20_000)
    assert pool.client.hget(pool.key("state"), "exams") is None
    assert not [name for name in pool.client.hkeys(pool.key("state")) if name.startswith(b"exam:")]
    pool.again(pool.one("v", exam="other"), exam="other")
    assert pool.client.hget(pool.key("state"), "exam:other") == b"1"
    assert [each.exam for each in pool.waits("other")] == ["other"]


def test_more_exams_than_numbers() -> None:
    """Beyond that an exam is not known, and nobody is told under a wrong one."""
    small = Server()
    try:
        text = library.source().replace("local EXAMS_MAX = 2047 ", "local EXAMS_MAX = 1 ")
        small.client.function_load(text, replace=True)
        line = Line(small.client)
        line.write(rules(1))
        line.one("in")
        for n in range(3):
            line.again(line.one(f"v{n}", exam=f"x{n}"), exam=f"x{n}")
        waiting = {each.visitor: each.exam for each in line.waits() if each.outcome is Outcome.WAITING}
        assert waiting == {"v0": "x0", "v1": "", "v2": ""}
    finally:
        small.stop()


@pytest.fixture(scope="module")
def deadlines(server: Server) -> Callable[[int, int, int], list[bytes]]:
    """The library's own two functions, by way of a sorted set: what is written is what is read back and asked for."""
    text = library.source()
    share = "local floor, EXAMS_MAX = math.floor, 2047\nlocal EXAM_SHARE = 1 / (EXAMS_MAX + 1)\n"
    functions = text[text.index("local function deadline_of") : text.index("-- The number of an exam in deadlines")]
    script = server.client.register_script(
        share
        + functions
        + """
        redis.call('DEL', KEYS[1])
        redis.call('ZADD', KEYS[1], deadline_of(tonumber(ARGV[1]), tonumber(ARGV[2])), 'a')
        local score, at = tonumber(redis.call('ZSCORE', KEYS[1], 'a')), tonumber(ARGV[3])
        return {
          tostring(number_in(score)), #redis.call('ZRANGEBYSCORE', KEYS[1], 0, '(' .. ARGV[3]),
          #redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', -at - 1), '(0'),
          #redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', at + 1), '+inf'),
        }"""
    )
    return lambda ms, number, at: script(keys=["deadlines"], args=[ms, number, at])


MOMENTS = st.integers(1, 2**42 - 1)


@given(st.data(), MOMENTS, st.integers(0, 2_047), st.booleans())
def test_a_deadline_and_an_exam_in_one_number(
    deadlines: Callable[[int, int, int], list[bytes]], data: st.DataObject, ms: int, number: int, absent: bool
) -> None:
    """The exam comes back, and every question about the deadline has the answer that the whole ms have, until 2109."""
    at = data.draw(st.sampled_from([ms - 1, ms, ms + 1]) | MOMENTS)
    said, overdue, long_absent, far = deadlines(-ms if absent else ms, number, at)
    assert int(float(said)) == number
    assert overdue == (not absent and ms < at)
    assert long_absent == (absent and ms <= at)
    assert far == (not absent and ms > at)
