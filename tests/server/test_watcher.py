"""What a worker makes of the ends of requests: numbers for operators, and signs of how a backend is."""

from waitroom.admission.traffic import Traffic
from waitroom.metrics.counters import Counters
from waitroom.metrics.layout import Labels
from waitroom.server.reports import DESERTED, Reports
from waitroom.server.watcher import Watcher

TARGET = "main/main-1"


def test_what_strangers_are_told_says_nothing_about_a_backend() -> None:
    """They may ask for errors as often as they like: it is counted, and no backend is slow, troubled or down by it."""
    counters, reports, deserted = Counters.private(Labels({"main": ("main-1",)})), Reports(), list[str]()
    watcher = Watcher(counters, [("main", "main-1")], reports, access=False, on_deserted=deserted.append)

    def fail(*, stranger: bool) -> None:
        for _ in range(DESERTED):
            watcher.backend_failed(TARGET, "refused", stranger)
            watcher.request_done(TARGET, 502, 9.0, stranger)
        watcher.request_done(TARGET, 500, 0.1, stranger)

    fail(stranger=True)
    assert reports.tally(TARGET).take(None) == Traffic()
    assert deserted == []
    assert counters.value("requests_total", "main", "main-1", "5xx") == DESERTED + 1
    fail(stranger=False)
    seen = reports.tally(TARGET).take(None)
    assert (seen.requests, seen.failed_connect, seen.failed_5xx) == (DESERTED + 1, DESERTED, 1)
    assert deserted == [TARGET]
    watcher.close()
