"""The public listener of one worker with everything behind it: store client, gate, screens, proxy, conductor.

Law: a reload is prepared whole before anything changes, and switching over cannot fail. The handler is looked up once
per request, so a request is decided by one set of settings.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from waitroom import clock
from waitroom.admission.line import Touched
from waitroom.errors import BackendError, SettingsError, StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.holds import Holds
from waitroom.logs import request_ids
from waitroom.metrics.catalogue import REASONS
from waitroom.metrics.counters import Counters
from waitroom.proxy.decisions import Collect, Decision, Relay, Request, Respond
from waitroom.proxy.dialler import tls_context
from waitroom.proxy.doorman import Doorman
from waitroom.proxy.listener import Listener
from waitroom.proxy.rules import MaxInflight, ProxyRules
from waitroom.server.brain import Brain, Lots, build_brain, line_rules, pace_rules
from waitroom.server.certificates import server_context
from waitroom.server.checks import Checks, Patient
from waitroom.server.conductor import Conductor
from waitroom.server.duty import Front, Grace, worker_count
from waitroom.server.home import pool_keys
from waitroom.server.regulator import Regulator
from waitroom.server.reports import Reports
from waitroom.server.tide import Tide
from waitroom.server.watcher import Watcher
from waitroom.settings.addresses import BackendUrl
from waitroom.settings.certificates import pair_of
from waitroom.settings.model import Settings
from waitroom.settings.pools import Backend, Pool
from waitroom.settings.secrets import Secrets
from waitroom.store.client import LineStore
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

SNAPSHOT_S = 1.0
"""Estimates are made from a state at most this old."""

BACKLOG = 4_096

TUNNEL_END_MS = 1_000
"""For the last bytes of tunnels that are ended when their grace is over."""


@dataclass(slots=True)
class Switch:
    """The handler of the settings in force."""

    decide: Callable[[Request], Decision]
    backend_failed: Callable[[Request, Relay, BackendError], Respond | Collect]

    def turn(self, brain: Brain) -> None:
        """From now on these settings decide."""
        self.decide = brain.gate.decide
        self.backend_failed = brain.gate.backend_failed


class ExamFront:
    """What a worker process does."""

    def __init__(self, settings: Settings, secrets: Secrets, counters: Counters, taken_ms: int) -> None:
        assert settings.store.url is not None
        self._counters = counters
        self._store = LineStore(
            settings.store.url,
            pool_keys(settings),
            on_touched=self._touched,
            observe_call=counters.histogram("store_call_seconds").observe,
            on_failure=lambda cause: counters.counter("store_failures_total", cause).inc(),
        )
        self._store.set_paces(pace_rules(settings))
        self._holds = Holds()
        self._lots: Lots = {}
        self._brain = build_brain(settings, secrets, self._store, counters, lots=self._lots, holds=self._holds)
        self._reports = Reports()
        self._checks = Checks(_patients(settings))
        self._regulator = Regulator(self._store, self._reports, self._checks)
        self._conductor = Conductor(self._store, line_rules(settings, taken_ms), self._departed, self._regulate)
        self._watcher = Watcher(
            counters, _backends(settings), self._reports, access=settings.logging.access, on_deserted=self._deserted
        )
        self._telling = set[str]()
        """Backends whose end is being told to the store."""
        self._switch = Switch(self._brain.gate.decide, self._brain.gate.backend_failed)
        self._listener: Listener | None = None
        self._servers: list[asyncio.Server] = []
        self._doormen: dict[int, Doorman] = {}
        """By the number of their public listener."""
        self._tide = Tide()
        self._snapshots: asyncio.Task[None] | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on these listening sockets. A store that is away is waited for only briefly: passes do not need it."""
        settings = self._brain.settings
        await self._store.start()
        await self._conductor.write_rules()
        self._conductor.start()
        await self._learn()
        self._snapshots = spawn(self._keep_learning(), name="snapshots")
        self._listener = listener = Listener(
            self._switch, _targets(settings), _proxy_rules(settings), self._watcher, request_ids()
        )
        listener.ticker.follow(self._second)
        loop = asyncio.get_running_loop()
        for index, (door, each) in enumerate(zip(sockets, settings.listen.public, strict=True)):
            if each.tls is not None or each.proxy_protocol:
                tls = _tls(settings, index) if each.tls else None
                self._doormen[index] = Doorman(listener, door, tls, each.proxy_protocol)
                self._doormen[index].start()
            else:
                self._servers.append(await loop.create_server(listener, sock=door, backlog=BACKLOG))

    async def prepare(self, settings: Settings, secrets: Secrets, taken_ms: int) -> Callable[[], None]:
        """Build what new settings need; the function returned switches over."""
        brain = build_brain(settings, secrets, self._store, self._counters, lots=self._lots, holds=self._holds)
        patients = _patients(settings)
        rules, proxy_rules, targets = line_rules(settings, taken_ms), _proxy_rules(settings), _targets(settings)
        renewed = self._renewed(settings)

        def commit() -> None:
            assert self._listener is not None
            self._store.set_pools(pool_keys(settings))
            self._store.set_paces(pace_rules(settings))
            brain.remember(self._brain)
            self._brain = brain
            self._watcher.renew(_backends(settings), access=settings.logging.access)
            self._listener.adopt(proxy_rules, targets)
            self._switch.turn(brain)
            self._conductor.replace_rules(rules)
            self._checks.adopt(patients)
            for index, tls in renewed.items():
                self._doormen[index].tls = tls

        return commit

    def _renewed(self, settings: Settings) -> dict[int, ssl.SSLContext]:
        """What listeners show from now on, where that changes; SettingsError for what cannot be shown. Where it does
        not, clients go on with the tickets by which they resume a session.
        """
        before = self._brain.settings.enclosed
        return {
            index: _tls(settings, index)
            for index, doorman in self._doormen.items()
            if doorman.tls is not None and pair_of(settings.enclosed, index) != pair_of(before, index)
        }

    async def retire(self, grace: Grace) -> None:
        """Go on accepting, one answer a connection, until all that is there now is finished or its grace over."""
        if self._listener is not None:
            await _within(self._listener, self._listener.elders_gone(), grace)

    async def drain(self, grace: Grace) -> None:
        """Answer what waits in the backlog, accept nothing more, and return when all is answered or the grace over."""
        for _ in range(3):
            await asyncio.sleep(0)  # what the kernel has queued is accepted in the next turns of the loop
        for server in self._servers:
            server.close()
        await asyncio.gather(*(doorman.close() for doorman in self._doormen.values()))
        self._holds.close()
        if self._listener is not None:
            await _within(self._listener, self._listener.drained(), grace)

    async def close(self) -> None:
        """Let go of everything; what the store has not been told is told first."""
        await self._conductor.close()
        await self._checks.run(on=False)
        await stop(self._snapshots)
        if self._listener is not None:
            self._listener.close()
        await self._store.close()
        self._watcher.close()

    def _touched(self, pool: str, answer: Touched) -> None:
        self._brain.gate.touched(pool, answer)

    def _departed(self, pool: str, reason: str, number: int) -> None:
        """Sessions and places that ended, as the line tells them."""
        if reason in REASONS:
            self._counters.counter("departures_total", pool, reason).inc(number)

    def _second(self, _now_s: float) -> None:
        assert self._listener is not None
        self._brain.gate.tick()
        self._listener.pools.share(len(self._reports.workers), self._reports.rank)
        self._listener.pools.compare(self._reports.fellows)
        self._watcher.levels(self._listener.pools.levels())
        here = self._listener.connections + sum(doorman.receiving for doorman in self._doormen.values())
        self._tide.turn(here, sum(doorman.most_receiving() for doorman in self._doormen.values()))

    async def _keep_learning(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_S)
            await self._learn()

    async def _regulate(self, pool: str | None) -> None:
        """This worker is the conductor: judge a pool's backends. None: it is not, and checks none."""
        await self._checks.run(on=pool is not None)
        if pool is not None and pool in self._brain.settings.pools:
            await self._regulator.turn(pool, self._brain.settings.pools[pool])

    def _deserted(self, target: str) -> None:
        """Nobody listens at a backend any more. Until that is told, others may meet it too."""
        pool, _, backend = target.partition("/")
        entrance = self._brain.entrances.get(pool)
        if entrance is None or backend not in entrance.pool.backends or target in self._telling:
            return  # a reload took it away, or it is being told
        self._telling.add(target)
        spawn(self._tell_deserted(entrance, backend), name=f"deserted {target}")

    async def _tell_deserted(self, entrance: Entrance, backend: str) -> None:
        """All workers are to know it, and this one does at once, also where the store cannot say so."""
        pool = entrance.name
        try:
            await self._regulator.deserted(pool, entrance.pool, backend)
            entrance.learn(await self._store.snapshot(pool, entrance.ends_ms(self._brain.line.now_ms())))
        except StoreError:
            entrance.bar(backend, clock.now_ms())
        finally:
            self._telling.discard(entrance.target(backend))

    async def _learn(self) -> None:
        brain = self._brain
        for pool, entrance in brain.entrances.items():
            try:
                levels = self._listener.pools.levels() if self._listener is not None else {}
                report = self._reports.take(pool, entrance.pool.backends, levels)
                self._reports.heard(pool, await self._store.report(pool, self._reports.worker, report))
                snapshot = await self._store.snapshot(pool, entrance.ends_ms(brain.line.now_ms()))
            except StoreError:
                continue  # the client says when the store goes and comes back; estimates grow older meanwhile
            entrance.learn(snapshot)
            brain.line.heard(snapshot.now_ms)
            if lots := entrance.undrawn(snapshot.now_ms):
                with suppress(StoreError):  # as above
                    entrance.lots.update(await self._store.draw(pool, lots))


