"""Pools by their names, and what the store says of them: what every part of the admin API begins with.

Law: a name that is not in the settings in force is answered with those that are. A snapshot is asked together with the
ends of the pool's exams, since waits depend on them.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from waitroom import clock
from waitroom.admin.refusals import RefusedError
from waitroom.admission.hours import ends_ms
from waitroom.admission.line import Snapshot
from waitroom.settings.model import Exam, Pool, Settings


class Snapshots(Protocol):
    """Where the state of a pool's line can be read; see waitroom/store."""

    async def snapshot(self, pool: str, ends: tuple[int, ...] = ()) -> Snapshot:
        """The pool now. Raises StoreError."""


class Sight:
    """The settings in force beside the store."""

    def __init__(self, settings: Callable[[], Settings], store: Snapshots) -> None:
        self._settings = settings
        self._store = store

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings()

    def pool(self, name: str) -> Pool:
        """A pool of the settings; RefusedError if there is none of that name."""
        pools = self.settings.pools
        if name not in pools:
            raise RefusedError(404, f"There is no such pool. The pools are: {', '.join(pools)}.")
        return pools[name]

    def backend(self, pool: str, name: str) -> str:
        """The name of a backend of the settings, or RefusedError."""
        backends = self.pool(pool).backends
        if name not in backends:
            raise RefusedError(404, f"There is no such backend. The backends of {pool} are: {', '.join(backends)}.")
        return name

    def exam(self, pool: str, name: str) -> str:
        """The name of an exam of the pool, or "" for all of it; else RefusedError."""
        exams = self.exams(pool)
        if name and name not in exams:
            raise RefusedError(404, f"There is no such exam. The exams of {pool} are: {', '.join(exams) or 'none'}.")
        return name

    def exams(self, pool: str) -> Mapping[str, Exam]:
        """The exams that come to a pool."""
        self.pool(pool)
        return {name: exam for name, exam in self.settings.exams.items() if exam.pool == pool}

    async def snapshot(self, pool: str) -> Snapshot:
        """The pool now. Raises StoreError."""
        session, closes = self.pool(pool).session, [each.closes_ms for each in self.exams(pool).values()]
        return await self._store.snapshot(pool, ends_ms(session, closes, clock.now_ms()))
