"""A worker's coarse clock: one timer for all connections.

Law: nothing on the data path sets a timer of its own. `now_s` is at most one tick old, so a deadline is kept within
two.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate

from waitroom import clock

TICK_S = 1.0


class Ticker:
    """Ticks once a second while started."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._followers: list[Callable[[float], None]] = []
        self.now_s = 0.0
        """Loop time of the last tick."""
        self.elapsed_s = 0.0
        """Time between the last tick and the one before."""
        self.date = b""
        """A Date field, as a line."""
        self._read_clocks()

    def follow(self, follower: Callable[[float], None]) -> None:
        """Call `follower` at each tick. Followers do not raise."""
        self._followers.append(follower)

    def start(self) -> None:
        """Begin to tick."""
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def stop(self) -> None:
        """Stop ticking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick(self, now_s: float | None = None) -> None:
        """One tick, at the time given by a test; from then on only the time that is given passes."""
        before_s = self.now_s
        self._read_clocks()
        if now_s is not None:
            self.stop()
            self.now_s = now_s
        self.elapsed_s = self.now_s - before_s
        for follower in self._followers:
            follower(self.now_s)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self.tick()

    def _read_clocks(self) -> None:
        self.now_s = self._loop.time()
        self.date = b"Date: %b\r\n" % formatdate(clock.now_ms() / 1000, usegmt=True).encode()
