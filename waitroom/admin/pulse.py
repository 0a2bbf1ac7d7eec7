"""What the last seconds, the last hour and the last day of each pool were like, for the dashboard's numbers and charts.

Law: bounded. The store keeps the hour and the day, so that a restart loses nothing and all machines tell the same; the
last seconds are in memory. What the store does not answer leaves a gap, never a guess.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from waitroom import clock
from waitroom.admin.refusals import RefusedError
from waitroom.admin.shapes import History
from waitroom.admin.sight import Sight
from waitroom.admission import past
from waitroom.admission.past import DAY, HOUR, Point, Record
from waitroom.admission.traffic import Traffic, beside, in_a_row, read
from waitroom.errors import StoreError
from waitroom.store.operators import Told
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Workers tell once a second."""

LATELY_S = 10
"""Answer times are those of so many seconds."""

ASK_S = 2.0
"""What a look gives the store."""


class Store(Protocol):
    """What is looked at, and where the past is kept."""

    async def traffic(self, pool: str) -> list[Told]:
        """What every worker saw in its last second. Raises StoreError."""

    async def keep(self, pool: str, record: str, at_ms: int, text: str, *, lines: int, ttl_ms: int) -> bool:
        """Add to a record; whether this was the first to say something of that instant. Raises StoreError."""

    async def kept(self, pool: str, record: str, from_ms: int, lines: int) -> list[tuple[int, str]]:
        """Lines of a record, the oldest first. Raises StoreError."""


class PoolPulse:
    """One pool's."""

    def __init__(self) -> None:
        self._seconds: deque[dict[str, Traffic]] = deque(maxlen=LATELY_S)
        self._heard: dict[str, int] = {}
        self._levels: dict[str, Traffic] = {}
        self.points: deque[Point] = deque(maxlen=HOUR.lines)
        """Of the last hour, as the store has them."""
        self.ahead_ms = 0
        """How far the store's clock is ahead of ours."""

    @property
    def last_ms(self) -> int:
        """When the latest point was."""
        return self.points[-1].at_ms if self.points else 0

    @property
    def is_due(self) -> bool:
        """Whether the next point's time has come."""
        return HOUR.instant(clock.now_ms() + self.ahead_ms) > self.last_ms

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

    def minute(self, of_ms: int) -> Point | None:
        """What is known of the minute that an instant is in."""
        begin_ms = DAY.instant(of_ms)
        of_it = [each for each in self.points if DAY.instant(each.at_ms) == begin_ms]
        return past.together(of_it, begin_ms) if of_it else None


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

    async def history(self, pool: str, record: Record) -> History:
        """The last hour, or the last day with the minute that is not over. Raises StoreError."""
        pulse = self.of(pool)
        points = list(pulse.points)
        if record is DAY or not points:
            points = [past.read(*line) for line in await self._store.kept(pool, record.name, 0, record.lines)]
        unfinished = pulse.minute(pulse.last_ms) if record is DAY else None
        if unfinished is not None and (not points or points[-1].at_ms < unfinished.at_ms):
            points.append(unfinished)
        columns = past.shown(points, record.step_ms)
        return History(pool=pool, step_ms=record.step_ms, at_ms=[each.at_ms for each in points], columns=columns)

    async def _look(self, pool: str) -> None:
        pulse = self.of(pool)
        try:
            async with asyncio.timeout(ASK_S):
                pulse.hear(await self._store.traffic(pool))
                if pulse.is_due:
                    await self._note(pool, pulse)
        except (StoreError, TimeoutError, RefusedError):  # refused: a reload has taken the pool away meanwhile
            return
        except Exception:  # a defect of ours in one look must not stop all that follow
            log.exception("pulse_broke", pool=pool)

    async def _note(self, pool: str, pulse: PoolPulse) -> None:
        """A point of this instant, unless another machine was first; then all that are new are read."""
        at = await self._sight.snapshot(pool)
        pulse.ahead_ms = at.now_ms - clock.now_ms()
        await self._keep(pool, HOUR, past.point(at, pulse.loads()))
        for line in await self._store.kept(pool, HOUR.name, pulse.last_ms + 1, HOUR.lines):
            before_ms, now = pulse.last_ms, past.read(*line)
            if before_ms and DAY.instant(now.at_ms) != DAY.instant(before_ms):
                minute = pulse.minute(before_ms)
                assert minute is not None
                await self._keep(pool, DAY, minute)
            pulse.points.append(now)

    async def _keep(self, pool: str, record: Record, point: Point) -> None:
        await self._store.keep(pool, record.name, point.at_ms, point.text, lines=record.lines, ttl_ms=record.ttl_ms)
