"""Sums over all workers, past and present, and their exposition.

Law: a total never goes backwards while the supervisor lives. What a dead worker counted is added to the base in the
same step in which its memory is let go; its levels (gauges) die with it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

from waitroom.metrics.catalogue import CATALOGUE, PREFIX, Kind, Metric
from waitroom.metrics.counters import Memory
from waitroom.metrics.layout import Key, Layout


class Totals:
    """The supervisor's view of everything that workers count."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._base: list[float] = []
        self._live: list[Memory] = []

    def attach(self) -> Memory:
        """Memory for a worker that is about to start."""
        memory = Memory.create()
        self._live.append(memory)
        return memory

    def fold(self, memory: Memory) -> None:
        """The worker is dead: keep what it counted, let its memory go."""
        self._live.remove(memory)
        self._base = self._sums([memory])
        for key, at in self.layout.items():
            if CATALOGUE[key[0]].kind is Kind.GAUGE:
                self._base[at] = 0.0
        memory.close()

    def value(self, name: str, *labels: str) -> float:
        """The sum of a counter or gauge; of a histogram, how many values were counted."""
        at = self.layout.place((name, *labels))
        cells = max(1, CATALOGUE[name].cells - 1)
        return sum(self._sums(self._live)[at : at + cells])

    def readings(self) -> "Iterator[Reading]":
        """All series with their sums."""
        sums = self._sums(self._live)
        for (name, *labels), at in self.layout.items():
            yield Reading(name, tuple(labels), tuple(sums[at : at + CATALOGUE[name].cells]))

    def _sums(self, memories: Sequence[Memory]) -> list[float]:
        used = self.layout.used
        sums = self._base + [0.0] * (used - len(self._base))
        for memory in memories:
            sums = [a + b for a, b in zip(sums, memory.cells[:used], strict=True)]
        return sums


@dataclass(frozen=True, slots=True)
class Reading:
    """One series as read: a single number, or the buckets and the sum of a histogram."""

    name: str
    labels: Key
    cells: tuple[float, ...]


def exposition(readings: Iterable[Reading], accept: str) -> tuple[bytes, str]:
    """The body and content type of a scrape, in the format that the scraper accepts."""
    encode, content_type = choose_encoder(accept)
    return encode(_Collector(readings)), content_type


class _Collector:
    """What prometheus_client's encoders ask for."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Family]:
        """Families in the order of the catalogue."""
        by_name: dict[str, list[Reading]] = {}
        for reading in self._readings:
            by_name.setdefault(reading.name, []).append(reading)
        for metric in CATALOGUE.values():
            if metric.name in by_name:
                yield _family(metric, by_name[metric.name])


def _family(metric: Metric, readings: list[Reading]) -> Family:
    name = PREFIX + metric.name
    match metric.kind:
        case Kind.HISTOGRAM:
            return _histogram(name, metric, readings)
        case Kind.COUNTER:
            counter = CounterMetricFamily(name, metric.help, labels=metric.labels)
            for reading in readings:
                counter.add_metric(reading.labels, reading.cells[0])
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(name, metric.help, labels=metric.labels)
            for reading in readings:
                gauge.add_metric(reading.labels, reading.cells[0])
            return gauge


def _histogram(name: str, metric: Metric, readings: list[Reading]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
    for reading in readings:
        *counts, total = reading.cells
        family.add_metric(reading.labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return family
