"""A complaint with the line it is about and carets under the place.

Law: an excerpt repeats no secret: log-ins in URLs and whatever stands behind a key that may hold one are stars. It
fits the width, whatever the line; nothing in a file can send a control sequence to the terminal.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from waitroom.settings.problems import Problem, private
from waitroom.settings.yamlfaults import lines_of

STARS = "***"
LEAD = 24
"""Columns of a long line that are shown before the place."""

MIN_WIDTH = 40

_LOGIN = re.compile(r"://(?P<secret>[^\s'\"]*@)")
_QUERY = re.compile(r"[?&][^=\s'\"&]*password=(?P<secret>[^&\s'\"]+)", re.IGNORECASE)
_KEYED = re.compile(r"(?i)(?:password|secret|token|sha256)[\w-]*['\"]?\s*:\s*(?P<secret>[^\s{\[&*].*)")
_BROAD = re.compile(r"(?i)(?:password|secret|token|sha256)[\w-]*['\"]?\s*:\s*(?P<secret>[^\s&*].*)")
"""Where the form is broken, nobody knows what belongs to such a key."""

_ANY_VALUE = re.compile(r":\s+(?P<secret>(?![{\[&*#])(?:\"[^\"]*\"?|'[^']*'?|[^,}\]#]+))")
_ANY_ITEM = re.compile(r"(?:^\s*-\s+|\[\s*|,\s*)(?![^,\]}]*:\s)(?P<secret>(?![{\[&*#])[^,}\]]+)")
_ALONE = re.compile(r"^\s*(?!.*:(?:\s|$))(?P<secret>[^\s{\[&*#-].*)")
_QUOTED_TOKEN = {'"': re.compile(r'"(?:\\.|[^"\\])*"?'), "'": re.compile(r"'(?:''|[^'])*'?")}
_CLOSES = {"{": "}", "[": "]"}
_PIECE = re.compile(r""""(?:\\.|[^"\\])*"|'(?:''|[^'])*'|.""", re.DOTALL)
_PLAIN_TOKEN = re.compile(r"(?:\$\{[^}\n]*\}|(?!: |:$| #)[^,\[\]{}\n])+")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Number and text of a line, and where the carets go: `at` columns from its beginning, `span` of them."""

    number: int
    line: str
    at: int
    span: int


def excerpt(problem: Problem, text: str, width: int = 100) -> Excerpt | None:
    """The line of a problem, or None where it has none in this text. `width`: columns that the line may take."""
    lines = lines_of(text)
    if not 1 <= problem.line <= len(lines):
        return None
    raw = lines[problem.line - 1]
    start = min(problem.col - 1, len(raw))
    end = start + max(1, _length(raw[start:]))
    cells = list(_cells(raw, _secrets(raw, problem.key), start, end))
    return _cropped(problem.line, cells, max(width, MIN_WIDTH))


def _length(rest: str) -> int:
    """Characters of the value or key that begins here."""
    if rest[:1] in _CLOSES:
        return _bracketed(rest)
    match = _QUOTED_TOKEN.get(rest[:1], _PLAIN_TOKEN).match(rest)
    return len(match[0].rstrip()) if match and rest[0].isprintable() else 1


def _bracketed(rest: str) -> int:
    """Up to the bracket that closes the first, or 1 if that is on another line."""
    depth = 0
    for match in _PIECE.finditer(rest):
        depth += (match[0] in _CLOSES) - (match[0] in _CLOSES.values())
        if not depth:
            return match.end()
    return 1


def _secrets(line: str, key: str) -> list[bool]:
    """Of each character whether it is hidden."""
    patterns = [_LOGIN, _QUERY, _KEYED if key else _BROAD]
    if private(key):
        patterns += [_ANY_VALUE, _ANY_ITEM, _ALONE]
    hidden = [False] * len(line)
    for first, last in (match.span("secret") for pattern in patterns for match in pattern.finditer(line)):
        hidden[first:last] = [True] * (last - first)
    return hidden


def _cells(raw: str, hidden: list[bool], start: int, end: int) -> Iterator[tuple[str, bool]]:
    """What is shown, piece by piece, and whether the carets are under it."""
    for secret, group in groupby(enumerate(raw.ljust(end)), lambda each: each[0] < len(raw) and hidden[each[0]]):
        piece = list(group)
        if secret:
            meant = start <= piece[-1][0] and piece[0][0] < end
            yield from ((star, meant) for star in STARS)
        else:
            yield from ((_printable(char), start <= index < end) for index, char in piece)


def _printable(char: str) -> str:
    if char == "\t":
        return " "
    return char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _cropped(number: int, cells: list[tuple[str, bool]], width: int) -> Excerpt:
    """The part of the line that has the place in it."""
    first = next((index for index, (_, under) in enumerate(cells) if under), 0)
    begin = max(0, first - LEAD) if sum(map(_columns, cells)) > width else 0
    shown = "…" if begin else ""
    used, at, span = len(shown), -1, 0
    for index, cell in enumerate(cells[begin:], begin):
        columns = _columns(cell)
        if used + columns >= width and index < len(cells) - 1:
            shown += "…"
            break
        if cell[1]:
            at, span = used if at < 0 else at, span + columns
        shown += cell[0]
        used += columns
    return Excerpt(number, shown.rstrip(), max(at, 0), max(1, span))


def _columns(cell: tuple[str, bool]) -> int:
    char = cell[0]
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
