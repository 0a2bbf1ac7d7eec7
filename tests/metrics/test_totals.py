"""Totals over workers, their deaths, and reloads."""

import os

import pytest

from waitroom.metrics.catalogue import CATALOGUE, Kind, Metric, Source
from waitroom.metrics.counters import Counters, Memory
from waitroom.metrics.layout import MAX_CELLS, Labels, Layout, LayoutFullError
from waitroom.metrics.totals import Totals, exposition

TWO_POOLS = Labels({"main": ("main-1",), "spare": ("spare-1", "spare-2")})


def totals(labels: Labels = TWO_POOLS) -> Totals:
    layout = Layout()
    layout.extend(labels)
    return Totals(layout)


def worker(house: Totals) -> tuple[Counters, Memory]:
    """Counters of one worker process, as that process makes them: from the keys and the file descriptor."""
    memory = house.attach()
    return Counters(Layout(house.layout.keys), Memory(os.dup(memory.fd)).cells), memory


def test_sum_over_workers() -> None:
    """A total is the sum of what all workers counted."""
    house = totals()
    for n in (1, 2, 3):
        worker(house)[0].counter("arrivals_total", "main").inc(n)
    assert house.value("arrivals_total", "main") == 6
    assert house.value("arrivals_total", "spare") == 0


def test_dead_worker_is_remembered() -> None:
    """A total never goes backwards when a worker is replaced; its levels die with it."""
    house = totals()
    counters, memory = worker(house)
    counters.counter("requests_total", "main", "main-1", "2xx").inc(5)
    counters.histogram("wait_seconds", "main").observe(4)
    counters.gauge("inflight", "main", "main-1").set(3)
    house.fold(memory)
    assert house.value("requests_total", "main", "main-1", "2xx") == 5
    assert house.value("wait_seconds", "main") == 1
    assert house.value("inflight", "main", "main-1") == 0
    replacement, _ = worker(house)
    replacement.counter("requests_total", "main", "main-1", "2xx").inc()
    assert house.value("requests_total", "main", "main-1", "2xx") == 6


def test_reload_adds_series_and_moves_none() -> None:
    """A counter bound before a reload stays right after it; a pool that left the file keeps its totals."""
    house = totals(Labels({"old": ("a",)}))
    counters, _ = worker(house)
    before = counters.counter("arrivals_total", "old")
    before.inc()
    house.layout.extend(Labels({"new": ("b",)}))
    counters.relayout(Layout(house.layout.keys))
    before.inc()
    counters.counter("arrivals_total", "new").inc(7)
    assert (house.value("arrivals_total", "old"), house.value("arrivals_total", "new")) == (2, 7)


def test_death_across_a_reload() -> None:
    """What a worker counted before a reload is kept when it dies after it."""
    house = totals(Labels({"old": ("a",)}))
    first, memory = worker(house)
    first.counter("arrivals_total", "old").inc(2)
    house.fold(memory)
    house.layout.extend(Labels({"new": ("b",)}))
    second, memory = worker(house)
    second.counter("arrivals_total", "new").inc(3)
    house.fold(memory)
    assert (house.value("arrivals_total", "old"), house.value("arrivals_total", "new")) == (2, 3)


def test_layout_is_bounded() -> None:
    """More labels than there is room for are refused as a whole."""
    layout = Layout()
    layout.extend(TWO_POOLS)
    keys = layout.keys
    many = Labels({f"p{n}": tuple(f"p{n}-{m}" for m in range(200)) for n in range(400)})
    with pytest.raises(LayoutFullError, match=str(MAX_CELLS)):
        layout.extend(many)
    assert layout.keys == keys


def test_unknown_names_are_programming_errors() -> None:
    """A metric or label that the catalogue and settings do not have is refused where it is bound."""
    counters = Counters.private(TWO_POOLS)
    with pytest.raises(KeyError, match="not in the metrics catalogue"):
        counters.counter("arrivals_total", "elsewhere")
    with pytest.raises(KeyError, match="is a counter"):
        counters.gauge("arrivals_total", "main")


def test_bucket_bounds_are_inclusive() -> None:
    """A value on a bound belongs to that bucket (Prometheus: le)."""
    house = totals()
    counters, _ = worker(house)
    histogram = counters.histogram("wait_seconds", "main")
    for value in (1, 1.5, 1e9):
        histogram.observe(value)
    text = exposition(house.readings(), "")[0].decode()
    assert 'waitroom_wait_seconds_bucket{le="1",pool="main"} 1.0' in text
    assert 'waitroom_wait_seconds_bucket{le="5",pool="main"} 2.0' in text
    assert 'waitroom_wait_seconds_bucket{le="+Inf",pool="main"} 3.0' in text
    assert 'waitroom_wait_seconds_count{pool="main"} 3.0' in text
    assert 'waitroom_wait_seconds_sum{pool="main"} 1.0000000025e+09' in text


def test_exposition_formats() -> None:
    """A scraper gets the format that it asks for."""
    house = totals()
    _, plain = exposition(house.readings(), "*/*")
    body, openmetrics = exposition(house.readings(), "application/openmetrics-text; version=1.0.0")
    assert plain.startswith("text/plain")
    assert openmetrics.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_catalogue_rules(metric: Metric) -> None:
    """Totals end in _total, every metric says what it is, buckets grow, and no label can name a person."""
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert metric.help.endswith(".")
    assert tuple(sorted(set(metric.buckets))) == metric.buckets
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert set(metric.labels) <= {
        "pool",
        "backend",
        "exam",
        "lane",
        "code",
        "way",
        "reason",
        "name",
        "outcome",
        "end",
        "kind",
        "version",
    }
    assert metric.source in Source
