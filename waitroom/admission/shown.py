"""What visitors were told when they came, worked out when they are let in: how good the estimates were.

Law: nothing travels with a ticket but its arrival and its position then. All workers make their estimates from the same
store once a second, so each knows what any of them has said, for as long as it has been running; what was said before
that is not known, and not judged.
"""

from bisect import bisect_right
from collections import deque

from waitroom.admission.estimate import Eta, Regime

STEP_MS = 10_000
KEPT = 1_080
"""Three hours: half a megabyte a pool, and only while somebody waits there."""


class Showings:
    """The estimates of one pool over time."""

    def __init__(self) -> None:
        self._regimes: deque[Regime] = deque(maxlen=KEPT)

    def note(self, known: Regime) -> None:
        """Estimates are made from this from now on."""
        last_ms = self._regimes[-1].now_ms if self._regimes else 0
        if known.now_ms < last_ms:  # the clock went back: which of two was meant cannot be said any more
            self._regimes.clear()
        if not self._regimes or known.now_ms >= last_ms + STEP_MS:
            self._regimes.append(known)

    def middle_s(self, arrival_ms: int, position: int) -> float | None:
        """The middle of the range that was shown to somebody on arrival; None if there was none, or nobody knows."""
        at = bisect_right(self._regimes, arrival_ms, key=lambda known: known.now_ms) - 1
        if at < 0 or position < 1 or arrival_ms > self._regimes[at].now_ms + 2 * STEP_MS:
            return None
        eta = self._regimes[at].eta(position - 1)
        return (eta.low_s + eta.high_s) / 2 if isinstance(eta, Eta) else None
