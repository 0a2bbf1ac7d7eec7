"""The tickets and passes that a request's cookies hold, verified once and remembered.

Law: a cookie counts only if it verifies; of several for one pool the pass counts before the ticket, the later admission
before the earlier. What does not verify is ignored and counted. Remembering is bounded, and forgetting costs only the
work of verifying again.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from waitroom.admission.line import Touch
from waitroom.admission.tickets import Seal, Ticket
from waitroom.proxy.decisions import Relay

CREDENTIALS_REMEMBERED = 50_000
"""Cookie values a worker remembers: about 500 bytes each."""

HEADERS_REMEMBERED = 20_000
"""Whole Cookie headers a worker remembers, each of at most `HEADER_REMEMBERED_BYTES`."""

HEADER_REMEMBERED_BYTES = 2_048

COOKIES_TRIED = 8
"""Cookies of our name that are looked at in one request: more than two is somebody trying."""


NEVER = -1_000_000
"""A second so long ago that nothing depends on it."""


@dataclass(slots=True, eq=False)
class Credential:
    """A verified ticket or pass, with what this worker knows of its session."""

    ticket: Ticket
    pool: str
    touch: Touch | None = None
    relay: Relay | None = None
    good_until: int = NEVER
    """Last second for which the store's word that the session lives is taken without asking again."""
    touched_tick: int = NEVER
    back_since_ms: int = 0
    """The recovery of its backend in which its holder was let back in."""
    saves: int = 0
    """Requests of its holder that save something, as far as this worker has seen them."""
    dead: bool = False
    """The store said that the session was ended by its holder or by staff: this pass will never count again."""
    claimed: str = ""
    """The student whom the store was told that a ticket of nobody belongs to (identity.py)."""

    @property
    def owner(self) -> str:
        """Whose it is, as far as is known here."""
        return self.ticket.identity or self.claimed

    @property
    def rank(self) -> tuple[bool, int]:
        """Which of several counts: a living pass, then the latest."""
        return (self.relay is not None and not self.dead, self.ticket.admitted_ms)


@dataclass(frozen=True, slots=True)
class Jar:
    """Credentials of one browser by pool."""

    by_pool: Mapping[str, Credential] = field(default_factory=dict)

    def latest(self) -> Credential | None:
        """The pass admitted last; without a pass, the ticket that arrived last."""
        held = self.by_pool.values()
        if len(held) == 1:
            return next(iter(held))
        return max(held, key=lambda credential: (*credential.rank, credential.ticket.arrival_us), default=None)


_EMPTY = Jar()


class Jars:
    """Reads Cookie headers."""

    def __init__(
        self,
        seals: Mapping[str, Seal],
        make: Callable[[str, Ticket], Credential],
        count_refused: Callable[[str], None],
    ) -> None:
        self._seals = seals
        self._make = make
        self._count_refused = count_refused
        names = "|".join(sorted((re.escape(pool) for pool in seals), key=len, reverse=True))
        self._ours = re.compile(rf"(?:^|[;,\s])(?:__Host-)?wr_({names})=\"?([^;,\s\"]+)".encode())
        self._by_header: dict[bytes, Jar] = {}
        self._by_value: dict[tuple[str, bytes], Credential] = {}

    def read(self, cookies: list[bytes]) -> Jar:
        """The jar in a request's Cookie headers (usually one)."""
        if not cookies:
            return _EMPTY
        header = cookies[0] if len(cookies) == 1 else b"; ".join(cookies)
        jar = self._by_header.get(header)
        if jar is None:
            jar = self._open(header)
            if len(header) <= HEADER_REMEMBERED_BYTES:
                if len(self._by_header) >= HEADERS_REMEMBERED:
                    self._by_header.clear()
                self._by_header[header] = jar
        return jar

    def _open(self, header: bytes) -> Jar:
        found: dict[str, Credential] = {}
        for tried, match in enumerate(self._ours.finditer(header)):
            if tried >= COOKIES_TRIED:
                break
            pool = match[1].decode()
            credential = self._verify(pool, match[2])
            if credential is None:
                self._count_refused(pool)
            elif pool not in found or credential.rank > found[pool].rank:
                found[pool] = credential
        return Jar(found) if found else _EMPTY

    def _verify(self, pool: str, value: bytes) -> Credential | None:
        key = (pool, value)
        credential = self._by_value.get(key)
        if credential is not None:
            return credential
        text = value.decode("latin-1")
        ticket = self._seals[pool].open(text)
        if ticket is None:
            return None
        credential = self._make(pool, ticket)
        if len(self._by_value) >= CREDENTIALS_REMEMBERED:
            self._by_value.clear()
        self._by_value[key] = credential
        return credential
