"""One student, one place: with whatever browsers they come, in any order, the store knows one visitor of theirs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admission.line import Lane, Life, Presence, Standing, State

OPENS_MS = T0_MS + 60_000
ANN, BOB = "A" * 22, "B" * 22


@pytest.fixture
def pool(line: Line) -> Line:
    """One slot, and somebody in it for good."""
    line.write(rules(1))
    line.use(line.one("in"), keep_until_ms=T0_MS + 10**9)
    return line


def ask(pool: Line, visitor: str, identity: str = ANN, **more: object) -> Standing:
    """As a worker asks: again, as the visitor that it is told of."""
    told = pool.one(visitor, identity=identity, **more)
    for _ in range(3):
        if not told.elsewhere:
            return told
        lane = told.lane if told.arrival_us or told.lane is Lane.RETURN else Lane.STANDARD
        told = pool.one(
            told.visitor, identity=identity,
            **(more | {"arrival_us": told.arrival_us, "lane": lane, "confirmed": told.arrival_us > 0}),
        )  # fmt: skip
    raise AssertionError("told again and again to be somebody else")


def beat(pool: Line, before: Standing, identity: str = ANN, **more: object) -> Standing:
    return ask(pool, before.visitor, identity, arrival_us=before.arrival_us, lane=before.lane, confirmed=True, **more)


def test_a_second_browser_gets_the_same_place(pool: Line) -> None:
    """Waiting, absent and admitted; nobody else sees anything of it."""
    first = beat(pool, ask(pool, "one"))
    pool.again(pool.one("other"))
    second = ask(pool, "two")
    assert (second.visitor, second.arrival_us, second.ahead) == (first.visitor, first.arrival_us, 0)
    assert pool.snapshot().waiting[Lane.STANDARD] == 2
    assert pool.snapshot().arrivals_total == 3
    pool.advance(60_000)
    third = ask(pool, "three")
    assert (third.visitor, third.arrival_us, third.ahead) == (first.visitor, first.arrival_us, 0)
    pool.release("in")
    inside = ask(pool, "four")
    assert (inside.state, inside.visitor) == (State.ADMITTED, "one")
    again = ask(pool, "five")
    assert (again.visitor, again.backend, again.admitted_ms, again.repeated) == ("one", "b1", inside.admitted_ms, True)


@pytest.mark.parametrize("together", [True, False])
def test_two_tabs_race(pool: Line, together: bool) -> None:
    """In one batch of a worker, or in two at the same instant: one ticket."""
    batch = [Presence(name, identity=ANN) for name in ("one", "two")]
    told = pool.present(*batch) if together else [pool.present(each)[0] for each in batch]
    assert [each.elsewhere for each in told] == [False, True]
    assert told[1].visitor == "one"
    assert ask(pool, "two").visitor == "one"
    assert pool.snapshot().waiting[Lane.STANDARD] == 1
    assert pool.snapshot().arrivals_total == 2


def test_two_tabs_race_for_a_free_slot(line: Line) -> None:
    """One session, whichever of them is first."""
    line.write(rules(5))
    told = line.present(*[Presence(name, identity=ANN) for name in ("one", "two")])
    assert (told[0].state, told[1].elsewhere) == (State.ADMITTED, True)
    assert ask(line, "two").admitted_ms == told[0].admitted_ms
    assert line.snapshot().sessions["b1"] == 1


def test_who_signs_on_later(pool: Line) -> None:
    """A ticket of nobody becomes theirs, with its order."""
    told = pool.again(pool.one("one"))
    pool.again(pool.one("other"))
    mine = beat(pool, told)
    assert (mine.visitor, mine.arrival_us, mine.ahead) == ("one", told.arrival_us, 0)
    assert ask(pool, "two").visitor == "one"


def test_of_two_places_the_better_counts(pool: Line) -> None:
    """Known as the later of two tickets, and then seen with the earlier: that one stays, the other is given up."""
    early = pool.again(pool.one("early"))
    late = beat(pool, ask(pool, "late"))
    assert pool.snapshot().waiting[Lane.STANDARD] == 2
    mine = beat(pool, early)
    assert (mine.visitor, mine.ahead) == ("early", 0)
    assert pool.snapshot().waiting[Lane.STANDARD] == 1
    assert pool.snapshot().departures_total["left"] == 1
    assert beat(pool, late).visitor == "early", "the other browser is told so at its next poll"
    latest = pool.again(pool.one("latest"))
    assert beat(pool, latest).visitor == "early"
    assert pool.snapshot().waiting[Lane.STANDARD] == 1


def test_a_session_counts_before_a_place(pool: Line) -> None:
    """Waiting as one visitor and in as another: in, and the place is given up; two sessions become the known one."""
    waits = beat(pool, ask(pool, "waits"))
    pool.write(rules(5, version=2))
    inside = pool.again(pool.one("inside"))
    assert inside.state is State.ADMITTED
    mine = beat(pool, inside)
    assert (mine.state, mine.visitor) == (State.ADMITTED, "inside")
    assert beat(pool, waits).visitor == "inside"
    assert pool.snapshot().waiting[Lane.STANDARD] == 0
    second = pool.one("second")
    assert second.state is State.ADMITTED
    assert pool.snapshot().sessions["b1"] == 3
    mine = beat(pool, second)
    assert (mine.visitor, mine.repeated) == ("inside", True)
    assert pool.snapshot().sessions["b1"] == 2
    assert pool.use(second).life is Life.RELEASED


def test_who_lapsed_is_back_before_all_who_never_were_in(pool: Line) -> None:
    """Without a cookie too: the store remembers that they were."""
    pool.write(rules(2, version=2))
    inside = ask(pool, "one")
    assert inside.state is State.ADMITTED
    pool.advance(40_000)
    assert pool.snapshot().sessions["b1"] == 1
    pool.one("more")
    others = [pool.again(pool.one(name)) for name in ("o1", "o2")]
    back = ask(pool, "two")
    assert (back.visitor, back.state, back.ahead) == ("one", State.RETURNING, 0)
    assert pool.again(others[0]).ahead == 1


def test_who_left_keeps_the_visitor_and_not_the_place(pool: Line) -> None:
    """So nobody gets another number in a draw by leaving; the place is that of a newcomer."""
    first = beat(pool, ask(pool, "one"))
    pool.again(pool.one("other"))
    pool.leave("one")
    back = ask(pool, "two")
    assert (back.visitor, back.ahead) == ("one", 1)
    assert back.arrival_us > first.arrival_us


def test_in_a_drawn_lobby(pool: Line) -> None:
    """Whoever asks has the visitor's place, and the arrival is kept."""
    pool.exams = {"x": OPENS_MS}
    early = {"exam": "x", "opens_ms": OPENS_MS}
    place = OPENS_MS * 1000 - 77
    first = ask(pool, "one", order_us=place, **early)
    first = beat(pool, first, order_us=place, **early)
    pool.advance(20_000)
    told = pool.one("two", identity=ANN, order_us=OPENS_MS * 1000 - 5, **early)
    assert (told.elsewhere, told.visitor, told.arrival_us) == (True, "one", first.arrival_us)
    second = pool.one(
        "one", identity=ANN, arrival_us=told.arrival_us, order_us=place, confirmed=True, **early
    )  # fmt: skip
    assert (second.state, second.waiting) == (State.LOBBY, 1)
    assert pool.client.zscore(pool.key("lobby:x"), "one") == 2 * 3e15 + place


