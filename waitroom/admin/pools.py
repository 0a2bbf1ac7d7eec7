"""`/api/v1/pools` and `/api/v1/pools/{pool}`: how every pool is and was, with everything that one screen shows.

Law: reading changes nothing, and a store that is slow costs its pools and not the answer. The past is the store's, so
that it is the same on all machines and outlives restarts.
"""

import asyncio
from typing import Literal

from waitroom import clock
from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.overview import Overview
from waitroom.admin.pulse import Pulse, Store
from waitroom.admin.shapes import History, OutageShown, OutagesShown, Pools, PoolShown, Query
from waitroom.admin.sight import Sight
from waitroom.admission.past import DAY, HOUR, OUTAGES, OUTAGES_MOST, outages
from waitroom.errors import StoreError

ASK_S = 2.0
"""What the store gets for a pool."""


class Span(Query):
    """How far back."""

    span: Literal["hour", "day"] = "hour"


class PoolsApi:
    """The endpoints that read."""

    def __init__(self, sight: Sight, pulse: Pulse, store: Store, version: str) -> None:
        self._sight = sight
        self._pulse = pulse
        self._store = store
        self._version = version

    def endpoints(self) -> list[Endpoint]:
        """Where they are."""
        pool = "/api/v1/pools/{pool}"
        return [
            Endpoint("GET", "/api/v1/pools", "read", "All pools as they are now.", self._all, Pools),
            Endpoint("GET", pool, "read", "A pool as it is now.", self._one, PoolShown),
            Endpoint(
                "GET", f"{pool}/history", "read", "The last hour of a pool, or its last day by minutes.",
                self._history, History, query=Span,
            ),
            Endpoint("GET", f"{pool}/outages", "read", "When backends did not answer.", self._outages, OutagesShown),
        ]  # fmt: skip

    async def _all(self, call: Call) -> Pools:
        names = list(self._sight.settings.pools)
        found = await asyncio.gather(*(self._read(name) for name in names))
        pools = [each for each in found if each is not None]
        return Pools(
            now_ms=max((each.now_ms for each in pools), default=clock.now_ms()),
            version=self._version,
            store_up=bool(pools),
            who=str(call.who),
            scopes=list(call.who.scopes),
            pools=pools,
            missing=[name for name, each in zip(names, found, strict=True) if each is None],
        )

    async def _one(self, call: Call) -> PoolShown:
        return await self._look(call.names["pool"])

    async def _history(self, call: Call, wanted: Span) -> History:
        name = call.names["pool"]
        self._sight.pool(name)
        return await self._pulse.history(name, DAY if wanted.span == "day" else HOUR)

    async def _outages(self, call: Call) -> OutagesShown:
        name = call.names["pool"]
        live = (await self._sight.snapshot(name)).live
        lines = await self._store.kept(name, OUTAGES, 0, OUTAGES_MOST)
        found = outages(lines, live, self._sight.pool(name).backends)
        shown = [OutageShown(backend=each.backend, from_ms=each.from_ms, to_ms=each.to_ms) for each in found]
        return OutagesShown(pool=name, outages=shown)

    async def _read(self, name: str) -> PoolShown | None:
        try:
            async with asyncio.timeout(ASK_S):
                return await self._look(name)
        except (StoreError, TimeoutError):
            return None

    async def _look(self, name: str) -> PoolShown:
        pool, exams = self._sight.pool(name), self._sight.exams(name)
        return Overview(name, pool, exams, await self._sight.snapshot(name), self._pulse.loads(name)).shown()
