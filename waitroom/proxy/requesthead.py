"""The head of a request: what it says, whether it may pass, and the form in which a backend gets it.

Laws. The target goes on byte for byte (Safe Exam Browser hashes the URL); so do all fields but those about the
connection, about who forwarded, and our own cookies. What has two readings is refused. Parsing is a pure function of
the block and of the connection's `Origin`, so a connection remembers the last one: a browser's keep-alive connection
repeats it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from waitroom.errors import RequestError
from waitroom.proxy.decisions import Header
from waitroom.proxy.fields import HOP_BY_HOP, NEVER_UNNAMED, Judge, is_chunked, length_of, split, tokens
from waitroom.proxy.origin import FORWARDING, Origin

REQUEST_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([!\"$-~\x80-\xff]++) HTTP/1\.([01])\r\n"  # RFC 9112 section 3; no fragment
)
_HOST = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)  # RFC 9110 section 7.2
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(/[^?]*)?(.*)", re.IGNORECASE | re.DOTALL)

_IMITATED = FORWARDING | {b"content-length", b"transfer-encoding", b"host", b"connection"}
"""Fields that a backend must not meet in a second spelling: CGI and WSGI read `X_Forwarded_For` as
`X-Forwarded-For`."""


class Block(NamedTuple):
    """A header block, read. `forward` is the block that a backend gets, with the empty line."""

    raw: bytes
    headers: list[Header]
    by_name: dict[bytes, list[bytes]]
    host: bytes | None
    length: int
    chunked: bool
    close: bool
    keep_alive: bool
    upgrade: bytes | None
    expects: bool
    client: str
    scheme: bytes
    forward: bytes


NO_BLOCK = Block(b"", [], {}, None, 0, False, False, False, None, False, "", b"", b"")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads header blocks of requests. One a worker."""

    judge: Judge
    own_cookie: Callable[[bytes], bool]

    def read(self, raw: bytes, origin: Origin, *, http10: bool) -> Block:
        """The block, or RequestError for one that may not pass."""
        lines, headers, by_name = split(raw)
        connection = tokens(by_name[b"connection"]) if b"connection" in by_name else set()
        refusal = self.judge.refusal(raw, by_name)
        if refusal is not None:
            raise RequestError(refusal)
        length, chunked = _framing(by_name, http10=http10)
        host = _host(by_name, http10=http10)
        upgrade = None if http10 else _upgrade(by_name, connection)
        if upgrade is not None and (length or chunked):
            raise RequestError("a request to change the protocol has no body here")
        client, scheme = origin.of(by_name)
        kept = self._kept(lines, origin, connection, http10=http10)
        kept += origin.vouch(by_name, host)
        if chunked:
            kept.append(b"Transfer-Encoding: chunked")
        if upgrade is not None:
            kept += (b"Connection: Upgrade", b"Upgrade: " + upgrade)
        kept += (b"", b"")
        return Block(
            raw=raw,
            headers=headers,
            by_name=by_name,
            host=host,
            length=length,
            chunked=chunked,
            close=b"close" in connection,
            keep_alive=b"keep-alive" in connection,
            upgrade=upgrade,
            expects=not http10 and [value.lower() for value in by_name.get(b"expect", ())] == [b"100-continue"],
            client=client,
            scheme=scheme,
            forward=b"\r\n".join(kept),
        )

    def _kept(self, lines: list[bytes], origin: Origin, connection: set[bytes], *, http10: bool) -> list[bytes]:
        """The lines that pass, as they came."""
        kept = []
        dropped = HOP_BY_HOP | (connection - NEVER_UNNAMED) if connection else HOP_BY_HOP
        for line in lines:
            key = line[: line.index(b":")].lower()
            if key in dropped or (b"_" in key and key.replace(b"_", b"-") in _IMITATED):
                continue
            if key == b"cookie":
                cleaned = self._without_ours(line)
                if cleaned:
                    kept.append(cleaned)
            elif key == b"expect":
                if not http10:  # RFC 9110 section 10.1.1: there it is to be ignored
                    kept.append(line)
            elif not ((key in FORWARDING or key.startswith(b"x-forwarded-")) and origin.drops(key)):
                kept.append(line)
        return kept

    def _without_ours(self, line: bytes) -> bytes:
        """A Cookie line without our cookies; untouched if none is ours, empty if all are."""
        name, _, value = line.partition(b":")
        pairs = value.split(b";")
        others = [pair for pair in pairs if not self.own_cookie(pair.partition(b"=")[0].strip(b' \t"'))]
        if len(others) == len(pairs):
            return line
        rest = b";".join(others).strip(b" \t")
        return name + b": " + rest if rest else b""


