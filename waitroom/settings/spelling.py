"""The types of single values: how a key's text becomes a number or an address, goes back, and looks to an editor.

Law: a value is taken as it is written or refused; nothing is guessed from a neighbouring type (`"5"` is not 5, `yes` is
not true). Every complaint has the three parts of a BadValueError.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from waitroom.settings import addresses, units
from waitroom.settings.addresses import Address, BackendUrl, HostPort, Network
from waitroom.settings.units import BadValueError, quoted

ERROR_TYPE = "waitroom"
"""The pydantic error type of our own complaints; its context carries the three parts."""


@dataclass(frozen=True, slots=True, eq=False)
class Spelling:
    """Annotates a field: `read` makes the value of what YAML gave, `write` makes that again, `schema` describes it to
    an editor and `allowed` to a person (docs/configuration.md).
    """

    read: Callable[[Any], object]
    write: Callable[[Any], object]
    schema: dict[str, Any]
    allowed: str

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(self.write),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.schema)

    def _validate(self, value: object) -> object:
        try:
            return self.read(value)
        except BadValueError as error:
            raise complaint(error) from None


def complaint(error: BadValueError) -> PydanticCustomError:
    """A BadValueError in the form that pydantic collects."""
    context = {"wrong": error.wrong, "allowed": error.allowed, "suggestion": error.suggestion}
    return PydanticCustomError(ERROR_TYPE, "{wrong}", context)


def text(value: object, forms: str) -> str:
    """The value if it is text. A number, a truth value or an empty place is not."""
    if isinstance(value, str):
        return value
    wrong = "has no value" if value is None else f"{quoted(value)} is not text"
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    raise BadValueError(wrong, forms, f'"{value}"' if plain and forms == TEXT_FORMS else "")


TEXT_FORMS = "text"
_QUANTITY_TYPES = (int, float)
NO_LIMIT = frozenset(
    {"0", "none", "no", "off", "false", "never", "unlimited", "infinite", "infinity", "inf", "-1", "∞"}
)
"""How people write that there is no limit."""


def duration(lowest: str, highest: str, *, none: bool = False) -> Spelling:
    """A duration in whole milliseconds from `lowest` to `highest`; with `none` also the word none, kept as 0."""
    low_ms, high_ms = units.parse_duration(lowest), units.parse_duration(highest)
    return _quantity(
        units.parse_duration,
        units.write_duration,
        (low_ms, high_ms, units.DURATION_FORMS),
        {"type": "string", "pattern": units.DURATION_PATTERN, "examples": ["30s", "1h30m"]},
        "none" if none else None,
    )


def rate(*, unlimited: bool = False) -> Spelling:
    """A rate in thousandths per second, up to 100,000/s; with `unlimited` also that word, kept as 0."""
    return _quantity(
        units.parse_rate,
        units.write_rate,
        (1, 100_000_000, units.RATE_FORMS),
        {"type": "string", "pattern": units.RATE_PATTERN, "examples": ["20/s", "90/min"]},
        "unlimited" if unlimited else None,
    )


def size(lowest: str, highest: str, *, none: bool = False) -> Spelling:
    """A size in bytes from `lowest` to `highest`; with `none` also the word none, kept as 0."""
    return _quantity(
        units.parse_size,
        units.write_size,
        (units.parse_size(lowest), units.parse_size(highest), units.SIZE_FORMS),
        {"type": "string", "pattern": units.SIZE_PATTERN, "examples": ["64KiB", "2MB"]},
        "none" if none else None,
    )


def _quantity(
    parse: Callable[[str], int],
    write: Callable[[int], str],
    bounds: tuple[int, int, str],
    schema: dict[str, Any],
    zero_word: str | None,
) -> Spelling:
    lowest, highest, forms = bounds
    if zero_word:
        forms = f"{forms}; or {zero_word}"
        schema = {"anyOf": [{"const": zero_word}, schema]}

    def read(value: object) -> int:
        if zero_word and value == zero_word:
            return 0
        number = isinstance(value, _QUANTITY_TYPES) and not isinstance(value, bool)
        try:
            found = parse(str(value) if number else text(value, forms))
        except BadValueError as error:
            meant = zero_word if zero_word and str(value).lower() in NO_LIMIT else _in_range(error.suggestion)
            raise BadValueError(error.wrong, forms, meant) from None
        if not lowest <= found <= highest:
            raise BadValueError(f"{value} is out of range", f"{write(lowest)} to {write(highest)}")
        return found

    def _in_range(suggestion: str) -> str:
        """A suggestion that will be accepted: seconds, or else milliseconds where those fit."""
        for meant in (suggestion, suggestion.replace("s", "ms")):
            try:
                if lowest <= parse(meant) <= highest:
                    return meant
            except BadValueError:
                continue
        return ""

    allowed = f"{write(lowest)} to {write(highest)}" + (f", or {zero_word}" if zero_word else "")
    return Spelling(read, lambda found: zero_word if zero_word and found == 0 else write(found), schema, allowed)


def whole(lowest: int, highest: int, word: str | None = None) -> Spelling:
    """A whole number from `lowest` to `highest`, or `word`."""
    allowed = f"a whole number from {lowest} to {highest}" + (f", or {word}" if word else "")
    schema: dict[str, Any] = {"type": "integer", "minimum": lowest, "maximum": highest}

    def read(value: object) -> int | str:
        if word is not None and value == word:
            return word
        if isinstance(value, bool) or not isinstance(value, int):
            wrong = "has no value" if value is None else f"{quoted(value)} is not a whole number"
            raise BadValueError(wrong, allowed, _counted(value, lowest, highest))
        if not lowest <= value <= highest:
            raise BadValueError(f"{value} is out of range", allowed)
        return value

    return Spelling(read, _same, {"anyOf": [{"const": word}, schema]} if word else schema, allowed)


_COUNT = re.compile(r"(\d{1,3}(?:[_,' .]?\d{3}){0,5}|\d{1,18})(?:\.0)?( ?[kK])?", re.ASCII)


def _counted(value: object, lowest: int, highest: int) -> str:
    """The whole number that "400", 2.0, 1_000, 1,000, 1'000 or 4k means; nothing where that is not allowed."""
    match = _COUNT.fullmatch(str(value)) if isinstance(value, str | float) else None
    if match is None:
        return ""
    number = int(re.sub(r"\D", "", match[1])) * (1_000 if match[2] else 1)
    return str(number) if lowest <= number <= highest else ""


