"""Builds what decides about requests, from settings: one place that knows how the floors fit together.

Law: a brain belongs to one set of settings. A reload builds another beside it and switches; requests under way keep the
one they began with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from waitroom.admission.draw import Lot, proposed
from waitroom.admission.identity import Registrar
from waitroom.admission.line import BackendRules, Rules
from waitroom.admission.pacing import PaceRules, PaceSeal
from waitroom.admission.receipts import Notary
from waitroom.admission.tickets import Seal
from waitroom.gate.entrance import Entrance
from waitroom.gate.gate import Gate
from waitroom.gate.gate import Rules as GateRules
from waitroom.gate.holds import Holds
from waitroom.gate.identity import Identities, from_cookie, from_header, from_token_header
from waitroom.gate.jar import Jars
from waitroom.gate.line import Line, Store
from waitroom.gate.meters import GateMeters
from waitroom.gate.pace import Pacer
from waitroom.metrics.counters import Counters
from waitroom.server.duty import worker_count
from waitroom.server.screens import WebScreens
from waitroom.settings.identity import KEY, roster_of
from waitroom.settings.model import Exam, Pool, Settings
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

    def remember(self, before: "Brain") -> None:
        """What was known of the pools a moment ago is not forgotten with the settings."""
        for name, entrance in self.entrances.items():
            known = before.entrances.get(name)
            if known is not None and known.snapshot is not None:
                entrance.learn(known.snapshot)


Lots = dict[str, dict[str, Lot]]
"""By pool and exam what the store says that places are drawn by; one for all brains of a worker."""


def build_brain(
    settings: Settings,
    secrets: Secrets,
    store: Store,
    counters: Counters,
    *,
    lots: Lots | None = None,
    holds: Holds | None = None,
) -> Brain:
    """A gate ready to decide. `lots` are what the brain before this one knew; `holds` is where the worker holds
    requests, whatever settings they began with.
    """
    lots = {} if lots is None else lots
    keys = [(key.id, key.key) for key in secrets.keys]

    def entrance(name: str, pool: Pool) -> Entrance:
        exams = {exam: found for exam, found in settings.exams.items() if found.pool == name}
        return Entrance(
            name,
            pool,
            exams,
            Seal(name, keys),
            Notary(keys),
            roster=roster_of(settings.enclosed, name),
            proposals=_proposals(name, exams, keys[-1][1]),
            lots=lots.setdefault(name, {}),
        )

    entrances = {name: entrance(name, pool) for name, pool in settings.pools.items()}
    meters = GateMeters(counters, list(settings.pools), [pace.name for pace in settings.pace])
    line = Line(store, meters)
    jars = Jars(
        {name: entrance.seal for name, entrance in entrances.items()},
        lambda pool, ticket: entrances[pool].credential(ticket),
        meters.refused,
    )
    screens, pacer = WebScreens(settings), None
    if settings.pace:
        seal = PaceSeal([key.key for key in secrets.keys])
        pacer = Pacer(
            settings,
            workers=worker_count(settings),
            seal=seal,
            store=store,
            holds=holds or Holds(),
            screens=screens,
            meters=meters,
        )
    identities = _identities(settings, [key for _, key in keys])
    gate = Gate(GateRules.of(settings), entrances, jars, line, screens, identities=identities, pacer=pacer)
    return Brain(settings, gate, line, entrances)


def _proposals(pool: str, exams: Mapping[str, Exam], key: bytes) -> dict[str, Lot]:
    """A lot for each exam whose places are drawn, by the oldest key: a new one in front of it changes none."""
    return {
        name: proposed(key, pool, name, exam.opens_ms)
        for name, exam in exams.items()
        if exam.order == "draw" and exam.opens_ms is not None
    }


def _identities(settings: Settings, keys: list[bytes]) -> Identities | None:
    """What finds out who asks, where the settings want to know."""
    identity, registrar = settings.identity, Registrar(keys)
    if identity is None:
        return None
    if identity.header is not None:
        return Identities(registrar, from_header(identity.header))
    if identity.cookie is not None:
        return Identities(registrar, from_cookie(identity.cookie))
    assert identity.jwt is not None
    tokens, how = import_module("waitroom.gate.tokens"), identity.jwt
    source = from_token_header(how.header) if how.header else from_cookie(how.cookie or "")
    key = settings.enclosed[KEY].encode("latin-1")
    return Identities(registrar, source, tokens.verifier(key, how.algorithm, how.claim, how.audience))


def line_rules(settings: Settings, version: int) -> dict[str, Rules]:
    """What the line must know of each pool. `version`: when the settings were taken, ms; the newest wins."""
    return {name: _rules(pool, version) for name, pool in settings.pools.items()}


def pace_rules(settings: Settings) -> dict[str, PaceRules]:
    """What the store's client must know of each pace."""
    return {pace.name: PaceRules.of(pace.rate_milli) for pace in settings.pace}


def _rules(pool: Pool, version: int) -> Rules:
    return Rules(
        version=version,
        rate_milli=pool.admission.rate_milli,
        burst=pool.admission.burst,
        idle_timeout_ms=pool.session.idle_timeout_ms,
        max_duration_ms=pool.session.max_duration_ms,
        absence_grace_ms=pool.absence_grace_ms,
        priority_percent=pool.priority.share,
        backends=tuple(
            BackendRules(name, backend.max_sessions or UNLIMITED_SESSIONS) for name, backend in pool.backends.items()
        ),
        move=pool.on_backend_down == "move",
    )
