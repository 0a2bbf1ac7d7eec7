"""Law 9: a store that has forgotten what it said is found out, whoever comes first; and no clock raises the alarm."""

import redis

from tests.store.driver import Line, rules
from waitroom.admission.line import Presence, Standing, State

RESTORE_MS = 60_000
HOUR_MS = 3_600_000


def prove(line: Line, heard_ms: int, cut_ms: int = 0, *, stamped: bool = False) -> int:
    return int(line.call("wr_prove", (heard_ms, cut_ms, int(stamped)), {}, ())[2])


def copy_of(line: Line) -> dict[bytes, bytes]:
    """What a replica has of the pool at this instant."""
    keys = line.client.keys(line.key("*"))
    return {key: line.client.dump(key) for key in keys if line.client.exists(key)}


def promote(line: Line, copy: dict[bytes, bytes]) -> None:
    """The replica is the primary now, with what it had."""
    for key in line.client.keys(line.key("*")):
        line.client.delete(key)
    for key, value in copy.items():
        line.client.restore(key, 0, value)


def behind(line: Line, by_ms: int = 3_000) -> tuple[dict[bytes, bytes], Standing]:
    """A pool with one slot taken; the replica's copy; and who was let in afterwards, which the copy does not know."""
    line.write(rules(2, rate_milli=0))
    line.one("in")
    copy = copy_of(line)
    line.now_ms += by_ms
    return copy, line.one("forgotten")


def test_a_replica_that_was_behind_admits_nobody_until_the_line_is_whole(line: Line) -> None:
    """A worker shows what it was told last: a minute's freeze before anybody is served; sessions come back by use."""
    copy, forgotten = behind(line)
    heard = line.now_ms
    promote(line, copy)
    line.now_ms += 2_000
    assert prove(line, heard) == heard
    newcomer = line.one("new")
    assert newcomer.state is State.WAITING
    assert line.use(forgotten).life.value == "live"
    assert sum(line.snapshot().sessions.values()) == 2
    line.advance(RESTORE_MS - 1_000, 1_000)
    assert line.again(newcomer).state is State.WAITING
    line.release("in")
    line.advance(2_000)
    assert line.again(newcomer).state is State.ADMITTED


def test_without_the_proof_the_forgotten_session_would_be_given_away(line: Line) -> None:
    """What the freeze is for: the same morning, and nobody shows anything."""
    copy, forgotten = behind(line)
    promote(line, copy)
    line.now_ms += 2_000
    assert line.one("new").state is State.ADMITTED
    line.use(forgotten)
    assert sum(line.snapshot().sessions.values()) == 3


def test_newcomers_come_behind_all_who_may_have_been_forgotten(line: Line) -> None:
    """Also where the clock of the new primary is behind."""
    line.write(rules(0))
    copy = copy_of(line)
    line.now_ms += 3_000
    forgotten = line.again(line.one("forgotten"))
    heard = line.now_ms
    promote(line, copy)
    line.now_ms -= 900
    prove(line, heard)
    newcomer = line.one("new")
    assert newcomer.arrival_us > forgotten.arrival_us
    assert line.again(forgotten).ahead == 0


def test_one_loss_is_proved_once(line: Line) -> None:
    """Other workers and late tickets prove the same loss: the freeze does not grow."""
    copy, _ = behind(line)
    heard = line.now_ms
    promote(line, copy)
    line.now_ms += 2_000
    prove(line, heard - 500)
    frozen = line.client.hget(line.key("state"), "freeze")
    line.advance(30_000)
    prove(line, heard)
    line.present(Presence("late", (heard - 100) * 1000, confirmed=True, stamped=True))
    assert line.client.hget(line.key("state"), "freeze") == frozen
    line.advance(31_000)
    prove(line, heard)
    line.present(Presence("later", heard * 1000, confirmed=True, stamped=True))
    assert line.client.hget(line.key("state"), "freeze") == frozen


def test_a_ticket_proves_it_where_no_worker_lived_on(line: Line) -> None:
    """The machine crashed and its file lost a second: a stamp later than any that the store remembers."""
    line.write(rules(2))
    copy = copy_of(line)
    line.now_ms += 900
    told = line.one("a")
    promote(line, copy)
    line.now_ms += 20_000
    line.present(Presence("a", told.arrival_us, confirmed=True, stamped=True))
    assert line.one("new").state is State.WAITING


