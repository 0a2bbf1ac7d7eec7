"""A second reader of HTTP/1.1, strict and slow, that shares nothing with the product's.

Law: it takes only the canonical form in which the product may speak to a backend or a client. What it cannot read as
exactly that is `NotCanonicalError`, whatever some server might make of it.
"""

import re
from collections import Counter
from dataclasses import dataclass

_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ (?:/[^\x00-\x20\x7f#]*|\*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_SIZE = re.compile(rb"[1-9a-f][0-9a-f]{0,15}|0")
_NOT_SENT = {b"te", b"trailer", b"keep-alive", b"proxy-connection", b"http2-settings", b"content_length"}


class NotCanonicalError(AssertionError):
    """Bytes that no backend should have been sent."""


@dataclass(frozen=True, slots=True)
class Read:
    """One complete request."""

    head: bytes
    body: bytes
    """Without chunk framing."""
    size: int
    """Bytes on the wire."""


def first_request(data: bytes) -> Read | None:
    """The request that `data` begins with; None if it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, start = data[: end + 4], end + 4
    length = _framing(head)
    if length is None:
        return _chunked(data, head)
    if len(data) < start + length:
        return None
    return Read(head, data[start : start + length], start + length)


def all_requests(data: bytes) -> tuple[list[Read], bytes]:
    """The requests in what a backend connection was sent, and the incomplete rest."""
    found: list[Read] = []
    while (read := first_request(data)) is not None:
        found.append(read)
        data = data[read.size :]
    return found, data


def _framing(head: bytes) -> int | None:
    """The length of the body; None for chunks."""
    line, *lines = head[:-4].split(b"\r\n")
    if _LINE.fullmatch(line) is None:
        raise NotCanonicalError(f"request line {line!r}")
    fields = _fields(lines)
    names = Counter(name for name, _ in fields)
    said = dict(fields)
    _no_foul(names, said)
    if b"transfer-encoding" in said:
        return None
    return int(said.get(b"content-length", b"0"))


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    fields: list[tuple[bytes, bytes]] = []
    for each in lines:
        match = _FIELD.fullmatch(each)
        if match is None:
            raise NotCanonicalError(f"field line {each!r}")
        fields.append((match[1].lower(), match[2].strip(b" \t")))
    return fields


def _no_foul(names: Counter[bytes], said: dict[bytes, bytes]) -> None:
    framed = names[b"content-length"] + names[b"transfer-encoding"]
    if names[b"host"] != 1 or framed > 1 or not _NOT_SENT.isdisjoint(names):
        raise NotCanonicalError(f"fields {names}")
    if said.get(b"transfer-encoding", b"chunked") != b"chunked":
        raise NotCanonicalError(f"coding {said}")
    if re.fullmatch(rb"[0-9]{1,18}", said.get(b"content-length", b"0")) is None:
        raise NotCanonicalError(f"length {said}")
    if said.get(b"connection", b"Upgrade") != b"Upgrade" or (b"connection" in said) is not (b"upgrade" in said):
        raise NotCanonicalError(f"connection {said}")


def _chunked(data: bytes, head: bytes) -> Read | None:
    body, at = b"", len(head)
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        if _SIZE.fullmatch(data[at:end]) is None:
            raise NotCanonicalError(f"chunk size {data[at:end]!r}")
        size, at = int(data[at:end], 16), end + 2
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise NotCanonicalError("chunk without its end")
        body += data[at : at + size]
        at += size + 2
        if size == 0:
            return Read(head, body, at)


_STATUS = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) [\t -~\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete response."""

    status: int
    head: bytes
    body: bytes
    """Without chunk framing."""


def all_replies(data: bytes, methods: list[bytes], *, ended: bool) -> tuple[list[Reply], bytes]:
    """The final responses to requests with these methods, and the incomplete rest.

    `ended`: the connection came to an orderly end, which ends the body of an answer without length.
    """
    found: list[Reply] = []
    asked = iter(methods)
    while (end := data.find(b"\r\n\r\n")) >= 0:
        head, rest = data[: end + 4], data[end + 4 :]
        status, said = _status(head)
        if 100 <= status < 200 and status != 101:
            data = rest
            continue
        if next(asked, b"") == b"HEAD" or status in (101, 204, 304):
            body = b""
        elif b"transfer-encoding" in said:
            read = _chunked(data, head)
            if read is None:
                break
            body, rest = read.body, data[read.size :]
        elif b"content-length" in said:
            size = int(said[b"content-length"])
            if len(rest) < size:
                break
            body, rest = rest[:size], rest[size:]
        elif ended:
            body, rest = rest, b""
        else:
            break
        found.append(Reply(status, head, body))
        data = rest
    return found, data


def cut_reply(data: bytes, method: bytes, *, ended: bool) -> Reply:
    """What there is of the one final response in `data`, which is incomplete; NotCanonicalError where it is whole, is
    none, or has ended otherwise than within its body.

    `ended`: as above, so that half an answer without length is whole then.
    """
    found, data = all_replies(data, [method], ended=ended)
    end = data.find(b"\r\n\r\n")
    if found or end < 0:
        raise NotCanonicalError(f"no answer that was cut: {found}, {data!r}")
    head, data = data[: end + 4], data[end + 4 :]
    status, said = _status(head)
    body = b""
    while data and b"transfer-encoding" in said:
        size, _, data = data.partition(b"\r\n")
        if _SIZE.fullmatch(size) is None or data[int(size, 16) : int(size, 16) + 2] != b"\r\n":
            raise NotCanonicalError(f"half a chunk {size!r}")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return Reply(status, head, body + data)


def _status(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    line, *lines = head[:-4].split(b"\r\n")
    status = _STATUS.fullmatch(line)
    if status is None:
        raise NotCanonicalError(f"status line {line!r}")
    said = dict(_fields(lines))
    if b"transfer-encoding" in said and (b"content-length" in said or said[b"transfer-encoding"] != b"chunked"):
        raise NotCanonicalError(f"framing of a response {head!r}")
    return int(status[1]), said
