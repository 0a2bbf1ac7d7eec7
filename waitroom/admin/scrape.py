"""What one scrape says: the workers' totals, what the supervisor knows, and the line as the store sees it right now.

Law: gauges of the line are read at scrape time and come from the store alone, so there is one truth however many
workers and machines there are. A store that does not answer in time costs its gauges and nothing else.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Protocol

from waitroom.admission.line import Snapshot
from waitroom.admission.recovery import Phase, course_of
from waitroom.errors import StoreError
from waitroom.metrics.totals import Reading

STORE_S = 2.0
"""What a scrape gives the store; Prometheus gives up on the scrape after 10 s."""


class Snapshots(Protocol):
    """Where the state of a pool's line can be read; see waitroom/store."""

    async def snapshot(self, pool: str) -> Snapshot:
        """The pool now. Raises StoreError."""


async def line_readings(store: Snapshots, pools: Sequence[str]) -> list[Reading]:
    """The gauges of the pools that could be read, and whether any could."""
    snapshots = await asyncio.gather(*(_snapshot(store, pool) for pool in pools))
    found = [(pool, snapshot) for pool, snapshot in zip(pools, snapshots, strict=True) if snapshot is not None]
    readings = [Reading("store_up", (), (float(bool(found)),))]
    for pool, snapshot in found:
        readings.extend(_pool_readings(pool, snapshot))
    return readings


async def _snapshot(store: Snapshots, pool: str) -> Snapshot | None:
    """The pool, or None if the store is away, hangs, or has no rules for it yet."""
    try:
        async with asyncio.timeout(STORE_S):
            return await store.snapshot(pool)
    except (StoreError, TimeoutError):
        return None


def _pool_readings(pool: str, at: Snapshot) -> Iterator[Reading]:
    for lane, waiting in at.waiting.items():
        yield Reading("waiting", (pool, lane.name.lower()), (waiting,))
    for exam, tickets in at.lobby.items():
        yield Reading("lobby", (pool, exam), (tickets,))
    for backend, sessions in at.sessions.items():
        yield Reading("sessions", (pool, backend), (sessions,))
    for backend, limit in at.limits.items():
        yield Reading("sessions_limit", (pool, backend), (limit,))
    for backend in at.returning:
        course = course_of(at.live, backend)
        yield Reading("backend_up", (pool, backend), (float(course.phase is not Phase.DOWN),))
        yield Reading("returning", (pool, backend), (at.returning[backend],))
        yield Reading("return_rate", (pool, backend), (course.rate_milli / 1000 if course.ramps else float("inf"),))
    yield Reading("admission_rate", (pool,), (at.rate_milli / 1000 if at.rate_milli else float("inf"),))
    yield Reading("held", (pool,), (float(at.held),))
