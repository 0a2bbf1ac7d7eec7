"""Which exam, pool and rule a request names.

Law: a rule matches all of what it states and nothing is guessed. Exams are tried in the order of the file; the first
that matches wins. Paths are compared in one plain spelling (percent-encoded unreserved characters decoded, RFC 3986
section 6.2.2.2) so that `/mod/%71uiz/` is `/mod/quiz/`. A rule that opens a door (`bypass`) is never matched by a path
with a second reading (dot segments, doubled or encoded slashes, backslashes, semicolons, control bytes), by a query
that says twice what the rule asks for, or beside a field by which some servers choose another URL or method.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Protocol
from urllib.parse import parse_qsl, unquote_plus

from waitroom.settings.model import Match

_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SECOND_READING = re.compile(r"//|/\.\.?(?:/|$)|[;\\\xc0\xc1]|%2[35f]|%3[bf]|%5c|%[01].|%7f|%c[01]|%u", re.IGNORECASE)
"""Last in the list: overlong UTF-8 and what old servers of Microsoft made of `%u002e`."""

_OVERRIDES = tuple(
    "".join(parts).encode()
    for words in ("x original url", "x rewrite url", "x http method override", "x http method", "x method override")
    for parts in product(*([word] if at % 2 == 0 else "-_" for at, word in enumerate(re.split("( )", words))))
)
"""Fields by which IIS, Symfony, Zend, Rails and others choose another URL or method, as CGI may spell them too."""

ROUTES_REMEMBERED = 8_192
"""Targets whose exam a worker remembers; an exam server has far fewer that are asked for again and again."""

MAX_TARGET_REMEMBERED = 512
"""Longer targets carry tokens and do not come twice."""

PARAMETERS = 1_000
"""Of a query that opens a door; PHP takes no more (max_input_vars)."""


class Asked(Protocol):
    """What a rule looks at in a request."""

    method: bytes
    target: bytes

    def first(self, name: bytes) -> bytes | None:
        """Value of the first header called `name` (lower case), or None."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled match rule."""

    host: str | None
    path: re.Pattern[str] | None
    query: tuple[tuple[str, str], ...]
    header: tuple[tuple[bytes, str], ...]
    method: bytes | None

    def fits(self, asked: Asked) -> bool:
        """Whether the request has everything that this rule states."""
        if self.method is not None and asked.method != self.method:
            return False
        if self.host is not None and host_name(asked.first(b"host")) != self.host:
            return False
        return self.fits_target(asked.target) and all(_text(asked.first(name)) == value for name, value in self.header)

    def fits_target(self, target: bytes) -> bool:
        """Whether path and query are those that this rule states."""
        path, query = split_target(target)
        if self.path is not None and self.path.fullmatch(path) is None:
            return False
        return not self.query or set(self.query) <= _parameters(query)

    def is_said_once(self, target: bytes) -> bool:
        """Whether each parameter that this rule states stands in the query once, as PHP reads names."""
        if not self.query:
            return True
        parts = re.split("[&;]", split_target(target)[1])
        if len(parts) > PARAMETERS:
            return False
        names = [*map(_plain_name, parts)]
        return all(names.count(_plain_name(key)) == 1 for key, _ in self.query)


def compile_rule(match: Match) -> Rule:
    """A rule ready to be asked; `*` in a path stands for any characters, slashes included."""
    return Rule(
        host=match.host.lower() if match.host else None,
        path=_glob(match.path) if match.path else None,
        query=tuple(match.query.items()),
        header=tuple((name.lower().encode(), value) for name, value in match.header.items()),
        method=match.method.encode() if match.method else None,
    )


class RuleSet:
    """Rules of which one is enough: `bypass`, `release`."""

    def __init__(self, matches: Iterable[Match], *, opens_door: bool = False) -> None:
        self._rules = tuple(compile_rule(match) for match in matches)
        self._opens_door = opens_door

    def fits(self, asked: Asked) -> bool:
        """Whether any rule fits."""
        if not self._rules:
            return False
        if not self._opens_door:
            return any(rule.fits(asked) for rule in self._rules)
        if has_second_reading(asked.target):
            return False
        fits = any(rule.fits(asked) and rule.is_said_once(asked.target) for rule in self._rules)
        return fits and all(asked.first(name) is None for name in _OVERRIDES)


