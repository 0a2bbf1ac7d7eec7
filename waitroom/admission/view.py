"""What is to be told to a visitor who is not relayed, as values.

Law: the gate decides what is true, the web floor finds the words. `ahead` None means that nobody knows now.
"""

import hashlib
from typing import NamedTuple

from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import Notice, State

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that a code survives being read out on the phone."""

_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
"""Two letters for each ten bits."""


class View(NamedTuple):
    """One visitor's situation in one pool. `visitor` "" is somebody without a ticket."""

    state: State
    pool: str
    exam: str = ""
    visitor: str = ""
    arrival_us: int = 0
    ahead: int | None = None
    waiting: int | None = None
    eta: Eta | Unknown = Unknown.NO_DATA
    next_poll_ms: int = 5_000
    stale: bool = False
    notice: Notice | None = None
    opens_ms: int = 0
    resume_ms: int = 0
    seed_hash: str = ""
    """Where places are drawn at the opening: SHA-256 of the seed, in hexadecimal."""
    cookies: tuple[bytes, ...] = ()
    """Set-Cookie values that go along."""
    pace: str = ""
    """What the page of a paced request asks for its turn with."""

    @property
    def position(self) -> int | None:
        """The place in line, counted from 1."""
        return None if self.ahead is None else self.ahead + 1

    @property
    def code(self) -> str:
        """The visitor's code for the help line, "" for somebody without a ticket."""
        return ticket_code(self.visitor) if self.visitor else ""


WHERE, SAID = slice(0, 3), slice(9, 14)
"""Of a view, what all who wait for the same exam share: state, pool and exam; and `stale` to `seed_hash`."""


class News(NamedTuple):
    """What everyone who waits for an exam is told between their polls, and when they may ask again."""

    notice: Notice | None
    held: bool
    next_ms: int


def ticket_code(visitor: str) -> str:
    """A visitor's code for the help line, such as `K7QF-2M9D`: 40 bits of a hash, which does not give the id away."""
    digest = hashlib.sha256(b"waitroom code " + visitor.encode()).digest()
    number = int.from_bytes(digest[:5], "big")
    a, b, c, d = _PAIRS[number >> 30], _PAIRS[number >> 20 & 1023], _PAIRS[number >> 10 & 1023], _PAIRS[number & 1023]
    return f"{a}{b}-{c}{d}"
