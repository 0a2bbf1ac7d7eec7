"""The languages we speak, by the tags of their catalogues in static/locale, each with its name in itself.

Law: a language that is listed here is complete (tests/web/test_languages.py); the order is the switcher's.
"""

from typing import Annotated

from waitroom.settings.spelling import Spelling, close, one_of
from waitroom.settings.units import BadValueError

OWN_NAMES = {
    "en": "English",
    "fr": "Français",
    "nl": "Nederlands",
    "de": "Deutsch",
    "es": "Español",
    "it": "Italiano",
    "pt": "Português",
    "ar": "العربية",
}
LANGUAGES = tuple(OWN_NAMES)

RIGHT_TO_LEFT = frozenset({"ar"})


def meant(tag: str) -> str:
    """The language that was most likely meant: that of `nl-BE` is nl, that of `Deutsch` is de."""
    named = next((language for language, name in OWN_NAMES.items() if name.lower() == tag.lower()), "")
    primary = named or tag.lower().replace("_", "-").partition("-")[0]
    return primary if primary in LANGUAGES else close(tag, LANGUAGES)


def _tongue() -> Spelling:
    base = one_of(*LANGUAGES)

    def read(value: object) -> object:
        try:
            return base.read(value)
        except BadValueError as error:
            suggestion = meant(value) if isinstance(value, str) else ""
            raise BadValueError(error.wrong, error.allowed, suggestion) from None

    return Spelling(read, base.write, base.schema)


Tongue = Annotated[str, _tongue()]
