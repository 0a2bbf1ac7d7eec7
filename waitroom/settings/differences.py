"""What differs between two settings, key by key: old -> new.

Law: it compares what is in force, so saying a default is no difference and the order of keys is none; the order of
exams is one, since the first that matches wins. Secrets are compared and never shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from waitroom.settings.certificates import TLS
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


class Side:
    """One of two settings: all of it, and what of it was said."""

    def __init__(self, whole: Tree, said: Tree) -> None:
        self.whole = whole
        self.said = said

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Both of these settings, secrets and all."""
        return cls(tree(settings), tree(settings, said_only=True))

    @classmethod
    def masked(cls, settings: Settings) -> Self:
        """The same as it may be written down: secrets are stars."""
        side = cls.of(settings)
        return cls(_masked(side.whole), _masked(side.said))

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


def differences(old: Settings, new: Settings) -> list[Difference]:
    """All of them, in the order of the model."""
    return [*side_differences(Side.of(old), Side.of(new)), *_contents(old, new)]


def side_differences(before: Side, after: Side) -> list[Difference]:
    """The same but for what stands in the files that settings name."""
    found = [*_between((), before.whole, after.whole, before, after)]
    exams = [list(side.whole.get("exams", {})) for side in (before, after)]
    orders = [_cut(", ".join(each for each in side if each in other)) for side, other in (exams, reversed(exams))]
    if orders[0] != orders[1]:
        found.append(Difference("exams", f"in the order {orders[0]}", orders[1]))
    return found


def tree_differences(old: Tree, new: Tree) -> list[Difference]:
    """The same for what is in force elsewhere, in the file's spelling: secrets are stars there, and so here."""
    before, after = (_masked(each) for each in (old, new))
    return side_differences(Side(before, before), Side(after, after))


def concealed(settings: Settings) -> dict[str, str]:
    """What no difference shows, by its key: values that are stars, and the contents of files. Never to be shown."""
    found = dict(_behind_stars((), tree(settings)))
    return found | {_key_of(name): text for name, text in settings.enclosed.items()}


def _masked(whole: Tree) -> Tree:
    shown = masked((), whole)
    assert isinstance(shown, dict)
    return shown


def _behind_stars(path: Path, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _behind_stars((*path, key), below)
    elif isinstance(value, list | tuple):
        for index, below in enumerate(value):
            yield from _behind_stars((*path, index), below)
    elif masked(path, value) != value:
        yield key_text(path), str(value)


def _between(path: Path, old: object, new: object, before: Side, after: Side) -> Iterator[Difference]:
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
    if name.startswith(TLS):
        index, part = name.removeprefix(TLS).split("/")
        return f"listen.public[{index}].tls.{part}"
    return f"pages.{name}"
