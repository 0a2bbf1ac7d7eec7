"""Seeds and drawn places as the store keeps them: through reloads, repeats, absence and openings that move."""

import pytest

from tests.store.driver import T0_MS, Line, rules
from waitroom.admission.draw import PLACES, Lot
from waitroom.admission.line import Lane, Presence, Standing, State
from waitroom.admission.order import order_key
from waitroom.admission.view import ticket_code
from waitroom.admission.waits import Outcome
from waitroom.store import codec

OPENS_MS = T0_MS + 60_000
LOT = Lot(OPENS_MS, "5eed" * 16)


@pytest.fixture
def pool(line: Line) -> Line:
    line.write(rules(1, rate_milli=10_000))
    line.exams = {"x": OPENS_MS}
    return line


def draw(pool: Line, opens_ms: int, seed: str, exam: str = "x") -> Lot:
    """What a worker is told that proposes this seed."""
    reply = pool.call("wr_draw", codec.draw_arguments({exam: Lot(opens_ms, seed)}), {}, ())
    return codec.lots([exam], reply)[exam]


def place(visitor: str, opens_ms: int = OPENS_MS) -> int:
    return LOT.order_us(ticket_code(visitor), opens_ms)


def ask(pool: Line, visitor: str, arrival_us: int = 0, opens_ms: int = OPENS_MS) -> Standing:
    """A page or a poll of somebody in the lobby of a drawn exam."""
    return pool.one(
        visitor, arrival_us=arrival_us, order_us=place(visitor, opens_ms), exam="x", opens_ms=opens_ms,
        confirmed=arrival_us > 0,
    )  # fmt: skip


def gather(pool: Line, count: int) -> list[Standing]:
    told = []
    for n in range(count):
        pool.now_ms += 10
        one = ask(pool, f"s{n:03d}")
        told.append(ask(pool, one.visitor, one.arrival_us))
    return told


def test_the_first_seed_stays(pool: Line) -> None:
    """Of many workers, with other keys even, the first one's counts; also when the opening moves."""
    assert draw(pool, OPENS_MS, "a1") == Lot(OPENS_MS, "a1")
    assert draw(pool, OPENS_MS, "b2") == Lot(OPENS_MS, "a1")
    assert draw(pool, OPENS_MS + 600_000, "c3") == Lot(OPENS_MS + 600_000, "a1")
    assert draw(pool, T0_MS + 1_000, "d4") == Lot(T0_MS + 1_000, "a1")
    assert draw(pool, OPENS_MS, "e5", exam="y") == Lot(OPENS_MS, "e5"), "each exam has its own"


def test_a_seed_that_everybody_knows_draws_nothing_more(pool: Line) -> None:
    """Once the opening has come the seed is public: an opening put later then is drawn anew."""
    draw(pool, OPENS_MS, "a1")
    pool.now_ms = OPENS_MS
    assert draw(pool, OPENS_MS, "b2") == Lot(OPENS_MS, "a1"), "it can be checked"
    assert draw(pool, OPENS_MS - 5_000, "b2") == Lot(OPENS_MS, "a1")
    assert draw(pool, OPENS_MS + 600_000, "b2") == Lot(OPENS_MS + 600_000, "b2")
    assert draw(pool, OPENS_MS + 600_000, "c3") == Lot(OPENS_MS + 600_000, "b2")


def test_seeds_can_be_checked_for_a_month(pool: Line) -> None:
    """Then they are forgotten."""
    draw(pool, OPENS_MS, "a1")
    pool.now_ms = OPENS_MS + 30 * 86_400_000
    pool.sweep()
    assert draw(pool, OPENS_MS, "b2").seed == "a1"
    pool.now_ms += 1
    pool.sweep()
    assert draw(pool, OPENS_MS, "b2").seed == "b2"


def test_the_draw_decides(pool: Line) -> None:
    """Before and after the opening, by the numbers alone; who comes later stands behind all of them."""
    told = gather(pool, 30)
    told = [ask(pool, one.visitor, one.arrival_us) for one in told]
    assert [one.ahead for one in sorted(told, key=by_number_of)] == list(range(30))
    pool.now_ms = OPENS_MS
    told = [ask(pool, one.visitor, one.arrival_us) for one in sorted(told, key=by_number_of, reverse=True)]
    assert [one.state for one in told] == [State.WAITING] * 29 + [State.ADMITTED]
    late = pool.one("late", order_us=place("late"), exam="x", opens_ms=OPENS_MS)
    assert late.ahead == 29, "a worker whose clock is behind drew for somebody who came after the opening"


def by_number_of(one: Standing) -> int:
    return LOT.number(ticket_code(one.visitor))


