"""What may go wrong in a simulated world, by name, and how much of it a seed brings.

Law: the faults of a run follow from its seed alone. Each seed leaves out about half of all kinds, so that every kind
also meets a world in which it is the only one: faults that hide each other would hide defects.
"""

from dataclasses import asdict, dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances: of a message or a call to the store those that go wrong; of all else what happens in a minute."""

    request_lost: float = 0.0
    """On the way from a browser to a worker."""
    reply_lost: float = 0.0
    """On the way back: it was done, and the browser does not know."""
    store_call_lost: float = 0.0
    store_reply_lost: float = 0.0
    worker_dies: float = 0.0
    """Killed; another starts after a second or two."""
    worker_hangs: float = 0.0
    """It hears nothing of the store for some seconds, as if the machine were too busy."""
    store_away: float = 0.0
    """Nobody answers there for 2 to 70 s; its data are kept."""
    store_silent: float = 0.0
    """Connected, and no answer."""
    store_slow: float = 0.0
    """200 ms for every call, for a while."""
    store_wiped: float = 0.0
    """An empty store comes back."""
    store_older: float = 0.0
    """A copy comes back that is some seconds old."""
    clock_forward: float = 0.0
    """The store's clock jumps ahead by 2 s to 10 min."""
    clock_back: float = 0.0
    limit_changed: float = 0.0
    """An operator reloads with other max_sessions."""
    held: float = 0.0
    """Staff hold admissions for 5 to 60 s."""
    drained: float = 0.0
    """Staff drain a backend for a while."""
    announced: float = 0.0
    opening_moved: float = 0.0
    """A reload moves the opening by up to two minutes."""
    backend_dies: float = 0.0
    """Requests to it fail for 3 to 20 s."""
    backend_blinks: float = 0.0
    """Its process is killed, and another one that knows nobody is there within 0.3 to 2.5 s."""

    @property
    def named(self) -> str:
        """Those that may happen, for a story."""
        return ", ".join(f"{name} {value:g}" for name, value in asdict(self).items() if value) or "none"


MOST = Faults(
    request_lost=0.02,
    reply_lost=0.04,
    store_call_lost=0.01,
    store_reply_lost=0.02,
    worker_dies=0.5,
    worker_hangs=0.3,
    store_away=0.2,
    store_silent=0.2,
    store_slow=0.3,
    store_wiped=0.15,
    store_older=0.15,
    clock_forward=0.1,
    clock_back=0.1,
    limit_changed=0.3,
    held=0.3,
    drained=0.2,
    announced=0.3,
    opening_moved=0.2,
    backend_dies=0.2,
    backend_blinks=1.0,
)
"""As much of everything as a run can bear and still be told apart from a broken world."""


def drawn(chance: Random) -> Faults:
    """The faults of one run."""
    return Faults(
        **{
            each.name: round(getattr(MOST, each.name) * chance.uniform(0.2, 1.0), 4) if chance.random() < 0.5 else 0.0
            for each in fields(Faults)
        }
    )
