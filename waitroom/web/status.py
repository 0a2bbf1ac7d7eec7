"""The answer to a status poll (DESIGN.md section 4): written by hand, because every waiting browser asks for it.

Law: keys and their order are public, and without a message it takes at most 400 bytes. `<`, `>` and `&` never stand
in it, so the page carries the same bytes in a script element as its first answer.
"""

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import Notice, State
from waitroom.admission.view import View, ticket_code
from waitroom.proxy.decisions import Respond
from waitroom.web.languages import pick

REMEMBERED_TEXTS = 4_096

REMEMBERED_NOTICES = 256
"""What staff say, by language."""

REMEMBERED_MINUTES = 1_024

REMEMBERED_VISITORS = 32_768
"""Whose code and arrival stay as text: some 10 MB a worker where so many wait."""

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


def status_body(view: View, language: str = "") -> bytes:
    """A visitor's situation as JSON; what staff say is in `language` if they said it in that."""
    return status_text(view, language).encode()


def status_text(view: View, language: str = "", who: str = "") -> str:
    """The same as text, for the page that carries it as its first answer; `who` is `who_text`, if it is known."""
    state, pool, exam, visitor, arrival_us, ahead, waiting, eta, next_poll_ms, stale, notice = view[:11]
    more = f',"opens_at":{_instant(view.opens_ms * 1000)}' if state is State.LOBBY and view.opens_ms else ""
    if view.pace:  # only a page's; of letters that need no escape
        more += f',"pace":"{view.pace}"'
    return (
        f"{_where(state, pool, exam)}"
        f'"position":{"null" if ahead is None else ahead + 1},"ahead":{"null" if ahead is None else ahead},'
        f'"waiting":{"null" if waiting is None else waiting},"eta":{_range(eta)},"next_poll_ms":{next_poll_ms},'
        f'{who or _who(visitor, arrival_us)},"message":{message_text(notice, language)},'
        f'"stale":{"true" if stale else "false"}{more}}}'
    )


def status_response(view: View, language: str = "") -> Respond:
    """The whole answer to a poll."""
    return Respond(200, _HEADERS[view.state], status_body(view, language), view.cookies)


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _where(state: State, pool: str, exam: str) -> str:
    """What all who wait for one exam share."""
    return f'{{"state":"{state}","pool":{_text(pool)},"exam":{_text(exam)},'


@lru_cache(maxsize=REMEMBERED_VISITORS)
def _who(visitor: str, arrival_us: int) -> str:
    return who_text(ticket_code(visitor) if visitor else "", arrival_us)


def who_text(code: str, arrival_us: int) -> str:
    """The part of an answer that stays the same for as long as its visitor waits."""
    return f'"code":"{code}","arrived_at":{_instant(arrival_us)}'


def _range(eta: Eta | Unknown) -> str:
    return f'{{"low_s":{eta.low_s},"high_s":{eta.high_s}}}' if isinstance(eta, Eta) else "null"


def _instant(us: int) -> str:
    if not us:
        return "null"
    minute, rest_us = divmod(us, 60_000_000)
    return f'"{_minute(minute)}{rest_us // 1_000_000:02}.{rest_us // 1_000 % 1_000:03}Z"'


@lru_cache(maxsize=REMEMBERED_MINUTES)
def _minute(minutes: int) -> str:
    """The part of an instant that thousands of visitors share: ISO 8601 up to the seconds."""
    return f"{_EPOCH + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:}"


def message_text(notice: Notice | None, language: str) -> str:
    """What staff say as JSON, with its instant."""
    return "null" if notice is None else _message(notice, language)


@lru_cache(maxsize=REMEMBERED_NOTICES)
def _message(notice: Notice, language: str) -> str:
    text = pick(dict(notice.texts), language)
    return f'{{"text":{_text(text)},"at":{_instant(notice.at_ms * 1000)}}}'


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _text(text: str) -> str:
    """A JSON string in ASCII that is also safe inside a script element."""
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
