"""Tickets and passes: the signed cookie that carries a visitor's whole place.

Law: a ticket is enough to rebuild the place it stands for, nothing in it is personal, and a value that does not verify
is worth nothing. The cookie reads `v1.<key id>.<payload>.<mac>` (DESIGN.md section 7), where the payload is

    visitor~exam~arrival_us~lane~identity~backend~admitted_ms~generation[~first[~order_us]]

in plain text: `~` stands in none of the names, and every character is allowed in a cookie value (RFC 6265 section
4.1.1). The MAC is HMAC-SHA256 under a key derived for the pool, so that a ticket of one pool is noise in another, and
it is compared as text, so that there is one spelling of a ticket and no second one that verifies too.
"""

import hashlib
import hmac
import re
from binascii import b2a_base64
from collections.abc import Sequence
from typing import NamedTuple

from waitroom.admission.line import Lane

VISITOR_BYTES = 12
"""96 bits: a million visitors share an id with a chance of about 1 in 10^17."""

MAX_COOKIE_BYTES = 400
"""Longest value that is looked at; the longest that can be made is about 280."""

SECURE_PREFIX = "__Host-"

_URL_SAFE = bytes.maketrans(b"+/", b"-_")

HASH_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
"""RFC 2104's ipad and opad, as tables."""

_FIELDS = re.compile(
    r"([A-Za-z0-9_-]{16})~([A-Za-z0-9_.-]{0,64})~(\d{1,16})~([0-2])~([A-Za-z0-9_-]{0,43})"
    r"~([a-z0-9_-]{0,32})~(\d{1,14})~(\d{1,9})(?:~(0|[1-9]\d{0,8})(?:~([1-9]\d{0,15}))?)?",
    re.ASCII,
)


class Ticket(NamedTuple):
    """A visitor's place in a pool's line; with `backend` set it is a pass."""

    visitor: str
    exam: str
    arrival_us: int
    lane: Lane = Lane.STANDARD
    identity: str = ""
    backend: str = ""
    admitted_ms: int = 0
    generation: int = 0
    first: int = 0
    """The position in line on arrival, counted from 1; 0: not known. Tickets of before this was kept have none."""
    order_us: int = 0
    """The place that was drawn for it at an opening (draw.py), which it keeps whatever happens after; 0: none."""

    @property
    def is_pass(self) -> bool:
        """Whether this visitor has been admitted."""
        return bool(self.backend)

    def stamped(self, arrival_us: int, first: int) -> "Ticket":
        """The same with its arrival, and `first`. (`_replace` takes twice as long, and every newcomer is stamped.)

        A ticket that is stamped anew has been used up, and what was drawn for it too.
        """
        if self.arrival_us == arrival_us:
            return self
        return Ticket(self.visitor, self.exam, arrival_us, *self[3:8], first)

    def drawn(self, order_us: int) -> "Ticket":
        """The same with the place that was drawn."""
        return self if self.order_us == order_us else self._replace(order_us=order_us)

    def admitted(self, backend: str, admitted_ms: int) -> "Ticket":
        """The pass that this ticket becomes."""
        return self._replace(backend=backend, admitted_ms=admitted_ms)

    def place(self) -> "Ticket":
        """The place in line behind a pass, for one whose backend is gone from the configuration."""
        return self._replace(backend="", admitted_ms=0) if self.backend else self

    def returning(self) -> "Ticket":
        """The place of somebody who was admitted before and whose session has lapsed: ahead of who never was."""
        return self.place()._replace(lane=Lane.RETURN)

    def for_exam(self, exam: str) -> "Ticket":
        """The same place, asked for by another exam of the pool. A draw was for the exam of before."""
        return self if self.exam == exam else self._replace(exam=exam, order_us=0)


def visitor_id(chance: bytes) -> str:
    """A visitor's id from 12 bytes of chance."""
    assert len(chance) == VISITOR_BYTES
    return b2a_base64(chance, newline=False).translate(_URL_SAFE).decode()


class Seal:
    """Signs and verifies the tickets of one pool. The first key signs, all verify."""

    def __init__(self, pool: str, keys: Sequence[tuple[str, bytes]]) -> None:
        assert keys
        self.pool = pool
        self._macs = {key_id: Mac(_pool_key(key, pool)) for key_id, key in keys}
        self._signer = keys[0][0]
        self._sign = self._macs[self._signer].of

    def sign(self, ticket: Ticket) -> str:
        """The cookie value of `ticket`: at most 400 ASCII characters."""
        signed = f"v1.{self._signer}.{_payload(ticket)}"
        value = f"{signed}.{self._sign(signed)}"
        assert len(value) <= MAX_COOKIE_BYTES
        return value

    def open(self, value: str) -> Ticket | None:
        """The ticket in a cookie value, or None for anything we did not sign."""
        if len(value) > MAX_COOKIE_BYTES or not value.isascii():
            return None
        signed, dot, mac = value.rpartition(".")
        parts = signed.split(".", 2)
        if not dot or len(parts) != 3 or parts[0] != "v1":
            return None
        known = self._macs.get(parts[1])
        if known is None or not hmac.compare_digest(known.of(signed), mac):
            return None
        return _ticket(parts[2])


def cookie_name(pool: str, *, secure: bool) -> str:
    """The cookie's name; behind TLS the `__Host-` prefix pins it to this host and Path=/ (RFC 6265bis 4.1.3.2)."""
    return f"{SECURE_PREFIX if secure else ''}wr_{pool}"


def set_cookie(pool: str, value: str, *, secure: bool, max_age_s: int) -> bytes:
    """A Set-Cookie value. Persistent, so that a crashed browser comes back with its place; `max_age_s` 0 deletes."""
    tail = "; Secure" if secure else ""
    return (
        f"{cookie_name(pool, secure=secure)}={value}; Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Lax{tail}"
    ).encode()


def _pool_key(key: bytes, pool: str) -> bytes:
    return hmac.digest(key, b"waitroom ticket " + pool.encode(), hashlib.sha256)


class Mac:
    """HMAC-SHA256 (RFC 2104) with one key, whose two hashed blocks are kept: half the time of hashing them anew."""

    def __init__(self, key: bytes) -> None:
        assert len(key) <= HASH_BLOCK_BYTES
        block = key.ljust(HASH_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def of(self, text: str) -> str:
        """The code of a text, in 43 characters of base64url."""
        inner = self._inner.copy()
        inner.update(text.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False)[:-1].translate(_URL_SAFE).decode()


def _payload(ticket: Ticket) -> str:
    visitor, exam, arrival_us, lane, identity, backend, admitted_ms, generation, first, order_us = ticket
    more = f"~{first}~{order_us}" if order_us else f"~{first}" if first else ""
    return f"{visitor}~{exam}~{arrival_us}~{int(lane)}~{identity}~{backend}~{admitted_ms}~{generation}{more}"


def _ticket(payload: str) -> Ticket | None:
    match = _FIELDS.fullmatch(payload)
    if match is None:
        return None
    visitor, exam, arrival_us, lane, identity, backend, admitted_ms, generation, first, order_us = match.groups()
    whole = int(arrival_us), Lane(int(lane)), identity, backend, int(admitted_ms), int(generation), int(first or 0)
    return Ticket(visitor, exam, *whole, int(order_us or 0))
