"""The head of a request: what it says, whether it may pass, and the form in which a backend gets it.

Laws. The target goes on byte for byte (Safe Exam Browser hashes the URL); so do all fields but those about the
connection, about who forwarded, and our own cookies. What has two readings is refused. Reading is a pure function of
the block, so blocks are remembered: a browser's connections repeat a few of them, page after page.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from waitroom.errors import RequestError
from waitroom.proxy.decisions import Header
from waitroom.proxy.fields import (
    CRLF,
    HOP_BY_HOP,
    NEVER_UNNAMED,
    FieldError,
    Lines,
    Mark,
    connection_options,
    framing,
    headers,
    in_one_reading,
    protocols,
)
from waitroom.proxy.origin import Origin, Spoken, is_forwarding

REQUEST_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([!\"$-~\x80-\xff]++) HTTP/1\.([01])\r\n"  # RFC 9112 section 3; no fragment
)
_HOST = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?", re.ASCII)  # RFC 9110 section 7.2
_ABSOLUTE = re.compile(rb"(https?)://([^/?]*)(/[^?]*)?(.*)", re.IGNORECASE | re.DOTALL)
_HAS_HOST = re.compile(rb"^host[ \t]*:", re.IGNORECASE | re.MULTILINE)
_USUAL_PORT = {b"http": re.compile(rb":(?:80)?\Z"), b"https": re.compile(rb":(?:443)?\Z")}
"""What a host means without it (RFC 9110 section 4.2.3)."""

_IMITATED = frozenset({b"content-length", b"transfer-encoding", b"host", b"connection"})
"""Fields that a backend must not meet in a second spelling, no more than those by which proxies speak for a client."""

_SPELT_ALIKE = bytes.maketrans(b"!#$%&'*+.^_`|~", b"-" * 14)
"""CGI and WSGI read `X_Forwarded_For` as `X-Forwarded-For`, PHP `X.Forwarded.For` too, and behind lighttpd's CGI and
FastCGI any character of a name that is no letter and no digit is the same."""


_HOPS = re.compile(rb"[0-9]+")
HOPS_SUPPORTED = 10**9
"""Of Max-Forwards; more are as many."""

HOSTS_REMEMBERED = 64
"""An exam server has few names."""

BLOCKS_REMEMBERED = 4_096
BLOCK_REMEMBERED_BYTES = 2_048
"""A browser's with its cookies fits. Together: at most some 30 MB a worker, if somebody sends only long new ones."""


@dataclass(slots=True, eq=False)
class Block:
    """A header block, read; a value that nobody changes (freezing it would cost a microsecond a head).

    `forward` is what a backend gets of it, up to the lines that say who asks.
    """

    raw: bytes
    by_name: dict[bytes, list[bytes]]
    host: bytes | None
    length: int
    chunked: bool
    close: bool
    keep_alive: bool
    upgrade: bytes | None
    expects: bool
    mark: Mark
    last_hop: bool
    """Max-Forwards allows no further one; it counts for some methods alone."""
    forward: bytes
    _spoken: tuple[Origin, Spoken] | None = None
    """What the last origin made of it: a memory, not a part of the value."""

    @property
    def headers(self) -> tuple[Header, ...]:
        """All fields, as they came."""
        return headers(self.raw)

    def spoken_by(self, origin: Origin) -> Spoken:
        """Who asks, where this comes from `origin`."""
        if self._spoken is None or self._spoken[0] is not origin:
            self._spoken = origin, origin.speak(self)
        return self._spoken[1]


NO_BLOCK = Block(b"", {}, None, 0, *(False,) * 3, None, expects=False, mark=Mark.NONE, last_hop=False, forward=b"")


class RequestReader:
    """Reads header blocks of requests. One a worker."""

    def __init__(self, own_cookies: re.Pattern[bytes], signed_on: frozenset[bytes] = frozenset()) -> None:
        self._own_cookies = own_cookies
        self._signed_on = frozenset(name.translate(_SPELT_ALIKE) for name in signed_on)
        self._lines = Lines(self._passing)
        self._known: tuple[dict[bytes, Block], dict[bytes, Block]] = {}, {}
        """Blocks read before, of HTTP/1.1 and of HTTP/1.0: the two versions read the same block differently."""

    def read(self, raw: bytes, *, http10: bool = False, target: bytes = b"/") -> Block:
        """The block, or RequestError for one that may not pass. `target`: of the same request."""
        if http10:
            raw = _with_host(target, raw)
        known = self._known[http10]
        block = known.get(raw)
        if block is None:
            block = self._read(raw, http10=http10)
            if len(raw) <= BLOCK_REMEMBERED_BYTES:
                if len(known) >= BLOCKS_REMEMBERED:
                    known.clear()
                known[raw] = block
        return block

    def _read(self, raw: bytes, *, http10: bool) -> Block:
        try:
            read = self._lines.read(raw)
            values = read.by_name
            length, chunked = framing(values)
        except FieldError as error:
            raise RequestError(str(error), status=error.status) from None
        if chunked and http10:
            raise RequestError("Transfer-Encoding is not of HTTP/1.0")  # RFC 9112 section 6.1
        connection = connection_options(values)
        host = _host(values, http10=http10)
        upgrade = protocols(values) if b"upgrade" in connection and not http10 else None
        if upgrade is not None and (length or chunked):
            raise RequestError("a request to change the protocol has no body here")
        without = connection - NEVER_UNNAMED
        if http10:
            without |= {b"expect"}  # RFC 9110 section 10.1.1: to be ignored
        kept = read.passed(without)
        if chunked:
            kept.append(b"Transfer-Encoding: chunked")
        if upgrade is not None:
            kept += (b"Connection: Upgrade", b"Upgrade: " + upgrade)
        kept.append(b"")
        return Block(
            raw,
            values,
            host,
            length or 0,
            chunked,
            b"close" in connection,
            b"keep-alive" in connection,
            upgrade,
            b"expect" in values and not http10 and values[b"expect"][0].lower() == b"100-continue",
            Mark.of(values.get(b"authorization", ()), body=bool(length) or chunked),
            any(_hops(value) == 0 for value in values.get(b"max-forwards", ())),
            CRLF.join(kept),
        )

    def _passing(self, key: bytes, line: bytes) -> bytes | None:
        """What goes on of a line, whatever else the request says. Who asks is for the Origin to tell.

        `Proxy` is no field of HTTP, and as CGI's HTTP_PROXY it tells programs where to connect to (CVE-2016-5385).
        """
        if key == b"cookie":
            return self._without_ours(line)
        if key == b"max-forwards":
            return _one_hop_less(line)
        plain = key.translate(_SPELT_ALIKE)
        if key in HOP_BY_HOP or key == b"proxy" or (plain != key and plain in _IMITATED):
            return None
        if is_forwarding(plain) or plain in self._signed_on:
            return None
        return in_one_reading(key, line)

    def _without_ours(self, line: bytes) -> bytes | None:
        """A Cookie line without our cookies; untouched if none is ours."""
        name, _, value = line.partition(b":")
        others = self._own_cookies.sub(b"", value)
        if len(others) == len(value):
            return line
        rest = others.strip(b" \t").removesuffix(b";")
        return name + b": " + rest if rest else None


