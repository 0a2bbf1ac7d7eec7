"""How many requests a backend has at a time, and who goes next when it can take no more.

Laws. Nobody is let in while the level is at the limit; where somebody waits, the level is there. What saves something
goes before what does not (urgency.py), and within a class the order is that of arrival. No class starves: one that was
passed over `PASSED_OVER` times in a row is served next. Nobody waits for longer than the bound, or where `PLACES` wait
already: the last of the least important makes room, and what is turned away has not been sent. Whoever waits is told
once how that ended, and a place is given back once.

A limit that falls cuts nobody off: the level follows as requests end. What only streams gives its place back early (see
`streams`), since it keeps the network busy rather than the server, and a hundred streams of events would stop an exam.
"""

from collections import OrderedDict
from enum import StrEnum
from typing import NamedTuple, Protocol
from zlib import crc32

from waitroom.proxy.limiters import UNLIMITED, Limiter, RequestKinds
from waitroom.proxy.urgency import Urgency

PLACES = 1_000
"""Requests that wait for one backend in one worker. A server that answers 80 at a time in half a second each takes
1,600 within the longest wait; each is a client's connection that stands here anyway."""

PASSED_OVER = 8
"""Times in a row that a class gives way: with all four waiting, eight places in eleven go to what saves something."""

STREAM_S = 5.0
"""How long a body may be on its way before its request counts as one that only streams. A server that answers pages has
handed one over by then; what takes longer is a slow line's doing, and eighty of those must not stop an exam."""


class End(StrEnum):
    """How a wait ended."""

    SERVED = "served"
    LATE = "late"
    """It had waited for as long as anybody may."""
    CROWDED = "crowded"
    """Too many waited, and they were more important or there before."""
    LEFT = "left"
    """The client went away."""


class Waiter(Protocol):
    """A request that waits, as its guard sees it. Its methods do not raise."""

    def come_in(self) -> None:
        """There is a place, and it is taken."""

    def turned_away(self, end: End) -> None:
        """There will be none."""

    def moved(self) -> None:
        """The backend is known no more under this address; ask again."""


class Level(NamedTuple):
    """A backend's requests in one worker, at one time."""

    inflight: int
    """At the backend, with those that only stream."""
    limit: int
    """Most that this worker sends at a time; `UNLIMITED` where there is none."""
    waiting: int
    saturated: bool
    """Whether it was at its limit within the last whole second."""


class Guard:
    """The places of one backend in one worker. Whether there is one is for the caller to look at, and to count: a call
    for it would cost more than it does (`Exchange._forward`)."""

    __slots__ = (
        "_lines", "_passed", "_reached", "_serving", "held", "kinds", "limit", "limiter", "saturated", "streaming",
        "waiting",
    )  # fmt: skip

    def __init__(self, limit: int = UNLIMITED) -> None:
        self.limit = limit
        self.held = 0
        """Requests that count: at the backend, and not merely streaming."""
        self.streaming = 0
        """Tunnels, streams of events and long bodies, whose places were given back."""
        self.waiting = 0
        self.limiter: Limiter | None = None
        """Finds the limit, where nobody has set one."""
        self.kinds = RequestKinds()
        self.saturated = False
        self._reached = False
        self._serving = False
        self._lines: tuple[OrderedDict[Waiter, float], ...] = tuple(OrderedDict() for _ in Urgency)
        """By class: who waits, and since when."""
        self._passed = [0] * len(Urgency)

    # places

    def park(self, waiter: Waiter, urgency: Urgency, now_s: float) -> Waiter | None:
        """Wait for a place; the level is at the limit. Gives whoever is to be turned away for it: this one, or another.

        That is left to the caller: what a client asks next would otherwise be parked from within, level after level.
        """
        self._reached = True
        loser = None
        if self.waiting >= PLACES:
            last = max(each for each in Urgency if self._lines[each])
            if last <= urgency:
                return waiter
            loser, _ = self._lines[last].popitem()
            self.waiting -= 1
        self._lines[urgency][waiter] = now_s
        self.waiting += 1
        return loser

    def withdraw(self, waiter: Waiter) -> None:
        """The waiter wants no place any more; it is told nothing."""
        for line in self._lines:
            if line.pop(waiter, None) is not None:
                self.waiting -= 1
                return

    def leave(self) -> None:
        """Give a place back."""
        self.held -= 1
        if self.waiting:
            self._serve()

    def streams(self) -> None:
        """A request that has a place does nothing but stream from here on, and gives it back."""
        self.streaming += 1
        self.leave()

    def comes_back(self) -> None:
        """Such a request is the server's work again, and cannot wait, since it is there: others have to."""
        self.streaming -= 1
        self.held += 1

    # limits and time

    def resize(self, limit: int) -> None:
        """The limit is another from now on."""
        self.limit = limit
        if self.waiting:
            self._serve()

    def tick(self) -> None:
        """A second has passed."""
        self.saturated, self._reached = self._reached or self.held >= self.limit, False

    def turn_away(self, since_s: float, at_most: int) -> bool:
        """Turn away some of those who have waited since then or longer; True if there are more of them."""
        for line in self._lines:
            while line and line[next(iter(line))] <= since_s:
                if at_most == 0:
                    return True
                at_most -= 1
                waiter, _ = line.popitem(last=False)
                self.waiting -= 1
                waiter.turned_away(End.LATE)
        return False

    def dissolve(self) -> None:
        """Nobody waits here any more: they ask again."""
        for line in self._lines:
            while line:
                waiter, _ = line.popitem(last=False)
                self.waiting -= 1
                waiter.moved()

    @property
    def level(self) -> Level:
        """How it stands."""
        return Level(self.held + self.streaming, self.limit, self.waiting, self.saturated)

    def _serve(self) -> None:
        """Let in who can be. Whoever comes in may end at once: that is seen here, and not a level deeper each time."""
        if self._serving:
            return
        self._serving = True
        try:
            while self.waiting and self.held < self.limit:
                waiter, _ = self._lines[self._next()].popitem(last=False)
                self.waiting -= 1
                self.held += 1
                waiter.come_in()
        finally:
            self._serving = False

    def _next(self) -> Urgency:
        """Whose turn it is."""
        present = [each for each in Urgency if self._lines[each]]
        chosen = next((each for each in present if self._passed[each] >= PASSED_OVER), present[0])
        for each in Urgency:
            if each == chosen or each not in present:
                self._passed[each] = 0
            elif each > chosen:
                self._passed[each] += 1
        return chosen


NOT_KNOWN = -1
"""The rank of a worker that has not been told: it takes no part of what is left over."""


def share_of(total: int, workers: int, rank: int, name: str) -> int:
    """What the worker of this rank may send of a backend's `total`, so that all shares together are that.

    Where there are more workers than that, each sends one at a time: a visitor's connection belongs to one worker,
    which has to serve it. What is left over goes to other workers for one backend than for the next.
    """
    share, rest = divmod(total, workers)
    favoured = rank != NOT_KNOWN and (rank + crc32(name.encode())) % workers < rest
    return max(1, share + favoured)
