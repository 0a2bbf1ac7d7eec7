"""Where the line lives: a store of our own beside the workers, or one that somebody else runs.

Law: a store of ours is there before the first worker and goes after the last. Somebody else's may be away when we
start: passes, pages and readiness do not wait for it.
"""

from waitroom.admission.line import Snapshot
from waitroom.errors import StoreAwayError
from waitroom.settings.model import Settings


class Elsewhere:
    """A Redis or Valkey that somebody else runs."""

    restarts = 0

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self) -> None:
        """Nothing to start; workers connect by themselves, as soon as it answers."""

    async def stop(self) -> None:
        """Nothing to stop."""


class Away:
    """Stands in for the store's client."""

    async def snapshot(self, pool: str) -> Snapshot:
        """Nothing."""
        raise StoreAwayError(pool)


def home_of(settings: Settings) -> Elsewhere:
    """Where the settings put the line."""
    return Elsewhere(settings.store.url or "unix:///nowhere")


def snapshots_of(url: str) -> Away:
    """The reader of the line's state for the admin listener."""
    del url
    return Away()
