"""Which language a visitor is answered in, and how they choose another.

Law: first what the visitor chose, then Accept-Language (RFC 9110 section 12.5.4) by the lookup scheme of RFC 4647
section 3.4 (the range with the highest weight that we speak wins, `fr-BE` falls back to `fr`), then the default of the
exam, of the site, and English. The choice is kept in a cookie of its own, and made by an ordinary link to
`{prefix}language?lang=fr`, which leads straight back.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qs

from waitroom.proxy.decisions import Respond
from waitroom.settings.spelling import LANGUAGES
from waitroom.web.problems import problem
from waitroom.web.wayback import leads_back
from waitroom.web.weights import weighted

__all__ = ["COOKIE", "DEFAULT", "LANGUAGES", "choose", "direction", "make_choice", "pick"]

DEFAULT = "en"

COOKIE = b"wr.lang"
"""No pool's cookie: their names have no dot."""

MAX_AGE_S = 180 * 86_400
"""A term: who chose once need not choose again at the next exam."""

MAX_HEADER_BYTES = 256
"""Browsers send less than 100; what stands beyond is not looked at."""

REMEMBERED = 1_024
"""Distinct headers whose answer is kept; a campus sends a few dozen."""

_RIGHT_TO_LEFT = frozenset({"ar"})

_CHOSEN = COOKIE + b"="
_CODES = {language.encode(): language for language in LANGUAGES}


def choose(cookie_headers: Sequence[bytes], accept_language: bytes | None, default: str = DEFAULT) -> str:
    """The language for a visitor who sent these headers."""
    for header in cookie_headers:
        if _CHOSEN in header:
            chosen = _CODES.get(header.partition(_CHOSEN)[2].partition(b";")[0].strip())
            if chosen is not None:
                return chosen
    return (_accepted(accept_language[:MAX_HEADER_BYTES]) if accept_language is not None else "") or default


def make_choice(query: bytes, referer: bytes | None, host: bytes | None, *, secure: bool) -> Respond:
    """The answer to `{prefix}language?lang=..&to=..`: the cookie, and the way back.

    Without `to` (a link on a page without script) it leads back to where the request came from.
    """
    asked = parse_qs(query.decode("latin-1"), encoding="latin-1")
    language = asked.get("lang", [""])[0]
    back = leads_back(asked.get("to", [""])[0], referer, host)
    if language not in LANGUAGES or back is None:
        return problem(
            400,
            "bad-choice",
            "Not understood",
            f"Expected: lang=one of {', '.join(LANGUAGES)}, and to=/a/path of this host.",
        )
    tail = b"; Secure" if secure else b""
    cookie = b"%b=%b; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax%b" % (COOKIE, language.encode(), MAX_AGE_S, tail)
    return Respond(303, ((b"Location", back), (b"Cache-Control", b"no-store")), b"", (cookie,))


def direction(language: str) -> str:
    """Which way it is written, for HTML's `dir`."""
    return "rtl" if language in _RIGHT_TO_LEFT else "ltr"


def pick(texts: Mapping[str, str], language: str) -> str:
    """The operator's text in `language`, else in none in particular, else in English, else the first there is."""
    for wanted in (language, "", DEFAULT):
        for tag, text in texts.items():
            if tag == wanted or (wanted and tag.startswith(f"{wanted}-")):
                return text
    return next(iter(texts.values()), "")


@lru_cache(maxsize=REMEMBERED)
def _accepted(header: bytes) -> str:
    """The language that a header asks for, "" if we speak none of those. `*` is no wish: the default will do."""
    wishes = sorted((-weight, place, tag) for place, (tag, weight) in enumerate(weighted(header)) if weight > 0)
    for _, _, tag in wishes:
        if tag == "*":
            return ""
        if (primary := tag.partition("-")[0]) in LANGUAGES:
            return primary
    return ""
