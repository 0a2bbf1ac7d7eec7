"""What the parts of the data path see of each other, so that each can be read alone.

Law: an exchange knows its client's connection as a `ClientSide`; both know their listener as `Surroundings` and `Home`.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from waitroom.proxy.decisions import Handler
from waitroom.proxy.pool import BackendPools
from waitroom.proxy.requesthead import RequestReader
from waitroom.proxy.rules import Observer, ProxyRules
from waitroom.proxy.ticker import Ticker
from waitroom.proxy.tunnel import Tunnel
from waitroom.proxy.upstream import BackendConnection

T = TypeVar("T")


class Surroundings(Protocol):
    """What a worker's exchanges share."""

    handler: Handler
    pools: BackendPools
    rules: ProxyRules
    observer: Observer
    ticker: Ticker
    draining: bool
    time: Callable[[], float]
    """The loop's time, exactly."""
    next_id: Callable[[], str]
    """A source of request ids."""

    def gather_writes(self) -> None:
        """Send what is written to clients in this turn of the loop together, at its end."""


class Guest(Protocol):
    """A client's connection as its listener sees it."""

    def tick(self, now_s: float) -> None:
        """Close what has taken too long."""

    def cut(self) -> None:
        """End at once."""


class Home(Surroundings, Protocol):
    """The listener as its connections see it."""

    reader: RequestReader
    outbox: list[tuple[asyncio.Transport, bytes]] | None
    """What is gathered to be sent together; None: nothing is, and writes are sent at once."""

    soon: Callable[[Callable[[], None]], object]
    """Do something in the loop's next turn."""

    def send_gathered(self) -> None:
        """Send it now."""

    def admit(self, guest: Guest) -> bool:
        """Whether there is room for one more connection; it is counted."""

    def leave(self, guest: Guest) -> None:
        """The connection is gone."""

    def dig(self, client: asyncio.Transport, backend: asyncio.Transport, over: Callable[[int], None]) -> Tunnel:
        """A tunnel between the two. `over` is told the bytes sent to the client."""


class ClientSide(Protocol):
    """A client's connection as its exchange sees it."""

    @property
    def received_whole(self) -> bool:
        """Whether the request has been received to its end."""

    @property
    def congested(self) -> bool:
        """Whether the client reads more slowly than it is sent to."""

    def write(self, data: bytes) -> None:
        """Bytes for the client."""

    def skip_body(self) -> bool:
        """Pass over a body that nobody wants, if all of it is here; whether the request is at its end."""

    def pull(self) -> None:
        """The exchange takes the request's body now."""

    def guarded(self, step: Callable[[T], None], given: T) -> None:
        """Do what did not begin with bytes of this connection; if it breaks, the connection does."""

    def hold_upload(self, *, on: bool) -> None:
        """Stop reading the request's body, or go on."""

    def exchange_over(self) -> None:
        """The answer is complete: next request, or close."""

    def break_off(self, *, framed: bool) -> None:
        """The answer stays incomplete, which the client sees by itself where it is `framed`."""

    def hand_over(self, backend: BackendConnection, rest: bytes, over: Callable[[int], None]) -> None:
        """Begin a tunnel; `rest` is for the client. `over` is told the bytes sent to the client."""
