"""What this worker saw of the backends in its last second, and what all workers saw in the last few.

Law: seeing a request costs one look-up and four additions. Reports go to the store once a second, and the answer holds
those of all workers that live, so that whichever of them is the conductor next knows the last seconds already.

What cannot wait for a second is a backend that nobody listens at: a server that was killed may be back before anybody
has looked, cold and without its sessions, and its crowd would fall upon it (DESIGN.md law 7). So each worker counts
what it loses in a row. `DESERTED` losses without an answer between them, of which one found nobody listening, are proof
that the process is gone. A busy server listens: connections to it time out, or are cut while others are answered.
"""

import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from statistics import fmean

from waitroom.admission.traffic import BUCKETS, Traffic, beside, bucket_of, in_a_row, read, write
from waitroom.metrics.catalogue import CONNECT_KINDS
from waitroom.proxy.guard import Level
from waitroom.proxy.limiters import UNLIMITED
from waitroom.proxy.rules import CLIENT_LEFT

SECONDS_KEPT = 30
"""How far back the conductor can look."""

DESERTED = 3
"""Requests lost in a row. Envoy takes a host out after five failures of any kind; one that refuses needs less proof."""

NOBODY_LISTENS = "refused"


class Tally:
    """One backend's second."""

    __slots__ = (
        "_alone_ms", "_lost", "_refused", "_taken_ms", "connect", "durations", "errors", "left", "other", "requests",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.errors = self.connect = self.other = self.left = 0
        self.durations = [0] * BUCKETS
        self._taken_ms = self._alone_ms = 0
        self._lost, self._refused = 0, False

    def ended(self, status: int, seconds: float) -> None:
        """A request has ended, in our eyes: `status` is what its client was told."""
        self.requests += 1
        if status >= 500:
            self.errors += 1
        else:
            self.durations[bucket_of(seconds * 1000)] += 1
            if status == CLIENT_LEFT:
                self.left += 1
            else:
                self._lost, self._refused = 0, False

    def failed(self, kind: str) -> bool:
        """The backend failed a request, whose end is told as well. True: nobody listens there any more, as of now."""
        if kind in CONNECT_KINDS:
            self.connect += 1
        else:
            self.other += 1
        self._lost, self._refused = self._lost + 1, self._refused or kind == NOBODY_LISTENS
        deserted = self._refused and self._lost >= DESERTED
        if deserted:
            self._lost, self._refused = 0, False
        return deserted

    def take(self, level: Level | None) -> Traffic:
        """The second as it is told; the next begins."""
        limit = level.limit if level is not None and level.limit < UNLIMITED else 0
        seen = Traffic(
            self.requests,
            max(0, self.errors - self.connect - self.other),
            self.connect,
            self.other,
            level.inflight if level else 0,
            limit,
            int(level.saturated) if level else 0,
            level.waiting if level else 0,
            tuple(self.durations),
            *self._effort(level),
            self.left,
        )
        self.requests = self.errors = self.connect = self.other = self.left = 0
        self.durations = [0] * BUCKETS
        return seen

    def _effort(self, level: Level | None) -> tuple[int, int]:
        """What the second has added to the sums of a limiter; one that is new begins at 0."""
        taken_ms, alone_ms = (int(level.taken_s * 1000), int(level.alone_s * 1000)) if level else (0, 0)
        added = max(0, taken_ms - self._taken_ms), max(0, alone_ms - self._alone_ms)
        self._taken_ms, self._alone_ms = taken_ms, alone_ms
        return added


class Reports:
    """Collects and remembers."""

    def __init__(self) -> None:
        self.worker = secrets.token_hex(6)
        """What this worker is called among all."""
        self.workers: tuple[str, ...] = (self.worker,)
        """All that live, in an order that is the same for all of them."""
        self.fellows: dict[str, float] = {}
        """By backend, the mean limit of those other workers that are at theirs."""
        self._tallies: dict[str, Tally] = {}
        self._seconds: dict[str, deque[dict[str, Traffic]]] = {}

    def tally(self, target: str) -> Tally:
        """Where to count what happens to a backend."""
        found = self._tallies.get(target)
        if found is None:
            found = self._tallies[target] = Tally()
        return found

    def take(self, pool: str, backends: Iterable[str], levels: Mapping[str, Level]) -> str:
        """The report on a pool's backends; their next second begins."""
        targets = {backend: f"{pool}/{backend}" for backend in backends}
        return write({backend: self.tally(target).take(levels.get(target)) for backend, target in targets.items()})

    def heard(self, pool: str, told: Mapping[str, str]) -> None:
        """What all workers have told of a pool."""
        self.workers = tuple(sorted({*told, self.worker}))
        by_backend: dict[str, list[Traffic]] = {}
        limits: dict[str, list[int]] = {}
        for worker, text in told.items():
            for backend, traffic in read(text).items():
                by_backend.setdefault(backend, []).append(traffic)
                others = limits.setdefault(f"{pool}/{backend}", [])
                if traffic.saturated and traffic.inflight_limit and worker != self.worker:
                    others.append(traffic.inflight_limit)
        for target, found in limits.items():
            if found:
                self.fellows[target] = fmean(found)
            else:
                self.fellows.pop(target, None)
        seconds = self._seconds.setdefault(pool, deque(maxlen=SECONDS_KEPT))
        seconds.append({backend: beside(parts) for backend, parts in by_backend.items()})

    def lately(self, pool: str, backend: str, seconds: int) -> Traffic:
        """What all workers saw of a backend in the last seconds."""
        kept = list(self._seconds.get(pool, ()))[-seconds:] if seconds else []
        return in_a_row(second[backend] for second in kept if backend in second)

    @property
    def rank(self) -> int:
        """This worker's number among all, from 0."""
        return self.workers.index(self.worker)
