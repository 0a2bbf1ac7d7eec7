"""The audit: who changed what while it ran, when, why, from what to what; as the store keeps it and as it is told.

Law: an entry is written by the store in the same step as the change, so there is none without the other. Nothing in it
names a visitor: a student is their code.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from waitroom.admission.line import Lane
from waitroom.settings.units import write_rate

CEILING, HELD = "ceiling", "held"
SESSIONS, STAFF = "sessions:", "staff:"
"""What staff set, by the names of the library (key `live`); of a backend, in front of its name."""

RELOAD, RESTART = "reload", "restart"
"""What settings do: entries about the whole service, which the default pool's audit keeps."""

LIMITS = (CEILING, SESSIONS)
"""Those that lie over numbers of the file."""

MAX_SHOWN = 300
"""Characters of a value that an entry tells."""

ENDED_MS = -1
"""In place of the end: the time of what was set is over."""


class Change(NamedTuple):
    """One value that changed; None: there was, or is, none."""

    key: str
    old: str | None
    new: str | None


class Entry(NamedTuple):
    """One entry. `until_ms` 0: until it is undone."""

    at_ms: int
    who: str
    what: str
    why: str
    target: str
    changes: tuple[Change, ...]
    until_ms: int = 0


def write_entry(
    who: str, what: str, why: str = "", target: str = "", file: Mapping[str, str] | None = None, **more: object
) -> str:
    """The part of an entry that the store is given. `file`: what the file says of each field that is set."""
    said = {"who": who, "what": what, "why": why, "target": target, "file": file or {}, **more}
    return json.dumps({name: value for name, value in said.items() if value}, ensure_ascii=False)


def read_entry(line: str) -> Entry:
    """An entry as the store keeps it: `at_ms until_ms [said, field, before, value, ...]`."""
    at_ms, until_ms, text = line.split(" ", 2)
    said_text, *words = json.loads(text)
    said, parts = json.loads(said_text), iter(words)
    file = said.get("file", {})
    changes = [_change(*each, file) for each in zip(parts, parts, parts, strict=True)]
    changes += [Change(*each) for each in said.get("changes", ())]
    entry = Entry(
        int(at_ms),
        said.get("who", ""),
        said.get("what", ""),
        said.get("why", ""),
        said.get("target", ""),
        tuple(changes),
        int(until_ms),
    )
    if entry.until_ms == ENDED_MS:
        return entry._replace(who="", what="expired", why=f"set by {entry.who}" + _because(entry.why), until_ms=0)
    return entry


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _change(field: str, before: str, value: str, file: Mapping[str, str]) -> Change:
    fallback = file.get(field, "")
    return Change(key_of(field), spelt(field, before or fallback), spelt(field, value or fallback))


def key_of(field: str) -> str:
    """A field of the store by the name that the file, or the page, has for it."""
    about, _, name = field.partition(":")
    match about:
        case "ceiling":
            return "admission.rate"
        case "sessions":
            return f"backends.{name}.max_sessions"
        case "held":
            return "hold"
        case "staff":
            return f"backends.{name}.hold"
        case "notice":
            return f"announcement of {name}" if name else "announcement"
        case _:
            return field


def spelt(field: str, value: str) -> str | None:
    """A value of the store as the file, or a person, spells it."""
    about = field.partition(":")[0]
    if not value:
        return None
    match about:
        case "ceiling":
            return "unlimited" if value == "0" else write_rate(int(value))
        case "held":
            return "held"
        case "lane":
            return Lane(int(value)).name.lower()
        case "notice":
            return _cut("; ".join(_said(json.loads(value)["texts"])))
        case _:
            return _cut(value)


def _said(texts: Mapping[str, Any]) -> Iterable[str]:
    return (f"{language}: {text}" if language else str(text) for language, text in texts.items())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
