"""Backends by name, with the connections that wait for their next request.

Laws. The connection used last is used next, so that the others grow old together and go. A request that may not be sent
twice gets a connection used within the last `FRESH_S` or a new one: servers close idle ones (Apache after 5 s), and
what is sent into a closing connection may or may not have been processed. A connection with an owner (upstream.py) is
for nobody else; it goes with it, and after `FRESH_S` unless somebody has signed on to it, since each may keep a thread
of the server busy. A name keeps its connections over a reload if its URL stays; otherwise the old ones end with the
request they carry, and who waits for a place goes to the new one.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from waitroom.errors import BackendError
from waitroom.proxy.dialler import Dialler
from waitroom.proxy.guard import NOT_KNOWN, End, Guard, Level, Waiter, share_of
from waitroom.proxy.limiters import UNLIMITED, Limiter
from waitroom.proxy.responsehead import ResponseReader
from waitroom.proxy.rules import ProxyRules
from waitroom.proxy.strangers import STRANGERS, Strangers, part_of
from waitroom.proxy.ticker import Ticker
from waitroom.proxy.transports import has_news
from waitroom.proxy.upstream import Asker, BackendConnection, Owner
from waitroom.proxy.urgency import Urgency
from waitroom.settings.addresses import BackendUrl
from waitroom.tasks import spawn

FRESH_S = 2.0

TURNED_AWAY = 64
"""Requests turned away in one go, each with a page: all others must not wait for that (as listener.LOOKED_AT)."""


class Caller(Protocol):
    """Who waits for a new connection."""

    def connected(self, connection: BackendConnection) -> bool:
        """The connection; False if it is no longer wanted."""

    def not_connected(self, error: BackendError) -> None:
        """There is none to be had."""


class BackendPool:
    """One backend."""

    def __init__(self, name: str, url: BackendUrl, rules: ProxyRules, reader: ResponseReader, ticker: Ticker) -> None:
        self.name = name
        self.url = url
        self.guard = Guard()
        self.strangers = Strangers()
        default_port = 443 if url.scheme == "https" else 80
        host = f"[{url.host}]" if ":" in url.host else url.host or "localhost"
        self.authority = (host if url.port == default_port else f"{host}:{url.port}").encode()
        self.rules = rules
        self._reader = reader
        self._ticker = ticker
        self._idle: list[BackendConnection] = []
        self._owned: dict[Owner, BackendConnection] = {}
        """Idle too, each for its owner; latest last."""
        self._retired = False
        self._dialler = Dialler(url, ticker)

    @property
    def inflight(self) -> int:
        """Requests and tunnels that are at the backend now."""
        return self.guard.level.inflight

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle) + len(self._owned)

    def take(self, asker: Asker, *, repeatable: bool) -> BackendConnection | None:
        """An idle connection for a request, or None."""
        idle = self._idle
        if self._owned and (own := self._owned.pop(asker.owner, None)) is not None:
            if self._is_sound(own, repeatable=repeatable):
                own.reused = True
                return own
            own.discard()
        while idle:
            connection = idle.pop()
            if connection.transport.is_closing():
                continue
            if repeatable:
                connection.reused = True
                return connection
            if self._ticker.now_s - connection.heard_s > FRESH_S:
                idle.append(connection)
                return None
            if self._is_sound(connection, repeatable=False):
                connection.reused = True
                return connection
            connection.discard()
        return None

    def _is_sound(self, connection: BackendConnection, *, repeatable: bool) -> bool:
        """Whether it has just been used, where that matters, and no end and no stray byte of it waits to be read."""
        transport = connection.transport
        fresh = repeatable or self._ticker.now_s - connection.heard_s <= FRESH_S
        return fresh and not transport.is_closing() and not has_news(transport)

    def give_back(self, connection: BackendConnection) -> None:
        """Keep a connection for the next request. Where there is no room, the oldest goes that is for one client."""
        owned, most = self._owned, self.rules.backend_idle
        if connection.stranger and sum(own.stranger for own in owned.values()) >= self.strangers.line.limit:
            connection.discard()
            return
        if owned and len(self._idle) + len(owned) >= most:
            next(iter(owned.values())).discard()
        if self._retired or len(self._idle) + len(owned) >= most:
            connection.discard()
        elif connection.owner is None:
            self._idle.append(connection)
        else:
            owned[connection.owner] = connection

    def forget(self, connection: BackendConnection) -> None:
        """The connection is gone."""
        if connection.owner is not None:
            if self._owned.get(connection.owner) is connection:
                del self._owned[connection.owner]
        elif connection in self._idle:
            self._idle.remove(connection)

    def leave(self, client: object) -> None:
        """A client is gone: nobody else may use its connection."""
        for own in [each for owner, each in self._owned.items() if owner[0] is client]:
            own.discard()

    def retire(self) -> None:
        """Keep no connection any more, and nobody waiting."""
        self._retired = True
        for connection in (*self._idle, *self._owned.values()):
            connection.discard()
        self.strangers.line.dissolve()
        self.guard.dissolve()

    def tick(self, now_s: float) -> None:
        """Let go of what has been idle for too long, and turn away who has waited for too long."""
        for connection in [each for each in (*self._idle, *self._owned.values()) if self._is_old(each, now_s)]:
            connection.discard()
        guard = self.guard
        guard.tick()
        if guard.limiter is not None:
            guard.limiter.adjust(int(now_s * 1000))
            self._follow(guard.limiter)
        since_s = now_s - self.rules.inflight_wait_ms / 1000
        if guard.waiting:
            self._turn_away(guard, since_s)
        if self.strangers.line.waiting:
            self.strangers.make_room()
            self._turn_away(self.strangers.line, since_s)

    def _is_old(self, connection: BackendConnection, now_s: float) -> bool:
        idle_s = self.rules.backend_idle_ms / 1000
        if connection.owner is not None and not connection.signed_on:
            idle_s = min(idle_s, FRESH_S)
        return connection.heard_s < now_s - idle_s

    def _turn_away(self, guard: Guard, since_s: float) -> None:
        if guard.turn_away(since_s, TURNED_AWAY):
            asyncio.get_running_loop().call_soon(self._turn_away, guard, since_s)

    def share(self, workers: int, rank: int) -> None:
        """Take this worker's share of the requests that the backend may have at a time."""
        guard, total, strangers = self.guard, self.rules.max_inflight.get(self.name), self.rules.bypass
        if total == "auto":
            guard.limiter = guard.limiter or self.rules.new_limiter()
            guard.limiter.workers = workers
            self._follow(guard.limiter)
        else:
            guard.limiter = None
            guard.resize(UNLIMITED if total is None else share_of(total, workers, rank, self.name))
            strangers = strangers or (STRANGERS if total is None else part_of(total))
        if strangers is not None:
            self.strangers.line.resize(share_of(strangers, workers, rank, self.name))

    def _follow(self, limiter: Limiter) -> None:
        """The limit is what has been found."""
        self.guard.resize(max(1, limiter.limit))
        if self.rules.bypass is None:
            self.strangers.line.resize(part_of(self.guard.limit))

    def park(self, waiter: Waiter, guard: Guard, urgency: Urgency) -> None:
        """Have a request wait for a place, among all or among strangers."""
        loser = guard.park(waiter, urgency, self._ticker.now_s)
        if loser is not None:
            asyncio.get_running_loop().call_soon(loser.turned_away, End.CROWDED)

    def connect(self, caller: Caller) -> None:
        """Make a connection for the caller."""
        spawn(self._connect(caller), name=f"connect {self.name}")

    async def _connect(self, caller: Caller) -> None:
        try:
            connection = await self._dialler.dial(self._new, self.rules.connect_ms / 1000)
        except BackendError as error:
            caller.not_connected(error)
            return
        if not caller.connected(connection):
            self.give_back(connection)

    def _new(self) -> BackendConnection:
        return BackendConnection(self, self._reader, self._ticker, self.rules.header_bytes)


