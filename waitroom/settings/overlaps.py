"""Match rules that get in each other's way: which one wins, and which can never win.

Law: a rule that comes later and is wider is meant so ("this one first, then all others") and nothing is said of it. Two
rules that ask for different parameters or headers are taken to be apart. Whatever is said comes with a request that
shows it, and the time it takes is bounded.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from waitroom.settings.model import Exam, Match, Settings
from waitroom.settings.problems import Finding, key_text
from waitroom.settings.yaml12 import Path

MAX_COMPARED = 100_000
"""Pairs of rules that are looked at; five thousand exams with a path each need five thousand."""

MAX_STATES = 20_000
"""Steps of a search for a path that fits two patterns."""

FRESH = "\0"
"""Stands for "any characters" where a pattern is itself looked at as a path."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A rule: whose it is, where it stands, which one word each of its parts asks for."""

    owner: str
    path: Path
    glob: str | None
    exact: frozenset[tuple[str, str, str]]
    """Kind, name and value of all that is not the path."""

    @property
    def parts(self) -> frozenset[tuple[str, str]]:
        """What it looks at."""
        looked_at = {(kind, name) for kind, name, _ in self.exact}
        return frozenset(looked_at | ({("path", "")} if self.glob is not None else set()))


def overlaps(settings: Settings) -> Iterator[Finding]:
    """What is to be said of the exams' rules, and of bypass and release beside them."""
    exams = [
        _stated(name, ("exams", name, "match", index), match)
        for name, exam in settings.exams.items()
        for index, match in enumerate(exam.match)
    ]
    paces = [_stated(pace.name, ("pace", index, "match"), pace.match) for index, pace in enumerate(settings.pace)]
    yield from _among(exams, settings.exams)
    for key, rules, consequence in (
        ("bypass", exams, "its students pass without a ticket"),
        ("bypass", paces, "these requests pass without waiting for a turn"),
        ("release", exams, "each of these requests ends its student's session"),
    ):
        others = [_stated(key, (key, index), match) for index, match in enumerate(getattr(settings, key))]
        most = MAX_COMPARED // max(1, len(rules))
        for rule in rules:
            wider = next((other for other in others[:most] if covers(other, rule)), None)
            if wider is not None:
                wrong = f"is covered by {key_text(wider.path)}: {consequence}"
                yield Finding(rule.path, wrong, f"a narrower {key_text(wider.path)}", warning=True)


def _among(rules: Sequence[Stated], exams: dict[str, Exam]) -> Iterator[Finding]:
    """Exams that come later than one that takes their requests."""
    lost: dict[str, list[tuple[Stated, Stated]]] = defaultdict(list)
    meeting: dict[tuple[str, str], tuple[Stated, Stated]] = {}
    for first, later in _pairs(rules):
        if (first.glob, first.exact) == (later.glob, later.exact):
            continue  # word for word the same: a problem of its own (crosscheck.py)
        if covers(first, later):
            lost[later.owner].append((later, first))
        elif not covers(later, first):
            meeting.setdefault((first.owner, later.owner), (first, later))
    for first, later in meeting.values():
        beaten = any(rule.path == later.path for rule, _ in lost.get(later.owner, ()))
        if not beaten and (example := _both(first, later)) is not None:
            wrong = f"overlaps {key_text(first.path)}, which comes first and wins, for example {example}"
            yield Finding(later.path, wrong, "rules apart from each other", warning=True)
    for name, pairs in lost.items():
        never = len({later.path for later, _ in pairs}) == len(exams[name].match)
        for later, first in {later.path: (later, first) for later, first in reversed(pairs)}.values():
            wrong = f"can never win: {key_text(first.path)} comes first and takes all that fits it"
            if never:
                wrong += f"; nobody is ever taken to sit {name}"
            yield Finding(later.path, wrong, f"{name} before {first.owner}, or rules apart", warning=not never)


def _pairs(rules: Sequence[Stated]) -> Iterator[tuple[Stated, Stated]]:
    """Pairs of different exams' rules that some request might fit both, in the order of the file."""
    kinds: dict[frozenset[tuple[str, str]], list[tuple[int, Stated]]] = defaultdict(list)
    for order, rule in enumerate(rules):
        kinds[rule.parts].append((order, rule))
    compared = 0
    for (narrow, those), (wide, others) in product(kinds.items(), repeat=2):
        if not narrow <= wide:
            continue
        for (order, one), (other_order, other) in _meeting(those, others, narrow):
            if one.owner == other.owner or (narrow == wide and order >= other_order):
                continue
            compared += 1
            if compared > MAX_COMPARED:
                return
            yield (one, other) if order < other_order else (other, one)


