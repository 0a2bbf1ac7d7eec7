"""A request's body on its way here: what is still to come, how much there may be, how long it may take.

Law: bytes are counted as they are taken; what is passed over counts for nothing.
"""

import httptools

from waitroom.errors import RequestError
from waitroom.proxy.bodies import Body, ChunkedBody, LengthBody
from waitroom.proxy.rules import ProxyRules


class Upload:
    """One body. Raises RequestError where it is larger than it may be."""

    __slots__ = ("_body", "_bound", "credit", "taken_bytes")

    def __init__(self, length: int, *, chunked: bool, rules: ProxyRules) -> None:
        self._bound = rules.body_bytes
        self._check(length)
        self._body: Body = ChunkedBody() if chunked else LengthBody(length)
        self.credit = rules.body_credit()
        """For the rest of it."""
        self.taken_bytes = 0

    @property
    def done(self) -> bool:
        """Whether its end has come."""
        return self._body.done

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload in `data`, and what comes after the body. Also raises httptools.HttpParserError."""
        payload, rest = self._body.take(data)
        self.taken_bytes += len(payload)
        self.credit.earn(len(payload))
        self._check(self.taken_bytes)
        return payload, rest

    def pass_over(self, data: bytes) -> tuple[bytes, bool]:
        """What is left of `data` behind a body that nobody wants, and whether that is at its end. One that is framed
        badly has none.
        """
        try:
            _, rest = self._body.take(data)
        except httptools.HttpParserError:
            return b"", False
        return rest, self._body.done

    def _check(self, body_bytes: int) -> None:
        if self._bound is not None and body_bytes > self._bound:
            raise RequestError(f"a body has at most {self._bound} bytes here", status=413)
