"""Which language a visitor is answered in, and how one chooses another.

Law: the order is the visitor's own choice (a cookie, made by an ordinary link that leads straight back), then
Accept-Language by the lookup scheme of RFC 4647 section 3.4 (the range with the highest weight that we speak wins,
`fr-BE` falls back to `fr`), then the exam's language, then the site's, then English. It is a pure function of headers
and settings, and what a header means is worked out once.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import NamedTuple
from urllib.parse import parse_qs, quote

from waitroom.proxy.decisions import Respond
from waitroom.settings.tongues import LANGUAGES, OWN_NAMES, RIGHT_TO_LEFT
from waitroom.web.problems import problem
from waitroom.web.stillness import MAX_TARGET_REMEMBERED, REMEMBERED_TARGETS, is_path, same_host

__all__ = ["DEFAULT", "LANGUAGES", "Choice", "choices", "choose", "direction", "make_choice", "pick", "switcher"]

DEFAULT = "en"

COOKIE = b"wr.lang"
"""No pool's cookie: their names have no dot."""

MAX_AGE_S = 365 * 24 * 3_600
"""A language is no secret and does not change from one session of exams to the next."""

MAX_HEADER_BYTES = 256
"""Browsers send less than 100; what stands beyond is not looked at."""

REMEMBERED = 1_024
"""Distinct headers whose answer is kept; a campus sends a few dozen."""

_SENT = COOKIE + b"="
_BY_TAG = {tag.encode(): tag for tag in LANGUAGES}
_BEFORE = b" ;"
_CURRENT = ' aria-current="true"'


class Choice(NamedTuple):
    """One language of the switcher."""

    tag: str
    name: str
    url: str
    """Not escaped."""


def choose(accept_language: bytes | None, cookie_headers: Sequence[bytes] = (), default: str = DEFAULT) -> str:
    """The language for a visitor who sent these headers; `default`: of the exam, or else of the site."""
    for header in cookie_headers:
        if _SENT in header and (chosen := _chosen(header)):
            return chosen
    return (_asked_for(accept_language[:MAX_HEADER_BYTES]) if accept_language else "") or default


def direction(language: str) -> str:
    """The `dir` of a page in this language."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def choices(prefix: str, target: bytes) -> tuple[Choice, ...]:
    """Every language, and the link that chooses it on the page at `target`."""
    back = quote(target, safe="/")
    return tuple(Choice(tag, name, f"{prefix}language?lang={tag}&to={back}") for tag, name in OWN_NAMES.items())


def switcher(prefix: str, target: bytes, current: str) -> str:
    """The same as HTML: a link each, the language of the page marked as such."""
    make = _switcher if len(target) <= MAX_TARGET_REMEMBERED else _switcher.__wrapped__
    return make(prefix, target, current)


def make_choice(query: bytes, *, secure: bool) -> Respond:
    """The answer to `{prefix}language`: the cookie, and the way back."""
    asked = parse_qs(query.decode("latin-1"), encoding="latin-1")
    language, back = asked.get("lang", [""])[0], asked.get("to", ["/"])[0]
    if language not in OWN_NAMES or not is_path(back):
        expected = f"Expected: lang= one of {', '.join(LANGUAGES)}, and to=/a/path of this host."
        return problem(400, "bad-choice", "Not understood", expected)
    cookie = b"%b%b; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax" % (_SENT, language.encode(), MAX_AGE_S)
    headers = ((b"Location", same_host(back).encode("latin-1")), (b"Cache-Control", b"no-store"))
    return Respond(303, headers, b"", (cookie + (b"; Secure" if secure else b""),))


def pick(texts: Mapping[str, str], language: str) -> str:
    """The operator's text in `language`, else in none in particular, else in English, else the first there is."""
    for wanted in (language, "", DEFAULT):
        for tag, text in texts.items():
            if tag == wanted or (wanted and tag.startswith(f"{wanted}-")):
                return text
    return next(iter(texts.values()), "")


def _chosen(header: bytes) -> str:
    """The language in a Cookie header; empty where another cookie's name only ends like ours, or for nonsense."""
    at = header.find(_SENT)
    if at > 0 and header[at - 1] not in _BEFORE:
        return ""
    value, _, _ = header[at + len(_SENT) :].partition(b";")
    return _BY_TAG.get(value.strip(), "")


@lru_cache(maxsize=REMEMBERED_TARGETS)
def _switcher(prefix: str, target: bytes, current: str) -> str:
    return "".join(
        f'<a href="{escape(url)}" lang="{tag}" hreflang="{tag}" dir="{direction(tag)}" rel="nofollow"'
        f"{_CURRENT if tag == current else ''}>{name}</a> "
        for tag, name, url in choices(prefix, target)
    )


@lru_cache(maxsize=REMEMBERED)
def _asked_for(header: bytes) -> str:
    """The language that an Accept-Language asks for; empty where it names none of ours, or leaves it to us."""
    weighted: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.decode("latin-1").lower().split(",")):
        tag, _, parameters = part.partition(";")
        weight = _weight(parameters)
        if weight > 0:
            weighted.append((-weight, place, tag.strip()))
    for _, _, tag in sorted(weighted):
        if tag == "*":
            return ""
        if (primary := tag.partition("-")[0]) in OWN_NAMES:
            return primary
    return ""


def _weight(parameters: str) -> float:
    """The `q` of a range: 1 where there is none, 0 where it makes no sense."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            digits = value.strip()
            plain = digits.replace(".", "", 1)
            return min(1.0, float(digits)) if plain.isascii() and plain.isdigit() else 0.0
    return 1.0
