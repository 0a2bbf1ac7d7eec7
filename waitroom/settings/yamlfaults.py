"""What is wrong with a file that is not YAML, in words that say what to do about it.

Law: no message of the parser reaches the operator raw; each known one is renamed, an unknown one is introduced.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

import yaml

from waitroom.errors import SettingsError


class Mark(Protocol):
    """Where the parser is."""

    index: int


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file: line and column, both counted from 1, columns in characters."""

    line: int
    col: int


_LINE_END = re.compile(r"\r\n|\r|\n")
"""As editors and YAML 1.2.2 (section 5.4) end lines; PyYAML and `str.splitlines` see more ends than these."""


def lines_of(text: str) -> list[str]:
    """The lines of a file without their ends, as they are counted in a place."""
    return _LINE_END.split(text)


class Ruler:
    """Line and column of every character of a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def place(self, index: int) -> Place:
        """Of the character at this index, counted from 0."""
        line = bisect_right(self._starts, index)
        return Place(line, index - self._starts[line - 1] + 1)

    def of(self, mark: Mark) -> Place:
        """Of the parser's mark; its own count of lines is not ours."""
        return self.place(mark.index)


@dataclass(frozen=True, eq=True)
class YamlFaultError(SettingsError):
    """A fault in the form of the file, at its place."""

    place: Place
    wrong: str
    allowed: str = ""
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"{self.place.line}:{self.place.col}: {self.wrong}" + (f"; {self.allowed}" if self.allowed else "")


_QUOTED = "quotes around text that begins with one of @ ` % & * ! | > { } [ ] , or contains a colon and a blank"
_WITHIN = "and quotes around text with one of { } [ ] , ? in it"
_ALIGNED = "the keys of one mapping in one column"
_ITEMS = "list items below each other, each beginning with a dash and a blank"
_TOP = "all keys of the file in the first column; one document a file"
_SINGLE = "single quotes, in which a backslash is a backslash"
_BLOCK = "nothing on the line after | or >"
_NAMED = "letters, digits, - and _ after & or *; quotes where they are text"

_WORDS: tuple[tuple[str, str, str], ...] = (
    ("character '\\t'", "a tab", "blanks, for indentation and between words"),
    ("mapping values are not allowed", "a colon where no key can stand", f"{_ALIGNED}; {_QUOTED}"),
    ("expected <block end>, but found '-'", "a list item where a key was expected", _ITEMS),
    ("expected <block end>, but found '<scalar>'", "more text after the end of a value", "one pair of quotes a value"),
    ("expected <block end>", "the indentation fits none of the lines above", _ALIGNED),
    ("could not find expected ':'", "no colon and blank after a key", "KEY: VALUE"),
    ("expected ',' or ']'", "a list in brackets lacks its comma or its end here", f"[a, b], {_WITHIN}"),
    ("expected ',' or '}'", "a mapping in braces lacks its comma or its end here", f"{{a: 1, b: 2}}, {_WITHIN}"),
    ("unexpected end of stream", "a quoted text that does not end", "the same quote at both ends"),
    ("unknown escape character", "a backslash in double quotes that begins no known escape", _SINGLE),
    ("escape sequence of", "an escape in double quotes that is not complete", _SINGLE),
    ("that cannot start any token", "a character that cannot begin a value", _QUOTED),
    ("sequence entries are not allowed", "a list item where none can stand", _ITEMS),
    ("undefined tag handle", "a tag that is not known", _QUOTED),
    ("'<document start>'", "less indented than the file's first key, or after the end of the document", _TOP),
    ("special characters are not allowed", "a control character", "printable text, blanks and line ends"),
    ("incompatible YAML document", "the file asks for another YAML", "YAML 1.2, without a %YAML line"),
    ("expected the node content", "a value that begins with punctuation", _QUOTED),
    ("expected alphabetic or numeric character", "& or * without a name", _NAMED),
    ("chomping or indentation indicators", "text after | or >", _BLOCK),
    ("expected a comment or a line break", "text after | or >", _BLOCK),
)


_AT_ITS_BEGINNING = ("unexpected end of stream", "could not find expected ':'")
"""What the parser notices only where it ends, often lines below."""

_FLOW = "while parsing a flow "


def in_our_words(error: yaml.YAMLError, text: str) -> YamlFaultError:
    """The parser's complaint, renamed, at the place it means."""
    ruler = Ruler(text)
    if isinstance(error, yaml.reader.ReaderError):
        return _renamed(error.reason, ruler.place(error.position))
    if not isinstance(error, yaml.MarkedYAMLError):
        return _renamed(str(error), Place(1, 1))
    problem, began = error.problem or str(error), error.context_mark
    mark = error.problem_mark or began
    if began is not None and any(part in problem for part in _AT_ITS_BEGINNING):
        mark = began
    place = ruler.of(mark) if mark is not None else Place(1, 1)
    start = ruler.of(began) if began is not None and (error.context or "").startswith(_FLOW) else place
    return _renamed(problem, place, "" if start.line == place.line else f"; it begins at {start.line}:{start.col}")


def _renamed(problem: str, place: Place, where: str = "") -> YamlFaultError:
    for part, wrong, allowed in _WORDS:
        if part in problem:
            return YamlFaultError(place, wrong + where, allowed)
    return YamlFaultError(place, f"not YAML: {problem}")
