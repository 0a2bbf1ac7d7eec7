"""The gate's counters, bound once to their slots so that counting costs one addition."""

from collections.abc import Sequence

from waitroom.admission.line import Standing
from waitroom.metrics.catalogue import OUTCOMES
from waitroom.metrics.counters import Counters


class GateMeters:
    """Arrivals and admissions of every pool, and what paces did; departures are counted where they are swept."""

    def __init__(self, counters: Counters, pools: list[str], paces: Sequence[str] = ()) -> None:
        self._arrivals = {pool: counters.counter("arrivals_total", pool) for pool in pools}
        self._admissions = {
            (pool, way): counters.counter("admissions_total", pool, way)
            for pool in pools
            for way in ("direct", "line", "return")
        }
        self._waits = {pool: counters.histogram("wait_seconds", pool) for pool in pools}
        self._paced = {
            (name, outcome): counters.counter("paced_total", name, outcome) for name in paces for outcome in OUTCOMES
        }
        self._ratios = {pool: counters.histogram("wait_estimate_ratio", pool) for pool in pools}
        self._refused = {pool: counters.counter("cookies_refused_total", pool) for pool in pools}

    def arrived(self, pool: str) -> None:
        """A newcomer took a ticket."""
        self._arrivals[pool].inc()

    def admitted(self, pool: str, standing: Standing, way: str) -> None:
        """A visitor was told that they are in; a repeated answer is not counted again."""
        if standing.repeated:
            return
        self._admissions[pool, way].inc()
        self._waits[pool].observe(max(0.0, standing.now_ms - standing.arrival_us / 1000) / 1000)

    def paced(self, name: str, outcome: str) -> None:
        """A request that the pace `name` smooths has passed, or not."""
        self._paced[name, outcome].inc()

    def judged(self, pool: str, wait_s: float, middle_s: float) -> None:
        """Somebody was let in who had been shown a range on arrival."""
        self._ratios[pool].observe(wait_s / max(1.0, middle_s))

    def refused(self, pool: str) -> None:
        """A cookie of our name did not verify."""
        self._refused[pool].inc()
