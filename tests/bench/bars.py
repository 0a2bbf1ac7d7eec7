"""The lines of the result, and the bars that they must meet: section 12 of the design, and promises to operators.

Law: what a request costs is the least of each one's turns, and the bar is held against the ratio of the two: whatever
disturbs a turn (neighbours, a cold cache) only adds to it, and to ours more than to nginx's, whose code fits into the
smallest cache. Other bars on a ratio are held against the median of the turns' ratios, nginx's turn and ours side by
side, so that a slow moment of the machine falls on both; bars on a number against the median of our turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.contestants import OURS, YARDSTICK
from tests.bench.load import CONNECTIONS


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit. `at_least`: good is above it. `ratio`: what is held against it is our ratio to nginx, not our number."""

    limit: float
    at_least: bool = False
    ratio: bool = True

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:,g}{' x' if self.ratio else ''}"

    def met(self, value: float) -> bool:
        """On the bar is met."""
        return value >= self.limit if self.at_least else value <= self.limit


HELD = "idle connections held"
POLL_OF_FEW, PAGE_OF_FEW = (f"CPU per {what}, {CONNECTIONS} connections" for what in ("status poll", "first page"))
COST = "CPU"
"""How the names of lines begin that tell what a request costs."""

BARS: Mapping[str, Bar] = {
    "CPU per admitted request": Bar(1.5),
    "CPU per status poll": Bar(2.0),
    "CPU per newcomer's first page": Bar(3.0),
    POLL_OF_FEW: Bar(2.0),
    PAGE_OF_FEW: Bar(3.0),
    "latency p99 at half load": Bar(2.0),
    "memory per idle connection": Bar(12.0, ratio=False),
    HELD: Bar(20_000, at_least=True, ratio=False),
    "100 MB down": Bar(0.8, at_least=True),
    "100 MB up": Bar(0.8, at_least=True),
    "memory added by 100 MB down": Bar(4_096, ratio=False),
    "memory added by 100 MB up": Bar(4_096, ratio=False),
}
"""By the name of the line. Flat memory is: less than a twenty-fifth of what goes through, which no copy of it is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what each contestant's turns gave. `tried` is False where this machine cannot reach the bar."""

    what: str
    unit: str
    turns: Mapping[str, Sequence[float]]
    note: str = ""
    tried: bool = True

    @property
    def bar(self) -> Bar | None:
        """What it must meet, if anything."""
        return BARS.get(self.what)

    @property
    def numbers(self) -> dict[str, float]:
        """Of each contestant's turns the least, if it is a cost, else the median."""
        typical = min if self.what.startswith(COST) else median
        return {name: typical(values) for name, values in self.turns.items() if values}

    @property
    def ratio(self) -> float | None:
        """Ours to nginx's: of the least costs, else the median of the turns'. None: nginx's is 0, or not there."""
        if self.what.startswith(COST):
            ours, theirs = self.numbers.get(OURS), self.numbers.get(YARDSTICK)
            return ours / theirs if ours is not None and theirs else None
        pairs = list(zip(self.turns.get(YARDSTICK, ()), self.turns.get(OURS, ()), strict=True))
        return median(ours / theirs for theirs, ours in pairs) if pairs and all(theirs for theirs, _ in pairs) else None

    @property
    def good(self) -> bool | None:
        """Whether the bar is met; None where there is none, or no telling."""
        value = self.ratio if self.bar and self.bar.ratio else self.numbers.get(OURS)
        if self.bar is None or value is None or not self.tried:
            return None
        return self.bar.met(value)
