"""The capacity model: carries what it documents, dies beyond it, and dies again of an unpaced return."""

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from waitroom.demo.model import (
    AUTOSAVE,
    LOGIN,
    LOGOUT,
    PAGE,
    START,
    SUBMIT,
    Back,
    Capacity,
    Cause,
    Died,
    Done,
    Machine,
    Verdict,
    Work,
)

EXAM: tuple[Work, ...] = (PAGE, LOGIN, PAGE, START, PAGE, *([AUTOSAVE] * 5), SUBMIT, PAGE, LOGOUT)
ROUNDS = 20_000
"""Steps after which a simulated crowd must have come to its end."""


@dataclass(slots=True)
class Sitting:
    """A closed crowd on virtual time: each student clicks, waits for the answer, thinks, clicks again."""

    machine: Machine
    chance: Random
    think_ms: float
    patience: int = 30
    now_ms: float = 0.0
    submitted: int = 0
    gave_up: int = 0
    worst_ms: float = 0.0
    events: list[Died | Back] = field(default_factory=list)
    _clicks: list[tuple[float, int]] = field(default_factory=list)
    _step: dict[int, int] = field(default_factory=dict)
    _errors: dict[int, int] = field(default_factory=dict)
    _asked: dict[int, tuple[int, float]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def come(self, students: int, within_ms: float) -> None:
        """All of them arrive."""
        for student in range(students):
            self._step[student] = self._errors[student] = 0
            heapq.heappush(self._clicks, (self.chance.uniform(0, within_ms), student))

    def run(self) -> None:
        """Until everybody has submitted or given up."""
        for _ in range(ROUNDS):
            click_ms = self._clicks[0][0] if self._clicks else float("inf")
            event_ms = self.machine.next_ms()
            if event_ms is not None and event_ms <= click_ms:
                self.now_ms = event_ms
                self._live()
            elif self._clicks:
                self.now_ms, student = heapq.heappop(self._clicks)
                self._live()
                self._click(student)
            else:
                return
        raise AssertionError("the crowd did not come to an end")

    def _live(self) -> None:
        for event in self.machine.advance(self.now_ms):
            match event:
                case Done(number):
                    self._answered(*self._asked.pop(number))
                case Died():
                    self.events.append(event)
                    for student, _ in self._asked.values():
                        self._step[student] = 0
                        self._fail(student)
                    self._asked.clear()
                    self._step = dict.fromkeys(self._step, 0)
                case Back():
                    self.events.append(event)

    def _click(self, student: int) -> None:
        number = next(self._numbers)
        verdict = self.machine.arrive(self.now_ms, number, EXAM[self._step[student]])
        if verdict is Verdict.ACCEPTED:
            self._asked[number] = student, self.now_ms
        else:
            self._fail(student)

    def _answered(self, student: int, asked_ms: float) -> None:
        self.worst_ms = max(self.worst_ms, self.now_ms - asked_ms)
        work = EXAM[self._step[student]]
        if work is LOGIN:
            self.machine.sign_in()
        self._step[student] += 1
        if work is LOGOUT:
            self.machine.sign_out()
            self.submitted += 1
        else:
            self._later(student, self.think_ms * self.chance.uniform(0.6, 1.4))

    def _fail(self, student: int) -> None:
        self._errors[student] += 1
        if self._errors[student] > self.patience:
            self.gave_up += 1
        else:
            self._later(student, self.chance.uniform(300, 2_000))

    def _later(self, student: int, after_ms: float) -> None:
        heapq.heappush(self._clicks, (self.now_ms + after_ms, student))


def sitting(students: int, *, seed: int = 1, within_ms: float = 3_000) -> Sitting:
    crowd = Sitting(Machine(Capacity()), Random(seed), think_ms=1_200)
    crowd.come(students, within_ms)
    crowd.run()
    return crowd


@pytest.mark.parametrize("seed", range(5))
def test_within_capacity_everybody_submits(seed: int) -> None:
    """As many students as the documented sessions, all in the same second: nobody is refused, nothing dies."""
    crowd = sitting(Capacity().sessions, seed=seed, within_ms=1_000)
    assert (crowd.submitted, crowd.machine.refused, crowd.events) == (60, 0, [])


def test_answers_slow_down_with_load() -> None:
    """Ten students at once get answers within a second; sixty wait several times longer."""
    quiet, busy = sitting(10), sitting(60, within_ms=1_000)
    assert quiet.worst_ms < 1_000
    assert busy.worst_ms > 3 * quiet.worst_ms


@pytest.mark.parametrize("seed", range(5))
def test_beyond_capacity_it_dies_and_dies_again(seed: int) -> None:
    """200 students at once kill it, and since all of them press reload, it is killed again after each return."""
    crowd = sitting(200, seed=seed)
    deaths = [event for event in crowd.events if isinstance(event, Died)]
    assert len(deaths) >= 3
    assert crowd.submitted < 100
    lives_ms = [died.at_ms - back.at_ms for back, died in zip(crowd.events[1::2], crowd.events[2::2], strict=False)]
    assert min(lives_ms) < 10_000


def test_the_same_seed_is_the_same_morning() -> None:
    """Nothing but the seed decides."""
    first, second = sitting(200, seed=3), sitting(200, seed=3)
    assert first.events == second.events
    assert (first.submitted, first.gave_up) == (second.submitted, second.gave_up)


def test_paced_return_survives() -> None:
    """The same 200 students, let in as places come free, all get through on the same machine."""
    machine, submitted = Machine(Capacity()), 0
    for wave in range(5):
        crowd = Sitting(machine, Random(wave), think_ms=1_200)
        crowd.now_ms = 1e6 * wave
        crowd.come(40, 1e6 * wave + 3_000)
        crowd.run()
        submitted += crowd.submitted
    assert (submitted, machine.deaths) == (200, [])


def test_out_of_memory() -> None:
    """Sessions beyond RAM and swap kill it at once."""
    machine = Machine(Capacity())
    size = machine.capacity
    room = (size.ram_mib + size.swap_mib - size.base_mib) // size.session_mib
    for _ in range(room):
        machine.sign_in()
    assert machine.advance(1.0) == []
    machine.sign_in()
    assert machine.advance(2.0) == [Died(1.0, Cause.MEMORY, room + 1)]
    assert machine.sessions == 0


def test_swapping_slows_everything() -> None:
    """Memory beyond RAM is paid in time before it is paid in death."""
    machine = Machine(Capacity())
    for _ in range(100):
        machine.sign_in()
    assert machine.slowness >= 2


def test_cold_after_a_return() -> None:
    """The first request after a death takes `cold` times as long as on the warm machine."""
    machine = Machine(Capacity(cores=1, workers=1, backlog=1, choke_ms=10, restart_ms=100))
    machine.arrive(0, 0, Work("long", 1e9))
    machine.arrive(0, 1, PAGE)
    assert machine.advance(109) == [Died(10, Cause.CHOKED, 0)]
    assert machine.arrive(109, 2, PAGE) is Verdict.DOWN
    assert machine.advance(110) == [Back(110)]
    machine.arrive(110, 3, PAGE)
    assert machine.next_ms() == pytest.approx(110 + PAGE.cpu_ms * machine.capacity.cold)


def test_a_backlog_that_drains_is_forgiven() -> None:
    """Full for a moment is not choked: half empty before the time is over, and nobody is restarted."""
    machine = Machine(Capacity(cores=1, workers=1, backlog=2, choke_ms=1_000))
    for number in range(3):
        machine.arrive(0, number, PAGE)
    assert machine.arrive(0, 3, PAGE) is Verdict.REFUSED
    assert machine.advance(5_000) == [Done(0), Done(1), Done(2)]
    assert machine.up


def test_locks_do_not_share() -> None:
    """Two start attempts at once take longer than two pages of the same work: they want the same lock."""
    heavy, light = Machine(Capacity()), Machine(Capacity())
    for number in range(2):
        heavy.arrive(0, number, START)
        light.arrive(0, number, Work("page", START.cpu_ms))
    assert heavy.next_ms() == pytest.approx(START.cpu_ms * (1 + Capacity().contention))
    assert light.next_ms() == pytest.approx(START.cpu_ms)
