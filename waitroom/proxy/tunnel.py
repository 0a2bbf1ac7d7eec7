"""Bytes both ways after a backend has agreed to change the protocol (WebSocket and whatever else).

Laws. A side that ends its half has the end passed on after its last byte; the tunnel is over when both have, and when
nothing is left for whoever stays behind. A side that takes no more stops the reading of the other (BUFFER_BYTES).
"""

import asyncio
from collections.abc import Callable

import structlog

from waitroom.proxy.leaving import LINGER_S
from waitroom.proxy.rules import BUFFER_BYTES
from waitroom.proxy.ticker import Ticker
from waitroom.proxy.transports import reset, unacknowledged

log = structlog.get_logger(__name__)


class Tunnel:
    """Two transports joined. `over` is called once."""

    def __init__(
        self, client: asyncio.Transport, backend: asyncio.Transport, ticker: Ticker, over: Callable[["Tunnel"], None]
    ) -> None:
        self._over: Callable[[Tunnel], None] | None = over
        self.ending = False
        """It has been closed, and one side is not gone: it has still to read what the other said last, or over TLS to
        answer the end."""
        self._ends = _End(self, client, backend), _End(self, backend, client)
        self.ticker = ticker
        self.heard_s = ticker.now_s
        for end in self._ends:
            end.begin()

    def begin(self, for_backend: bytes, for_client: bytes) -> None:
        """Pass on what was read together with the heads."""
        to_client, to_backend = self._ends
        if for_backend:
            to_client.data_received(for_backend)
        if for_client:
            to_backend.data_received(for_client)

    def close(self) -> None:
        """End both sides, after what is already on its way."""
        if not self.ending:
            self.ending, self.heard_s = True, self.ticker.now_s
        for end in self._ends:
            end.transport.close()

    def overdue(self, now_s: float, patience_s: float) -> bool:
        """Whether a side has had all the time to go: to read what is left for it, or to say that it has."""
        waited_s = now_s - self.heard_s
        if not self.ending or waited_s <= LINGER_S:
            return False
        left = any(end.transport.get_write_buffer_size() or unacknowledged(end.transport) for end in self._ends)
        return not left or waited_s > patience_s

    def cut(self) -> None:
        """End both sides at once, whatever is on its way."""
        for end in self._ends:
            reset(end.transport)
        self._is_over()

    def side_lost(self, error: Exception | None) -> None:
        """One side is gone: a reset is passed on as such."""
        if error is not None:
            self.cut()
            return
        self.close()
        if all(end.lost for end in self._ends):
            self._is_over()

    def _is_over(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over(self)

    @property
    def bytes_to_client(self) -> int:
        """What the backend has sent."""
        return self._ends[1].received_bytes

    @property
    def halves_open(self) -> int:
        """How many sides may still send."""
        return sum(not end.ended for end in self._ends)


class _End(asyncio.Protocol):
    """One side's reader; writes to the other."""

    __slots__ = ("_other", "_tunnel", "ended", "lost", "received_bytes", "transport")

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, other: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._other = other
        self.transport = transport
        self.ended = self.lost = False
        self.received_bytes = 0

    def begin(self) -> None:
        """Take the transport over from the protocol that spoke HTTP."""
        self.transport.set_protocol(self)
        self.transport.set_write_buffer_limits(BUFFER_BYTES)
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self._tunnel.heard_s = self._tunnel.ticker.now_s
        self.received_bytes += len(data)
        if not self._other.is_closing():
            self._other.write(data)

    def eof_received(self) -> bool:
        """This side sends no more; the other half stays open, where the transport can do that (not over TLS)."""
        self.ended = True
        if not self._other.can_write_eof() or not self.transport.can_write_eof():
            self._tunnel.close()
            return False
        if not self._other.is_closing():
            self._other.write_eof()
        return self._tunnel.halves_open > 0

    def pause_writing(self) -> None:
        """This side takes no more: stop reading the other."""
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """This side is gone."""
        self.lost = True
        self._tunnel.side_lost(exc)
