"""How an answer of our own is written, and the answers to what is no proper request.

Law: the body is as long as Content-Length says, and absent where HTTP has none. Nothing of the request is echoed.
"""

import json
from functools import lru_cache
from http import HTTPStatus

from waitroom.proxy.decisions import Header, Respond

CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"
"""Said to a HTTP/1.0 client only: others take it for granted (RFC 9112 section 9.3)."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

HEADS_REMEMBERED = 512
"""Distinct beginnings of answers: a few dozen kinds, times languages and Retry-After values."""


def serialise(answer: Respond, date: bytes, *, head_only: bool, connection: bytes) -> bytes:
    """The answer's bytes. `date` and `connection` are whole lines; the latter may be empty."""
    known = _known.get(id(answer.headers))
    head = known[2] if known and known[0] is answer.headers and known[1] == answer.status else _remember(answer)
    for cookie in answer.cookies:
        head += b"Set-Cookie: %b\r\n" % cookie
    if answer.status < 200 or answer.status in (204, 304):
        return b"%b%b%b\r\n" % (head, date, connection)
    body = b"" if head_only else answer.body
    return b"%b%bContent-Length: %d\r\n%b\r\n%b" % (head, date, len(answer.body), connection, body)


def about_connection(*, kept: bool, http11: bool) -> bytes:
    """The line by which an answer says what becomes of the connection; empty where that goes without saying."""
    if not kept:
        return CLOSE
    return b"" if http11 else KEEP_ALIVE


_known: dict[int, tuple[tuple[Header, ...], int, bytes]] = {}
"""Beginnings by the identity of their fields, which thousands of answers share: even to hash them is a tenth of a
poll's answer. Each entry keeps its fields alive, so that no others can come to have their identity."""


def _remember(answer: Respond) -> bytes:
    if len(_known) >= HEADS_REMEMBERED:
        _known.clear()
    head = _head(answer.status, answer.headers)
    _known[id(answer.headers)] = answer.headers, answer.status, head
    return head


@lru_cache(maxsize=HEADS_REMEMBERED)
def _head(status: int, headers: tuple[Header, ...]) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, _reason(status)), *(name + b": " + value for name, value in headers), b""]
    return b"\r\n".join(lines)


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


ALLOW = (b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
"""Goes with a 405 (RFC 9110 section 15.5.6): what exam servers are asked for. What else there is they may answer."""


def problem(status: int, detail: str, *headers: tuple[bytes, bytes]) -> Respond:
    """A refusal that a program can read (RFC 9457); the connection ends with it."""
    if status == 405:
        headers += (ALLOW,)
    body = json.dumps({"title": _reason(status).decode(), "status": status, "detail": detail}).encode()
    fields = ((b"Content-Type", b"application/problem+json"), (b"Cache-Control", b"no-store"), *headers)
    return Respond(status, fields, body, close=True)


_COUNTED_OUT = Respond(200, ((b"Cache-Control", b"no-store"),), b"")
_TRACED = Respond(405, ((b"Allow", b"OPTIONS"), (b"Cache-Control", b"no-store")), b"")


def counted_out(method: bytes) -> Respond:
    """The answer to a request that may be forwarded no further: its last recipient is this proxy (RFC 9110 7.6.2).

    A TRACE is not given back as content, which would show a script the cookies that it must not see.
    """
    return _TRACED if method == b"TRACE" else _COUNTED_OUT