Numbered = tuple[int, Stated]


def _meeting(
    narrow: list[Numbered], wide: list[Numbered], parts: frozenset[tuple[str, str]]
) -> Iterator[tuple[Numbered, Numbered]]:
    """Those that agree on all they both ask for but the path, and whose paths begin alike."""

    def key(rule: Stated) -> frozenset[tuple[str, str, str]]:
        return frozenset(each for each in rule.exact if each[:2] in parts)

    groups: dict[frozenset[tuple[str, str, str]], dict[str, list[Numbered]]] = defaultdict(lambda: defaultdict(list))
    for each in narrow:
        groups[key(each[1])][_beginning(each[1])].append(each)
    ordered = {exact: sorted(heads) for exact, heads in groups.items()}
    for each in wide:
        exact, begins = key(each[1]), _beginning(each[1])
        heads = ordered.get(exact, [])
        longer = heads[bisect_left(heads, begins) : bisect_right(heads, f"{begins}\U0010ffff")]
        for head in {*longer, *(begins[:end] for end in range(len(begins)))}:
            yield from ((one, each) for one in groups[exact].get(head, ()))


def _beginning(rule: Stated) -> str:
    return (rule.glob or "*").partition("*")[0]


def covers(wide: Stated, narrow: Stated) -> bool:
    """Whether every request that fits `narrow` fits `wide`."""
    if not wide.exact <= narrow.exact:
        return False
    if wide.glob is None or wide.glob == narrow.glob:
        return True
    return narrow.glob is not None and _fits(wide.glob, narrow.glob.replace("*", FRESH))


def _fits(pattern: str, text: str) -> bool:
    """Whether a pattern of literals and stars matches (greedy, linear: each piece as early as it can be)."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    if not text.startswith(first) or len(text) < len(first) + len(rest[-1]) or not text.endswith(rest[-1]):
        return False
    at, end = len(first), len(text) - len(rest[-1])
    for piece in rest[:-1]:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _both(one: Stated, other: Stated) -> str | None:
    """A request that fits both, written as a URL; None where there is none."""
    path = _path_of_both(one.glob or "*", other.glob or "*")
    if path is None:
        return None
    asked = {(kind, name): value for kind, name, value in one.exact | other.exact}
    query = "&".join(f"{name}={value}" for (kind, name), value in sorted(asked.items()) if kind == "query")
    method, host = asked.get(("method", ""), ""), asked.get(("host", ""), "")
    start = path if path.startswith("/") else f"/{path}"
    return f"{method} {host}{start}{'?' if query else ''}{query}".strip()


def _path_of_both(one: str, other: str) -> str | None:
    """The shortest text that fits both patterns, by a search over how far each has come."""
    ahead: list[tuple[int, int, str]] = [(0, 0, "")]
    seen = {(0, 0)}
    for i, j, text in ahead:  # grows while it is walked: a breadth-first search
        if i == len(one) and j == len(other):
            return text
        if len(seen) > MAX_STATES:
            return None
        for step in _steps(one, i, other, j):
            if step[:2] not in seen:
                seen.add(step[:2])
                ahead.append((step[0], step[1], text + step[2]))
    return None


def _steps(one: str, i: int, other: str, j: int) -> Iterator[tuple[int, int, str]]:
    """From here: a star ends, a star takes the other's letter, or both take the same."""
    a, b = one[i : i + 1], other[j : j + 1]
    if a == "*":
        yield i + 1, j, ""
    if b == "*":
        yield i, j + 1, ""
    if a == "*" and b not in ("", "*"):
        yield i, j + 1, b
    if b == "*" and a not in ("", "*"):
        yield i + 1, j, a
    if a == b and a not in ("", "*"):
        yield i + 1, j + 1, a


def _stated(owner: str, path: Path, match: Match) -> Stated:
    exact = {("query", name, value) for name, value in match.query.items()}
    exact |= {("header", name.lower(), value) for name, value in match.header.items()}
    exact |= {("host", "", match.host.lower())} if match.host else set()
    exact |= {("method", "", match.method)} if match.method else set()
    return Stated(owner, path, match.path, frozenset(exact))
