"""The models of exam servers: each carries what it documents, and beyond that each fails in its own way."""

import heapq
import itertools
from random import Random

import pytest

from tests.simulation.backends import AUTOSAVE, LOGIN, LOGOUT, PAGE, Backend, Shape
from waitroom.demo.model import Cause, Died, Done, Event, Verdict

CARRIES = {Shape.CPU: 400, Shape.POOL: 1_200, Shape.LOCKS: 600, Shape.MEMORY: 380}
TOO_MANY = {Shape.CPU: 800, Shape.POOL: 2_200, Shape.LOCKS: 1_100, Shape.MEMORY: 760}
WRITING_MS = (18_000, 42_000)
"""Between two requests of a student who writes."""


class Room:
    """Students who write, and ask again after an error: a closed loop."""

    def __init__(self, backend: Backend, students: int, seed: int = 1) -> None:
        self.backend, self.chance = backend, Random(seed)
        self.answered_ms: list[float] = []
        self.failed = 0
        self._numbers = itertools.count()
        self._clicks = [(self.chance.uniform(0, 30_000), student, student % 2) for student in range(students)]
        heapq.heapify(self._clicks)
        self._asked: dict[int, tuple[float, int, int]] = {}

    def run(self, until_ms: float) -> None:
        """Let time go by."""
        while (now_ms := min(self._clicks[0][0], self.backend.next_ms() or float("inf"))) <= until_ms:
            for event in self.backend.advance(now_ms):
                self._happened(event, now_ms)
            while self._clicks and self._clicks[0][0] <= now_ms:
                self._click(now_ms, *heapq.heappop(self._clicks)[1:])
            if not self._clicks:
                heapq.heappush(self._clicks, (float("inf"), -1, 0))

    def _click(self, now_ms: float, student: int, done: int) -> None:
        number, work = next(self._numbers), (PAGE, AUTOSAVE)[done % 2]
        if self.backend.arrive(now_ms, number, work, str(student)) is Verdict.ACCEPTED:
            self._asked[number] = now_ms, student, done
        else:
            self._fail(now_ms, student, done)

    def _happened(self, event: Event, now_ms: float) -> None:
        if isinstance(event, Done):
            asked_ms, student, done = self._asked.pop(event.request)
            self.answered_ms.append(now_ms - asked_ms)
            heapq.heappush(self._clicks, (now_ms + self.chance.uniform(*WRITING_MS), student, done + 1))
        elif isinstance(event, Died):
            for _, student, done in self._asked.values():
                self._fail(now_ms, student, done)
            self._asked.clear()

    def _fail(self, now_ms: float, student: int, done: int) -> None:
        self.failed += 1
        heapq.heappush(self._clicks, (now_ms + self.chance.uniform(1_000, 5_000), student, done))


@pytest.mark.parametrize("shape", Shape)
def test_carries_what_it_says(shape: Shape) -> None:
    """Nobody is refused, nothing dies, and an answer takes at most a few times what it takes alone."""
    room = Room(Backend(shape), CARRIES[shape])
    room.run(180_000)
    assert (room.failed, room.backend.deaths) == (0, [])
    assert sorted(room.answered_ms)[len(room.answered_ms) * 95 // 100] < 1_000


@pytest.mark.parametrize("shape", Shape)
def test_too_many_fail_in_its_own_way(shape: Shape) -> None:
    """The pool chokes, memory runs out; the other two do not die, they get slower than anybody waits."""
    room = Room(Backend(shape), TOO_MANY[shape])
    room.run(300_000)
    expected = {Shape.POOL: Cause.CHOKED, Shape.MEMORY: Cause.MEMORY}.get(shape)
    assert {died.cause for died in room.backend.deaths} == ({expected} if expected else set())
    if expected is None:
        assert max(room.answered_ms[-1_000:]) > 10_000


def test_locks_do_less_with_more() -> None:
    """Nine at a time get more done than sixty: what nothing but a limit from outside cures."""
    done = []
    for level in (9, 60):
        backend, numbers = Backend(Shape.LOCKS), itertools.count()
        for _ in range(level):
            backend.arrive(0, next(numbers), PAGE, "s")
        ended = 0
        while (now_ms := backend.next_ms()) is not None and now_ms < 60_000:
            for _ in backend.advance(now_ms):
                ended += 1
                backend.arrive(now_ms, next(numbers), PAGE, "s")
        done.append(ended)
    assert done[0] > 2 * done[1]


def test_sessions_take_memory_until_they_end() -> None:
    """A session begins with its first answer, once, and ends with a log-out or a time-out."""
    backend = Backend(Shape.MEMORY)
    idle_mib = backend.machine.memory_mib
    for number, (session, work) in enumerate([("a", LOGIN), ("b", PAGE), ("a", PAGE)]):
        backend.arrive(0, number, work, session)
    backend.advance(5_000)
    assert backend.sessions == {"a", "b"}
    assert backend.machine.memory_mib == idle_mib + 2 * Shape.MEMORY.value.session_mib
    backend.arrive(5_000, 9, LOGOUT, "a")
    backend.advance(6_000)
    backend.forget("b")
    assert (backend.sessions, backend.machine.memory_mib) == (set(), idle_mib)


def test_hindered() -> None:
    """A backup on the same hardware: twice as slow for as long as it runs."""
    backend = Backend(Shape.CPU)
    backend.hinder(2)
    backend.arrive(0, 1, PAGE, "s")
    assert backend.next_ms() == pytest.approx(2 * PAGE.cpu_ms)
    backend.advance(PAGE.cpu_ms)
    backend.hinder(1)
    assert backend.next_ms() == pytest.approx(1.5 * PAGE.cpu_ms)
