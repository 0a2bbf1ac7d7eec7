"""A request as a handler sees it: what its head says.

Law: nothing here changes; a head is read once (requesthead.py) and asked often.
"""

from waitroom.proxy.decisions import Header
from waitroom.proxy.requesthead import Block

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"})


class Incoming:
    """The head of a request; the exchange that answers it is one."""

    method: bytes
    target: bytes
    client: str
    scheme: bytes
    _block: Block

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
    def has_body(self) -> bool:
        """Whether the framing announces a body."""
        return self._block.chunked or self._block.length > 0

    @property
    def upgrade(self) -> bytes | None:
        """The protocol a `Connection: upgrade` request asks for, or None."""
        return self._block.upgrade

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent twice: an idempotent method without a body."""
        return self.method in IDEMPOTENT and not self._block.chunked and self._block.length == 0
