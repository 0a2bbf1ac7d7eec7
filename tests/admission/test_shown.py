"""What was shown on arrival is known again at admission, without travelling with the ticket."""

from tests.admission.test_estimate import NOW_MS, make
from waitroom.admission.estimate import Eta
from waitroom.admission.shown import KEPT, STEP_MS, Showings


def test_the_estimate_of_the_moment_of_arrival_counts() -> None:
    """Not that of the admission: the flow has doubled since."""
    shown = Showings()
    before, after = make(), make(now_ms=NOW_MS + STEP_MS, ended=400)
    shown.note(before)
    shown.note(after)
    eta = before.eta(9)
    assert isinstance(eta, Eta)
    assert shown.middle_s(NOW_MS + STEP_MS - 1, 10) == (eta.low_s + eta.high_s) / 2
    assert shown.middle_s(NOW_MS + STEP_MS, 10) != shown.middle_s(NOW_MS, 10)


def test_what_nobody_said_is_not_judged() -> None:
    """Before this worker began, where nothing was known, of a ticket without a position, after a gap."""
    shown = Showings()
    shown.note(make())
    shown.note(make(now_ms=NOW_MS + STEP_MS, ended=0))
    assert shown.middle_s(NOW_MS - 1, 10) is None
    assert shown.middle_s(NOW_MS + STEP_MS, 10) is None
    assert shown.middle_s(NOW_MS, 0) is None
    assert shown.middle_s(NOW_MS + 10 * STEP_MS, 10) is None


def test_it_is_bounded_and_survives_a_clock_that_goes_back() -> None:
    """Three hours are kept; after a jump only what is said from then on counts."""
    shown = Showings()
    for second in range(0, 4 * 3_600, 5):
        shown.note(make(now_ms=NOW_MS + second * 1000))
    assert len(shown._regimes) == KEPT
    shown.note(make(now_ms=NOW_MS))
    assert len(shown._regimes) == 1
