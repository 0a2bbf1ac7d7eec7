"""Quantities as an operator writes them: durations, rates, sizes, instants; text to whole numbers and back.

Law: a quantity without its unit is refused, because `30` is half an hour to one reader and half a minute to the next.
What `write_*` makes, `parse_*` reads back as the same number.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from waitroom.errors import SettingsError


class BadValueError(SettingsError):
    """A value that is not what its key takes, in three parts: what is wrong, what is allowed, what may be meant."""

    def __init__(self, wrong: str, allowed: str = "", suggestion: str = "") -> None:
        super().__init__("; ".join(part for part in (wrong, allowed, suggestion) if part))
        self.wrong = wrong
        self.allowed = allowed
        self.suggestion = suggestion


MAX_QUOTED_CHARS = 60
"""Longest piece of a value that a message repeats."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_DURATION_UNITS = {"d": DAY_MS, "h": HOUR_MS, "m": MINUTE_MS, "s": SECOND_MS, "ms": 1}
_NUMBER = r"\d{1,9}(?:\.\d{1,6})?"
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|[dhms])", re.ASCII)
DURATION_PATTERN = rf"^(?:{_NUMBER}(?:ms|[dhms]))+$"
DURATION_FORMS = "a number with ms, s, m, h or d, such as 800ms, 30m or 1h30m"
_DURATION_WORDS = {
    "ms": "ms", "s": "s", "m": "m", "h": "h", "d": "d", "pt": "",
    "msec": "ms", "msecs": "ms", "millis": "ms",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "mn": "m", "minute": "m", "minutes": "m", "minuten": "m", "minuti": "m", "minutos": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "heure": "h", "heures": "h", "std": "h", "stunde": "h",
    "stunden": "h", "uur": "h", "uren": "h", "ora": "h", "ore": "h", "hora": "h", "horas": "h",
    "day": "d", "days": "d", "jour": "d", "jours": "d", "tag": "d", "tage": "d", "dag": "d", "dagen": "d",
}  # fmt: skip

_RATE_UNITS_S = {"s": 1, "min": 60, "h": 3_600}
_RATE = re.compile(rf"({_NUMBER})/(s|min|h)", re.ASCII)
RATE_PATTERN = rf"^{_NUMBER}/(?:s|min|h)$"
RATE_FORMS = "a number with /s, /min or /h, such as 20/s or 90/min"
_RATE_WORDS = {
    "s": "s", "min": "min", "h": "h", "sec": "s", "second": "s", "m": "min", "minute": "min", "hour": "h", "hr": "h",
    "r": "", "req": "", "requests": "", "hz": "/s", "rps": "/s", "rpm": "/min",
}  # fmt: skip

_SIZE_UNITS = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_SIZE = re.compile(rf"({_NUMBER})([A-Za-z]+)", re.ASCII)
SIZE_PATTERN = rf"^{_NUMBER}(?:B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
SIZE_FORMS = "a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 32KiB"
_SIZE_WORDS = {
    "b": "B", "bytes": "B", "kb": "kB", "k": "KiB", "kib": "KiB", "mb": "MB", "m": "MiB", "mib": "MiB",
    "gb": "GB", "g": "GiB", "gib": "GiB", "tb": "TB", "t": "TiB", "tib": "TiB",
}  # fmt: skip

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_NEARLY_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]+(\d\d?)(:\d\d(?::\d\d)?) ?(Z|z|UTC|GMT|[+-]\d\d):?(\d\d)?", re.ASCII
)
INSTANT_PATTERN = r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)$"
INSTANT_FORMS = "a date and time with its zone, such as 2026-06-01T09:00:00+02:00"
FIRST_YEAR, LAST_YEAR = 2001, 2064
"""An order key holds arrivals until 2065 (admission/order.py)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def quoted(value: object) -> str:
    """A value as a message shows it: its YAML spelling, cut to a readable length."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = str(value)
        case str():
            text = '"' + "".join(char if char.isprintable() else _escape(char) for char in value) + '"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            text = str(value)
    return text if len(text) <= MAX_QUOTED_CHARS else text[: MAX_QUOTED_CHARS - 4] + "..." + text[-1]


def _escape(char: str) -> str:
    """As YAML escapes it in double quotes: nothing is invisible, and nothing reaches a terminal that it obeys."""
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\x1b": "\\e"}.get(char)
    return named or (f"\\u{ord(char):04x}" if ord(char) < 0x1_0000 else f"\\U{ord(char):08x}")