class ExamRoutes:
    """Finds the exam that a request names, and remembers targets it has seen."""

    def __init__(self, exams: Sequence[tuple[str, Sequence[Match]]]) -> None:
        self._rules = tuple((name, compile_rule(match)) for name, matches in exams for match in matches)
        by_target = all(not rule.header and rule.method is None and rule.host is None for _, rule in self._rules)
        self._seen: dict[bytes, str | None] | None = {} if by_target else None
        self.find: Callable[[Asked], str | None] = self._find if self._rules else _no_exam

    def _find(self, asked: Asked) -> str | None:
        """Name of the exam, or None for a URL that names none."""
        seen, target = self._seen, asked.target
        if seen is None or len(target) > MAX_TARGET_REMEMBERED:
            return self._search(asked)
        try:
            return seen[target]
        except KeyError:
            if len(seen) >= ROUTES_REMEMBERED:
                seen.clear()
            found = seen[target] = self._search(asked)
            return found

    def _search(self, asked: Asked) -> str | None:
        return next((name for name, rule in self._rules if rule.fits(asked)), None)


class PaceRoutes:
    """Finds the pace of a request, and remembers for each target which rules its path and query fit: nearly always
    none, so that a request costs one look."""

    def __init__(self, paces: Iterable[tuple[str, Match]]) -> None:
        self._rules = tuple((name, compile_rule(match)) for name, match in paces)
        self._seen: dict[bytes, tuple[tuple[str, Rule], ...]] = {}

    def find(self, asked: Asked) -> str | None:
        """Name of the pace, or None for a request that is not paced. The first that fits wins."""
        fitting = self._seen.get(asked.target)
        if fitting is None:
            fitting = self._look(asked.target)
        for name, rule in fitting:
            if rule.fits(asked):
                return name
        return None

    def _look(self, target: bytes) -> tuple[tuple[str, Rule], ...]:
        fitting = tuple((name, rule) for name, rule in self._rules if rule.fits_target(target))
        if len(target) <= MAX_TARGET_REMEMBERED:
            if len(self._seen) >= ROUTES_REMEMBERED:
                self._seen.clear()
            self._seen[target] = fitting
        return fitting


def _no_exam(_asked: Asked) -> str | None:
    return None


def split_target(target: bytes) -> tuple[str, str]:
    """Path in its plain spelling, and the query as it came. Absolute-form loses its scheme and authority."""
    return (_split if len(target) <= MAX_TARGET_REMEMBERED else _split_long)(target)


def _read_target(target: bytes) -> tuple[str, str]:
    text = target.decode("latin-1")
    if not text.startswith("/") and "://" in text:
        text = "/" + text.split("://", 1)[1].partition("/")[2]
    path, _, query = text.partition("?")
    return _ENCODED.sub(_decode_unreserved, path), query


_split = lru_cache(maxsize=1_024)(_read_target)
_split_long = lru_cache(maxsize=1)(_read_target)
"""For the rules that look at one request: a thousand long targets would be kept for nothing."""


def has_second_reading(target: bytes) -> bool:
    """Whether some server might read this path as another one."""
    return _SECOND_READING.search(split_target(target)[0]) is not None


def host_name(value: bytes | None) -> str:
    """Host without port, lower case; empty where there is none."""
    text = _text(value).lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]


def _glob(pattern: str) -> re.Pattern[str]:
    plain = _ENCODED.sub(_decode_unreserved, pattern)
    return re.compile(".*".join(re.escape(part) for part in plain.split("*")), re.DOTALL)


def _decode_unreserved(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0]


def _parameters(query: str) -> frozenset[tuple[str, str]]:
    return (_read_query if len(query) <= MAX_TARGET_REMEMBERED else _read_long_query)(query)


def _read_parameters(query: str) -> frozenset[tuple[str, str]]:
    return frozenset(parse_qsl(query, keep_blank_values=True))


_read_query = lru_cache(maxsize=1_024)(_read_parameters)
_read_long_query = lru_cache(maxsize=1)(_read_parameters)
"""As above: 32 KiB of small parameters are 1.2 MB when read."""


def _plain_name(part: str) -> str:
    """A parameter's name as PHP takes it: `a.b`, `a b` and `a_b[]` are one."""
    name = unquote_plus(part.partition("=")[0], "latin-1").lstrip().partition("[")[0]
    return name.replace(".", "_").replace(" ", "_")


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("latin-1")
