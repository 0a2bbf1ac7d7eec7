"""How many requests a backend can take at a time, found from how long they take: `max_inflight: auto`.

Law: an observation is three additions; everything else is done once a window, about a second. Nothing here reads a
clock. The limit never grows while it is not used (in flight below half of it), else the quiet before nine would raise
it to anything; and it is never lowered just to measure, as Envoy's min-RTT probe does, since an exam is not an
experiment: what a request takes on an undisturbed server is learned from the lulls that there are.

**Which algorithm.** By Little's law the requests at the backend are the time that they take there, added up over a
second. So the load of a window is `time taken / time the same requests take undisturbed`: 1 means that nobody waited
for anybody. It counts each kind of request against its own baseline (a start of an attempt takes twenty times what an
image does), and kinds weigh by the room that they take up. Once a window the limit is multiplied, as in Netflix'
Gradient2, by a part of `allowed load / load`; and as in Vegas less is allowed the higher the limit:

    allowed load = 1 + (QUEUE / limit) ^ 1/4       2.5 at a limit of 5, 2 at 23, 1.7 at 80

A small server needs a queue of a few requests to be kept busy, whose answer times scatter; a large one does not. Where
load and allowed load meet, all cores, workers or locks are busy and the queue is short. Gradient2 itself allows the
same load everywhere and adds a constant, and then a limiter whose baselines are a few per cent higher than those of
others takes nearly all of the backend; Vegas counts its queue in requests, which are not alike, and holds
a large healthy server down for the scatter of its answer times; loss-based ones (AIMD) fill every queue of the server
first. Failures and time-outs lower the limit by a tenth, as in AIMD, if it is used and they are more than usual for
their kind: a script that always fails is not the load's doing.

The limit begins small, so that baselines are learned on a server that is not overloaded yet, and grows by up to
30 % a second while nothing speaks against it.

**Baselines.** They follow what is measured: down in any window, up only in quiet ones, or where all workers are at the
floor, so that it is not their doing what slows the server down. A kind that is seen for the first time in a rush is
taken for slowed as much as all others are, until a lull shows what it takes.

**Several workers** share a backend, each with a limiter that knows their number, and all see the same load. To whom has
more less is allowed, so they end up with the same, wherever they began, and together with what a single one would have.
Baselines that differ would let them end up with different limits, above all those of a worker that was replaced in a
rush and has never seen the server undisturbed. So each is told the mean limit of the others that are at theirs
(`fellows`), and goes towards it.
"""

from math import sqrt

KINDS = 64
"""Kinds of requests that can be told apart (proxy/limiters.py)."""

FLOOR, CEILING = 4, 1_000
"""Of all workers together, each of which has one at least. It begins at the floor."""

USED = 0.5
"""The limit is used where at least so much of it was in flight."""

QUEUE = 23

STEP = 0.2
LEAST, MOST = 0.5, 2.5
"""Bounds of what a window may ask for: a tenth less, or 30 % more."""

FELLOWSHIP = 0.2
"""How far a window goes towards the limits of others."""

WINDOW_MS, LONGEST_MS = 900, 5_000
ENOUGH = 5
"""A window lasts until so many requests have ended in it, or five seconds."""

FEWEST = 5
"""Requests of a kind that its baseline is learned from."""

FALL, RISE = 0.25, 0.02
"""How far a baseline goes towards what a window shows: quickly down, and up within a minute of quiet."""

QUIET_LOAD = 1.3
"""Below this load a baseline that was guessed in a rush is replaced by what is seen."""

FAILING_SHARE = 0.05
CUT = 0.9
USUAL_RISE, USUAL_RISE_AT_FLOOR, USUAL_FALL = 0.01, 0.1, 0.2
"""How quickly it becomes usual that a kind fails: what goes on at the floor was not the load's doing."""


