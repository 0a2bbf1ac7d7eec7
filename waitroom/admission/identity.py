"""Who a student is, as far as anything here may know: a keyed hash of what a sign-on calls them.

Law: the name itself is kept nowhere. Without the key its hash says nothing, and it is the same in every pool, on every
worker and machine. The first key makes it; the others find what it was before a key was added in front.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

from waitroom.admission.line import Lane
from waitroom.admission.tickets import Ticket

HASH_BYTES = 16
"""128 bits: 22 characters of a ticket."""

MAX_NAME_BYTES = 256

NOBODY = frozenset({b"", b"-", b"(null)", b"null", b"undefined"})
"""What proxies and scripts say of somebody who has not signed on (Apache's mod_headers: `(null)`). Taken for a name, it
would make all of them one student with one place."""


class Known(NamedTuple):
    """A student: the hash under each key, the one that signs first; and the digest that rosters are made of.

    The digest has no key, and never leaves a worker's memory.
    """

    hashes: tuple[str, ...]
    digest: str

    def may_use(self, owner: str) -> bool:
        """Whether a ticket of this owner may be theirs: "" is nobody's yet."""
        return not owner or owner in self.hashes

    def claim(self, ticket: Ticket, *, priority: bool) -> Ticket:
        """The ticket as this student's own. `priority`: they stand on the roster of its pool."""
        lane = Lane.PRIORITY if priority and ticket.lane is Lane.STANDARD else ticket.lane
        if ticket.identity == self.hashes[0] and lane is ticket.lane:
            return ticket
        return ticket._replace(identity=self.hashes[0], lane=lane)


class Registrar:
    """Turns names into hashes."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = [hmac.digest(key, b"waitroom identity", "sha256") for key in keys]

    def known(self, name: bytes) -> Known | None:
        """The student of this name; None for what is no name."""
        name = name.strip()
        if name in NOBODY or len(name) > MAX_NAME_BYTES:
            return None
        return Known(tuple(_hash(key, name) for key in self._keys), digest(name))


def digest(name: bytes) -> str:
    """What a roster has of a name in place of it."""
    return hashlib.sha256(name).hexdigest()


def _hash(key: bytes, name: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, name, "sha256")[:HASH_BYTES]).decode().rstrip("=")