def aim(method: bytes, target: bytes, block: Block) -> bytes:
    """The target in the form that goes on, for any that does not start with a slash (RFC 9112 section 3.2)."""
    if method == b"CONNECT":
        raise RequestError("CONNECT is for proxies that a client has chosen", status=405)
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise RequestError("the request target is neither a path nor a URL")
    authority, path, query = absolute.groups()
    if block.host is None or authority.lower() != block.host.lower():
        raise RequestError("the URL in the request line and Host name different servers")
    if path is None and not query and method == b"OPTIONS":
        return b"*"
    return (path or b"/") + query


_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_BEGINNING = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: [^\x00-\x20\x7f]*(?: [HTP/1.0]*\r?)?)?")


def leading_empty_lines(data: bytes) -> int:
    """Bytes of empty lines before a request, which some clients send after a body (RFC 9112 section 2.2)."""
    match = _EMPTY_LINES.match(data)
    return match.end() if match else 0


def without_empty_lines(data: bytes) -> bytes:
    """What begins with no request line may begin with one after empty lines; RequestError if not."""
    start = leading_empty_lines(data)
    if start == 0:
        raise RequestError("no HTTP/1.1 request line")
    return data[start:]


def check_beginning(data: bytes, bound: int) -> None:
    """Refuse the beginning of a head that is too large already, or that no continuation can make right.

    A line feed of its own and a first line that is no request line (HTTP/0.9, another protocol) would otherwise be
    waited for until the deadline.
    """
    if len(data) > bound:
        raise too_large(data, bound)
    if b"\n" not in data:
        if _BEGINNING.fullmatch(data) is None:
            raise RequestError("no HTTP/1.1 request line")
    elif REQUEST_LINE.match(data) is None or data.count(b"\n") != data.count(b"\r\n"):
        raise RequestError("no HTTP/1.1 request line, or a line that ends without CR LF")


def too_large(data: bytes, bound: int) -> RequestError:
    """Which part of a head is larger than its bound."""
    if b"\r\n" in data[:bound]:
        return RequestError(f"a request's head has at most {bound} bytes here", status=431)
    return RequestError(f"a request's URL has at most {bound} bytes here", status=414)


def _framing(by_name: dict[bytes, list[bytes]], *, http10: bool) -> tuple[int, bool]:
    """The body's length and whether it is chunked."""
    chunked = is_chunked(by_name)
    if chunked is None:
        raise RequestError("the only transfer coding taken here is one final chunked")
    if chunked and http10:
        raise RequestError("Transfer-Encoding is not of HTTP/1.0")  # RFC 9112 section 6.1
    return length_of(by_name) or 0, chunked


def _host(by_name: dict[bytes, list[bytes]], *, http10: bool) -> bytes | None:
    hosts = by_name.get(b"host", [])
    if not hosts and http10:
        return None
    if len(hosts) != 1:
        raise RequestError("a request has exactly one Host")  # RFC 9112 section 3.2
    if _HOST.fullmatch(hosts[0]) is None:
        raise RequestError("Host is not a host")
    return hosts[0]


def _upgrade(by_name: dict[bytes, list[bytes]], connection: set[bytes]) -> bytes | None:
    """The protocols asked for. h2c is not passed on: behind it every request would be out of our sight."""
    values = by_name.get(b"upgrade")
    if values is None or b"upgrade" not in connection:
        return None
    offers = [offer.strip(b" \t") for value in values for offer in value.split(b",")]
    return b", ".join(offer for offer in offers if offer and offer.lower() != b"h2c") or None