async def _within(listener: Listener, done: Awaitable[None], grace: Grace) -> None:
    """Let requests finish within their grace and tunnels within theirs."""
    listener.drain()
    tunnels = asyncio.get_running_loop().call_later(grace.tunnels_ms / 1000, listener.close_tunnels)
    try:
        async with asyncio.timeout(max(grace.requests_ms, grace.tunnels_ms + TUNNEL_END_MS) / 1000):
            await done
    except TimeoutError:
        log.warning("drain_cut_short", connections=listener.connections, tunnels=listener.tunnels)
    finally:
        tunnels.cancel()


def build(settings: Settings, secrets: Secrets, counters: Counters, taken_ms: int) -> Front:
    """The front of one worker. `taken_ms`: when the settings were read."""
    return ExamFront(settings, secrets, counters, taken_ms)


def _backends(settings: Settings) -> list[tuple[str, str]]:
    return [(name, backend) for name, pool in settings.pools.items() for backend in pool.backends]


def _patients(settings: Settings) -> dict[str, Patient]:
    """Every backend as it is checked."""
    hosts = settings.hosts
    return {
        f"{name}/{backend}": Patient(target_of(found), pool.health, hosts[0] if hosts else "")
        for name, pool in settings.pools.items()
        for backend, found in pool.backends.items()
    }