def test_names_of_before_a_key_was_added(pool: Line) -> None:
    """Found under any hash, and known under all from then on: the old key may go."""
    first = beat(pool, ask(pool, "one", identity="old"))
    second = ask(pool, "two", identity="new,old")
    assert second.visitor == first.visitor
    assert ask(pool, "three", identity="new").visitor == first.visitor


def test_two_students_are_two(pool: Line) -> None:
    """Whatever their browsers did before."""
    ann, bob = beat(pool, ask(pool, "one")), beat(pool, ask(pool, "two", BOB), BOB)
    assert (ann.visitor, bob.visitor, bob.ahead) == ("one", "two", 1)


def test_a_lost_store_learns_who_they_are(pool: Line) -> None:
    """From the tickets that show up."""
    first = beat(pool, ask(pool, "one"))
    for key in pool.client.scan_iter(f"wr:{{{pool.pool}}}:*"):
        pool.client.delete(key)
    pool.now_ms += 1_000
    pool.write(rules(1))
    beat(pool, first)
    assert ask(pool, "two").visitor == "one"


def test_names_are_forgotten_with_their_tickets(pool: Line) -> None:
    """Nothing is kept of somebody of whom nothing else is kept; whoever is still there is still known."""
    stays = beat(pool, ask(pool, "stays", BOB), BOB)
    for n in range(30):
        ask(pool, f"v{n}", f"{n:022d}")
    assert pool.client.hlen(pool.key("who")) == 31
    for _ in range(6):
        pool.advance(10_000)
        stays = beat(pool, stays, BOB)
    assert pool.client.hlen(pool.key("who")) == 1
    assert ask(pool, "again", BOB).visitor == "stays"


def test_a_batch_of_known_and_unknown_is_decided_one_by_one(pool: Line) -> None:
    """Sharing a call changes nobody's lot, also where somebody gives up a place in the middle of it."""
    single = Line(pool.client)
    single.write(rules(1))
    single.use(single.one("in"), keep_until_ms=T0_MS + 10**9)
    batch = [Presence(f"v{n}", identity=["", ANN, BOB][n % 3]) for n in range(12)]
    late = [Presence("w", identity=ANN), Presence("v0", 1, identity=ANN, confirmed=True), Presence("v3", identity="")]
    assert pool.present(*batch, *late) == [single.present(each)[0] for each in (*batch, *late)]
    assert pool.snapshot() == single.snapshot()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(["", ANN, BOB]), st.integers(0, 9_000)),
        min_size=1,
        max_size=30,
    )
)
def test_never_two_places_of_one_student(server: Server, steps: list[tuple[str, str, int]]) -> None:
    """Browsers that poll, sign on and switch students in any order: after each answer a student who is known has one
    place or one session, and nobody is told to be a visitor of somebody else."""
    pool = Line(server.client)
    pool.write(rules(2))
    held: dict[str, Standing] = {}
    owner: dict[str, str] = {}
    for browser, identity, ms in steps:
        pool.now_ms += ms
        pool.sweep()
        before = held.get(browser)
        if before is not None and identity and owner.get(before.visitor, identity) != identity:
            before = None
        name = identity or (owner.get(before.visitor, "") if before else "")
        told = beat(pool, before, name) if before else ask(pool, f"{browser}{len(owner)}-{pool.now_ms}", name)
        held[browser] = told
        if name:
            assert owner.setdefault(told.visitor, name) == name
            own = [visitor for visitor, whose in owner.items() if whose == name]
            places = [pool.client.zscore(pool.key("awake"), visitor) is not None for visitor in own]
            sessions = [pool.client.hexists(pool.key("passes"), visitor) for visitor in own]
            assert sum(places) + sum(sessions) == 1
