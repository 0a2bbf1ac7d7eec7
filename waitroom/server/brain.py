"""Builds what decides about requests, from settings: one place that knows how the floors fit together.

Law: a brain belongs to one set of settings. A reload builds another beside it and switches; requests under way keep the
one they began with.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from waitroom.admission.line import BackendRules, Rules
from waitroom.admission.receipts import Notary
from waitroom.admission.tickets import Seal
from waitroom.gate.entrance import Entrance
from waitroom.gate.gate import Gate
from waitroom.gate.gate import Rules as GateRules
from waitroom.gate.jar import Jars
from waitroom.gate.line import Line, Store
from waitroom.gate.meters import GateMeters
from waitroom.metrics.counters import Counters
from waitroom.server.screens import WebScreens
from waitroom.settings.model import Pool, Settings
from waitroom.settings.secrets import Secrets

UNLIMITED_SESSIONS = 1_000_000
"""What the line counts against where a backend states no max_sessions (then the pool has a rate)."""


@dataclass(frozen=True, slots=True)
class Brain:
    """The gate of one set of settings with what it is made of."""

    settings: Settings
    gate: Gate
    line: Line
    entrances: Mapping[str, Entrance]


def build_brain(settings: Settings, secrets: Secrets, store: Store, counters: Counters) -> Brain:
    """A gate ready to decide."""
    keys = [(key.id, key.key) for key in secrets.keys]
    entrances = {
        name: Entrance(
            name,
            pool,
            {exam: found for exam, found in settings.exams.items() if found.pool == name},
            Seal(name, keys),
            Notary(keys),
        )
        for name, pool in settings.pools.items()
    }
    meters = GateMeters(counters, list(settings.pools))
    line = Line(store, meters)
    jars = Jars(
        {name: entrance.seal for name, entrance in entrances.items()},
        lambda pool, ticket: entrances[pool].credential(ticket),
        meters.refused,
    )
    gate = Gate(GateRules.of(settings), entrances, jars, line, WebScreens(settings))
    return Brain(settings, gate, line, entrances)


def line_rules(settings: Settings, version: int) -> dict[str, Rules]:
    """What the line must know of each pool. `version`: when the settings were taken, ms; the newest wins."""
    return {name: _rules(pool, version) for name, pool in settings.pools.items()}


def _rules(pool: Pool, version: int) -> Rules:
    return Rules(
        version=version,
        rate_milli=pool.admission.rate_milli,
        burst=pool.admission.burst,
        idle_timeout_ms=pool.session.idle_timeout_ms,
        max_duration_ms=pool.session.max_duration_ms,
        absence_grace_ms=pool.absence_grace_ms,
        backends=tuple(
            BackendRules(name, backend.max_sessions or UNLIMITED_SESSIONS) for name, backend in pool.backends.items()
        ),
        move=pool.on_backend_down == "move",
    )
