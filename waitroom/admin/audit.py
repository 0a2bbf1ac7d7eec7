"""`/api/v1/audit`: who changed what while it ran, when, why, from what to what; the latest first.

Law: it is the store's, so it is the same on all machines and outlives restarts; the last 1,000 changes of a pool.
"""

import asyncio
from typing import Annotated, Protocol

from pydantic import Field

from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.shapes import ChangeShown, Name, Query, Shown
from waitroom.admin.sight import Sight
from waitroom.admission.audit import RELOAD, RESTART, Entry

MOST, USUAL = 1_000, 100
WHOLE = frozenset({RELOAD, RESTART})
"""Entries about the whole service, which the default pool's audit keeps."""


class Which(Query):
    """Which entries."""

    pool: Name | None = Field(default=None, description="Default: of all pools.")
    limit: Annotated[int, Field(ge=1, le=MOST)] = USUAL
    skip: Annotated[int, Field(ge=0, le=MOST, description="The latest ones to leave out.")] = 0


class EntryShown(Shown):
    """One change."""

    at_ms: int
    pool: str | None = Field(description="Null: the whole service.")
    who: str = Field(description="Empty: nobody, its time was over.")
    what: str = Field(
        description="limit, undo, hold, open, announce, silence, lane, release, reload, restart or expired."
    )
    target: str = Field(description="A backend, an exam, a student's code, or empty.")
    why: str
    until_ms: int = Field(description="0: until it is undone, or for good.")
    changes: list[ChangeShown]


class AuditShown(Shown):
    """A page of the audit."""

    entries: list[EntryShown]
    more: bool = Field(description="Whether there are older ones.")


class Store(Protocol):
    """Where the audit is; see waitroom/store/operators."""

    async def audit(self, pool: str, read: int, count: int) -> list[Entry]:
        """The audit of a pool, latest first. Raises StoreError."""


class AuditApi:
    """The endpoint."""

    def __init__(self, sight: Sight, store: Store) -> None:
        self._sight = sight
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Where it is."""
        return [
            Endpoint(
                "GET", "/api/v1/audit", "read", "Who changed what, the latest first.", self._get, AuditShown,
                query=Which, refuses={404: "No such pool."},
            )
        ]  # fmt: skip

    async def _get(self, _call: Call, which: Which) -> AuditShown:
        settings, wanted = self._sight.settings, which.skip + which.limit + 1
        if which.pool is not None:
            self._sight.pool(which.pool)
        names = list(settings.pools) if which.pool is None else [*{which.pool, settings.default_pool}]
        # of a default pool that is not asked for only what is of all pools counts, which may lie far back
        counts = {name: min(MOST, wanted) if which.pool in (None, name) else MOST for name in names}
        pages = await asyncio.gather(*(self._store.audit(name, 0, count) for name, count in counts.items()))
        found = [
            _shown(None if each.what in WHOLE else name, each)
            for name, page in zip(names, pages, strict=True)
            for each in page
            if which.pool is None or name == which.pool or each.what in WHOLE
        ]
        found.sort(key=lambda each: -each.at_ms)
        return AuditShown(entries=found[which.skip : wanted - 1], more=len(found) >= wanted)


def _shown(pool: str | None, entry: Entry) -> EntryShown:
    return EntryShown(
        at_ms=entry.at_ms,
        pool=pool,
        who=entry.who,
        what=entry.what,
        target=entry.target,
        why=entry.why,
        until_ms=entry.until_ms,
        changes=[ChangeShown(key=each.key, old=each.old, new=each.new) for each in entry.changes],
    )
