"""What the listener is told once: its limits and time-outs, and whom it tells what it did.

Law: every buffer, wait and count of the data path is bounded by a field here or by a named constant beside its use.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from waitroom.admission import limits
from waitroom.proxy.credit import Credit
from waitroom.proxy.decisions import Request
from waitroom.proxy.limiters import Limiter

Network = IPv4Network | IPv6Network

MaxInflight = int | Literal["auto"]

ForwardAs = Literal["x-forwarded", "forwarded"]
"""The form in which a backend is told who asks."""

BUFFER_BYTES = 256 * 1024
"""Unsent bytes of one connection at which its other side is no longer read. One read more (uvloop: 256,000 bytes) may
be on its way, so that a connection holds at most twice this for each direction."""

DRAIN_IDLE_S = 2.0
"""How long a draining worker leaves an idle connection open: its client's next request is answered, with `close`, and
not lost to the race of a request and a close that cross."""

CLIENT_LEFT = 499
"""What observers are told of a request whose client left (nginx's number for it)."""


_OWN_NAME = rb"(?:(?:__(?:host|secure)-)?wr_[^;,=\s\"\x85\xa0]*|wr\.(?:still|lang))"
OWN_COOKIES = re.compile(
    rb"(?:^|(?<=;))(?:[\s\"\x85\xa0]*%b[\s\"]*(?=[=;,]|$)|[^;]*[,\s\"\x85\xa0]%b[\s\"]*=)[^;]*(?:;|$)"
    % (_OWN_NAME, _OWN_NAME),
    re.IGNORECASE,
)
"""The parts of a Cookie value, from semicolon to semicolon, in which some parser may find a cookie of ours (DESIGN.md
section 7; web/stillness.py, web/languages.py): in any case, quoted, or behind a comma or blank (RFC 2109; Python's
`http.cookies`)."""


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """Limits and time-outs. The defaults are those of the settings."""

    trusted_proxies: tuple[Network, ...] = ()
    forward_as: ForwardAs = "x-forwarded"
    signed_on: frozenset[bytes] = frozenset()
    """Fields (in lower case) in which a trusted proxy says who has signed on; nobody else's reach a backend."""
    own_cookies: re.Pattern[bytes] = OWN_COOKIES
    header_bytes: int = 32 * 1024
    """A message's head, request or response."""
    body_bytes: int | None = None
    """A request's body; None: no bound, since it is streamed."""
    connections: int = 20_000
    backend_idle: int = 64
    """Idle connections kept to each backend."""
    backend_idle_ms: int = 15_000
    """How long: shorter than the keep-alive of usual servers that are not nginx would be safer still, but see
    pool.py."""
    head_ms: int = 10_000
    idle_ms: int = 75_000
    connect_ms: int = 5_000
    response_ms: int = 300_000
    body_grace_ms: int = 10_000
    body_ms: int = 60_000
    body_rate: int = 500
    """Bytes a second that a client must send of a body, or read of an answer, over time; 0: any.

    A body may take `body_grace_ms` to begin with, and for each `body_rate` bytes a second more, up to `body_ms` saved
    up. nginx, HAProxy and Caddy have no such bound; Apache's mod_reqtimeout has the same one (body=20,MinRate=500)."""
    tunnel_idle_ms: int = 0
    """0: a tunnel may be silent for as long as it likes."""
    max_inflight: Mapping[str, MaxInflight] = field(default_factory=dict)
    """Most requests at a time at a backend, over all workers; without an entry: any number."""
    bypass: int | None = None
    """Most requests at a time of visitors without a pass at a backend, over all workers; None: see strangers.py."""
    inflight_wait_ms: int = 10_000
    """How long a request waits for a place among them."""
    workers: int = 1
    """Of this machine; how many there are of all machines is told later (`BackendPools.share`)."""
    new_limiter: Callable[[], Limiter] = limits.Limiter
    """Makes what finds the limit for `auto`."""

    def body_credit(self) -> Credit:
        """How long a body that begins now may take."""
        return Credit(self.body_grace_ms / 1000, self.body_ms / 1000, self.body_rate)

    def reading_credit(self) -> Credit:
        """How long a client that has begun to lag may take to read."""
        return Credit(self.body_ms / 1000, self.body_ms / 1000, self.body_rate)


class Observer(Protocol):
    """Whom the listener tells. Called on the hot path: only counts, never waits, never raises."""

    access: Callable[[Request, int, int, float, str | None], None] | None
    """(request, status, sent bytes, seconds, target or None for an answer of our own); None: no access log."""

    def request_done(self, target: str, status: int, seconds: float, stranger: bool) -> None:
        """A relayed request has ended. 499: the client left; 502 and 504 also stand for an answer cut short.
        `stranger`: it had no pass."""

    def own_done(self, status: int) -> None:
        """An answer of our own has been given."""

    def backend_failed(self, target: str, kind: str, stranger: bool) -> None:
        """A backend did not do its part (`BackendError.kind`), for a request without a pass if `stranger`."""

    def waited(self, target: str, end: str, seconds: float) -> None:
        """A request's wait for a place at a backend has ended (guard.End). Not on the hot path."""