class Limiter:
    """One worker's limit for one backend."""

    __slots__ = (
        "_answered", "_baselines", "_exact", "_failed", "_guessed", "_kept", "_kept_s", "_peak",
        "_seconds", "_since_ms", "_usual", "fellows", "limit", "load", "workers",
    )  # fmt: skip

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        """Workers that share the backend; may be set anew at any time."""
        self.fellows: float | None = None
        """The mean limit of those other workers that are at their limit, where that is known."""
        self.limit = 0
        """Most requests of this worker at a time, as of now."""
        self.load = 1.0
        """How many times longer the requests of the last window took than undisturbed."""
        self._exact = 0.0
        self._resize(0)
        self._since_ms: int | None = None
        self._baselines = [0.0] * KINDS
        """Seconds that a request of each kind takes undisturbed; 0: not known."""
        self._guessed = [False] * KINDS
        self._usual = [0.0] * KINDS
        """The share of each kind's requests that fails anyway."""
        self._kept = [0] * KINDS
        self._kept_s = [0.0] * KINDS
        """Requests of rare kinds from quiet windows, until there are enough of them."""
        self._peak = 0
        self._begin()

    def observe(self, request_class: int, seconds: float, inflight: int, ok: bool) -> None:
        """A request has been answered, or has failed, with `inflight` at the backend, itself included."""
        if ok:
            self._answered[request_class] += 1
            self._seconds[request_class] += seconds
        else:
            self._failed[request_class] += 1
        if inflight > self._peak:  # noqa: PLR1730 - max() would cost as much as all the rest
            self._peak = inflight

    def adjust(self, now_ms: int) -> None:
        """About a second has passed."""
        if self._since_ms is None or now_ms < self._since_ms:  # the first, or the clock went back
            self._since_ms = now_ms
            return
        span_ms, ended = now_ms - self._since_ms, sum(self._answered) + sum(self._failed)
        if span_ms < WINDOW_MS or (ended < ENOUGH and span_ms < LONGEST_MS):
            return
        used = self._peak >= USED * self.limit
        if ended:
            self._weigh()
            self._learn(full=self._peak >= self.limit, used=used)
            self._move(used=used)
        self._since_ms = now_ms
        self._begin()

    def _begin(self) -> None:
        """A new window."""
        self._answered, self._failed = [0] * KINDS, [0] * KINDS
        self._seconds = [0.0] * KINDS
        self._peak = 0

    def _weigh(self) -> None:
        """The load, from the kinds that are known; if none of them was asked for, the last one stands."""
        taken = undisturbed = 0.0
        for kind, count in enumerate(self._answered):
            if count and self._baselines[kind]:
                taken += self._seconds[kind]
                undisturbed += count * self._baselines[kind]
        if undisturbed:
            self.load = taken / undisturbed

    def _learn(self, *, full: bool, used: bool) -> None:
        undisturbed = self._exact <= self._floor and (self.fellows is None or self.fellows <= 2 * self._floor)
        quiet = undisturbed or (not used and self.load < self.allowed)
        slowed = max(self.load, self.allowed if full else 1.0)
        for kind, count in enumerate(self._answered):
            if not count:
                continue
            if quiet:
                self._kept[kind] += count
                self._kept_s[kind] += self._seconds[kind]
                if self._kept[kind] >= FEWEST:
                    self._follow(kind, self._kept_s[kind] / self._kept[kind], RISE)
                    self._kept[kind], self._kept_s[kind] = 0, 0.0
            elif count >= FEWEST:
                self._follow(kind, self._seconds[kind] / count, 0.0, slowed)

    def _follow(self, kind: int, mean_s: float, rise: float, slowed: float = 1.0) -> None:
        """Requests of a kind took `mean_s`."""
        known_s = self._baselines[kind]
        if not known_s or (self._guessed[kind] and (rise or self.load < QUIET_LOAD)):
            self._baselines[kind] = mean_s / slowed
            self._guessed[kind] = slowed > 1.0
        else:
            self._baselines[kind] = known_s + (mean_s - known_s) * (FALL if mean_s < known_s else rise)

    def _move(self, *, used: bool) -> None:
        if self._is_failing():
            if used:
                self._resize(self._exact * CUT)
            return
        factor = 1.0 + STEP * (min(MOST, max(LEAST, self.allowed / self.load)) - 1.0)
        if used or factor < 1.0:
            pull = FELLOWSHIP * (self.fellows - self._exact) if self.fellows and used else 0.0
            self._resize(self._exact * factor + pull)

    @property
    def allowed(self) -> float:
        """The load at which the limit stays as it is."""
        return 1.0 + sqrt(sqrt(QUEUE / (self._exact * self.workers)))

    def _resize(self, exact: float) -> None:
        self._exact = max(self._floor, min(CEILING / self.workers, exact))
        self.limit = int(self._exact + 0.5)

    @property
    def _floor(self) -> float:
        return max(1.0, FLOOR / self.workers)

    def _is_failing(self) -> bool:
        """More fail than usual; and what is usual is learned."""
        excess, ended = 0.0, 0
        for kind, failed in enumerate(self._failed):
            count = self._answered[kind] + failed
            if not count:
                continue
            usual = self._usual[kind]
            excess += failed - count * usual
            ended += count
            share = failed / count
            rise = USUAL_RISE_AT_FLOOR if self._exact <= self._floor else USUAL_RISE
            self._usual[kind] = usual + (share - usual) * (rise if share > usual else USUAL_FALL)
        return excess > max(1.0, FAILING_SHARE * ended)