def test_arrivals_are_kept_beside_the_draw(pool: Line) -> None:
    """What is said of waits is true: when each came, not when the opening was."""
    told = {one.visitor: one.arrival_us for one in gather(pool, 5)}
    assert len(set(told.values())) == 5
    assert {each.visitor: each.arrival_us for each in pool.waits()} == told
    pool.leave("s001")
    pool.now_ms = OPENS_MS
    best = min(told, key=lambda name: LOT.number(ticket_code(name)) if name != "s001" else PLACES + 1)
    assert ask(pool, best, told[best]).state is State.ADMITTED
    ended = {each.visitor: each for each in pool.waits()}
    assert {name: each.arrival_us for name, each in ended.items()} == told
    assert (ended["s001"].outcome, ended[best].outcome) == (Outcome.LEFT, Outcome.ADMITTED)


def test_a_repeated_newcomer_keeps_both(pool: Line) -> None:
    """A lost answer: the same place, and an arrival that is theirs."""
    one = ask(pool, "a")
    pool.now_ms += 1_000
    again = ask(pool, "a")
    assert (again.ahead, again.waiting) == (0, 1)
    assert one.arrival_us <= again.arrival_us <= pool.now_ms * 1000 + 1
    told = ask(pool, "a", one.arrival_us)
    pool.now_ms += 1_000
    assert ask(pool, "a").arrival_us == told.arrival_us == one.arrival_us


@pytest.mark.parametrize("by_ms", [-30_000, -400, 400, 30_000, 600_000])
def test_an_opening_that_moves_takes_its_draw_along(pool: Line, by_ms: int) -> None:
    """Who has not asked since the reload stands by their number among those who have."""
    told = gather(pool, 20)
    opens_ms = OPENS_MS + by_ms
    pool.exams = {"x": opens_ms}
    asked = [ask(pool, one.visitor, one.arrival_us, opens_ms) for one in told[:7]]
    numbers = sorted(by_number_of(one) for one in told)
    assert [one.ahead for one in asked] == [numbers.index(by_number_of(one)) for one in told[:7]]
    assert {one.waiting for one in asked} == {20}


def test_an_opening_that_moves_to_now(pool: Line) -> None:
    """The lobby opens, and newcomers are behind all of it."""
    gather(pool, 5)
    now_ms = pool.now_ms
    pool.exams = {"x": now_ms}
    assert pool.one("new", exam="x", opens_ms=now_ms).ahead == 5
    assert pool.one("other", exam="x", opens_ms=0).ahead == 6


def test_an_opening_that_is_taken_away(pool: Line) -> None:
    """An exam that needs no opening any more is open, and its lobby goes in before who comes now."""
    gather(pool, 5)
    pool.exams = {}
    assert pool.one("new", exam="x").ahead == 5
    assert pool.snapshot().waiting == {Lane.RETURN: 0, Lane.PRIORITY: 0, Lane.STANDARD: 6}


def test_who_leaves_a_lobby_and_comes_back_is_drawn_again(pool: Line) -> None:
    """At the same number: an arrival before the opening would stand ahead of all who are drawn."""
    told = gather(pool, 5)
    pool.leave("s002")
    back = ask(pool, "s002", told[2].arrival_us)
    assert back.arrival_us > told[2].arrival_us
    back = ask(pool, "s002", back.arrival_us)
    numbers = sorted(by_number_of(one) for one in told)
    assert back.ahead == numbers.index(by_number_of(back))


def test_absent_over_the_opening(pool: Line) -> None:
    """The record of somebody who is away says where they would stand."""
    told = gather(pool, 6)
    pool.advance(OPENS_MS - pool.now_ms - 500)
    for one in told[1:]:
        ask(pool, one.visitor, one.arrival_us)
    pool.advance(600)
    assert pool.snapshot().absent == 1
    key = order_key(Lane.STANDARD, place("s000"))
    stands, ahead, _ = pool.call("wr_where", ("s000", key), {"x": -1}, ())[2:]
    assert (stands, ahead) == (1, sum(by_number_of(one) < by_number_of(told[0]) for one in told))


def test_a_lost_store_loses_no_draw(pool: Line) -> None:
    """The places come back as their tickets show up: they are computed, not remembered."""
    told = gather(pool, 8)
    pool.now_ms = OPENS_MS + 5_000
    for key in pool.client.scan_iter(f"wr:{{{pool.pool}}}:*"):
        pool.client.delete(key)
    pool.write(rules(1, rate_milli=10_000))
    for _ in range(2):
        back = [ask(pool, one.visitor, one.arrival_us) for one in told]
    numbers = sorted(by_number_of(one) for one in told)
    assert [one.ahead for one in back] == [numbers.index(by_number_of(one)) for one in told]


def test_a_drawn_ticket_beats_as_cheaply_as_another(pool: Line) -> None:
    """While it waits as it came, only its deadline is written."""
    told = gather(pool, 3)
    pool.write(rules(0, version=2))
    pool.now_ms = OPENS_MS
    for one in told:
        ask(pool, one.visitor, one.arrival_us)
    exams, own = codec.present_arguments([
        Presence("s000", told[0].arrival_us, place("s000"), exam="x", opens_ms=OPENS_MS, confirmed=True)
    ])  # fmt: skip
    reply = pool.call("wr_present", own, exams, pool.backends)
    assert len(reply) == 6
    assert reply[2] & 32, "as it came"