def aim(method: bytes, target: bytes, block: Block, origin: Origin) -> bytes:
    """The target in the form that goes on: a path as it came (RFC 9112 section 3.2)."""
    if method == b"CONNECT":
        raise RequestError("CONNECT is for proxies that a client has chosen", status=405)
    if target.startswith(b"/"):
        return target
    if target == b"*" and method == b"OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise RequestError("the request target is neither a path nor a URL")
    scheme, authority, path, query = absolute.groups()
    port = _USUAL_PORT[scheme.lower()]
    if block.host is None or port.sub(b"", authority.lower()) != port.sub(b"", block.host.lower()):
        raise RequestError("the URL in the request line and Host name different servers")
    if scheme.lower() == b"https" and not (origin.trusted or origin.scheme == b"https"):
        raise RequestError("https was asked for over a connection that is not secured")  # RFC 9110 section 7.4
    if path is None and not query and method == b"OPTIONS":
        return b"*"
    return (path or b"/") + query


_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
EMPTY_BYTES = 256
"""Of them in one read. Fifty clients that sent nothing else had the loop read for seconds at a time."""
_BEGINNING = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: [^\x00-\x20\x7f]*(?: [HTP/1.0]*\r?)?)?")


def leading_empty_lines(data: bytes) -> int:
    """Bytes of empty lines before a request, which some clients send after a body (RFC 9112 section 2.2); RequestError
    where there are too many."""
    match = _EMPTY_LINES.match(data)
    if match is None:
        return 0
    if match.end() > EMPTY_BYTES:
        raise RequestError("these are empty lines, and no request")
    return match.end()


def without_empty_lines(data: bytes) -> bytes:
    """What begins with no request line may begin with one after empty lines; RequestError if not."""
    start = leading_empty_lines(data)
    if start == 0:
        raise RequestError("this is no HTTP/1 request")
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
            raise RequestError("this is no HTTP/1 request")
    elif REQUEST_LINE.match(data) is None or data.count(b"\n") != data.count(b"\r\n"):
        raise RequestError("this is no HTTP/1 request, or a line of it ends without CR LF")


def too_large(data: bytes, bound: int) -> RequestError:
    """Which part of a head is larger than its bound."""
    if b"\r\n" in data[:bound]:
        return RequestError(f"a request's head has at most {bound} bytes here", status=431)
    return RequestError(f"a request's URL has at most {bound} bytes here", status=414)


def _with_host(target: bytes, raw: bytes) -> bytes:
    """A HTTP/1.0 block that names its host in the URL alone (RFC 9112 section 3.2.2), with Host; others as they are."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or _HAS_HOST.search(raw):
        return raw
    return b"Host: %b\r\n%b" % (absolute[2], raw)


def _host(values: dict[bytes, list[bytes]], *, http10: bool) -> bytes | None:
    hosts = values.get(b"host", [])
    if not hosts and http10:
        return None
    if len(hosts) != 1:
        raise RequestError("a request has exactly one Host")  # RFC 9112 section 3.2
    host = hosts[0]
    if not _is_host(host):
        raise RequestError("Host is not a host")
    return host


def _hops(value: bytes) -> int | None:
    """What a Max-Forwards says; None for what is no number, and says nothing."""
    if _HOPS.fullmatch(value) is None:
        return None
    digits = value.lstrip(b"0") or b"0"
    return int(digits) if len(digits) < len(b"%d" % HOPS_SUPPORTED) else HOPS_SUPPORTED


def _one_hop_less(line: bytes) -> bytes:
    """A Max-Forwards line as it goes on (RFC 9110 section 7.6.2)."""
    name, _, value = line.partition(b":")
    hops = _hops(value.strip(b" \t"))
    return b"%b: %d" % (name, hops - 1) if hops else line


@lru_cache(maxsize=HOSTS_REMEMBERED)
def _is_host(text: bytes) -> bool:
    return _HOST.fullmatch(text) is not None
