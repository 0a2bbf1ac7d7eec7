"""What a worker learns from the reports of others about the limits that they have found."""

from waitroom.admission.traffic import Traffic, write
from waitroom.server.reports import Reports


def test_only_others_who_are_at_their_limit_count() -> None:
    """Who is not has nothing to tell: their limit stands where it happened to stop."""
    mine = Reports()
    told = {
        mine.worker: write({"a": Traffic(inflight_limit=2, saturated=1)}),
        "one": write({"a": Traffic(inflight_limit=8, saturated=1), "b": Traffic(inflight_limit=5)}),
        "two": write({"a": Traffic(inflight_limit=10, saturated=1), "b": Traffic(saturated=1)}),
        "three": write({"a": Traffic(inflight_limit=90)}),
    }
    mine.heard("main", told)
    assert mine.fellows == {"main/a": 9.0}
    assert (len(mine.workers), mine.workers[mine.rank]) == (4, mine.worker)
    mine.heard("other", {"one": write({"a": Traffic(inflight_limit=3, saturated=1)})})
    assert mine.fellows == {"main/a": 9.0, "other/a": 3.0}
    mine.heard("main", {"one": write({"a": Traffic(inflight_limit=8)}), "old": "no report"})
    assert mine.fellows == {"other/a": 3.0}
