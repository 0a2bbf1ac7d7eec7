"""Forms that met the line: carried by the page as hidden fields, sent by the browser once its visitor is in.

Law: what the browser will send is what it sent, byte for byte, or the form is not kept and the page says so. This is
decided before the page is made, by doing what the browser does (HTML section 4.10.21.4, URL section 5.2): decode,
put into fields, encode again, compare. Values are never logged and never stored; the page has no `action`, so the form
goes back to the very URL the page is shown at.
"""

from dataclasses import dataclass, field
from html import escape

FORM_TYPE = b"application/x-www-form-urlencoded"

MAX_FIELDS = 2_000
"""PHP takes 1,000 by default (max_input_vars). Bounds the page: about 50 bytes around each field."""

_UNESCAPED = frozenset(b"*-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_ENCODED = [bytes([byte]) if byte in _UNESCAPED else b"%%%02X" % byte for byte in range(256)]
_ENCODED[0x20] = b"+"
_HEX = frozenset(b"0123456789abcdefABCDEF")


_WINDOWS_1252 = {
    byte: bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte)) for byte in range(0x80, 0xA0)
}
"""Where it differs from Latin-1. What Python leaves undefined are C1 controls to browsers (Encoding section 9.1)."""

_FROM_WINDOWS_1252 = {ord(text): byte for byte, text in _WINDOWS_1252.items()}


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form's fields in order, and the charset in which they come back as they were."""

    charset: str
    pairs: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def parse(cls, body: bytes, content_type: bytes) -> "KeptForm | None":
        """The form in a request body, or None where a browser would not send these very bytes again."""
        charset = _declared(content_type)
        if charset is None or body.count(b"&") >= MAX_FIELDS:
            return None
        raw = [_split(part) for part in body.split(b"&")] if body else []
        for candidate in ("utf-8", "windows-1252") if not charset else (charset,):
            pairs = _decode(raw, candidate)
            if pairs is not None and _sent_again(pairs, candidate) == body:
                return cls(candidate, pairs)
        return None

    def fields(self) -> str:
        """The fields as HTML.

        Text areas, because `<input type=hidden name=_charset_>` would be filled in by the browser. The parser drops the
        line feed after the tag, so that one that belongs to the value is not dropped.
        """
        return "".join(
            f'<textarea name="{escape(name)}">\n{escape(value, quote=False)}</textarea>' for name, value in self.pairs
        )


def _declared(content_type: bytes) -> str | None:
    """The charset a Content-Type names, "" for none, None for a type or charset that no form sends."""
    media_type, _, parameter = content_type.lower().partition(b";")
    if media_type.strip() != FORM_TYPE:
        return None
    match parameter.replace(b" ", b"").replace(b'"', b""):
        case b"":
            return ""
        case b"charset=utf-8":
            return "utf-8"
        case _:
            return None


def _split(part: bytes) -> tuple[bytes, bytes]:
    name, _, value = part.partition(b"=")
    return _unquote(name), _unquote(value)


def _unquote(data: bytes) -> bytes:
    head, *rest = data.replace(b"+", b" ").split(b"%")
    parts = [head]
    for piece in rest:
        code = piece[:2]
        parts.append(bytes([int(code, 16)]) + piece[2:] if len(code) == 2 and _HEX.issuperset(code) else b"%" + piece)
    return b"".join(parts)


def _decode(raw: list[tuple[bytes, bytes]], charset: str) -> tuple[tuple[str, str], ...] | None:
    """The pairs as text, or None where the charset cannot be it or the HTML parser would change them.

    A field without a name is never sent (HTML 4.10.21.4), and a NUL does not survive the parser (HTML 13.2.5).
    """
    pairs: list[tuple[str, str]] = []
    for name, value in raw:
        if not name or b"\0" in name or b"\0" in value:
            return None
        try:
            pairs.append((_text(name, charset), _text(value, charset)))
        except UnicodeDecodeError:
            return None
    return tuple(pairs)


def _text(data: bytes, charset: str) -> str:
    return data.decode() if charset == "utf-8" else data.decode("latin-1").translate(_WINDOWS_1252)


def _bytes(text: str, charset: str) -> bytes:
    return text.encode() if charset == "utf-8" else text.translate(_FROM_WINDOWS_1252).encode("latin-1")


def _sent_again(pairs: tuple[tuple[str, str], ...], charset: str) -> bytes:
    """What a browser makes of the fields."""
    return b"&".join(_quote(name, charset) + b"=" + _quote(value, charset) for name, value in pairs)


def _quote(text: str, charset: str) -> bytes:
    """One side of a pair: every line break becomes CR LF, then percent-encoding."""
    broken = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return b"".join(map(_ENCODED.__getitem__, _bytes(broken, charset)))