def named(pattern: str, allowed: str, *, private: bool = False) -> Spelling:
    """Text that matches `pattern` whole; `allowed` says so in words. A `private` value stands in no message."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object) -> str:
        found = text(value, allowed)
        if compiled.fullmatch(found):
            return found
        near = [found.strip(), found.lower().replace(" ", "-"), found.upper()]
        if not _NO_PATH.search(found):
            near += [f"/{found}", f"/{found.strip('/')}/"]
        meant = next((one for one in near if compiled.fullmatch(one)), "")
        shown = "this value" if private else quoted(found)
        raise BadValueError(f"{shown} is not allowed here", allowed, "" if private else meant)

    return Spelling(read, _same, {"type": "string", "pattern": f"^(?:{pattern})$"}, allowed)


def parsed(parse: Callable[[str], object], write: Callable[[Any], str], forms: str, **schema: object) -> Spelling:
    """Text that `parse` reads and `write` writes. A number is not text, but what `parse` says of it helps more."""

    def read(value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            parse(str(value))
        return parse(text(value, forms))

    return Spelling(read, write, {"type": "string", **schema}, forms)


_NO_PATH = re.compile(r"://|[\^$\\|+()\[\]]")
"""A URL, or a regular expression: no slash makes a path of it."""


def words(longest: int) -> Spelling:
    """Text for people: one line or several, 1 to `longest` characters, no control characters."""

    def read(value: object) -> str:
        found = text(value, TEXT_FORMS)
        if not found.strip():
            raise BadValueError("is empty", f"1 to {longest} characters")
        if len(found) > longest:
            raise BadValueError(f"has {len(found)} characters", f"at most {longest}")
        if any((ord(char) < 32 and char != "\n") or ord(char) == 127 for char in found):
            raise BadValueError("contains a control character", TEXT_FORMS)
        return found

    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    return Spelling(read, _same, schema, f"text of 1 to {longest} characters")


def one_of(*choices: str) -> Spelling:
    """One word out of a few."""

    def read(value: object) -> str:
        if value in choices and isinstance(value, str):
            return value
        raise BadValueError(_not_one(value), ", ".join(choices), close(value, choices))

    return Spelling(read, _same, {"enum": list(choices)}, ", ".join(choices))


def truth() -> Spelling:
    """true or false."""

    def read(value: object) -> bool:
        if isinstance(value, bool):
            return value
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower(), "")
        raise BadValueError(_not_one(value), "true, false", meant)

    return Spelling(read, _same, {"type": "boolean"}, "true, false")


def close(value: object, choices: tuple[str, ...] | list[str], likeness: float = 0.6) -> str:
    """The choice that was most likely meant, or nothing; `likeness` from 0 to 1 (difflib's ratio)."""
    folded = {choice.lower(): choice for choice in choices}
    found = get_close_matches(str(value).lower(), sorted(folded), n=1, cutoff=likeness)
    return folded[found[0]] if found else ""


def _not_one(value: object) -> str:
    return "has no value" if value is None else f"{quoted(value)} is not a choice"


def _same(value: object) -> object:
    return value


def _read_path(value: str) -> Path:
    if not value or "\0" in value:
        raise BadValueError("is empty" if not value else "contains a NUL", "a path")
    if value.startswith("~"):
        raise BadValueError(
            f"{quoted(value)}: ~ is not expanded", "a path, absolute or relative to the working directory"
        )
    return Path(value)


def _texts(value: object) -> object:
    """A plain text is a text in no particular language."""
    if isinstance(value, str):
        return {"": value}
    if isinstance(value, dict) and value:
        return value
    wrong = "has no value" if value is None else f"{quoted(value)} is not text"
    meant = f'"{value}"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    raise complaint(BadValueError(wrong, 'text, or texts by language such as {fr: "...", en: "..."}', meant))


def is_name(value: object) -> TypeGuard[str]:
    """Whether a pool, backend or pace may be called so."""
    return isinstance(value, str) and re.fullmatch(NAME, value, re.ASCII) is not None


def _write_texts(value: dict[str, str]) -> str | dict[str, str]:
    return value[""] if set(value) == {""} else value


def _texts_schema(longest: int) -> dict[str, Any]:
    one = {"type": "string", "minLength": 1, "maxLength": longest}
    by_language = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": f"^(?:{LANGUAGE})$"}}
    return {"anyOf": [one, {**by_language, "additionalProperties": one}]}


NAME = r"[a-z0-9][a-z0-9_-]{0,31}"
NAME_FORMS = "1 to 32 of a-z 0-9 _ -, the first a letter or digit"
EXAM_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
LANGUAGE = r"(?:[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2})?"
FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
MAX_TEXT_CHARS = 2_000
MAX_SHORT_TEXT_CHARS = 400
"""What stands in a list beside one-line sentences."""

Name = Annotated[str, named(NAME, NAME_FORMS)]
ExamName = Annotated[str, named(EXAM_NAME, "1 to 64 of A-Z a-z 0-9 _ . -, the first a letter or digit")]
LANGUAGES = ("en", "fr", "nl", "de", "es", "it", "pt", "ar")
"""Those that our pages speak; each has its catalogue in static/locale."""

PageLanguage = Annotated[str, one_of(*LANGUAGES)]
Language = Annotated[str, named(LANGUAGE, "a language tag such as fr, en or pt-BR")]
HeaderName = Annotated[str, named(FIELD_NAME, "the name of a header (RFC 9110 section 5.1)")]
CookieName = Annotated[str, named(FIELD_NAME, "the name of a cookie (RFC 6265 section 4.1.1)")]
Method = Annotated[str, named(r"[A-Z]{1,20}", "a method in capitals, such as POST")]
Truth = Annotated[bool, truth()]
Text = Annotated[str, words(MAX_TEXT_CHARS)]
AnyText = Annotated[str, Spelling(lambda value: text(value, TEXT_FORMS), _same, {"type": "string"}, TEXT_FORMS)]
FilePath = Annotated[Path, parsed(_read_path, str, "a path", minLength=1)]
InstantMs = Annotated[
    int, parsed(units.parse_instant, units.write_instant, units.INSTANT_FORMS, pattern=units.INSTANT_PATTERN)
]
Host = Annotated[str, parsed(addresses.parse_host, str, addresses.HOST_FORMS)]
AdminAddress = Annotated[HostPort, parsed(addresses.parse_host_port, str, addresses.HOST_PORT_FORMS)]
ListenAddress = Annotated[Address, parsed(addresses.parse_listen, str, addresses.LISTEN_FORMS)]
BackendAddress = Annotated[
    BackendUrl, parsed(addresses.parse_backend_url, str, addresses.URL_FORMS, pattern=r"^(?:https?|http\+unix)://")
]
NetworkRange = Annotated[Network, parsed(addresses.parse_network, str, addresses.NETWORK_FORMS)]
StoreUrl = Annotated[
    str, parsed(addresses.parse_store_url, str, addresses.STORE_FORMS, pattern=addresses.STORE_PATTERN)
]
Texts = Annotated[
    dict[Language, Text],
    BeforeValidator(_texts),
    PlainSerializer(_write_texts),
    WithJsonSchema(_texts_schema(MAX_TEXT_CHARS)),
]
ShortTexts = Annotated[
    dict[Language, Annotated[str, words(MAX_SHORT_TEXT_CHARS)]],
    BeforeValidator(_texts),
    PlainSerializer(_write_texts),
    WithJsonSchema(_texts_schema(MAX_SHORT_TEXT_CHARS)),
]
Auto = Literal["auto"]