def _targets(settings: Settings) -> dict[str, BackendUrl]:
    """Every backend by the name that a Relay gives; SettingsError for certificates that are none."""

    def of(name: str, pool: Pool) -> dict[str, BackendUrl]:
        return {f"{name}/{backend}": target_of(found) for backend, found in pool.backends.items()}

    return {target: url for name, pool in settings.pools.items() for target, url in of(name, pool).items()}


def target_of(backend: Backend) -> BackendUrl:
    """Where a backend is, with the certificates that vouch for it; SettingsError for certificates that are none."""
    ca_pem = ""
    if backend.ca is not None:
        try:
            ca_pem = Path(backend.ca).read_text("ascii")
            tls_context(ca_pem)
        except (OSError, ValueError) as error:  # ssl.SSLError and UnicodeDecodeError are among them
            raise SettingsError(f"{backend.ca}: no certificates that can vouch for a backend: {error}") from error
    return replace(backend.url, ca_pem=ca_pem, server_name=backend.server_name or "")


def _proxy_rules(settings: Settings) -> ProxyRules:
    timeouts, limits = settings.timeouts, settings.limits
    return ProxyRules(
        trusted_proxies=tuple(settings.trusted_proxies),
        forward_as=settings.forward_as,
        signed_on=_signed_on(settings),
        header_bytes=limits.header_bytes,
        body_bytes=limits.body_bytes,
        connections=limits.connections,
        backend_idle=limits.backend_idle,
        head_ms=timeouts.head_ms,
        idle_ms=timeouts.idle_ms,
        connect_ms=timeouts.connect_ms,
        response_ms=timeouts.response_ms,
        body_grace_ms=timeouts.body_grace_ms,
        body_ms=timeouts.body_ms,
        body_rate=limits.body_rate,
        tunnel_idle_ms=timeouts.tunnel_idle_ms,
        max_inflight=_max_inflight(settings),
        bypass=limits.bypass,
        inflight_wait_ms=timeouts.inflight_wait_ms,
        workers=worker_count(settings),
    )


def _signed_on(settings: Settings) -> frozenset[bytes]:
    """The header by which a sign-on's proxy names students, if that is how they are known."""
    header = settings.identity.header if settings.identity else None
    return frozenset({header.lower().encode()}) if header else frozenset()


def _max_inflight(settings: Settings) -> dict[str, MaxInflight]:
    """By the name that a Relay gives."""
    return {
        f"{name}/{backend}": found.max_inflight or "auto"
        for name, pool in settings.pools.items()
        for backend, found in pool.backends.items()
        if found.max_inflight is not None or pool.admission.adaptive is not None
    }


def _tls(settings: Settings, index: int) -> ssl.SSLContext:
    """What the public listener with this number shows."""
    tls, pair = settings.listen.public[index].tls, pair_of(settings.enclosed, index)
    assert tls is not None
    if pair is None:
        raise SettingsError(f"{tls.cert}, {tls.key}: cannot be read by the user that the service runs as")
    try:
        return server_context(pair)
    except ssl.SSLError as error:
        raise SettingsError(f"{tls.cert}, {tls.key}: not a certificate with its key: {error}") from error
