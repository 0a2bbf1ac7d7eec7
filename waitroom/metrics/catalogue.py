"""Every metric this product exports: name, kind, labels, help and buckets.

Law: a name is public (DESIGN.md section 11) and its labels are bounded by the settings: pools, backends, exams, lanes
and code classes; never a visitor, an address or a path. A metric whose source is `LATER` is promised and not exported
yet.
"""

from dataclasses import dataclass
from enum import StrEnum

from waitroom.errors import BackendError, StoreAwayError

PREFIX = "waitroom_"

CODES = ("1xx", "2xx", "3xx", "4xx", "499", "5xx")
"""Classes of an answer: by its status; 499 is a client that left before its answer was complete, as in nginx."""

WAYS = ("direct", "line", "return")
REASONS = ("released", "left", "lapsed", "absent")
"""Ends of sessions (released by a rule, lapsed by a time-out) and of places in line (left, absent too long)."""

KINDS = BackendError.KINDS
"""Ways in which a backend fails; the error says what each means."""

BUSY = "busy"
"""The one in which it did nothing wrong: a request was not sent, since it has as many as it may."""

CONNECT_KINDS = BackendError.UNSENT - {BUSY}
"""Those by which it did not even take the request."""

CAUSES = StoreAwayError.KINDS
"""The same of the store."""

OUTCOMES = ("direct", "waited", "page", "refused", "sent", "left")
"""Of a paced request: passed at once, or after a wait; was met by a page that keeps it, or by a refusal; was not passed
since the same form had been; its client left before its turn."""

ENDS = ("served", "late", "crowded", "left")
"""How a request's wait for a place among max_inflight ended (proxy/guard.py)."""

WAIT_BUCKETS_S = (1, 5, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 2_700, 3_600, 7_200)
RATIO_BUCKETS = (0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2, 4)
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
STORE_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Kind(StrEnum):
    """What Prometheus calls the type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Who knows the value."""

    WORKERS = "workers"
    """Counted in the workers' memory and summed."""
    STORE = "store"
    """Read from the store at scrape time."""
    SUPERVISOR = "supervisor"
    """Known to the process that is scraped."""
    LATER = "later"
    """Nobody yet; not exported."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. `name` is without the prefix, and for a counter with its `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    source: Source
    buckets: tuple[float, ...] = ()

    @property
    def cells(self) -> int:
        """Numbers that one series takes: a histogram has one a bucket, one for +Inf, one for the sum."""
        return len(self.buckets) + 2 if self.kind is Kind.HISTOGRAM else 1


def _counter(name: str, labels: tuple[str, ...], text: str, source: Source = Source.WORKERS) -> Metric:
    return Metric(name, Kind.COUNTER, labels, text, source)


def _gauge(name: str, labels: tuple[str, ...], text: str, source: Source) -> Metric:
    return Metric(name, Kind.GAUGE, labels, text, source)


def _histogram(
    name: str, labels: tuple[str, ...], buckets: tuple[float, ...], text: str, source: Source = Source.WORKERS
) -> Metric:
    return Metric(name, Kind.HISTOGRAM, labels, text, source, buckets)


_POOL = ("pool",)
_BACKEND = ("pool", "backend")

_METRICS = (
    _gauge("waiting", ("pool", "lane"), "Present tickets in line.", Source.STORE),
    _gauge("lobby", ("pool", "exam"), "Tickets of an exam that has not opened yet.", Source.STORE),
    _gauge("sessions", _BACKEND, "Live sessions.", Source.STORE),
    _gauge("sessions_limit", _BACKEND, "max_sessions of the backend.", Source.STORE),
    _gauge("admission_rate", _POOL, "Admissions a second that the pool allows; +Inf without a limit.", Source.STORE),
    _gauge("held", _POOL, "1 while admissions of the pool are on hold.", Source.STORE),
    _gauge("inflight", _BACKEND, "Requests at the backend now, with those that only stream.", Source.WORKERS),
    _gauge("inflight_limit", _BACKEND, "max_inflight of the backend, or what it was found to be.", Source.WORKERS),
    _gauge("inflight_waiting", _BACKEND, "Requests that wait for a place among max_inflight.", Source.WORKERS),
    _counter("inflight_waits_total", (*_BACKEND, "end"), "Requests that had to wait so, by how their wait ended."),
    _histogram("inflight_wait_seconds", _BACKEND, REQUEST_BUCKETS_S, "How long they waited."),
    _counter("arrivals_total", _POOL, "Newcomers who were given a ticket."),
    _counter("admissions_total", ("pool", "way"), "Tickets that became passes, by way: direct, line or return."),
    _counter("departures_total", ("pool", "reason"), "Sessions and places that ended, by reason."),
    _histogram("wait_seconds", _POOL, WAIT_BUCKETS_S, "From arrival to admission."),
    _histogram("wait_estimate_ratio", _POOL, RATIO_BUCKETS, "Actual wait / middle of the range shown on arrival."),
    _counter("requests_total", ("pool", "backend", "code"), "Answers; backend is empty for our own."),
    _histogram("request_duration_seconds", _BACKEND, REQUEST_BUCKETS_S, "From request head to the answer's last byte."),
    _counter("backend_failures_total", (*_BACKEND, "kind"), "Requests that a backend failed, by the way it failed."),
    _gauge("backend_up", _BACKEND, "0 while the backend is down, or held by staff.", Source.STORE),
    _gauge("returning", _BACKEND, "Students with a session who wait to come back to it.", Source.STORE),
    _gauge("return_rate", _BACKEND, "How many a second may come back to it; +Inf without a ramp.", Source.STORE),
    _counter("paced_total", ("name", "outcome"), "Requests smoothed by a pace, by outcome."),
    _counter("cookies_refused_total", _POOL, "Cookies of our name that did not verify."),
    _histogram("store_call_seconds", (), STORE_BUCKETS_S, "One batch to the store and back."),
    _counter("store_failures_total", ("cause",), "Connections to the store that failed or were not made."),
    _gauge("store_up", (), "1 if the line could be read for this scrape.", Source.SUPERVISOR),
    _counter("store_restarts_total", (), "Times the embedded store was started again.", Source.SUPERVISOR),
    _gauge("config_reload_success", (), "1 if the last reload was applied; 1 before the first.", Source.SUPERVISOR),
    _gauge("config_last_reload_timestamp_seconds", (), "When settings were last applied.", Source.SUPERVISOR),
    _gauge("workers", (), "Workers that accept connections.", Source.SUPERVISOR),
    _counter("worker_restarts_total", (), "Workers that were replaced.", Source.SUPERVISOR),
    _gauge("build_info", ("version",), "Always 1.", Source.SUPERVISOR),
)

CATALOGUE: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
