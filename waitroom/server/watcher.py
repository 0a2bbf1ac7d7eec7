"""Counts and logs what the listener did: the one place where requests become metrics and access lines.

Law: counting a request is a look-up and three additions. Nothing personal leaves here: a path without its query, no
address.
"""

from collections.abc import Callable, Iterable
from math import inf

import structlog

from waitroom import clock
from waitroom.logs import AccessLog
from waitroom.metrics.catalogue import BUSY, CODES, ENDS, KINDS
from waitroom.metrics.counters import Counter, Counters, Gauge, Histogram
from waitroom.proxy.decisions import Request
from waitroom.proxy.guard import Level
from waitroom.proxy.limiters import UNLIMITED
from waitroom.server.reports import Reports, Tally

log = structlog.get_logger(__name__)

FAILURES_LOGGED_MS = 1_000
"""A failing backend is logged once in this time, with the number of failures since."""

_CLASS_OF = {code: f"{code // 100}xx" for code in range(100, 600)} | {499: "499"}

AccessNote = Callable[[Request, int, int, float, str | None], None]


class Watcher:
    """The listener's observer."""

    def __init__(
        self,
        counters: Counters,
        backends: Iterable[tuple[str, str]],
        reports: Reports,
        *,
        access: bool,
        on_deserted: Callable[[str], None] = lambda _target: None,
    ) -> None:
        """`on_deserted` is told of a backend that nobody listens at any more."""
        self._on_deserted = on_deserted
        self._own = {code: counters.counter("requests_total", "", "", code) for code in CODES}
        self._counters = counters
        self._reports = reports
        self._tallies: dict[str, Tally] = {}
        self._codes: dict[str, dict[str, Counter]] = {}
        self._failed: dict[str, dict[str, Counter]] = {}
        self._durations: dict[str, Histogram] = {}
        self._levels: dict[str, tuple[Gauge, Gauge, Gauge]] = {}
        self._waits: dict[str, dict[str, Counter]] = {}
        self._waited: dict[str, Histogram] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._logged_ms = -FAILURES_LOGGED_MS
        self._lines = AccessLog(clock.now_ms)
        self.access: AccessNote | None = None
        self.renew(backends, access=access)

    def renew(self, backends: Iterable[tuple[str, str]], *, access: bool) -> None:
        """New settings: know these backends (pool, backend), and log each request or not."""
        self.access = self._note if access else None
        for gauge in (each for gauges in self._levels.values() for each in gauges):
            gauge.set(0)  # a backend that leaves the file would keep its last level; others have theirs in a second
        self._levels.clear()
        for pool, backend in backends:
            target = f"{pool}/{backend}"
            self._tallies[target] = self._reports.tally(target)
            self._codes[target] = {
                code: self._counters.counter("requests_total", pool, backend, code) for code in CODES
            }
            self._failed[target] = {
                kind: self._counters.counter("backend_failures_total", pool, backend, kind) for kind in KINDS
            }
            self._durations[target] = self._counters.histogram("request_duration_seconds", pool, backend)
            self._levels[target] = (
                self._counters.gauge("inflight", pool, backend),
                self._counters.gauge("inflight_limit", pool, backend),
                self._counters.gauge("inflight_waiting", pool, backend),
            )
            self._waits[target] = {
                end: self._counters.counter("inflight_waits_total", pool, backend, end) for end in ENDS
            }
            self._waited[target] = self._counters.histogram("inflight_wait_seconds", pool, backend)

    def request_done(self, target: str, status: int, seconds: float, stranger: bool) -> None:
        """A relayed request has ended. What strangers are told says nothing of a backend: they may ask for errors."""
        codes = self._codes.get(target)
        if codes is not None:
            codes[_CLASS_OF.get(status, "5xx")].inc()
            self._durations[target].observe(seconds)
            if not stranger:
                self._tallies[target].ended(status, seconds)

    def own_done(self, status: int) -> None:
        """An answer of our own has been given."""
        self._own[_CLASS_OF.get(status, "5xx")].inc()

    def backend_failed(self, target: str, kind: str, stranger: bool) -> None:
        """A backend did not do its part. As above: a request may be made so that it cannot."""
        counts = self._failed.get(target)
        if counts is not None:
            counts[kind].inc()
            if not (stranger or kind == BUSY) and self._tallies[target].failed(kind):  # busy: it was not asked
                self._on_deserted(target)
        self._failures[target, kind] = self._failures.get((target, kind), 0) + 1
        self.flush_failures()

    def waited(self, target: str, end: str, seconds: float) -> None:
        """A request's wait for a place has ended."""
        if target in self._waits:
            self._waits[target][end].inc()
            self._waited[target].observe(seconds)

    def levels(self, levels: dict[str, Level]) -> None:
        """A second has passed: how each backend stands in this worker."""
        for target, level in levels.items():
            if target in self._levels:
                inflight, limit, waiting = self._levels[target]
                inflight.set(level.inflight)
                limit.set(inf if level.limit == UNLIMITED else level.limit)
                waiting.set(level.waiting)
        self.flush_failures()

    def flush_failures(self) -> None:
        """Log failures since the last line, at most once a second."""
        now_ms = clock.monotonic_ms()
        if not self._failures or now_ms - self._logged_ms < FAILURES_LOGGED_MS:
            return
        self._logged_ms = now_ms
        failures, self._failures = self._failures, {}
        for (target, kind), count in failures.items():
            log.warning("backend_failed", backend=target, kind=kind, count=count)

    def close(self) -> None:
        """Write what is left."""
        self._lines.close()

    def _note(self, request: Request, status: int, sent_bytes: int, seconds: float, target: str | None) -> None:
        pool, _, backend = (target or "").partition("/")
        self._lines.note(
            request.id,
            request.method.decode("ascii", "replace"),
            request.target.partition(b"?")[0].decode("latin-1"),
            status=status,
            duration_ms=int(seconds * 1000),
            sent_bytes=sent_bytes,
            pool=pool,
            backend=backend,
        )
