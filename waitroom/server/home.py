"""Where the line lives, and how the supervisor reads it.

Law: a store of ours is there before the first worker and goes after the last. Somebody else's may be away when we
start: passes, pages and readiness do not wait for it.
"""

from collections.abc import Mapping
from typing import Protocol

from waitroom.admission.line import Announced, Snapshot
from waitroom.admission.waits import Wait
from waitroom.settings.model import Settings
from waitroom.store.client import LineStore
from waitroom.store.embedded import EmbeddedStore
from waitroom.store.keys import PoolKeys

FIRST_ANSWER_S = 1.0
"""What the start of the admin listener gives the store; after that the reader goes on trying by itself."""


class Home(Protocol):
    """The place of the line, from the supervisor's point of view."""

    @property
    def url(self) -> str:
        """How to reach the store."""

    @property
    def restarts(self) -> int:
        """How often a server of ours had to be started again."""

    async def start(self) -> None:
        """Be there, or raise WaitroomError."""

    async def stop(self) -> None:
        """Shut down cleanly, after the last worker. Harmless before `start`."""


class Elsewhere:
    """A Redis or Valkey that somebody else runs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.restarts = 0

    async def start(self) -> None:
        """Nothing to start; workers connect by themselves, as soon as it answers."""

    async def stop(self) -> None:
        """Nothing to stop."""


def home_of(settings: Settings) -> Home:
    """Where the settings put the line."""
    if settings.store.url is None:
        return EmbeddedStore(settings.store.data_dir)
    return Elsewhere(settings.store.url)


def pool_keys(settings: Settings) -> dict[str, PoolKeys]:
    """What the store's client must know of the pools: their backends, and their exams that may have a lobby."""
    lobbies: dict[str, list[str]] = {name: [] for name in settings.pools}
    for name, exam in settings.exams.items():
        if exam.opens_ms is not None:
            lobbies[exam.pool].append(name)
    return {name: PoolKeys(tuple(pool.backends), tuple(lobbies[name])) for name, pool in settings.pools.items()}


class LineReader:
    """The supervisor's own connection to the store: reads the line for /metrics, and says what operators want said."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._store = LineStore(url, pool_keys(settings))

    async def start(self) -> None:
        """Begin to connect, for ever."""
        await self._store.start(FIRST_ANSWER_S)

    async def stop(self) -> None:
        """Disconnect."""
        await self._store.close()

    def follow(self, settings: Settings) -> None:
        """A reload: these are the pools now."""
        self._store.set_pools(pool_keys(settings))

    async def snapshot(self, pool: str) -> Snapshot:
        """The pool now. Raises StoreError."""
        return await self._store.snapshot(pool)

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """Those still waiting, from this order key on. Raises StoreError."""
        return await self._store.waiting(pool, first, count)

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        """How others' waits ended, latest first. Raises StoreError."""
        return await self._store.ended(pool, read, count)

    async def set_live(self, pool: str, fields: Mapping[str, str]) -> dict[str, str]:
        """Set what lies over a pool's rules; gives what was there before. Raises StoreError."""
        return await self._store.set_live(pool, fields)

    async def announce(self, pool: str, exam: str, said: Announced | None, for_ms: int = 0) -> Announced | None:
        """Say something on a pool's pages; gives what was said before. Raises StoreError."""
        return await self._store.announce(pool, exam, said, for_ms)
