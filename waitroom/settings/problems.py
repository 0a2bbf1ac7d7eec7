"""Every complaint about a file or a flag: `file:line:col: key: what is wrong; allowed: what is; did you mean X?`.

Law: all problems at once, in the order of the file, each of them once. A warning is a complaint about what works and is
probably not meant: nothing is refused for it. Library errors end here: nothing that pydantic says reaches the operator
in its words.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError

from waitroom.errors import SettingsError
from waitroom.settings import spelling
from waitroom.settings.part import Part
from waitroom.settings.spelling import close
from waitroom.settings.units import quoted
from waitroom.settings.yaml12 import Document, Path
from waitroom.settings.yamlfaults import Place, YamlFaultError

MAX_KEYS_LISTED = 30
"""Allowed keys that a message lists; the largest part of the model has 19."""

ALIKE = 0.8
"""How much a word is like another that was surely meant, from 0 to 1 (difflib's ratio)."""

PRIVATE = ("admin.tokens", "store", "secrets")
"""What stands below these is repeated in no message: a token that was pasted beside a misspelt key is still a token."""

_LOGIN = re.compile(r"://[^\s'\"]*@")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` 0 means that it stands in no file; `source` is then empty."""

    source: str
    line: int
    col: int
    key: str
    wrong: str
    allowed: str = ""
    suggestion: str = ""
    warning: bool = False

    def __str__(self) -> str:
        allowed = f"; {self.word}: {self.allowed}" if self.allowed else ""
        suggestion = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{self.place}{self.what}{allowed}{suggestion}"

    @property
    def place(self) -> str:
        """Where it stands, in the form that editors jump to."""
        return f"{self.source}:{self.line}:{self.col}: " if self.line else ""

    @property
    def word(self) -> str:
        """What introduces `allowed`: what a warning is about is allowed already."""
        return "better" if self.warning else "allowed"

    @property
    def what(self) -> str:
        """The key and what is wrong with it."""
        return f"{'warning: ' if self.warning else ''}{self.key}{': ' if self.key else ''}{self.wrong}"


class BadSettingsError(SettingsError):
    """The settings have problems: all of them, in order. The message has one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnreadableSettingsError(BadSettingsError):
    """The file cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a path, before it has a place. `at_key`: the key is meant, not its value."""

    path: Path
    wrong: str
    allowed: str = ""
    suggestion: str = ""
    at_key: bool = False
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a piece of the settings came from: a file's document, or flags by the path that they set."""

    source: str = ""
    document: Document | None = None
    flags: Mapping[Path, str] = field(default_factory=dict)

    def problem(self, finding: Finding) -> Problem:
        """The finding, placed."""
        path, parts = finding.path, (finding.wrong, finding.allowed, finding.suggestion, finding.warning)
        flag = self.flag(path)
        if flag or self.document is None:
            return Problem("", 0, 0, flag or key_text(path), *parts)
        place, shown = self._place(self.document, path, at_key=finding.at_key)
        return Problem(self.source, place.line, place.col, key_text(shown), *parts)

    def flag(self, path: Path) -> str:
        """The flag that says what stands at this path, or ""."""
        return next((self.flags[path[:cut]] for cut in range(len(path), 0, -1) if path[:cut] in self.flags), "")

    def fault(self, fault: YamlFaultError) -> Problem:
        """A fault in the form of the file."""
        return Problem(self.source, fault.place.line, fault.place.col, key_text(fault.path), fault.wrong, fault.allowed)

    @staticmethod
    def _place(document: Document, path: Path, *, at_key: bool) -> tuple[Place, Path]:
        """Place of the path, or of the nearest mapping around it; and the path without what is not in the file."""
        path = _as_written(document, path)
        if path in document.values:
            return (document.keys.get(path) if at_key else None) or document.values[path], path
        around = path
        while around not in document.values:
            around = around[:-1]
        shown = path if at_key else around
        if not at_key and not isinstance(_found(document.data, around), Mapping | tuple):
            return document.values[around], shown  # a single value that stands for a whole part
        return document.keys.get(around) or document.values[around], shown


def _found(data: Any, path: Path) -> object:  # noqa: ANN401 - a document's data has no type
    for step in path:
        data = data[step]
    return data


def _as_written(document: Document, path: Path) -> Path:
    """The path without the index of a list's only entry where the file has that entry alone."""
    for at, step in enumerate(path):
        if step == 0 and path[:at] in document.values and path[: at + 1] not in document.values:
            return path[:at] + path[at + 1 :]
    return path


def key_text(path: Path) -> str:
    """`pools.sciences.backends.sci-1.url`, `bypass[0].path`; no log-in of a URL, nothing that a terminal obeys."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:  # `token:abc`, without a blank, is one key to YAML
            shown = _shown(step.partition(":")[0] if private(text) else step)
            text += f".{shown}" if text else shown
    return _LOGIN.sub("://***@", text)


def _shown(step: str) -> str:
    """A key; in quotes where it is easily overlooked or misread."""
    return step if step.isprintable() and step and step == step.strip() else quoted(step)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By place, flags first, file by file; each once, also where aliases bring one spot under several keys."""
    found: dict[tuple[str, str, int, int, str], Problem] = {}
    for each in sorted(problems, key=lambda each: (each.source if each.line else "", each.line, each.col, each.key)):
        found.setdefault((each.source, "" if each.line else each.key, each.line, each.col, each.wrong), each)
    return tuple(found.values())


def findings(error: ValidationError, model: type[Part]) -> list[Finding]:
    """What pydantic found, in our words."""
    found = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called" or _short_of_bad_ones(detail):
            continue
        path = tuple(step for step in detail["loc"] if step != "[key]")
        found.append(_finding(detail["type"], path, detail, model, at_key="[key]" in detail["loc"]))
    return found


def _unknown(path: Path, keys: list[str], model: type[Part]) -> tuple[str, str]:
    """What is wrong with an unknown key, and which one is meant: a known one, or this one in its place."""
    key, secret = str(path[-1]), private(key_text(path))
    name, colon, value = key.partition(":")
    if colon and name in keys:
        return "no blank after the colon", "" if secret or "@" in value else f"{name}: {value}"
    alike = close(key.replace("-", "_").replace(" ", "_"), keys, ALIKE)
    return "unknown key", alike or ("" if secret else _elsewhere(key, model)) or close(key, keys)


def _elsewhere(key: str, model: type[Part]) -> str:
    """Where a key that is unknown here belongs, if that is one place; indentation is easily wrong."""
    places = {key_text(place) for place in _places(model, ()) if place[-1] == key}
    return places.pop() if len(places) == 1 else ""


def _places(annotation: Any, path: Path) -> Iterator[Path]:  # noqa: ANN401 - annotations have no common type
    """The path of every key below, NAME for any name."""
    for choice in _choices(annotation):
        if isinstance(choice, type) and issubclass(choice, Part):
            for key, below in zip(_keys(choice), choice.model_fields.values(), strict=True):
                yield (*path, key)
                yield from _places(below.annotation, (*path, key))
        elif get_origin(choice) is dict:
            yield from _places(get_args(choice)[1], (*path, "NAME"))
        elif get_origin(choice) is tuple:
            yield from _places(get_args(choice)[0], path)


def _short_of_bad_ones(detail: Mapping[str, Any]) -> bool:
    """Entries that are wrong are not counted by pydantic; that is no fault of its own."""
    return detail["type"] == "too_short" and bool(len(detail["input"]) >= detail["ctx"]["min_length"])


def _finding(kind: str, path: Path, detail: Mapping[str, Any], model: type[Part], *, at_key: bool) -> Finding:
    context, part = detail.get("ctx", {}), _at(model, path[:-1])
    wrong, allowed, suggestion = str(detail["msg"]), "", ""
    match kind:
        case spelling.ERROR_TYPE:
            wrong, allowed, suggestion = context["wrong"], context["allowed"], context["suggestion"]
        case "extra_forbidden":
            wrong, suggestion = _unknown(path, _keys(part), model)
            allowed = _listed(_keys(part))
        case "missing":
            wrong = f"missing: {_description(part, str(path[-1]))}"
        case "model_type" | "dict_type":
            wrong, allowed = _not(detail["input"], "a mapping", path), _shape(model, path)
        case "tuple_type":
            wrong, allowed = (
                _not(detail["input"], "a list", path),
                "a list, each entry on a line of its own after a dash, or in brackets",
            )
        case "too_short":
            wrong, allowed = "is empty", "at least one"
        case "too_long":
            wrong, allowed = f"has {len(detail['input'])} entries", f"at most {context['max_length']}"
    return Finding(path, wrong, allowed, suggestion, at_key or kind in {"extra_forbidden", "missing"})


def private(key: str) -> bool:
    """Whether what stands at this key may be a secret."""
    return any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in PRIVATE)


def _not(value: object, wanted: str, path: Path) -> str:
    if value is None:
        return "has no value"
    single = not isinstance(value, Mapping | list | tuple)
    return f"{'this value' if single and private(key_text(path)) else quoted(value)} is not {wanted}"


def _shape(model: type[Part], path: Path) -> str:
    part = _at(model, path)
    if part is None:
        return "a mapping of names, such as {NAME: ...}"
    keys = _keys(part)
    return f"a mapping with the {'keys' if len(keys) > 1 else 'key'} {_listed(keys)}"


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:MAX_KEYS_LISTED])


def _keys(part: type[Part] | None) -> list[str]:
    return [field.alias or name for name, field in part.model_fields.items()] if part else []


def _description(part: type[Part] | None, key: str) -> str:
    for name, field_ in part.model_fields.items() if part else ():
        if key == (field_.alias or name):
            text = (field_.description or "").rstrip(".")
            return text if text[1:2].isupper() else text[:1].lower() + text[1:]
    return "needed here"


def _at(model: type[Part], path: Path) -> type[Part] | None:
    """The part of the model that a path leads to, or None where it leads to a dict, a list or a single value."""
    found: Any = model
    for step in path:
        found = _below(found, step)
    return _part(found)


def _below(annotation: Any, step: str | int) -> Any:  # noqa: ANN401 - annotations have no common type
    for choice in _choices(annotation):
        if isinstance(choice, type) and issubclass(choice, Part):
            for name, field_ in choice.model_fields.items():
                if step == (field_.alias or name):
                    return field_.annotation
        elif get_origin(choice) is dict:
            return get_args(choice)[1]
        elif get_origin(choice) is tuple:
            return get_args(choice)[0]
    return None


def _part(annotation: Any) -> type[Part] | None:  # noqa: ANN401 - annotations have no common type
    return next((one for one in _choices(annotation) if isinstance(one, type) and issubclass(one, Part)), None)


def _choices(annotation: Any) -> list[Any]:  # noqa: ANN401 - annotations have no common type
    """The annotation without Annotated, a union as its members."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _choices(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [choice for member in get_args(annotation) for choice in _choices(member)]
    return [annotation]
