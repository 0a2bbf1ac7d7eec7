"""A request as a handler sees it: what its head says.

Law: nothing here changes; a head is read once (requesthead.py) and asked often.
"""

from waitroom.proxy.decisions import Header
from waitroom.proxy.fields import Mark
from waitroom.proxy.origin import Spoken
from waitroom.proxy.requesthead import Block

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"})

COUNTED = frozenset({b"OPTIONS", b"TRACE"})
"""Methods for which Max-Forwards counts (RFC 9110 section 7.6.2)."""


class Incoming:
    """The head of a request; the exchange that answers it is one."""

    __slots__ = ("_block", "_over", "_spoken", "_turn", "_waits", "client", "method", "scheme", "target")

    method: bytes
    target: bytes
    client: str
    scheme: bytes
    _block: Block
    _spoken: Spoken
    _over: bool
    _waits: bool
    """For the answer to a Later."""
    _turn: bool
    """That Later waits for a turn."""

    @property
    def headers(self) -> tuple[Header, ...]:
        """All fields, as they came."""
        return self._block.headers

    def first(self, name: bytes) -> bytes | None:
        """Value of the first header called `name` (given in lower case), or None."""
        values = self._block.by_name.get(name)
        return values[0] if values else None

    def every(self, name: bytes) -> list[bytes]:
        """Values of all headers called `name` (given in lower case), in order."""
        return self._block.by_name.get(name, [])

    @property
    def trusted(self) -> bool:
        """Whether it comes from a proxy that may speak for others."""
        return self._spoken.trusted

    @property
    def over(self) -> bool:
        """Whether nobody waits for an answer any more: it has been given, or its client has left."""
        return self._over

    @property
    def queued(self) -> bool:
        """Whether it waits for its turn. A client that ends its half now has left: a browser's Stop or reload looks so,
        and who half-closes and reads on is no browser (HAProxy's abortonclose, for queues alone)."""
        return self._waits and self._turn

    @property
    def has_body(self) -> bool:
        """Whether the framing announces a body."""
        return self._block.chunked or self._block.length > 0

    @property
    def mark(self) -> Mark:
        """What it leaves on a backend's connection."""
        return self._block.mark

    @property
    def upgrade(self) -> bytes | None:
        """The protocol a `Connection: upgrade` request asks for, or None."""
        return self._block.upgrade

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent twice: an idempotent method without a body."""
        return self.method in IDEMPOTENT and not self._block.chunked and self._block.length == 0

    @property
    def counts_hops(self) -> bool:
        """Whether its Max-Forwards, if it has one, is a bound."""
        return self.method in COUNTED
