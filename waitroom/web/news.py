"""The news of a pool: what every open page asks for every few seconds, whoever its visitor is.

Law: an answer depends on the pool and the language alone. It is made once for each change, costs no store call, and a
page that has it already is told so in a few bytes (304).
"""

import hashlib
from functools import lru_cache

from waitroom.admission.view import News
from waitroom.proxy.decisions import Header, Respond
from waitroom.web.status import message_text

REMEMBERED = 256
"""Answers kept: pools and exams with something to say, in each language."""


def news(new: News, *, language: str, known: bytes | None) -> Respond:
    """The answer to a page that asks what is new; `known` is its If-None-Match."""
    body, tag, headers = _prepared(new, language)
    if known is not None and tag in known:
        return Respond(304, headers, b"")
    return Respond(200, headers, body)


@lru_cache(maxsize=REMEMBERED)
def _prepared(new: News, language: str) -> tuple[bytes, bytes, tuple[Header, ...]]:
    held = "true" if new.held else "false"
    text = f'{{"message":{message_text(new.notice, language)},"held":{held},"next_ms":{new.next_ms}}}'
    tag = b'"%b"' % hashlib.sha256(text.encode()).hexdigest()[:16].encode()
    headers = (
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-cache"),
        (b"ETag", tag),
        (b"Vary", b"Accept-Language, Cookie"),
        (b"X-Content-Type-Options", b"nosniff"),
    )
    return text.encode(), tag, headers
