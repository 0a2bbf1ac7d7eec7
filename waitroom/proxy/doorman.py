"""Connections that are not HTTP from their first byte: a PROXY header to be read, a TLS handshake to be made.

Law: what goes before HTTP is bounded like HTTP: so many at a time, each within the time of a request's head. A door
stays shut to nobody for somebody else's sake: each connection is received beside the others, and where there are too
many, who has stood there longest goes: a handshake takes a moment, only who wants to block the door takes longer.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
from dataclasses import dataclass, field

import structlog

from waitroom.proxy.decisions import Respond
from waitroom.proxy.listener import Listener
from waitroom.proxy.origin import is_in, plain_address
from waitroom.proxy.own import CLOSE, problem, serialise
from waitroom.proxy.preface import Peer, PrefaceError, read_preface
from waitroom.proxy.rules import DRAIN_IDLE_S
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BREATH_S = 0.1
"""Until the next try where the system has no room for another connection."""

ACCEPTED_AT_ONCE = 64
"""Connections taken in one turn of the loop: its other callbacks wait meanwhile."""

RECEIVING = 1_024
"""Connections that may be on their way to HTTP at a time; a handshake takes a millisecond."""

ENDLESS_S = 7 * 24 * 3600.0
"""How long TLS may take over its end: the listener's clock shows out who leaves (leaving.py, backlog.py, tunnel.py),
and a slow reader may take more than the loop's 30 s."""


@dataclass(slots=True, eq=False)
class Doorman:
    """Receives connections on one listening socket for a listener."""

    listener: Listener
    door: socket.socket
    tls: ssl.SSLContext | None
    proxy_protocol: bool
    _receiving: dict[asyncio.Task[None], None] = field(default_factory=dict)
    """In the order of their coming."""
    _most: int = 0
    _resting: asyncio.TimerHandle | None = None

    @property
    def receiving(self) -> int:
        """Connections that are on their way to HTTP now."""
        return len(self._receiving)

    def most_receiving(self) -> int:
        """The most there were since this was last asked."""
        most, self._most = self._most, len(self._receiving)
        return most

    def start(self) -> None:
        """Begin to accept, or go on."""
        self.door.setblocking(False)
        asyncio.get_running_loop().add_reader(self.door, self._accept)

    async def close(self) -> None:
        """Accept nobody any more; whoever is not through the door soon has nothing to lose yet, and is sent away."""
        asyncio.get_running_loop().remove_reader(self.door)
        if self._resting is not None:
            self._resting.cancel()
        if self._receiving:
            _, late = await asyncio.wait(self._receiving, timeout=DRAIN_IDLE_S)
            for task in late:
                await stop(task)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, address = self.door.accept()
            except BlockingIOError:
                return
            except OSError as error:  # else: it left before it was accepted (accept(2))
                if error.errno in OUT_OF_FILES:
                    self._rest(error)
                    return
                continue
            if len(self._receiving) >= RECEIVING:
                self._send_away(next(iter(self._receiving)))
            client.setblocking(False)
            task = spawn(self._receive(client, address), name="receive")
            self._receiving[task] = None
            self._most = max(self._most, len(self._receiving))
            task.add_done_callback(self._forget)

    def _send_away(self, task: asyncio.Task[None]) -> None:
        self._forget(task)
        task.cancel()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._receiving.pop(task, None)

    def _rest(self, error: OSError) -> None:
        log.warning("accept_failed", error=str(error))
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.door)
        self._resting = loop.call_later(BREATH_S, self.start)

    async def _receive(self, client: socket.socket, address: object) -> None:
        within_s = self.listener.rules.head_ms / 1000
        try:
            async with asyncio.timeout(within_s):
                peer = await self._preface(client) if self.proxy_protocol and self._trusts(address) else None
                await self._admit(client, peer, within_s)
        except PrefaceError as error:
            self._refuse(client, problem(error.status, str(error)))
        except (OSError, TimeoutError, EOFError):  # it left, took too long, or speaks no TLS: nobody to answer
            client.close()
        except BaseException:
            client.close()
            raise

    async def _preface(self, client: socket.socket) -> Peer | None:
        """The client that a PROXY header names."""
        reading = read_preface()
        wanted = next(reading)
        while True:
            try:
                wanted = reading.send(await _exactly(client, wanted))
            except StopIteration as end:
                peer: Peer | None = end.value
                return peer

    async def _admit(self, client: socket.socket, peer: Peer | None, within_s: float) -> None:
        """Hand the connection over to HTTP."""
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: self.listener.connection(peer),
            client,
            ssl=self.tls,
            ssl_handshake_timeout=within_s if self.tls is not None else None,
            ssl_shutdown_timeout=ENDLESS_S if self.tls is not None else None,
        )

    def _trusts(self, address: object) -> bool:
        if not isinstance(address, tuple):
            return True  # a unix socket's peer is on this machine
        return is_in(plain_address(str(address[0])) or "", self.listener.rules.trusted_proxies)

    def _refuse(self, client: socket.socket, answer: Respond) -> None:
        if self.tls is None:
            date = self.listener.ticker.date
            with contextlib.suppress(OSError):  # into an empty buffer, or to somebody who has left
                client.send(serialise(answer, date, head_only=False, connection=CLOSE))
        self.listener.observer.own_done(answer.status)
        client.close()


async def _exactly(client: socket.socket, count: int) -> bytes:
    loop, received = asyncio.get_running_loop(), b""
    while len(received) < count:
        data = await loop.sock_recv(client, count - len(received))
        if not data:
            raise EOFError("it left within its PROXY header")
        received += data
    return received
