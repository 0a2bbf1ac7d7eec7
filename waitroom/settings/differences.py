"""What differs between two settings, key by key: old -> new.

Law: it compares what is in force, so saying a default is no difference and the order of keys is none; the order of
exams is one, since the first that matches wins. Secrets are compared and never shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waitroom.settings.effective import Tree, flow, masked, tree
from waitroom.settings.identity import KEY, ROSTER
from waitroom.settings.look import TEXTS
from waitroom.settings.model import Settings
from waitroom.settings.problems import key_text
from waitroom.settings.yaml12 import Path

NONE = "(none)"
MAX_SHOWN_CHARS = 300
"""Of a value; a list of match rules can be long."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose value differs; both sides as they may be shown."""

    key: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.key}: {self.old} -> {self.new}"


def differences(old: Settings, new: Settings) -> list[Difference]:
    """All of them, in the order of the model."""
    before, after = _Side.of(old), _Side.of(new)
    found = [*_between((), before.whole, after.whole, before, after)]
    orders = [
        _cut(", ".join(each for each in side if each in other))
        for side, other in ((old.exams, new.exams), (new.exams, old.exams))
    ]
    if orders[0] != orders[1]:
        found.append(Difference("exams", f"in the order {orders[0]}", orders[1]))
    return [*found, *_contents(old, new)]


def tree_differences(old: Tree, new: Tree) -> list[Difference]:
    """The same for what is in force elsewhere, in the file's spelling: secrets are stars there, and so here."""
    before, after = (masked((), each) for each in (old, new))
    return [*_between((), before, after, _Side(before, before), _Side(after, after))]


class _Side:
    """One of two settings: all of it, and what of it was said."""

    def __init__(self, whole: object, said: object) -> None:
        self.whole = whole
        self.said = said

    @classmethod
    def of(cls, settings: Settings) -> "_Side":
        """Both of these settings."""
        return cls(tree(settings), tree(settings, said_only=True))

    def shown(self, path: Path) -> str:
        """The value there as it may be shown, without the defaults below it."""
        value: Any = self.whole
        said: Any = self.said
        for step in path:
            if not isinstance(value, Mapping) or step not in value:
                return NONE
            value = value[step]
            said = said[step] if isinstance(said, Mapping) and step in said else value
        text = NONE if value is None else flow(masked(path, said))
        return _cut(text)


def _between(path: Path, old: object, new: object, before: _Side, after: _Side) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            missing = object()
            here, there = old.get(key, missing), new.get(key, missing)
            yield from _between((*path, key), here, there, before, after)
    else:
        shown = before.shown(path), after.shown(path)
        yield Difference(key_text(path), shown[0], shown[1] if shown[0] != shown[1] else f"{shown[1]} (another)")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}..."


def _contents(old: Settings, new: Settings) -> Iterator[Difference]:
    """Files whose name is the same and whose contents are not."""
    for name in sorted(old.enclosed.keys() | new.enclosed.keys()):
        if name in old.enclosed and name in new.enclosed and old.enclosed[name] != new.enclosed[name]:
            yield Difference(_key_of(name), "contents", "other contents")
        elif name.startswith(f"{TEXTS}/") and (name in old.enclosed) != (name in new.enclosed):
            sides = ("contents", NONE) if name in old.enclosed else (NONE, "contents")
            yield Difference(_key_of(name), *sides)


def _key_of(name: str) -> str:
    """The key that names the file."""
    if name == KEY:
        return "identity.jwt.key_file"
    if name.startswith(ROSTER):
        return f"pools.{name.removeprefix(ROSTER)}.priority.roster"
    return f"pages.{name}"
