"""What waits in a worker for an instant: held requests, on one timer for all of them.

Law: a wake-up that fails harms no other. When the worker goes all are woken at once, and nothing is held any more.
"""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

import structlog

from waitroom import clock

log = structlog.get_logger(__name__)

HELD_AT_ONCE = 5_000
"""Requests that a worker holds, each with at most a form of 64 KiB; beyond that they meet the page."""

Wake = Callable[[], None]


class Holds:
    """Wakes at the instants given, in their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Wake]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._closed = False

    @property
    def open(self) -> bool:
        """Whether one more may be held."""
        return not self._closed and len(self._heap) < HELD_AT_ONCE

    def after(self, wait_ms: int, wake: Wake) -> None:
        """Call `wake` in `wait_ms`; in the next turn of the loop, if nothing is held any more."""
        due_ms = clock.monotonic_ms() + (0 if self._closed else wait_ms)
        heappush(self._heap, (due_ms, next(self._numbers), wake))
        if self._timer is None or due_ms < self._due_ms:
            self._set_timer()

    def close(self) -> None:
        """The worker goes: wake all."""
        self._closed = True
        self._heap = [(0, number, wake) for _, number, wake in self._heap]
        self._heap.sort()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._due_ms = self._heap[0][0]
            wait_s = max(0, self._due_ms - clock.monotonic_ms()) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now_ms = clock.monotonic_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            wake = heappop(self._heap)[2]
            try:
                wake()
            except Exception:  # a defect of ours in one request: the others still wait
                log.exception("hold_failed")
        self._set_timer()
