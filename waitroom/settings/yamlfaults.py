"""What is wrong with a file that is not YAML, in words that say what to do about it.

Law: no message of the parser reaches the operator raw; each known one is renamed, an unknown one is introduced.
"""

from dataclasses import dataclass

import yaml

from waitroom.errors import SettingsError


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file: line and column, both counted from 1, columns in characters."""

    line: int
    col: int


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
_ALIGNED = "the keys of one mapping in one column"
_ITEMS = "list items below each other, each beginning with a dash and a blank"
_SINGLE = "single quotes, in which a backslash is a backslash"
_BLOCK = "nothing on the line after | or >"
_NAMED = "letters, digits, - and _ after & or *; quotes where they are text"

_WORDS: tuple[tuple[str, str, str], ...] = (
    ("character '\\t'", "a tab", "blanks for indentation"),
    ("mapping values are not allowed", "a colon where no key can stand", f"{_ALIGNED}; {_QUOTED}"),
    ("expected <block end>, but found '-'", "a list item where a key was expected", _ITEMS),
    ("expected <block end>, but found '<scalar>'", "more text after the end of a value", "one pair of quotes a value"),
    ("expected <block end>", "the indentation fits none of the lines above", _ALIGNED),
    ("could not find expected ':'", "no colon where a key was expected", "KEY: VALUE"),
    ("expected ',' or ']'", "a list in brackets lacks its comma or its end here", "[a, b]"),
    ("expected ',' or '}'", "a mapping in braces lacks its comma or its end here", "{a: 1, b: 2}"),
    ("unexpected end of stream", "a quoted text that does not end", "the same quote at both ends"),
    ("unknown escape character", "a backslash in double quotes that begins no known escape", _SINGLE),
    ("escape sequence of", "an escape in double quotes that is not complete", _SINGLE),
    ("that cannot start any token", "a character that cannot begin a value", _QUOTED),
    ("sequence entries are not allowed", "a list item where none can stand", _ITEMS),
    ("undefined tag handle", "a tag that is not known", _QUOTED),
    ("'<document start>'", "text after the end of the document", "one document a file"),
    ("special characters are not allowed", "a control character", "printable text, blanks and line ends"),
    ("incompatible YAML document", "the file asks for another YAML", "YAML 1.2, without a %YAML line"),
    ("expected the node content", "a value that begins with punctuation", _QUOTED),
    ("expected alphabetic or numeric character", "& or * without a name", _NAMED),
    ("chomping or indentation indicators", "text after | or >", _BLOCK),
    ("expected a comment or a line break", "text after | or >", _BLOCK),
)


def in_our_words(error: yaml.YAMLError, text: str) -> YamlFaultError:
    """The parser's complaint, renamed, at the place it means."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        return _renamed(error.reason, place)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        if error.problem and "unexpected end of stream" in error.problem and error.context_mark:
            place = Place(error.context_mark.line + 1, error.context_mark.column + 1)
        return _renamed(error.problem or str(error), place)
    return _renamed(str(error), Place(1, 1))


def _renamed(problem: str, place: Place) -> YamlFaultError:
    for part, wrong, allowed in _WORDS:
        if part in problem:
            return YamlFaultError(place, wrong, allowed)
    return YamlFaultError(place, f"not YAML: {problem}")
