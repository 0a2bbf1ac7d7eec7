"""What requests' and responses' header blocks have in common: who judges them and how they are taken apart.

Law: one reading. llhttp (strict) accepts a block or it is refused; what it accepts has one field a line, so cutting
at CRLF and at the first colon gives the fields that llhttp saw. It is run without callbacks: a call into Python for
each field costs three times the parsing.
"""

import httptools

from waitroom.proxy.decisions import Header

CRLF = b"\r\n"
END_OF_HEAD = b"\r\n\r\n"

HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"http2-settings",
})  # fmt: skip
"""Fields about one connection (RFC 9110 section 7.6.1). `Proxy-Authenticate` and `Proxy-Authorization` are not among
them: RFC 9110 section 11.7 lets a proxy that does not take part pass them on."""

NEVER_UNNAMED = frozenset({b"host", b"content-length", b"close", b"keep-alive"})
"""`Connection: content-length` must not change the framing."""

_TRIAL_LINE = b"GET / HTTP/1.1\r\n"
"""A request line in front of any block: llhttp's rules for fields and framing are strictest in requests."""

_ENDING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"upgrade"})


class _Silent:
    """No callbacks."""


class Judge:
    """Says whether llhttp takes a header block. One a worker: every block is judged whole, so nothing is left
    behind."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(_Silent())

    def refusal(self, block: bytes, by_name: dict[bytes, list[bytes]]) -> str | None:
        """Why the block (fields and the empty line) is refused, or None. `by_name` are its values, not yet trusted."""
        try:
            self._parser.feed_data(_TRIAL_LINE + block)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            self._renew()
            return str(error)
        if not _ENDING.isdisjoint(by_name):
            self._renew()
        return None

    def _renew(self) -> None:
        """After a block that frames a body or ends the connection llhttp would wait for the rest of it."""
        self._parser = httptools.HttpRequestParser(_Silent())


def split(block: bytes) -> tuple[list[bytes], list[Header], dict[bytes, list[bytes]]]:
    """The lines of a block, its fields, and its values by lower-case name, all in order."""
    lines = block[:-4].split(CRLF) if len(block) > 4 else []
    fields: list[Header] = []
    by_name: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        fields.append((name, value))
        key = name.lower()
        if key in by_name:
            by_name[key].append(value)
        else:
            by_name[key] = [value]
    return lines, fields, by_name


def tokens(values: list[bytes]) -> set[bytes]:
    """The members of a comma-separated list field, in lower case."""
    return {token for value in values for token in (part.strip(b" \t").lower() for part in value.split(b",")) if token}


def length_of(by_name: dict[bytes, list[bytes]]) -> int | None:
    """The Content-Length, which llhttp has found to be a single number of at most 64 bits."""
    values = by_name.get(b"content-length")
    return int(values[0]) if values else None


def is_chunked(by_name: dict[bytes, list[bytes]]) -> bool | None:
    """Whether the one transfer coding is `chunked`; None where Transfer-Encoding says anything else."""
    values = by_name.get(b"transfer-encoding")
    if values is None:
        return False
    return True if len(values) == 1 and values[0].lower() == b"chunked" else None
