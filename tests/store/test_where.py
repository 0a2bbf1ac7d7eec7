"""Asking where a ticket stands: true in every state, and without a trace."""

import pytest

from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.line import Lane, State, Whereabouts
from waitroom.admission.order import order_key
from waitroom.store import codec

OPENS_MS = T0_MS + 60_000


@pytest.fixture
def pool(line: Line) -> Line:
    line.write(rules(1))
    line.exams = {"x": OPENS_MS}
    return line


def where(pool: Line, visitor: str, exam: str = "", order: int = T0_MS * 1000) -> Whereabouts:
    exams = {exam: -1} if exam else {}
    return codec.whereabouts(pool.call("wr_where", (visitor, order_key(Lane.STANDARD, order)), exams, ()))


def everything(pool: Line) -> dict[bytes, bytes | None]:
    return {key: pool.client.dump(key) for key in pool.client.scan_iter(f"wr:{{{pool.pool}}}:*")}


def test_every_state(pool: Line) -> None:
    """In line, ahead of whom; in a lobby; admitted since when; absent, where the order would be; nowhere."""
    inside = pool.one("inside")
    told = [pool.again(pool.one(name)) for name in ("a", "b", "c")]
    early = [
        pool.again(pool.one(name, exam="x", opens_ms=OPENS_MS), exam="x", opens_ms=OPENS_MS) for name in ("e", "f")
    ]
    assert where(pool, "inside") == Whereabouts(State.ADMITTED, 0, inside.admitted_ms)
    assert [where(pool, one.visitor).ahead for one in told] == [0, 1, 2]
    assert [where(pool, one.visitor, "x") for one in early] == [
        Whereabouts(State.LOBBY, 0, 0), Whereabouts(State.LOBBY, 1, 0),
    ]  # fmt: skip
    assert where(pool, "nobody") == Whereabouts(None)
    pool.again(pool.one("back", lane=Lane.RETURN, arrival_us=1))
    assert where(pool, "a") == Whereabouts(State.WAITING, 1)
    pool.advance(20_000)
    pool.again(told[2])
    assert where(pool, "b").state is State.WAITING, "absent, and its order is kept"
    assert where(pool, "c").ahead == 0, "absent tickets are not ahead of anybody"
    pool.advance(30_000)
    assert where(pool, "f", "x").state is State.LOBBY


def test_it_leaves_no_trace(pool: Line) -> None:
    """Not a byte of the pool changes, and the store itself would refuse to let it (no-writes)."""
    pool.again(pool.one("a"))
    pool.again(pool.one("b"))
    pool.again(pool.one("e", exam="x", opens_ms=OPENS_MS), exam="x", opens_ms=OPENS_MS)
    pool.now_ms += 40_000
    before = everything(pool)
    for name in ("a", "b", "e", "nobody"):
        where(pool, name, "x")
    assert everything(pool) == before
    assert len(before) >= 6
    flags = {
        function[1]: set(function[5])
        for _, _, _, _, _, functions in pool.client.function_list(library="waitroom")
        for function in functions
    }
    assert flags[b"wr_where"] == {b"no-writes"}
