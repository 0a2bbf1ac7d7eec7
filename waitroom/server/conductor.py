"""The periodic work of all workers on all machines, done by whichever of them holds the lease.

Law: everything here is idempotent. A lease lost in the middle, or held twice for a moment, loses nothing and counts
nothing twice: the store counts what it ends.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from waitroom.admission.line import Rules
from waitroom.errors import StoreError
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

LEASE = "conductor"
LEASE_MS = 5_000
"""A dead conductor is followed by another after at most this; sessions and tickets lapse later by as much."""

TURN_S = 1.0


class Store(Protocol):
    """What the conductor needs of the store's client; see waitroom/store."""

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """Take or renew a lease."""

    async def write_rules(self, pool: str, rules: Rules) -> int:
        """Put rules in force unless newer ones are; the version in force."""

    async def sweep(self, pool: str) -> dict[str, int]:
        """Departures since the sweep before, by reason."""


async def _nothing_to_regulate(_pool: str | None) -> None:
    """Where there are no backends."""


class Conductor:
    """One worker's share in the periodic work: all of it while the lease is here, none otherwise."""

    def __init__(
        self,
        store: Store,
        rules: Mapping[str, Rules],
        departed: Callable[[str, str, int], None],
        regulate: Callable[[str | None], Awaitable[None]] = _nothing_to_regulate,
    ) -> None:
        self._store = store
        self._regulate = regulate
        """Judges the backends of a pool; None: this worker leads no more."""
        self._rules = rules
        self._departed = departed
        self._owner = secrets.token_hex(8)
        self._task: asyncio.Task[None] | None = None
        self.leads = False
        """Whether the lease was here at the last turn."""

    def start(self) -> None:
        """Begin, for ever."""
        self._task = spawn(self._run(), name="conductor")

    async def close(self) -> None:
        """Leave the lease to run out."""
        await stop(self._task)

    def replace_rules(self, rules: Mapping[str, Rules]) -> None:
        """A reload: these are written as soon as may be, by every worker; the newest version wins."""
        self._rules = rules
        spawn(self.write_rules(), name="rules")

    async def write_rules(self) -> None:
        """Put our rules in force where the store has older ones; the client repeats it for a store that was away."""
        for pool, rules in self._rules.items():
            try:
                await self._store.write_rules(pool, rules)
            except StoreError as error:
                log.warning("rules_not_written", pool=pool, problem=str(error))

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except StoreError:
                self.leads = False  # the client says when the store goes and comes back
                await self._regulate(None)
            await asyncio.sleep(TURN_S)

    async def _turn(self) -> None:
        leads = await self._store.lease(LEASE, self._owner, LEASE_MS)
        if leads != self.leads:
            log.info("conductor_lease", leads=leads)
        self.leads = leads
        if not leads:
            await self._regulate(None)
            return
        for pool in tuple(self._rules):
            for reason, number in (await self._store.sweep(pool)).items():
                self._departed(pool, reason, number)
            await self._regulate(pool)
