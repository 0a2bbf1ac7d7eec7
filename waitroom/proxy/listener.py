"""The public listener of a worker: what its connections share, how many there are, and how they come to an end.

Law: a connection or tunnel is counted from its first byte to its last; `drained` returns when none is left.
"""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count

import structlog

from waitroom.proxy.client import ClientConnection
from waitroom.proxy.decisions import Handler
from waitroom.proxy.pool import BackendPools
from waitroom.proxy.preface import Peer
from waitroom.proxy.requesthead import RequestReader
from waitroom.proxy.responsehead import ResponseReader
from waitroom.proxy.rules import Observer, ProxyRules
from waitroom.proxy.sides import Guest
from waitroom.proxy.ticker import Ticker
from waitroom.proxy.tunnel import Tunnel
from waitroom.settings.addresses import BackendUrl

log = structlog.get_logger(__name__)

LOOKED_AT = 64
"""Connections that a tick looks at in one go. To show one out costs some 50 us, and thousands can be due at once: all
others must not wait for that."""


class Listener:
    """All client connections of a worker. Call it to get the protocol of a new connection (`create_server`)."""

    def __init__(
        self,
        handler: Handler,
        targets: Mapping[str, BackendUrl],
        rules: ProxyRules,
        observer: Observer,
        next_id: Callable[[], str] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        numbers = count(1)
        self.handler = handler
        self.rules = rules
        self.observer = observer
        self.ticker = Ticker()
        self.reader = RequestReader(rules.own_cookies, rules.signed_on)
        self.pools = BackendPools(targets, rules, ResponseReader(), self.ticker)
        self.draining = False
        self.outbox: list[tuple[asyncio.Transport, bytes]] | None = None
        self.time = self._loop.time
        self.soon: Callable[[Callable[[], None]], object] = self._loop.call_soon
        self.next_id = next_id or (lambda: f"{next(numbers):x}")
        self._connections: set[Guest] = set()
        self._tunnels: dict[Tunnel, Callable[[int], None]] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._elders: set[Guest | Tunnel] = set()
        self._elders_gone = asyncio.Event()
        self.ticker.follow(self._tick)
        self.ticker.start()

    def __call__(self) -> ClientConnection:
        """The protocol of a new connection."""
        return ClientConnection(self)

    def connection(self, peer: Peer | None) -> ClientConnection:
        """The same for a connection that a load balancer made in a client's name."""
        return ClientConnection(self, peer)

    @property
    def connections(self) -> int:
        """Clients connected now, tunnels included."""
        return len(self._connections) + len(self._tunnels)

    @property
    def tunnels(self) -> int:
        """Tunnels open now."""
        return len(self._tunnels)

    def gather_writes(self) -> None:
        """What is written to clients in this turn of the loop is sent at its end, together.

        A batch of the store's answers makes a burst of ours. Sent one by one between the work for the next, each would
        wake whoever reads them, a TLS proxy on this machine say, once; sent together they wake it once for all.
        """
        if self.outbox is None:
            self.outbox = []
            self._loop.call_soon(self.send_gathered)

    def send_gathered(self) -> None:
        """Send it now."""
        gathered, self.outbox = self.outbox, None
        for transport, data in gathered or ():
            if not transport.is_closing():
                transport.write(data)

    def adopt(self, rules: ProxyRules, targets: Mapping[str, BackendUrl]) -> None:
        """Go on with other rules and backends after a reload. Running requests keep their backend."""
        self.rules = rules
        self.reader = RequestReader(rules.own_cookies, rules.signed_on)
        self.pools.adopt(rules, targets)

    def drain(self) -> None:
        """Take no further request on any connection than one that is answered with `Connection: close`."""
        self.draining = True

    async def elders_gone(self) -> None:
        """Wait until every connection and tunnel that there is now is gone, whoever comes meanwhile."""
        self._elders = {*self._connections, *self._tunnels}
        self._elders_gone.clear()
        if self._elders:
            await self._elders_gone.wait()

    def close_tunnels(self) -> None:
        """End all tunnels."""
        for tunnel in list(self._tunnels):
            tunnel.close()

    async def drained(self) -> None:
        """Wait until the last connection is gone."""
        await self._empty.wait()

    def close(self) -> None:
        """End everything at once."""
        self.ticker.stop()
        for tunnel in list(self._tunnels):
            tunnel.cut()
        for connection in list(self._connections):
            connection.cut()
        self.pools.close()

    # the connections' side

    def admit(self, guest: Guest) -> bool:
        """Whether there is room for one more connection; it is counted."""
        self._connections.add(guest)
        self._empty.clear()
        return self.connections <= self.rules.connections

    def leave(self, guest: Guest) -> None:
        """The connection is gone."""
        self._connections.discard(guest)
        self._bury(guest)
        self._look_whether_empty()

    def dig(self, client: asyncio.Transport, backend: asyncio.Transport, over: Callable[[int], None]) -> Tunnel:
        """A tunnel between the two. `over` is told the bytes sent to the client."""
        tunnel = Tunnel(client, backend, self.ticker, self._tunnel_over)
        self._tunnels[tunnel] = over
        self._empty.clear()
        return tunnel

    def _tunnel_over(self, tunnel: Tunnel) -> None:
        over = self._tunnels.pop(tunnel)
        over(tunnel.bytes_to_client)
        self._bury(tunnel)
        self._look_whether_empty()

    def _bury(self, elder: Guest | Tunnel) -> None:
        if elder in self._elders:
            self._elders.discard(elder)
            if not self._elders:
                self._elders_gone.set()

    def _look_whether_empty(self) -> None:
        if not self._connections and not self._tunnels:
            self._empty.set()

    def _tick(self, now_s: float) -> None:
        self._look(list(self._connections), now_s)
        limit_s, patience_s = self.rules.tunnel_idle_ms / 1000, self.rules.body_ms / 1000
        for tunnel in [each for each in self._tunnels if each.overdue(now_s, patience_s)]:
            tunnel.cut()
        if limit_s:
            for tunnel in [each for each in self._tunnels if now_s - each.heard_s > limit_s]:
                tunnel.close()

    def _look(self, connections: list[Guest], now_s: float) -> None:
        """Have some of the connections look at the clock, and the rest in the loop's next turns."""
        for connection in connections[-LOOKED_AT:]:
            if connection not in self._connections:
                continue
            try:
                connection.tick(now_s)
            except Exception:  # a defect in one connection must not stop the clock of the others
                log.exception("client_connection_broke")
                connection.cut()
        del connections[-LOOKED_AT:]
        if connections:
            self._loop.call_soon(self._look, connections, now_s)
