"""The words of one language: a gettext catalogue, read from its .po file when the process starts.

Law: a message is asked for by its key, and a missing one is an error at start, never an English word on a French page.
Plural forms follow the catalogue's own `Plural-Forms` header. Only the subset of the format that our files use is read:
comments, `msgid`, `msgid_plural`, `msgstr`, `msgstr[n]` and continued strings.
"""

import ast
import gettext
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr)(?:\[(\d)\])? )?(".*")')
_PLURAL = re.compile(r"nplurals=(\d); plural=([^;]+);")

Message = str | tuple[str, ...]


class CatalogueError(ValueError):
    """A catalogue that cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All messages of a language. One is like no other, so what it said can be remembered."""

    language: str
    messages: dict[str, Message]
    form: Callable[[int], int]

    def say(self, key: str, **values: object) -> str:
        """A message without plural forms."""
        message = self.messages[key]
        assert isinstance(message, str), key
        return message.format_map(values) if values else message

    def count(self, key: str, n: int) -> str:
        """A message with plural forms, for `n` things."""
        message = self.messages[key]
        assert isinstance(message, tuple), key
        return message[self.form(n)].format(n=n)


def read(path: Path) -> Catalogue:
    """The catalogue in a file whose name is its language."""
    messages: dict[str, Message] = {}
    for number, entry in _entries(path):
        key = entry.pop("msgid")
        if key in messages:
            raise CatalogueError(f"{path.name}:{number}: {key} is there twice")
        plurals = tuple(text for field, text in entry.items() if field.startswith("msgstr["))
        messages[key] = plurals if "msgid_plural" in entry else entry["msgstr"]
    header = messages.pop("")
    match = _PLURAL.search(header if isinstance(header, str) else "")
    if match is None:
        raise CatalogueError(f"{path.name}: no Plural-Forms in the header")
    for key, message in messages.items():
        if isinstance(message, tuple) and len(message) != int(match[1]):
            raise CatalogueError(f"{path.name}: {key} has {len(message)} plural forms, not {match[1]}")
    form: Callable[[int], int] = gettext.c2py(match[2])
    return Catalogue(path.stem, messages, form)


def _entries(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Each entry with the number of its first line; fields by keyword, `msgstr[0]` included."""
    entries: list[tuple[int, dict[str, str]]] = []
    field = ""
    for number, raw in enumerate(path.read_text("utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise CatalogueError(f"{path.name}:{number}: neither a comment nor a keyword with a quoted string")
        keyword, index, quoted = match.groups()
        if keyword == "msgid":
            entries.append((number, {}))
        if keyword:
            field = f"{keyword}[{index}]" if index else keyword
            entries[-1][1][field] = ""
        entries[-1][1][field] += ast.literal_eval(quoted)
    return entries
