"""Which number of a worker's memory belongs to which series.

Law: append-only. A reload adds the series of new pools and backends behind those that are there, and never moves or
drops one; so a counter bound before a reload stays right after it, and no total is lost when a backend leaves the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from waitroom.errors import WaitroomError
from waitroom.metrics.catalogue import CATALOGUE, CODES, ENDS, KINDS, OUTCOMES, REASONS, WAYS, Metric, Source

CELL_BYTES = 8
MAX_CELLS = 1 << 20
"""8 MiB a worker, of which only the pages in use take memory: 60 pools of 100 backends fit three times."""

Key = tuple[str, ...]
"""Name, then label values in the order of the catalogue."""


class LayoutFullError(WaitroomError):
    """More pools, backends and exams than a worker's counters have room for."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The label values that the settings allow: each pool with its backends."""

    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, metric: Metric) -> Iterator[Key]:
        """Every combination of label values that the metric can have."""
        for first in self._roots(metric.labels):
            rest = metric.labels[len(first) :]
            for others in product(*(_FIXED[label] for label in rest)):
                yield (metric.name, *first, *others)

    def _roots(self, labels: tuple[str, ...]) -> Iterator[Key]:
        if labels[:2] == ("pool", "backend"):
            own = ("",) if "code" in labels else ()  # answers of our own carry no backend
            for pool, backends in self.pools.items():
                for backend in (*own, *backends):
                    yield pool, backend
            if own:
                yield "", ""  # and some belong to no pool
        elif labels[:1] == ("pool",):
            for pool in self.pools:
                yield (pool,)
        else:
            yield ()


_FIXED: dict[str, tuple[str, ...]] = {
    "way": WAYS,
    "reason": REASONS,
    "code": CODES,
    "kind": KINDS,
    "outcome": OUTCOMES,
    "end": ENDS,
}


class Layout:
    """Places of all series that workers count, in the order in which they became known."""

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self._places: dict[Key, int] = {}
        self._used = 0
        for key in keys:
            self._add(key)

    def extend(self, labels: Labels) -> None:
        """Make room for what `labels` brings that is new. Nothing changes if it does not fit."""
        new = [key for key in _wanted(labels) if key not in self._places]
        if self._used + sum(CATALOGUE[key[0]].cells for key in new) > MAX_CELLS:
            raise LayoutFullError(f"pools, backends and exams need more than {MAX_CELLS} counters")
        for key in new:
            self._add(key)

    @property
    def keys(self) -> tuple[Key, ...]:
        """All series; another process makes the same layout from them."""
        return tuple(self._places)

    @property
    def used(self) -> int:
        """Numbers taken so far."""
        return self._used

    def place(self, key: Key) -> int:
        """Where the series' first number lies."""
        try:
            return self._places[key]
        except KeyError:
            raise KeyError(
                f"{key}: not in the metrics catalogue, or its label values are not in the settings"
            ) from None

    def items(self) -> Iterator[tuple[Key, int]]:
        """All series with their places."""
        return iter(self._places.items())

    def _add(self, key: Key) -> None:
        self._places[key] = self._used
        self._used += CATALOGUE[key[0]].cells


def _wanted(labels: Labels) -> Iterator[Key]:
    for metric in CATALOGUE.values():
        if metric.source is Source.WORKERS:
            yield from labels.of(metric)