def parse_duration(text: str) -> int:
    """Milliseconds of `30m`, `800ms`, `1h30m`: larger units first, each once, whole milliseconds in the end."""
    if re.fullmatch(_NUMBER, text, re.ASCII):
        raise BadValueError(f"{text} has no unit", DURATION_FORMS, _if_read(parse_duration, f"{text}s"))
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadValueError(
            f"{quoted(text)} is not a duration", DURATION_FORMS, _respelt(parse_duration, text, _DURATION_WORDS)
        )
    units = [unit for _, unit in parts]
    if units != [unit for unit in _DURATION_UNITS if unit in units]:
        wrong = f"{quoted(text)} is not a duration: larger units come first, each unit once"
        raise BadValueError(wrong, DURATION_FORMS)
    total_ms = sum(Decimal(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if total_ms != int(total_ms):
        raise BadValueError(f"{quoted(text)} is not a whole number of milliseconds", DURATION_FORMS)
    return int(total_ms)


def write_duration(duration_ms: int) -> str:
    """The shortest spelling: `1h30m`, `800ms`; `0s` for zero."""
    written, rest = "", duration_ms
    for unit, unit_ms in _DURATION_UNITS.items():
        count, rest = divmod(rest, unit_ms)
        written += f"{count}{unit}" if count else ""
    return written or "0s"


def parse_rate(text: str) -> int:
    """Thousandths per second of `20/s`, `90/min`, `0.5/s`, rounded half up; at least one."""
    match = _RATE.fullmatch(text)
    if match is None:
        if re.fullmatch(_NUMBER, text, re.ASCII):
            raise BadValueError(f"{text} has no unit", RATE_FORMS, _if_read(parse_rate, f"{text}/s"))
        raise BadValueError(f"{quoted(text)} is not a rate", RATE_FORMS, _respelt(parse_rate, text, _RATE_WORDS))
    number, unit = Decimal(match[1]), _RATE_UNITS_S[match[2]]
    rate_milli = int((number * 1_000 * 2 + unit) // (2 * unit))
    if rate_milli < 1:
        raise BadValueError(f"{quoted(text)} is less than 0.001/s", "from 0.001/s")
    return rate_milli


def write_rate(rate_milli: int) -> str:
    """Per second where that is whole, else per minute where that is, else in thousandths a second."""
    if rate_milli % 1_000 == 0:
        return f"{rate_milli // 1_000}/s"
    if rate_milli * 60 % 1_000 == 0:
        return f"{rate_milli * 60 // 1_000}/min"
    return f"{rate_milli // 1_000}.{rate_milli % 1_000:03d}".rstrip("0") + "/s"


def parse_size(text: str) -> int:
    """Bytes of `32KiB` (2^10) or `64kB` (10^3)."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _SIZE_UNITS:
        if re.fullmatch(_NUMBER, text, re.ASCII):
            raise BadValueError(f"{text} has no unit", SIZE_FORMS, write_size(int(text)) if text.isdigit() else "")
        raise BadValueError(f"{quoted(text)} is not a size", SIZE_FORMS, _respelt(parse_size, text, _SIZE_WORDS))
    size = Decimal(match[1]) * _SIZE_UNITS[match[2]]
    if size != int(size):
        raise BadValueError(f"{quoted(text)} is not a whole number of bytes", SIZE_FORMS)
    return int(size)


def write_size(size_bytes: int) -> str:
    """In the largest binary unit that divides it, else decimal, else bytes."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        count, rest = divmod(size_bytes, _SIZE_UNITS[unit])
        if count and not rest:
            return f"{count}{unit}"
    return f"{size_bytes}B"


def parse_instant(text: str) -> int:
    """Milliseconds since the epoch of `2026-06-01T09:00:00+02:00`; a zone is a must. Cut to milliseconds."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise BadValueError(f"{quoted(text)} is not a date and time", INSTANT_FORMS, _instant_meant(text))
    date, minutes, seconds, fraction, zone = match.groups()
    if zone is None:
        zoned = f"{date}T{minutes}{seconds or ':00'}{fraction or ''}+02:00"
        raise BadValueError(f"{quoted(text)} has no time zone", INSTANT_FORMS, _if_read(parse_instant, zoned))
    millis = (fraction or ".").ljust(4, "0")[:4]
    try:
        moment = datetime.fromisoformat(f"{date}T{minutes}{seconds or ':00'}{millis}{zone.upper()}")
    except ValueError:
        raise BadValueError(f"{quoted(text)} is not in the calendar or on the clock", INSTANT_FORMS) from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise BadValueError(f"{quoted(text)} is out of range", f"years {FIRST_YEAR} to {LAST_YEAR}")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _instant_meant(text: str) -> str:
    """An instant that lacks a nought, a colon or a T, or has a blank too many, as it is written."""
    match = _NEARLY_INSTANT.fullmatch(text.strip())
    if match is None:
        return ""
    date, hour, rest, zone, minutes = match.groups()
    offset = "Z" if zone in {"Z", "z", "UTC", "GMT"} else f"{zone}:{minutes or '00'}"
    return _if_read(parse_instant, f"{date}T{hour:0>2}{rest if rest.count(':') > 1 else f'{rest}:00'}{offset}")


def write_instant(instant_ms: int) -> str:
    """The instant in UTC, to the second where it is whole."""
    moment = _EPOCH + timedelta(milliseconds=instant_ms)
    precision = "milliseconds" if instant_ms % 1_000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _respelt(parse: Callable[[str], int], text: str, words: dict[str, str]) -> str:
    """`30 minutes` as `30m`: blanks out, other words for units replaced; nothing where that makes no sense.

    A last number without a unit is one of minutes (`1h30`), or a second is one that a rate is over (`10s`).
    """
    apart = re.sub(r"(?<=\d),(?=\d)", ".", re.sub(r"\bper\b", "/", text)).removesuffix(".")
    changed = re.sub(r"[A-Za-z]+", lambda word: words.get(word[0].lower(), word[0]), apart).replace(" ", "")
    near = [changed]
    if re.fullmatch(r".+[a-z]\d+", changed):
        near.append(f"{changed}m")
    if re.fullmatch(rf"{_NUMBER}s", changed, re.ASCII):
        near.append(changed.replace("s", "/s"))
    return next((meant for meant in near if meant != text and _if_read(parse, meant)), "")


def _if_read(parse: Callable[[str], int], suggestion: str) -> str:
    """The suggestion if it is one: what we suggest, we accept."""
    try:
        parse(suggestion)
    except BadValueError:
        return ""
    return suggestion
