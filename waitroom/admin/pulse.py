"""What the last seconds and the last hour of each pool were like, remembered for the dashboard's numbers and charts.

Law: bounded, and in memory: an hour of points a pool, of which a restart of this process loses those of before. What
the store does not answer leaves a gap, never a guess.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from waitroom.admin.refusals import RefusedError
from waitroom.admin.shapes import History
from waitroom.admin.sight import Sight
from waitroom.admission.estimate import Unknown, regime
from waitroom.admission.line import Snapshot
from waitroom.admission.recovery import Phase, course_of
from waitroom.admission.traffic import Traffic, beside, in_a_row, read
from waitroom.errors import StoreError
from waitroom.store.operators import Told
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Workers tell once a second."""

LATELY_S = 10
"""Answer times are those of so many seconds."""

STEP_S = 5
POINTS = 3_600 // STEP_S

ASK_S = 2.0
"""What a look gives the store."""

COLUMNS = (
    "waiting", "absent", "lobby", "sessions", "sessions_limit", "allowed_per_s", "admitted", "inflight",
    "requests_per_s", "failed_per_s", "p95_ms", "last_low_s", "last_high_s", "held", "down",
)  # fmt: skip
"""Of each point; `admitted` counts those of the last `STEP_S` seconds, `down` backends."""


class Store(Protocol):
    """What is looked at."""

    async def traffic(self, pool: str) -> list[Told]:
        """What every worker saw in its last second. Raises StoreError."""


class PoolPulse:
    """One pool's."""

    def __init__(self) -> None:
        self._seconds: deque[dict[str, Traffic]] = deque(maxlen=LATELY_S)
        self._heard: dict[str, int] = {}
        self._levels: dict[str, Traffic] = {}
        self._points: deque[tuple[int, tuple[float | None, ...]]] = deque(maxlen=POINTS)
        self._admitted = 0
        self.looks = 0
        """Until the next point."""

    def hear(self, told: list[Told]) -> None:
        """Take in what workers told; each second of each once."""
        fresh = [each for each in told if self._heard.get(each.worker) != each.at_ms]
        self._heard = {each.worker: each.at_ms for each in told}
        self._seconds.append(_together(fresh))
        self._levels = _together(told)

    def loads(self) -> dict[str, tuple[Traffic, float]]:
        """What was seen of each backend in the last seconds, and in how many."""
        return {name: (self._load(name, now), float(len(self._seconds))) for name, now in self._levels.items()}

    def _load(self, backend: str, now: Traffic) -> Traffic:
        """Ends are those of all seconds, levels those that each worker has told last, whenever that was."""
        seen = in_a_row(second[backend] for second in self._seconds if backend in second)
        return replace(
            seen,
            inflight=now.inflight,
            inflight_limit=now.inflight_limit,
            saturated=now.saturated,
            waiting=now.waiting,
        )

    def note(self, at: Snapshot) -> None:
        """A point for the charts."""
        now, loads = regime(at), self.loads()
        waiting = sum(at.waiting.values())
        last = now.eta(max(0, waiting - 1))
        seen = [traffic for traffic, _ in loads.values()]
        seconds = max((seconds for _, seconds in loads.values()), default=1.0)
        p95 = [found for each in seen if (found := each.quantile_ms(0.95)) is not None]
        admitted = sum(at.admissions_total.values())
        came, self._admitted = admitted - self._admitted, admitted
        limits = sum(at.limits.values())
        values = (
            waiting, at.absent, sum(at.lobby.values()), sum(at.sessions.values()), limits,
            at.rate_milli / 1000 if at.rate_milli else None,
            came if self._points and came >= 0 else None,
            sum(each.inflight for each in seen), round(sum(each.requests for each in seen) / seconds, 2),
            round(sum(each.failed for each in seen) / seconds, 2), max(p95, default=None),
            *((None, None) if isinstance(last, Unknown) else last if waiting else (0, 0)), int(at.held),
            sum(course_of(at.live, backend).phase is Phase.DOWN for backend in at.limits),
        )  # fmt: skip
        self._points.append((at.now_ms, values))

    def history(self, pool: str) -> History:
        """The last hour."""
        points = list(self._points)
        columns = {name: [values[at] for _, values in points] for at, name in enumerate(COLUMNS)}
        return History(pool=pool, step_ms=STEP_S * 1000, at_ms=[at_ms for at_ms, _ in points], columns=columns)


def _together(told: Iterable[Told]) -> dict[str, Traffic]:
    """What workers saw of each backend at the same time."""
    parts: dict[str, list[Traffic]] = {}
    for each in told:
        for backend, traffic in read(each.text).items():
            parts.setdefault(backend, []).append(traffic)
    return {backend: beside(found) for backend, found in parts.items()}


class Pulse:
    """All pools'."""

    def __init__(self, sight: Sight, store: Store) -> None:
        self._sight = sight
        self._store = store
        self._pools: dict[str, PoolPulse] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look, for ever."""
        self._task = spawn(self._run(), name="pulse")

    async def close(self) -> None:
        """Look no more."""
        await stop(self._task)

    def of(self, pool: str) -> PoolPulse:
        """One pool's."""
        return self._pools.setdefault(pool, PoolPulse())

    def loads(self, pool: str) -> Mapping[str, tuple[Traffic, float]]:
        """What was seen of a pool's backends lately."""
        return self.of(pool).loads()

    async def _run(self) -> None:
        while True:
            for gone in self._pools.keys() - self._sight.settings.pools.keys():
                del self._pools[gone]
            await asyncio.gather(*(self._look(pool) for pool in self._sight.settings.pools))
            await asyncio.sleep(LOOK_S)

    async def _look(self, pool: str) -> None:
        pulse = self.of(pool)
        try:
            async with asyncio.timeout(ASK_S):
                pulse.hear(await self._store.traffic(pool))
                pulse.looks -= 1
                if pulse.looks < 0:
                    pulse.note(await self._sight.snapshot(pool))
                    pulse.looks = STEP_S - 1
        except (StoreError, TimeoutError, RefusedError):  # refused: a reload has taken the pool away meanwhile
            return
        except Exception:  # a defect of ours in one look must not stop all that follow
            log.exception("pulse_broke", pool=pool)
