"""The words of one language: a gettext catalogue, read from its .po file when the process starts.

Law: a message is asked for by its key, and a missing one is an error at start, never an English word on a French page.
Plural forms follow the catalogue's own `Plural-Forms` header. Only the subset of the format that our files use is read:
comments, `msgid`, `msgid_plural`, `msgstr`, `msgstr[n]` and continued strings.
"""

import ast
import gettext
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr)(?:\[(\d)\])? )?(".*")')
_PLURAL = re.compile(r"nplurals=(\d); plural=([^;]+);")

Message = str | tuple[str, ...]


class CatalogueError(ValueError):
    """A catalogue that cannot be read; the message names file and line."""

    def __init__(self, source: str, line: int, wrong: str) -> None:
        super().__init__(f"{source}:{line}: {wrong}" if line else f"{source}: {wrong}")
        self.line = line
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as it stands in the file."""

    line: int
    key: str
    message: Message


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All messages of a language. One is like no other, so what it said can be remembered."""

    language: str
    messages: Mapping[str, Message]
    form: Callable[[int], int]
    forms: int
    """How many plural forms a message has."""

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
    messages: dict[str, Message] = {entry.key: entry.message for entry in parse(path.name, path.read_text("utf-8"))}
    plurals = plural_forms(messages.pop("", ""))
    if plurals is None:
        raise CatalogueError(path.name, 0, "no Plural-Forms in the header")
    number, rule = plurals
    for key, message in messages.items():
        if isinstance(message, tuple) and len(message) != number:
            raise CatalogueError(path.name, 0, f"{key} has {len(message)} plural forms, not {number}")
    form: Callable[[int], int] = gettext.c2py(rule)
    return Catalogue(path.stem, messages, form, number)


def plural_forms(header: Message) -> tuple[int, str] | None:
    """How many plural forms there are by a catalogue's header, and the rule; None where it does not say."""
    match = _PLURAL.search(header) if isinstance(header, str) else None
    return None if match is None else (int(match[1]), match[2])


def parse(source: str, text: str) -> list[Entry]:
    """The entries of a catalogue, the header (whose key is empty) among them. Raises CatalogueError."""
    entries: dict[str, Entry] = {}
    for line, fields in _entries(source, text):
        key = fields["msgid"]
        if key in entries:
            raise CatalogueError(source, line, f"{key} is there twice")
        forms = sorted(field for field in fields if field.startswith("msgstr["))
        wanted = [f"msgstr[{number}]" for number in range(len(forms))] if "msgid_plural" in fields else ["msgstr"]
        if [field for field in fields if field.startswith("msgstr")] != wanted or not wanted:
            raise CatalogueError(source, line, f"{key or 'the header'} has no msgstr, or not all of msgstr[0], [1] ...")
        texts = tuple(fields[field] for field in wanted)
        entries[key] = Entry(line, key, texts if "msgid_plural" in fields else texts[0])
    return list(entries.values())


def _entries(source: str, text: str) -> list[tuple[int, dict[str, str]]]:
    """Each entry with the number of its first line; fields by keyword, `msgstr[0]` included."""
    entries: list[tuple[int, dict[str, str]]] = []
    field = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise CatalogueError(source, number, "neither a comment nor a keyword with a quoted string")
        keyword, index, quoted = match.groups()
        if keyword == "msgid":
            entries.append((number, {}))
        if not entries:
            raise CatalogueError(source, number, "stands before the first msgid")
        if keyword:
            field = f"{keyword}[{index}]" if index else keyword
            if field in entries[-1][1]:
                raise CatalogueError(source, number, f"{field} is there twice for one msgid")
            entries[-1][1][field] = ""
        entries[-1][1][field] += _unquoted(source, number, quoted)
    return entries


def _unquoted(source: str, number: int, quoted: str) -> str:
    try:
        text = ast.literal_eval(quoted)
    except (SyntaxError, ValueError):
        text = None
    if not isinstance(text, str):
        raise CatalogueError(source, number, "is not one quoted string")
    return text
