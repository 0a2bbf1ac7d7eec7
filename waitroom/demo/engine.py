"""Runs the capacity model in real time: a request waits here as long as the machine would have taken.

Law: one timer, set to the model's next moment. A request of a client that has left goes on to its end, as it does in
PHP: impatient reloads cost the machine as much as patient ones.
"""

import asyncio
import itertools
from collections.abc import Callable

from waitroom.demo.model import Back, Died, Done, Machine, Verdict, Work


class Engine:
    """One machine on the running loop's clock."""

    def __init__(self, machine: Machine, *, died: Callable[[Died], None], back: Callable[[Back], None]) -> None:
        self.machine = machine
        self._died = died
        self._back = back
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Verdict]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def perform(self, work: Work) -> Verdict:
        """Wait until the machine has done `work`: ACCEPTED. REFUSED at once if it has no room, DOWN if it died."""
        self.catch_up()
        number = next(self._numbers)
        verdict = self.machine.arrive(self._now_ms(), number, work)
        if verdict is not Verdict.ACCEPTED:
            return verdict
        future = self._asked[number] = self._loop.create_future()
        self._wind()
        outcome: Verdict = await future
        return outcome

    def catch_up(self) -> None:
        """Bring the machine to the present and tell everybody what happened."""
        for event in self.machine.advance(self._now_ms()):
            match event:
                case Done(number):
                    self._answer(number, Verdict.ACCEPTED)
                case Died():
                    for number in list(self._asked):
                        self._answer(number, Verdict.DOWN)
                    self._died(event)
                case Back():
                    self._back(event)
        self._wind()

    def stop(self) -> None:
        """Set no more timers."""
        if self._timer is not None:
            self._timer.cancel()

    def _answer(self, number: int, verdict: Verdict) -> None:
        future = self._asked.pop(number)
        if not future.done():
            future.set_result(verdict)

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (moment_ms := self.machine.next_ms()) is not None:
            self._timer = self._loop.call_at(moment_ms / 1000, self.catch_up)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
