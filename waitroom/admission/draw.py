"""The draw: who waits in a lobby gets a place by lot, and anybody can check afterwards that the lot was not bent.

Law: a place is a pure function of seed, code and opening. The seed is fixed before anybody has a place by it, its
SHA-256 is shown while it is secret, and it is used for one opening only. All of it is text, so that a shell can check:

    printf %s SEED | sha256sum                                the fingerprint that was shown in the lobby
    printf %s CODE | openssl dgst -sha256 -hmac SEED          the first 16 digits, modulo 1,000,000, plus 1: the number

The smaller number goes in earlier; of equal ones (fifty pairs among 10,000) the ids of the tickets decide, which are as
random and which nobody chose.
"""

import hashlib
import hmac
from typing import NamedTuple

PLACES = 1_000_000
"""Numbers that are drawn, and microseconds before the opening in which their places lie (store/library.lua)."""


class Lot(NamedTuple):
    """The seed of an opening, 64 hexadecimal digits."""

    opens_ms: int
    seed: str

    @property
    def fingerprint(self) -> str:
        """What is shown while the seed is secret."""
        return hashlib.sha256(self.seed.encode()).hexdigest()

    def number(self, code: str) -> int:
        """The number that the ticket of this code has drawn, counted from 1."""
        digest = hmac.digest(self.seed.encode(), code.encode(), "sha256")
        return int.from_bytes(digest[:8]) % PLACES + 1

    def order_us(self, code: str, opens_ms: int) -> int:
        """The place of that number: in the second before the opening."""
        return opens_ms * 1000 - PLACES + self.number(code) - 1


def proposed(key: bytes, pool: str, exam: str, opens_ms: int) -> Lot:
    """The lot that every worker with this key proposes for an opening: the same after a restart or a lost store."""
    return Lot(opens_ms, hmac.digest(key, f"waitroom draw {pool} {exam} {opens_ms}".encode(), "sha256").hex())


def in_force(known: Lot | None, fresh: Lot, now_ms: int) -> Lot:
    """The lot for the opening that `fresh` is proposed for; the library decides the same for all.

    A seed stays when its opening moves. One whose opening has come is public, and for nothing that opens later.
    """
    if known is None or known.opens_ms <= now_ms < fresh.opens_ms:
        return fresh
    return known._replace(opens_ms=fresh.opens_ms) if known.opens_ms > now_ms else known
