"""A whole worker without sockets or store: the gate and the pages behind a listener in memory, and a line that is full.

Law: the line answers at once and never changes, so that what is measured is the worker's own work.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.proxy.memory import World
from waitroom.admission.line import Life, Presence, Standing, State, Touch, Touched
from waitroom.admission.tickets import Ticket
from waitroom.errors import StoreError
from waitroom.gate.gate import Gate
from waitroom.metrics.counters import Counters
from waitroom.proxy.rules import ProxyRules
from waitroom.server.brain import build_brain
from waitroom.server.orders import labels_of
from waitroom.settings.load import from_mapping
from waitroom.settings.secrets import Key, Secrets

NOW_MS = 1_800_000_000_000

SETTINGS = {
    "pools": {"main": {"backends": {"main-1": {"url": "http://backend", "max_sessions": 1}}}},
    "exams": {
        f"E{number}": {"pool": "main", "match": [{"path": "/mod/quiz/*", "query": {"cmid": str(number)}}]}
        for number in range(20)
    },
    "bypass": [{"path": "/open/*"}, {"path": "/mod/quiz/*", "query": {"way": "in"}}],
    "release": [{"path": "/logout"}],
}


class FullLine:
    """A store whose line is long: newcomers wait, sessions live."""

    up = True

    def present(self, _pool: str, presence: Presence, done: Callable[[Standing | StoreError], None]) -> None:
        at_us = presence.arrival_us or NOW_MS * 1000
        done(Standing(State.WAITING, presence.visitor, at_us, NOW_MS, ahead=9, waiting=10, next_poll_ms=2_000))

    def check(self, _pool: str, touch: Touch, done: Callable[[Touched | StoreError], None]) -> None:
        done(Touched(touch.visitor, Life.LIVE, NOW_MS + 3_600_000))

    def touch(self, _pool: str, touch: Touch) -> None:
        """Noted."""

    def release(self, pool: str, visitor: str, reason: str) -> None:
        """Noted."""

    def leave(self, pool: str, visitor: str) -> None:
        """Noted."""


@dataclass(slots=True)
class Worker:
    """The worker, and the cookie of somebody inside and of somebody in line."""

    world: World
    gate: Gate
    inside: bytes
    waiting: bytes


def worker(rules: ProxyRules | None = None) -> Worker:
    """A worker of `SETTINGS`."""
    settings = from_mapping(SETTINGS)
    counters = Counters.private(labels_of(settings))
    brain = build_brain(settings, Secrets((Key("k1", b"k" * 32),)), FullLine(), counters)
    ticket = Ticket("A" * 16, "", NOW_MS * 1000)
    seal = brain.entrances["main"].seal
    return Worker(
        World(choose=brain.gate.decide, rules=rules or ProxyRules()),
        brain.gate,
        b"wr_main=" + seal.sign(ticket.admitted("main-1", NOW_MS)).encode(),
        b"wr_main=" + seal.sign(ticket).encode(),
    )
