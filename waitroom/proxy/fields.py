"""What requests' and responses' header blocks have in common: how they are judged and taken apart.

Law: one reading. A line passes llhttp (strict) or its block is refused; what llhttp accepts is one field a line, so
cutting at CRLF and at the first colon gives the field that llhttp saw. What lines say together (lengths, codings,
hosts) is for those who read blocks to check. A line judged once is remembered with all that follows from it alone:
browsers and servers send the same few hundred lines again and again. llhttp runs without callbacks, whose calls cost
three times its parsing.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from waitroom.proxy.decisions import Header

CRLF = b"\r\n"
END_OF_HEAD = b"\r\n\r\n"

LINES_REMEMBERED = 4_096
LINE_REMEMBERED_BYTES = 768
"""A Cookie line with ours fits. Together: some 8 MB a worker if somebody sends only long new lines."""

HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"http2-settings",
})  # fmt: skip
"""Fields about one connection (RFC 9110 section 7.6.1). `Proxy-Authenticate` and `Proxy-Authorization` are not among
them: RFC 9110 section 11.7 lets a proxy that does not take part pass them on."""

_NEVER_UNNAMED = frozenset({b"host", b"content-length"})
"""`Connection: content-length` must not change the framing."""

_TRIAL_LINE = b"GET / HTTP/1.1\r\n"
"""A request line in front of any lines: llhttp's rules for fields are strictest in requests."""

_ENDING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"upgrade"})
"""After these llhttp waits for a body, or for nothing at all."""

_LENGTH = re.compile(rb"[0-9]{1,18}")


class Line(NamedTuple):
    """A field line. `passed` is what goes on of it: itself, less, or None."""

    key: bytes
    field: Header
    values: list[bytes]
    passed: bytes | None


class FieldError(ValueError):
    """A header block with no reading, or with two. Renamed by those who read blocks."""


class _Silent:
    """No callbacks."""


class Lines:
    """Reads header blocks into lines. `passing` says what goes on of a line with this key."""

    def __init__(self, passing: Callable[[bytes, bytes], bytes | None]) -> None:
        self._passing = passing
        self._known: dict[bytes, Line] = {}
        self._parser = httptools.HttpRequestParser(_Silent())

    def read(self, block: bytes) -> list[Line]:
        """The lines of a block (which ends with the empty line), in order; FieldError if one is none."""
        if len(block) <= 2:
            return []
        texts = block[:-4].split(CRLF)
        lines = [*map(self._known.get, texts)]
        if not all(lines):
            self._learn(texts, lines)
        return cast("list[Line]", lines)

    def _learn(self, texts: list[bytes], lines: list[Line | None]) -> None:
        """Judge the lines that are not known, and put them in their places."""
        ends = self._judge([text for text, line in zip(texts, lines, strict=True) if line is None])
        known = self._known
        if len(known) > LINES_REMEMBERED:
            known.clear()
        for at, text in enumerate(texts):
            if lines[at] is None:
                name, _, value = text.partition(b":")
                value = value.strip(b" \t")
                key = name.lower()
                line = lines[at] = Line(key, (name, value), [value], self._passing(key, text))
                ends = ends or key in _ENDING
                if len(text) <= LINE_REMEMBERED_BYTES:
                    known[text] = line
        if ends:
            self._parser = httptools.HttpRequestParser(_Silent())

    def _judge(self, texts: list[bytes]) -> bool:
        """Whether the parser has been upgraded by what it accepts."""
        try:
            self._parser.feed_data(_TRIAL_LINE + CRLF.join(texts) + END_OF_HEAD)
        except httptools.HttpParserUpgrade:
            return True
        except httptools.HttpParserError as error:
            self._parser = httptools.HttpRequestParser(_Silent())
            raise FieldError(str(error)) from None
        return False


def by_name(lines: list[Line]) -> dict[bytes, list[bytes]]:
    """Values by lower-case name, in order. The lists are shared with other messages."""
    values = {line.key: line.values for line in lines}
    if len(values) != len(lines):
        values = {}
        for line in lines:
            values[line.key] = values.get(line.key, []) + line.values
    return values


def passed(lines: list[Line], connection: frozenset[bytes]) -> list[bytes]:
    """What goes on, without the fields that Connection names."""
    named = connection - _NEVER_UNNAMED
    if named:
        return [line.passed for line in lines if line.passed and line.key not in named]
    return [line.passed for line in lines if line.passed]


def connection_options(values: dict[bytes, list[bytes]]) -> frozenset[bytes]:
    """The members of Connection, in lower case."""
    said = values.get(b"connection")
    if said is None:
        return _NONE
    return _USUAL.get(said[0]) or tokens(said) if len(said) == 1 else tokens(said)


_NONE: frozenset[bytes] = frozenset()
_USUAL = {option: frozenset({option}) for option in (b"keep-alive", b"close")}


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
