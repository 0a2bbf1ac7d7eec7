"""Settings as YAML again: what is in force, default by default, and where each value comes from.

Law: what is written here, the loader reads as the same settings, but for secrets: log-ins in a store's URL and the
hashes of tokens are stars.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from waitroom.settings.model import Settings
from waitroom.settings.problems import Origin
from waitroom.settings.yaml12 import Path, scalar_value

STARS = "***"
COMMENT_COLUMN, MAX_GAP = 46, 60
"""Comments begin here, or behind the value where it is longer, never further right than values of this width need."""

DEFAULT = "default"

_LOGIN = re.compile(r"(://)[^/?#]*@")
_QUERY = re.compile(r"([?&][^=&]*password=)[^&]*", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9/._+][A-Za-z0-9/._*+@=?&%-]*(?::[A-Za-z0-9/._*+@=?&%-]+)*", re.ASCII)

Tree = dict[str, Any]


def tree(settings: Settings, *, said_only: bool = False) -> Tree:
    """The settings in the file's spelling, secrets and all. `said_only`: without what nobody has written."""
    return settings.model_dump(mode="json", by_alias=True, exclude_unset=said_only)


def masked(path: Path, value: object) -> object:
    """The value as it may be shown."""
    if path == ("store", "url") and isinstance(value, str):
        return _QUERY.sub(rf"\1{STARS}", _LOGIN.sub(rf"\1{STARS}@", value))
    if path[:2] == ("admin", "tokens") and path[-1:] == ("sha256",):
        return STARS
    if isinstance(value, Mapping):
        return {key: masked((*path, key), below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [masked((*path, index), below) for index, below in enumerate(value)]
    return value


def flow(value: object) -> str:
    """On one line."""
    match value:
        case Mapping():
            return f"{{{', '.join(f'{flow(key)}: {flow(below)}' for key, below in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(flow, value))}]"
        case str() if _PLAIN.fullmatch(value) and scalar_value(value) == value:
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


def write(settings: Settings, origin: Origin, *, said_only: bool = False) -> str:
    """The settings as a file, with the source of each value behind it: a line, a flag, or default."""
    shown = masked((), tree(settings, said_only=said_only))
    assert isinstance(shown, dict)
    for pool in shown["pools"].values():
        admission = pool.get("admission", {})
        if admission.get("rate", "unlimited") == "unlimited":
            admission.pop("burst", None)  # without a rate it is refused, since it has no effect
    lines = [*_lines(shown, (), origin)]
    column = max([COMMENT_COLUMN, *(len(text) for text, _ in lines if len(text) <= MAX_GAP)])
    return "".join(f"{text.ljust(column)}  # {source}\n" if source else f"{text}\n" for text, source in lines)


def _lines(value: Mapping[str, object], path: Path, origin: Origin) -> Iterator[tuple[str, str]]:
    """Each line and its source; a mapping with nothing in it has none."""
    indent = "  " * len(path)
    for key, below in value.items():
        at, head = (*path, key), f"{indent}{flow(key)}:"
        if isinstance(below, Mapping):
            inside = [*_lines(below, at, origin)]
            yield from [(head, ""), *inside] if inside else ()
        elif isinstance(below, list) and any(isinstance(each, Mapping) for each in below):
            yield head, ""
            for index, each in enumerate(below):
                yield f"{indent}  - {flow(_lean(each))}", source(origin, (*at, index))
        else:
            yield f"{head} {flow(below)}", source(origin, at)


def _lean(value: object) -> object:
    """A rule without the parts that it does not state."""
    if not isinstance(value, Mapping):
        return value
    return {key: _lean(below) for key, below in value.items() if below not in (None, {}, [])}


def source(origin: Origin, path: Path) -> str:
    """Where the value at a path comes from."""
    flag = origin.flag(path)
    if flag or origin.document is None:
        return flag or DEFAULT
    for cut in range(len(path), 0, -1):
        place = origin.document.values.get(path[:cut])
        if place is not None:
            whole = cut == len(path) or not isinstance(_at(origin.document.data, path[:cut]), Mapping)
            return f"line {place.line}" if whole else DEFAULT
    return DEFAULT


def _at(data: object, path: Path) -> object:
    for step in path:
        data = data[step]  # type: ignore[index] # the document has this path
    return data
