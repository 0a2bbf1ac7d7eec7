"""How an answer of our own is written, and the answers to what is no proper request.

Law: the body is as long as Content-Length says, and absent where HTTP has none. Nothing of the request is echoed.
"""

import json
from http import HTTPStatus

from waitroom.proxy.decisions import Respond


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def serialise(answer: Respond, date: bytes, *, head_only: bool, connection: bytes) -> bytes:
    """The answer's bytes. `connection` is the value of its Connection field, empty for none."""
    parts = [b"HTTP/1.1 %d %b" % (answer.status, _reason(answer.status))]
    parts += [name + b": " + value for name, value in answer.headers]
    parts.append(b"Date: " + date)
    bodiless = answer.status < 200 or answer.status in (204, 304)
    if not bodiless:
        parts.append(b"Content-Length: %d" % len(answer.body))
    if connection:
        parts.append(b"Connection: " + connection)
    parts += (b"", b"" if bodiless or head_only else answer.body)
    head = b"\r\n".join(parts[:-1]) + b"\r\n"
    return head + parts[-1]


def problem(status: int, detail: str, *headers: tuple[bytes, bytes]) -> Respond:
    """A refusal that a program can read (RFC 9457); the connection ends with it."""
    body = json.dumps({"title": _reason(status).decode(), "status": status, "detail": detail}).encode()
    fields = ((b"Content-Type", b"application/problem+json"), (b"Cache-Control", b"no-store"), *headers)
    return Respond(status, fields, body, close=True)
