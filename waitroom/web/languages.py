"""Which language a visitor is answered in.

Law: the choice is a pure function of Accept-Language (RFC 9110 section 12.5.4), by the lookup scheme of RFC 4647
section 3.4: the range with the highest weight that we speak wins, `fr-BE` falls back to `fr`, and for what we do not
speak there is English.
"""

from collections.abc import Mapping
from functools import lru_cache

LANGUAGES = ("en", "fr", "nl", "de")
DEFAULT = "en"

MAX_HEADER_BYTES = 256
"""Browsers send less than 100; what stands beyond is not looked at."""

REMEMBERED = 1_024
"""Distinct headers whose answer is kept; a campus sends a few dozen."""


def choose(accept_language: bytes | None) -> str:
    """The language for a visitor who sent this header."""
    return DEFAULT if accept_language is None else _choose(accept_language[:MAX_HEADER_BYTES])


def pick(texts: Mapping[str, str], language: str) -> str:
    """The operator's text in `language`, else in none in particular, else in English, else the first there is."""
    for wanted in (language, "", DEFAULT):
        for tag, text in texts.items():
            if tag == wanted or (wanted and tag.startswith(f"{wanted}-")):
                return text
    return next(iter(texts.values()), "")


@lru_cache(maxsize=REMEMBERED)
def _choose(header: bytes) -> str:
    weighted: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.decode("latin-1").lower().split(",")):
        tag, _, parameters = part.partition(";")
        weight = _weight(parameters)
        if weight > 0:
            weighted.append((-weight, place, tag.strip()))
    for _, _, tag in sorted(weighted):
        if tag == "*":
            return DEFAULT
        if (primary := tag.partition("-")[0]) in LANGUAGES:
            return primary
    return DEFAULT


def _weight(parameters: str) -> float:
    """The `q` of a range: 1 where there is none, 0 where it makes no sense."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            digits = value.strip()
            plain = digits.replace(".", "", 1)
            return min(1.0, float(digits)) if plain.isascii() and plain.isdigit() else 0.0
    return 1.0
