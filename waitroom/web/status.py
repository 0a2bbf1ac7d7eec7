"""The answer to a status poll (DESIGN.md section 4): written by hand, because every waiting browser asks for it.

Law: keys and their order are public, and without a message it takes at most 400 bytes. `<`, `>` and `&` never stand
in it, so the page carries the same bytes in a script element as its first answer.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from waitroom.admission.estimate import Eta
from waitroom.admission.line import State
from waitroom.admission.view import Notice, View
from waitroom.proxy.decisions import Respond

REMEMBERED_TEXTS = 4_096

REMEMBERED_MINUTES = 1_024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_HEADERS = {
    state: (
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
        *(((b"X-Waitroom", state.encode()),) if state is not State.ADMITTED else ()),
    )
    for state in State
}


def status_body(view: View) -> bytes:
    """A visitor's situation as JSON."""
    eta = f'{{"low_s": {view.eta.low_s}, "high_s": {view.eta.high_s}}}' if isinstance(view.eta, Eta) else "null"
    return (
        f'{{"state": "{view.state}", "pool": {_text(view.pool)}, "exam": {_text(view.exam)}, '
        f'"position": {_number(view.position)}, "ahead": {_number(view.ahead)}, "waiting": {_number(view.waiting)}, '
        f'"eta": {eta}, "next_poll_ms": {view.next_poll_ms}, "code": "{view.code}", '
        f'"arrived_at": {_instant(view.arrival_us)}, "message": {_notice(view.notice)}, '
        f'"stale": {"true" if view.stale else "false"}}}'
    ).encode()


def status_response(view: View, cookies: tuple[bytes, ...] = ()) -> Respond:
    """The whole answer to a poll."""
    more = tuple((b"Set-Cookie", cookie) for cookie in cookies)
    return Respond(200, _HEADERS[view.state] + more, status_body(view))


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _instant(us: int) -> str:
    if not us:
        return "null"
    minute, rest_us = divmod(us, 60_000_000)
    return f'"{_minute(minute)}{rest_us // 1_000_000:02}.{rest_us // 1_000 % 1_000:03}Z"'


@lru_cache(maxsize=REMEMBERED_MINUTES)
def _minute(minutes: int) -> str:
    """The part of an instant that thousands of visitors share: ISO 8601 up to the seconds."""
    return f"{_EPOCH + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:}"


def _notice(notice: Notice | None) -> str:
    if notice is None:
        return "null"
    return f'{{"text": {_text(notice.text)}, "at": {_instant(notice.at_ms * 1000)}}}'


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _text(text: str) -> str:
    """A JSON string in ASCII that is also safe inside a script element."""
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
