"""What a pool was like: an hour of points close together, a day of minutes, and when its backends were down.

Law: pure, bounded, and without anybody in it. The store keeps the texts made here, so a restart of any process loses
none of them, and all machines tell the same: whoever is first to say something of an instant counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from waitroom.admission.estimate import Unknown, regime
from waitroom.admission.line import Snapshot
from waitroom.admission.recovery import Course, Phase
from waitroom.admission.traffic import Traffic

Value = float | None


class Record(NamedTuple):
    """Points that are kept: under which name, how far apart, how many."""

    name: str
    step_ms: int
    lines: int

    @property
    def ttl_ms(self) -> int:
        """A pool that is gone leaves nothing behind for longer."""
        return self.step_ms * self.lines

    def instant(self, now_ms: int) -> int:
        """The beginning of the step that an instant is in."""
        return now_ms - now_ms % self.step_ms


HOUR = Record("hour", 5_000, 720)
"""About 100 bytes a line: 70 kB a pool."""

DAY = Record("day", 60_000, 1_440)
"""The same, 140 kB a pool."""

OUTAGES, OUTAGES_MOST, OUTAGES_TTL_MS = "outages", 500, 7 * 86_400_000
"""Turns for the worse or the better, some 40 bytes each; a week, as long as what staff set may last."""

COLUMNS = (
    "waiting", "absent", "lobby", "sessions", "sessions_limit", "allowed_per_s", "admissions", "inflight",
    "requests_per_s", "failed_per_s", "p95_ms", "last_low_s", "last_high_s", "held", "down",
)  # fmt: skip
"""Of each point, as it is kept. `admissions`: all that there ever were; `down`: how many backends."""

_LATEST = frozenset({"sessions_limit", "allowed_per_s", "admissions"})
"""Of several points the last counts, of all other columns the highest."""

_NOT_KNOWN = "-"


class Point(NamedTuple):
    """A pool at an instant."""

    at_ms: int
    values: tuple[Value, ...]

    def of(self, name: str) -> Value:
        """The value of a column."""
        return self.values[COLUMNS.index(name)]

    @property
    def text(self) -> str:
        """As it is kept."""
        return " ".join(_NOT_KNOWN if each is None else f"{each:.12g}" for each in self.values)


def read(at_ms: int, text: str) -> Point:
    """A point as it was kept. What an older version did not keep is not known, what a later one adds is left out."""
    words = text.split()[: len(COLUMNS)]
    values = [None if word == _NOT_KNOWN else float(word) for word in words]
    return Point(at_ms, tuple(values) + (None,) * (len(COLUMNS) - len(values)))


def point(at: Snapshot, loads: Mapping[str, tuple[Traffic, float]]) -> Point:
    """The pool now. `loads`: what all workers saw of each backend in the last seconds, and in how many."""
    waiting = sum(at.waiting.values())
    last = regime(at).eta(max(0, waiting - 1))
    seen = [traffic for traffic, _ in loads.values()]
    seconds = max((seconds for _, seconds in loads.values()), default=1.0)
    p95 = [found for each in seen if (found := each.quantile_ms(0.95)) is not None]
    values: tuple[Value, ...] = (
        waiting, at.absent, sum(at.lobby.values()), sum(at.sessions.values()), sum(at.limits.values()),
        at.rate_milli / 1000 if at.rate_milli else None,
        sum(at.admissions_total.values()), sum(each.inflight for each in seen),
        round(sum(each.requests for each in seen) / seconds, 2),
        round(sum(each.failed for each in seen) / seconds, 2), max(p95, default=None),
        *((None, None) if isinstance(last, Unknown) else last if waiting else (0, 0)), int(at.held),
        sum(_course(at.live, backend).phase is Phase.DOWN for backend in at.limits),
    )  # fmt: skip
    return Point(HOUR.instant(at.now_ms), values)


def _course(live: Mapping[str, str], backend: str) -> Course:
    """Its own: one that staff hold is not down."""
    return Course.read(live.get(f"phase:{backend}", ""))


def together(points: Sequence[Point], at_ms: int) -> Point:
    """One point for several in a row: the worst of them, so that nothing that happened is smoothed away."""
    columns = zip(*(each.values for each in points), strict=True)
    return Point(at_ms, tuple(_one(name, values) for name, values in zip(COLUMNS, columns, strict=True)))


def _one(name: str, values: Sequence[Value]) -> Value:
    known = [each for each in values if each is not None]
    if name in _LATEST:
        return values[-1]
    return max(known, default=None)


def shown(points: Sequence[Point], step_ms: int) -> dict[str, list[Value]]:
    """Columns of equal length; `admitted` in place of the totals: how many entered since the point before."""
    columns = {name: [each.of(name) for each in points] for name in COLUMNS}
    del columns["admissions"]
    came: list[Value] = [None] * len(points)
    for at, (before, now) in enumerate(pairwise(points), 1):
        then, total = before.of("admissions"), now.of("admissions")
        if then is not None and total is not None and total >= then and now.at_ms - before.at_ms < 2 * step_ms:
            came[at] = total - then
    return columns | {"admitted": came}


class Outage(NamedTuple):
    """When a backend did not answer. `to_ms` None: it still does not."""

    backend: str
    from_ms: int
    to_ms: int | None


def turns(changed: Mapping[str, tuple[Phase, Phase]]) -> str:
    """What is kept of backends that went down or came up, each with its phase before and now; empty: nothing."""
    found = [
        f"{backend} {'down' if now is Phase.DOWN else 'up'}"
        for backend, (before, now) in changed.items()
        if (before is Phase.DOWN) is not (now is Phase.DOWN)
    ]
    return ";".join(found)


def outages(lines: Iterable[tuple[int, str]], live: Mapping[str, str], backends: Iterable[str]) -> list[Outage]:
    """Beginnings and ends in pairs, the oldest first. What is so now (`live`) has the last word: a turn that nobody
    could write down, since the store was away, is known by what came of it.
    """
    found: list[Outage] = []
    began: dict[str, int] = {}
    for at_ms, text in lines:
        for backend, _, turn in (each.partition(" ") for each in text.split(";")):
            if turn == "down":
                began.setdefault(backend, at_ms)
            elif backend in began:
                found.append(Outage(backend, began.pop(backend), at_ms))
    here = set(backends)
    for backend in here | began.keys():
        course = _course(live, backend)
        if backend in here and course.phase is Phase.DOWN:
            found.append(Outage(backend, began.get(backend, course.since_ms), None))
        elif backend in began:
            found.append(Outage(backend, began[backend], max(course.since_ms, began[backend])))
    return sorted(found, key=lambda each: (each.from_ms, each.backend))
