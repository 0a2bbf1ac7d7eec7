"""Where the line lives.

Law: a store of ours is there before the first worker and goes after the last. Somebody else's may be away when we
start: passes, pages and readiness do not wait for it.
"""

from typing import Protocol

from waitroom.settings.model import Settings
from waitroom.store.embedded import EmbeddedStore
from waitroom.store.keys import PoolKeys


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