def test_a_place_stamped_without_the_store_proves_nothing(line: Line) -> None:
    """Its stamp is this machine's, as late as it pleases."""
    line.write(rules(2))
    line.one("a")
    line.now_ms += 5_000
    local = Presence("local", (line.now_ms - 1) * 1000, confirmed=True)
    assert line.present(local)[0].state is State.ADMITTED


def test_an_empty_store_is_found_out_before_the_first_visitor(line: Line) -> None:
    """Nobody with an old ticket has come yet, and yet nobody enters."""
    line.write(rules(2))
    heard = line.one("a").now_ms
    promote(line, {})
    line.now_ms += 500
    prove(line, heard)
    line.write(rules(2))
    assert line.one("new").state is State.WAITING


def test_a_store_that_forgot_nothing_is_never_accused(line: Line) -> None:
    """Whatever its clock does, and whoever asks."""
    line.write(rules(50))
    heard = [line.one("a").now_ms]
    for n, jump in enumerate([1_000, -400, -HOUR_MS, 2_000, HOUR_MS, 100, -5_000]):
        line.now_ms += jump
        for each in heard:
            prove(line, each)
        assert line.one(f"v{n}").state is State.ADMITTED, jump
        heard.append(line.now_ms)


def test_to_prove_nothing_writes_nothing(line: Line) -> None:
    """It is said every second by every worker; but a server that cannot write refuses it, and is found out."""
    line.write(rules(1))
    line.one("a")
    before = line.client.hgetall(line.key("state"))
    line.now_ms += 700
    assert prove(line, line.now_ms - 700) == line.now_ms - 700
    assert line.client.hgetall(line.key("state")) == before
    line.client.replicaof("127.0.0.1", 1)
    try:
        prove(line, 0)
        raise AssertionError("a replica took it")
    except redis.ReadOnlyError:
        pass
    finally:
        line.client.replicaof("no", "one")


def waiting_line(line: Line) -> list[Standing]:
    line.write(rules(1, grace_ms=600_000))
    line.use(line.one("in"), keep_until_ms=line.now_ms + HOUR_MS)
    return [line.again(line.one(f"v{n}")) for n in range(3)]


def test_a_cut_costs_nobody_their_turn(line: Line) -> None:
    """Who could not be heard counts as present for 15 s: the first to ask again is not let past the head."""
    waits = waiting_line(line)
    line.now_ms += 9_000  # longer than the head's deadline, shorter than what the store itself notices
    prove(line, line.now_ms - 9_000, 9_000)
    line.release("in")
    assert line.again(waits[2]).state is State.WAITING
    assert line.again(waits[0]).state is State.ADMITTED
    line.advance(30_000, 1_000)
    assert line.again(waits[2]).ahead == 0


def test_newcomers_of_a_cut_enter_in_the_order_of_their_stamps(line: Line) -> None:
    """Each has 4 s to come back before the first of them is let in."""
    line.write(rules(1))
    line.sweep()
    line.now_ms += 6_000
    prove(line, 0, 6_000, stamped=True)
    early, late = (Presence(n, (line.now_ms - ms) * 1000, confirmed=True) for n, ms in (("e", 4_000), ("l", 2_000)))
    assert line.present(late)[0].state is State.WAITING
    line.advance(3_000, 1_000)
    assert line.present(early)[0].state is State.WAITING
    line.advance(1_000, 1_000)
    assert [one.state for one in line.present(late, early)] == [State.WAITING, State.ADMITTED]


def test_a_worker_whose_connection_flaps_stops_neither_line_nor_clock(line: Line) -> None:
    """A cut every five seconds: absent tickets still leave the way free, and admissions go on most of the time."""
    waits = waiting_line(line)
    line.release("in")
    admitted = 0
    for _ in range(60):
        line.advance(1_000, 1_000)
        if line.now_ms // 1_000 % 5 == 0:
            prove(line, line.now_ms - 1_000, 1_000, stamped=True)
        admitted += line.again(waits[2]).state is State.ADMITTED
    assert admitted
