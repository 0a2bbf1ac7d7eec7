"""What requests' and responses' header blocks have in common: how they are judged and taken apart.

Law: one reading. A line passes llhttp (strict) or its block is refused; what llhttp accepts is one field a line, so
cutting at CRLF and at the first colon gives the field that llhttp saw. What lines say together (lengths, codings,
hosts) is for those who read blocks to check. A line judged once is remembered with all that follows from it alone:
browsers and servers send the same few hundred lines again and again. llhttp runs without callbacks, whose calls cost
three times its parsing.
"""

import re
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import httptools

from waitroom.proxy.decisions import Header

CRLF = b"\r\n"
END_OF_HEAD = b"\r\n\r\n"

LINES_REMEMBERED = 4_096
LINE_REMEMBERED_BYTES = 768
"""A Cookie line with ours fits. Together: some 8 MB a worker if somebody sends only long new lines."""

FIELDS = 200
"""Lines of one block: browsers send 30, Apache and Envoy take 100. Without a bound 8,000 lines of four bytes with one
name cost as much as 60 heads of their size."""

HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"http2-settings",
})  # fmt: skip
"""Fields about one connection (RFC 9110 section 7.6.1). `Proxy-Authenticate` and `Proxy-Authorization` are not among
them: RFC 9110 section 11.7 lets a proxy that does not take part pass them on."""

NEVER_UNNAMED = frozenset({b"host", b"content-length"})
"""`Connection: content-length` must not change the framing."""

_TRIAL_LINE = b"GET / HTTP/1.1\r\n"
"""A request line in front of any lines: llhttp's rules for fields are strictest in requests."""

_ENDING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"upgrade"})
"""After these llhttp waits for a body, or for nothing at all."""

_LENGTH = re.compile(rb"[0-9]{1,18}")


Line = tuple[bytes, list[bytes], bytes | None]
"""A field line, judged: its name in lower case, its value in a list that blocks may share, what goes on of it (itself,
less, or nothing)."""


class Fields(NamedTuple):
    """A header block's lines, turned into columns."""

    keys: tuple[bytes, ...]
    by_name: dict[bytes, list[bytes]]
    """Values by lower-case name, in order. The lists are shared with other messages."""
    passing: tuple[bytes | None, ...]

    def passed(self, without: frozenset[bytes]) -> list[bytes]:
        """What goes on, but not the fields with these names."""
        if without.isdisjoint(self.by_name):
            return [line for line in self.passing if line]
        return [line for key, line in zip(self.keys, self.passing, strict=True) if line and key not in without]


NO_FIELDS = Fields((), {}, ())


class FieldError(ValueError):
    """A header block with no reading, or with two. Renamed by those who read blocks."""

    status = 400


class TooManyFieldsError(FieldError):
    """A header block that nobody needs."""

    status = 431


class _Silent:
    """No callbacks."""


class Lines(dict[bytes, Line]):
    """Lines by their text; one that is not known yet is judged when it is asked for.

    `passing` says what goes on of a line with this key.
    """

    def __init__(self, passing: Callable[[bytes, bytes], bytes | None]) -> None:
        super().__init__()
        self._passing = passing
        self._parser = httptools.HttpRequestParser(_Silent())

    def read(self, block: bytes) -> Fields:
        """The fields of a block (which ends with the empty line); FieldError if a line is none."""
        if len(block) <= 2:
            return NO_FIELDS
        texts = block[:-4].split(CRLF)
        if len(texts) > FIELDS:
            raise TooManyFieldsError(f"a head has at most {FIELDS} fields here")
        # Columns without a loop: with a dozen lines a block, every step in Python would show.
        keys, values, passing = zip(*map(self.__getitem__, texts), strict=True)
        by_name = dict(zip(keys, values, strict=True))
        if len(by_name) != len(keys):
            by_name = {}
            for key, value in zip(keys, values, strict=True):
                by_name[key] = by_name.get(key, []) + value
        return Fields(keys, by_name, passing)

    def __missing__(self, text: bytes) -> Line:
        """Judge a line and remember it."""
        upgraded = self._judge(text)
        name, _, value = text.partition(b":")
        key = name.lower()
        line = key, [value.strip(b" \t")], self._passing(key, text)
        if upgraded or key in _ENDING:
            self._parser = httptools.HttpRequestParser(_Silent())
        if len(text) <= LINE_REMEMBERED_BYTES:
            if len(self) >= LINES_REMEMBERED:
                self.clear()
            self[text] = line
        return line

    def _judge(self, text: bytes) -> bool:
        """Whether the parser has been upgraded by what it accepts."""
        try:
            self._parser.feed_data(b"%b%b\r\n\r\n" % (_TRIAL_LINE, text))
        except httptools.HttpParserUpgrade:
            return True
        except httptools.HttpParserError as error:
            self._parser = httptools.HttpRequestParser(_Silent())
            raise FieldError(str(error)) from None
        return False