class BackendPools:
    """All backends of a worker, by the name that a Relay gives."""

    def __init__(
        self, targets: Mapping[str, BackendUrl], rules: ProxyRules, reader: ResponseReader, ticker: Ticker
    ) -> None:
        self._rules = rules
        self._reader = reader
        self._ticker = ticker
        self._pools: dict[str, BackendPool] = {}
        self._workers, self._rank = rules.workers, NOT_KNOWN
        self.get = self._pools.get
        self.replace(targets)
        ticker.follow(self._tick)

    def replace(self, targets: Mapping[str, BackendUrl]) -> None:
        """Know these backends from now on."""
        gone = [self._pools.pop(name) for name, pool in list(self._pools.items()) if targets.get(name) != pool.url]
        for name, url in targets.items():
            if name not in self._pools:
                self._pools[name] = BackendPool(name, url, self._rules, self._reader, self._ticker)
        self._share_out()
        for pool in gone:
            pool.retire()

    def share(self, workers: int, rank: int) -> None:
        """So many workers are alive on all machines, of which this is number `rank`, counted from 0.

        Fewer than this machine has: the others are about to come, and find their shares.
        """
        if workers < self._rules.workers:
            workers, rank = self._rules.workers, NOT_KNOWN
        if (workers, rank) != (self._workers, self._rank):
            self._workers, self._rank = workers, rank
            self._share_out()

    def compare(self, fellows: Mapping[str, float]) -> None:
        """By backend, the mean limit that other workers have found and are at."""
        for name, pool in self._pools.items():
            if pool.guard.limiter is not None:
                pool.guard.limiter.fellows = fellows.get(name)

    def _share_out(self) -> None:
        for pool in self._pools.values():
            pool.share(self._workers, self._rank)

    def adopt(self, rules: ProxyRules, targets: Mapping[str, BackendUrl]) -> None:
        """Go on with other rules and backends."""
        self._rules = rules
        for pool in self._pools.values():
            pool.rules = rules
        self.replace(targets)

    def leave(self, client: object) -> None:
        """A client is gone."""
        for pool in self._pools.values():
            pool.leave(client)

    def levels(self) -> dict[str, Level]:
        """How each backend stands in this worker."""
        return {name: pool.guard.level for name, pool in self._pools.items()}

    def close(self) -> None:
        """Let go of all idle connections."""
        self.replace({})

    def _tick(self, now_s: float) -> None:
        for pool in self._pools.values():
            pool.tick(now_s)
