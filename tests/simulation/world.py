"""A simulated morning from its seed: workers, store, backends, operators and a crowd, with everything that goes wrong.

Law: a run follows from its seed alone. Faults end after `FAULTS_S`; then everybody who still waits must get in before
the run is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from random import Random

from structlog.typing import EventDict

from tests.simulation.browsers import Browser, Network, visitor_of
from tests.simulation.crowds import SHAPES, lives
from tests.simulation.faults import Faults, drawn
from tests.simulation.referee import Referee
from tests.simulation.settings import House
from tests.simulation.settings import drawn as drawn_house
from tests.simulation.storehouse import Server, Store, Troubles
from tests.simulation.students import Habits, Student
from tests.simulation.virtual import T0_MS, Process, VirtualLoop
from tests.simulation.workers import Worker, pause, until
from tests.support.requests import Asked
from waitroom.proxy.decisions import Relay
from waitroom.server.checks import Patient
from waitroom.settings.care import Health

FAULTS_S = 360.0
END_S = 3_600.0
ACTS_END_S = 95.0
"""What began before the end of the faults is over by then."""
ALONE_S = 5.0
"""So long after a connection to the store broke a worker may have acted without it."""

CROWD = (25, 60)
WORKERS = (2, 3)

Act = Callable[[Random], Awaitable[None]]
"""Something that happens now and then."""

_QUIET = frozenset({"conductor_lease"})


@dataclass(slots=True)
class World:
    """One run."""

    seed: int
    loop: VirtualLoop
    store: Store
    referee: Referee
    faults: Faults
    house: House
    network: Network
    chance: Random
    students: list[Student] = field(default_factory=list)
    dead_backends: set[str] = field(default_factory=set)
    shape: str = ""
    _taken_ms: int = T0_MS
    _numbers: int = 0
    _store_in_trouble: bool = False

    @classmethod
    def of(cls, seed: int, loop: VirtualLoop, server: Server, referee: Referee) -> "World":
        """The world of a seed, before anything has happened."""
        chance = Random(f"{seed}/world")
        faults, house = drawn(chance), drawn_house(chance, FAULTS_S)
        troubles = Troubles(faults.store_call_lost, faults.store_reply_lost)
        store = Store(server, loop, Random(f"{seed}/store"), troubles, referee.watch)
        network = Network(loop, Random(f"{seed}/network"), faults)
        world = cls(seed, loop, store, referee, faults, house, network, chance)
        world._invite()
        return world

    def _invite(self) -> None:
        self.shape = self.chance.choice(sorted(SHAPES))
        crowd = lives(
            str(self.seed), self.chance.randint(*CROWD), exams=("MATH", "LAW"), shape=SHAPES[self.shape],
            span_s=FAULTS_S / 2, works_s=self.chance.uniform(20.0, 70.0), habits=Habits(),
        )  # fmt: skip
        for life in crowd:
            browser = Browser(life.name, self.network, told=self.referee.told)
            chance = Random(f"{self.seed}/chance/{life.name}")
            self.students.append(Student(life, browser, chance, self.referee, self.is_calm))

    def is_calm(self) -> bool:
        """Whether faults are over."""
        return self.loop.time() >= FAULTS_S

    # Workers

    def start_worker(self) -> Worker:
        """One more worker process, on a machine whose clock is nearly right."""
        self._numbers += 1
        process = Process(f"w{self._numbers}", self.chance.randint(-3_000, 3_000))
        worker = Worker.begin(process, self.loop, self.carry, self.house.settings(), self._taken_ms)
        self.network.workers[worker.name] = worker
        self.referee.tell(worker.name, "starts")
        return worker

    def carry(self, request: Asked, relay: Relay) -> int:
        """A request reaches its backend."""
        backend = relay.target.partition("/")[2]
        if relay.cookie is None:  # with one, somebody has been let in just now
            alone = self.loop.time() - self.store.broken_s < ALONE_S
            self.referee.reached(visitor_of(request), backend, alone=alone)
        return 0 if backend in self.dead_backends else 200

    async def checked(self, patient: Patient, _health: Health, _tls: object) -> tuple[int, str]:
        """The conductor looks whether a backend answers."""
        if patient.url.host in self.dead_backends:
            raise ConnectionRefusedError("nobody listens")
        return 200, ""

    def reload(self, house: House, why: str) -> None:
        """An operator changes the settings; workers take them in one after another."""
        self.house = house
        self._taken_ms = max(T0_MS + int(self.loop.time() * 1000), self._taken_ms + 1)
        self.referee.tell("operator", why)
        for worker in self.network.living():
            self.loop.call_later(
                self.chance.uniform(0.0, 1.5), self._reload_one, worker, house, self._taken_ms, context=Context()
            )

    def _reload_one(self, worker: Worker, house: House, taken_ms: int) -> None:
        if worker.ready:
            worker.reload(house.settings(), taken_ms)

    # The run

    async def run(self, acts: Mapping[str, Act]) -> None:
        """The whole morning; `acts` are what may go wrong, by the names of `Faults`."""
        self.store.begin()
        for _ in range(self.chance.randint(*WORKERS)):
            self.start_worker()
        await until(lambda: any(worker.ready for worker in self.network.workers.values()))
        tasks = [asyncio.ensure_future(student.morning()) for student in self.students]
        tasks += [asyncio.ensure_future(each.other_tab()) for each in self.students if each.life.second_tab]
        for name, act in acts.items():
            if rate := getattr(self.faults, name, 0.0):
                tasks.append(asyncio.ensure_future(self._plague(rate, Random(f"{self.seed}/plague/{name}"), act)))
        await pause(FAULTS_S)
        self.network.faults = Faults()
        self.store.troubles = Troubles()
        await pause(ACTS_END_S)
        await acts["all_clear"](self.chance)
        while self.loop.time() < END_S and not all(student.done for student in self.students):
            await pause(1.0)
        self._last_word()
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
            task.cancel()

    async def _plague(self, a_minute: float, chance: Random, act: Act) -> None:
        while True:
            await pause(chance.expovariate(a_minute / 60))
            if self.is_calm():
                return
            await act(chance)

    def _last_word(self) -> None:
        for student in self.students:
            if not student.done:
                self.referee.complain("3 progress", f"{student.name} never got in, or never could finish")

    def heard(self, process: str, event: EventDict) -> None:
        """What a worker logs is part of the story."""
        what = str(event.pop("event", ""))
        if what in _QUIET:
            return
        more = " ".join(f"{key}={value}" for key, value in sorted(event.items()) if key != "exc_info")
        self.referee.tell(process, f"logs {what} {more}".rstrip())
        if event.get("exc_info"):
            self.referee.complain("0 sound code", f"{process}: {what} {event['exc_info']!r}")
