"""Workers of the product in a simulated world: each is the real front of a worker, without sockets.

Law: a request is handed to a worker as a value and answered once, or never if the worker dies first. What lies between
a client and a worker, and between a worker and a backend, is the world's business.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field

from tests.simulation.virtual import Process, VirtualLoop
from tests.support.requests import Asked
from waitroom.errors import BackendError
from waitroom.metrics.counters import Counters
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Respond
from waitroom.server.front import ExamFront
from waitroom.server.orders import labels_of
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Key, Secrets

ANSWER_S = 0.05
"""What an exam server takes."""

SECRETS = Secrets((Key("k1", b"k" * 32),))

Carry = Callable[[Asked, Relay], int]
"""Takes a request to its backend; the status of its answer, 0 if nobody listens there."""


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process."""

    process: Process
    loop: VirtualLoop
    carry: Carry
    counters: Counters
    settings: Settings
    ready: bool = False
    _front: ExamFront | None = None
    _outside: Context = field(default_factory=Context)

    @classmethod
    def begin(cls, process: Process, loop: VirtualLoop, carry: Carry, settings: Settings, taken_ms: int) -> "Worker":
        """A worker that starts up and will be ready."""
        worker = cls(process, loop, carry, Counters.private(labels_of(settings)), settings)
        process.run(worker._start, taken_ms)
        return worker

    @property
    def name(self) -> str:
        """Its process's."""
        return self.process.name

    def _start(self, taken_ms: int) -> None:
        self._front = ExamFront(self.settings, SECRETS, self.counters, taken_ms)

        async def start() -> None:
            assert self._front is not None
            await self._front.start([None] * len(self.settings.listen.public))  # type: ignore[list-item]  # no sockets
            self.ready = True

        self.loop.create_task(start(), name=self.name)

    def die(self) -> None:
        """Killed, in the middle of whatever it was doing."""
        self.process.dead, self.ready = True, False

    def reload(self, settings: Settings, taken_ms: int) -> None:
        """New settings, prepared whole and then switched to."""
        self.settings = settings

        async def renew() -> None:
            assert self._front is not None
            (await self._front.prepare(settings, SECRETS, taken_ms))()

        self.process.run(lambda: self.loop.create_task(renew(), name=f"{self.name} reloads"))

    def ask(self, request: Asked, body: bytes | None, answered: Callable[[Respond | Relay, int], None]) -> None:
        """Decide about a request; `answered` is called once, outside, with the status of whoever answered."""

        def tell(decision: Respond | Relay, status: int) -> None:
            self.loop.call_soon(answered, decision, status, context=self._outside.copy())

        self.process.run(self._decide, request, body, tell)

    def _decide(self, request: Asked, body: bytes | None, tell: Callable[[Respond | Relay, int], None]) -> None:
        assert self._front is not None
        switch, watcher = self._front._switch, self._front._watcher

        def follow(decision: Decision) -> None:
            match decision:
                case Later():
                    decision.start(follow)
                case Collect():
                    follow(decision.then(body))
                case Respond():
                    tell(decision, decision.status)
                case Relay():
                    status = self.carry(request, decision)
                    if decision.finished is not None:
                        decision.finished(status)
                    if status:
                        tell(decision, status)
                    else:
                        watcher.backend_failed(decision.target, "refused", decision.stranger)
                        failed = switch.backend_failed(request, decision, BackendError("gone", "refused"))
                        tell(failed, failed.status)
                    watcher.request_done(decision.target, status or 502, ANSWER_S, decision.stranger)

        follow(switch.decide(request))


async def until(ready: Callable[[], bool], step_s: float = 0.1) -> None:
    """Let time pass until something is so."""
    while not ready():
        await pause(step_s)


async def pause(seconds: float) -> None:
    """Let time pass."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(seconds, passed.set_result, None)
    await passed
