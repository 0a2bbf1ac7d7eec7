"""What a worker counts, in memory that outlives it.

Law: one writer. Each worker process has memory of its own, made by the supervisor and handed down as a file
descriptor; the supervisor only reads. An increment is one addition to one float: no lock, no call into the system
(about 0.1 us).
"""

import mmap
import os
from bisect import bisect_left
from typing import Self, TypeAlias

from waitroom.metrics.catalogue import CATALOGUE, Kind
from waitroom.metrics.layout import CELL_BYTES, MAX_CELLS, Labels, Layout

Cells: TypeAlias = "memoryview[float]"


class Counter:
    """Only grows."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: Cells, at: int) -> None:
        self._cells = cells
        self._at = at

    def inc(self, n: float = 1) -> None:
        """Add `n`."""
        self._cells[self._at] += n


class Gauge:
    """A level of this worker; the levels of all workers are summed, and a dead worker's is gone."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: Cells, at: int) -> None:
        self._cells = cells
        self._at = at

    def set(self, value: float) -> None:
        """The level is `value` now."""
        self._cells[self._at] = value

    def add(self, n: float) -> None:
        """The level rises by `n`, or falls if negative."""
        self._cells[self._at] += n


class Histogram:
    """How often a value fell into each bucket, and the sum of all values."""

    __slots__ = ("_at", "_bounds", "_cells", "_sum")

    def __init__(self, cells: Cells, at: int, bounds: tuple[float, ...]) -> None:
        self._cells = cells
        self._at = at
        self._bounds = bounds
        self._sum = at + len(bounds) + 1

    def observe(self, value: float) -> None:
        """Count `value`."""
        cells = self._cells
        cells[self._at + bisect_left(self._bounds, value)] += 1
        cells[self._sum] += value


class Memory:
    """The numbers of one worker process, shared through a memory file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, MAX_CELLS * CELL_BYTES)
        self.cells: Cells = memoryview(self._map).cast("d")

    @classmethod
    def create(cls) -> Self:
        """Fresh memory, all zero. Pages that nobody writes to take no room."""
        fd = os.memfd_create("waitroom-counters", os.MFD_CLOEXEC)
        os.ftruncate(fd, MAX_CELLS * CELL_BYTES)
        return cls(fd)

    def close(self) -> None:
        """Give the memory back; counters bound to it must not be used again."""
        self.cells.release()
        self._map.close()
        os.close(self.fd)


class Counters:
    """Hands out counters bound to their place. Bind once, count often."""

    def __init__(self, layout: Layout, cells: Cells) -> None:
        self._layout = layout
        self._cells = cells

    @classmethod
    def private(cls, labels: Labels) -> Self:
        """Counters that nobody else sees, for a part that runs without a supervisor."""
        layout = Layout()
        layout.extend(labels)
        return cls(layout, memoryview(bytearray(layout.used * CELL_BYTES)).cast("d"))

    def relayout(self, layout: Layout) -> None:
        """Take in a layout that grew; everything bound before stays right."""
        self._layout = layout

    def counter(self, name: str, *labels: str) -> Counter:
        """The counter of these label values."""
        return Counter(self._cells, self._place(Kind.COUNTER, name, labels))

    def gauge(self, name: str, *labels: str) -> Gauge:
        """This worker's share of a level."""
        return Gauge(self._cells, self._place(Kind.GAUGE, name, labels))

    def histogram(self, name: str, *labels: str) -> Histogram:
        """The histogram of these label values."""
        at = self._place(Kind.HISTOGRAM, name, labels)
        return Histogram(self._cells, at, CATALOGUE[name].buckets)

    def value(self, name: str, *labels: str) -> float:
        """What a counter or gauge of this worker stands at; of a histogram how many values it has counted."""
        at, metric = self._layout.place((name, *labels)), CATALOGUE[name]
        return sum(self._cells[at : at + max(1, metric.cells - 1)])

    def _place(self, kind: Kind, name: str, labels: tuple[str, ...]) -> int:
        if CATALOGUE[name].kind is not kind:
            raise KeyError(f"{name} is a {CATALOGUE[name].kind}, not a {kind}")
        return self._layout.place((name, *labels))