def in_one_reading(key: bytes, line: bytes) -> bytes:
    """The line as it goes on: a length without the zeros that make it octal to some (C's `strtoll` with base 0)."""
    if key != b"content-length":
        return line
    name, _, value = line.partition(b":")
    digits = value.strip(b" \t")
    return name + b": " + (digits.lstrip(b"0") or b"0") if digits.startswith(b"0") and digits != b"0" else line


def headers(block: bytes) -> tuple[Header, ...]:
    """The fields of a block that has been read, as they came."""
    lines = (line.partition(b":") for line in block[:-4].split(CRLF) if line)
    return tuple((name, value.strip(b" \t")) for name, _, value in lines)


def connection_options(values: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    """The members of Connection, in lower case."""
    said = values.get(b"connection")
    if said is None:
        return _NONE
    return _USUAL.get(said[0]) or tokens(said) if len(said) == 1 else tokens(said)


def protocols(values: dict[bytes, list[bytes]]) -> bytes | None:
    """The members of Upgrade, or None. h2c is not passed on: behind it every request would be out of our sight."""
    named = [each.strip(b" \t") for value in values.get(b"upgrade", ()) for each in value.split(b",")]
    return b", ".join(each for each in named if each and each.lower() != b"h2c") or None


_NONE: frozenset[bytes] = frozenset()
_USUAL = {option: frozenset({option}) for option in (b"keep-alive", b"close")}


_BY_CONNECTION = re.compile(rb"(?:^|,)[ \t]*(?:ntlm|negotiate|nego2)(?![^ \t,])", re.IGNORECASE)


class Mark(IntEnum):
    """What a message leaves on a backend's connection, perhaps: whoever asks next over it would find it there."""

    NONE = 0
    BODY = 1
    """A body that was not read, or is still to come."""
    USER = 2
    """Somebody has signed on to the connection."""

    @classmethod
    def of(cls, values: list[bytes] | tuple[()], *, body: bool) -> "Mark":
        """From WWW-Authenticate or Authorization fields, and whether there is a body that may be passed over.

        Some kinds sign on a connection, not a request: whatever comes over it then is that user's (RFC 4559 section 6).
        HAProxy keeps such connections apart as well.
        """
        if any(_BY_CONNECTION.search(value) for value in values):
            return cls.USER
        return cls.BODY if body else cls.NONE


def tokens(values: list[bytes]) -> frozenset[bytes]:
    """The members of a comma-separated list field, in lower case."""
    return frozenset(token for value in values for part in value.split(b",") if (token := part.strip(b" \t").lower()))


def framing(values: dict[bytes, list[bytes]]) -> tuple[int | None, bool]:
    """Content-Length and whether the body is chunked: one or neither is said, and in one way (RFC 9112 section 6)."""
    lengths = values.get(b"content-length")
    codings = values.get(b"transfer-encoding")
    if codings is None:
        if lengths is None:
            return None, False
        if len(lengths) != 1 or _LENGTH.fullmatch(lengths[0]) is None:
            raise FieldError("Content-Length is not one number")
        return int(lengths[0]), False
    if lengths is not None:
        raise FieldError("both Content-Length and Transfer-Encoding")
    if len(codings) != 1 or codings[0].lower() != b"chunked":
        raise FieldError("the only transfer coding taken here is one final chunked")
    return None, True
