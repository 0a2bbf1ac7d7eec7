"""09:00:00: 1,400 students who are inside click Start at once, with and without a pace, in virtual time.

The exam server is the sample's model (demo/model.py) at the size of a university's: 16 cores, 90 workers as in Udelar's
load test of 2026, memory for all. Start attempts take a lock in the database, so that 90 of them at once get less done
than 16; the more come together, the fewer are finished.
"""

from tests.store.clicks import LONG_MS, Crowd, Pace, Student
from tests.store.driver import Server
from waitroom.demo.model import START, Capacity, Cause, Done, Machine

STUDENTS = 1_400
SIZE = Capacity(cores=16, workers=90, backlog=511, ram_mib=16_384, swap_mib=2_048)
RATE_MILLI = 15_000
"""Of the 22 a second that it can finish at best."""


def served(clicks_ms: list[int]) -> tuple[Machine, dict[int, float]]:
    """The machine after these start attempts, and how long each took that was answered."""
    machine, took_ms = Machine(SIZE), dict[int, float]()
    for _ in range(STUDENTS):
        machine.sign_in()

    def live(until_ms: float) -> None:
        while (moment := machine.next_ms()) is not None and moment <= until_ms and machine.running:
            for event in machine.advance(moment):
                if isinstance(event, Done):
                    took_ms[event.request] = moment - clicks_ms[event.request]

    for number, at_ms in enumerate(clicks_ms):
        live(at_ms)
        machine.advance(at_ms)
        machine.arrive(at_ms, number, START)
    live(clicks_ms[-1] + LONG_MS)
    return machine, took_ms


def test_without_a_pace_it_dies_of_the_click() -> None:
    """Within seconds, with hardly anybody served: Liège."""
    machine, took_ms = served([0] * STUDENTS)
    assert [death.cause for death in machine.deaths] == [Cause.CHOKED]
    assert machine.deaths[0].at_ms < 10_000
    assert len(took_ms) < STUDENTS / 10


def test_with_a_pace_all_have_started_in_a_minute_and_a_half(server: Server) -> None:
    """Nobody is refused, each attempt is answered within two seconds of its turn, and those who wait see when."""
    students = [Student(at_ms=0, patience_ms=20_000, line_ms=80) for _ in range(STUDENTS)]
    crowd = Crowd(Pace(server.client, RATE_MILLI, 3), students)
    crowd.run()
    clicks_ms = [at_ms for at_ms, _, _ in crowd.passed]
    assert len({name for _, name, _ in crowd.passed}) == len(clicks_ms) == STUDENTS
    assert clicks_ms[-1] <= 1_000 * STUDENTS * 1_000 / RATE_MILLI + 500
    machine, took_ms = served(clicks_ms)
    assert machine.deaths == []
    assert machine.refused == 0
    assert len(took_ms) == STUDENTS
    assert max(took_ms.values()) < 2_000
    assert all(abs(crowd.promised[name] - at_ms) < 100 for at_ms, name, _ in crowd.passed)
