"""How long the wait will be: an honest range from measured flow, or a reason why nobody can say.

Law: never a fake countdown (DESIGN.md law 12). The turn of a visitor with `ahead` people before them comes with the
(ahead + 1)-th admission from now. Admissions come from two taps:

- free slots, let in at the configured rate: arithmetic, no guess;
- slots given back by those who leave. Two measures say how fast that goes. Departures counted: `a` of them in `w`
  seconds are a / w, too few while an exam is young and nobody can be done yet. Little's law: `n` sessions that last `d`
  on average are n / d departures, too many while an exam is young, since those who leave first were short. Once the
  exam has run for a while both agree; until then the truth lies between them, and so the range spans both.

With `a` departures seen, the time to the k-th next one is uncertain by about sqrt(1/k + 1/a) in its logarithm (a
Poisson process whose rate is itself measured); the range reaches 1.4 of that beyond the faster and the slower
measure, which holds 84 % of the waits of a steady flow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import exp, sqrt
from typing import NamedTuple

from waitroom.admission.line import Flow, Snapshot

SPREAD = 1.4
"""How many standard deviations (of the logarithm) the range reaches either way."""

WINDOWS_S = (60, 180, 600)
"""Flow is measured over the shortest of these that saw enough departures."""

ENOUGH = 20
"""Departures that make a window trustworthy: their own error is then about 22 %."""

FEWEST = 3
"""With fewer departures than this a range would span a factor of ten: nobody knows yet."""

DRIFT = 0.03
"""Variance for what a Poisson process has not: the flow itself changes while one waits, by some 17 %."""

POLL_SLACK_S = 5
"""A turn is noticed at the next poll, which comes every 2 s near the head."""

LONGEST_S = 4 * 3_600
"""Beyond this a number helps nobody."""


class Unknown(StrEnum):
    """Why no range can be given."""

    HELD = "held"
    NO_FLOW = "no_flow"
    NO_DATA = "no_data"


class Eta(NamedTuple):
    """The wait from now, in whole seconds: at least `low_s`, at most `high_s`."""

    low_s: int
    high_s: int


@dataclass(frozen=True, slots=True)
class Regime:
    """What decides the wait in a pool now: computed once a second, asked for each visitor."""

    now_ms: int
    held: bool
    rate_milli: int
    tokens: int
    free: int
    ended: int
    window_s: float
    taken: int = 0
    mean_s: float = 0.0
    """Sessions now, and how long those that ended in the window had lasted on average (0: nothing known)."""
    _fast: float = field(init=False)
    _slow: float = field(init=False)
    """Departures a second by the faster and by the slower of the two measures."""

    def __post_init__(self) -> None:
        counted = self.ended / self.window_s
        by_length = self.taken / self.mean_s if self.taken and self.mean_s else counted
        object.__setattr__(self, "_fast", max(counted, by_length))
        object.__setattr__(self, "_slow", min(counted, by_length))

    def eta(self, ahead: int) -> Eta | Unknown:
        """The wait of a visitor who has `ahead` present people before them."""
        if self.held:
            return Unknown.HELD
        turn = ahead + 1
        if self.rate_milli:
            paced_s, after_free = max(0.0, (turn - self.tokens) * 1000 / self.rate_milli), turn - self.free
        else:  # whoever waits has no free slot: where the snapshot (up to 1 s old) says so, it is out of date
            paced_s, after_free = 0.0, turn - min(self.free, ahead)
        if after_free <= 0:
            return _range(paced_s, 0.1)
        if self.ended < FEWEST:
            return Unknown.NO_FLOW
        spread = exp(SPREAD * sqrt(1 / after_free + 1 / self.ended + DRIFT))
        low_s, high_s = after_free / self._fast / spread, after_free / self._slow * spread
        if paced_s:
            low_s, high_s = max(low_s, paced_s * 0.9), max(high_s, paced_s * 1.1)
        return Eta(int(low_s), int(high_s + POLL_SLACK_S) + 1) if low_s < LONGEST_S + 1 else Unknown.NO_FLOW


def regime(snapshot: Snapshot) -> Regime:
    """What a pool's snapshot says about waits."""
    free = sum(max(0, limit - snapshot.sessions.get(name, 0)) for name, limit in snapshot.limits.items())
    window = _window(snapshot.flow, snapshot.now_ms)
    ended = sum(part.ended for part in window)
    began_ms = min((part.start_ms for part in window), default=snapshot.now_ms)
    return Regime(
        now_ms=snapshot.now_ms,
        held=snapshot.held,
        rate_milli=snapshot.rate_milli,
        tokens=snapshot.tokens_milli // 1000,
        free=free,
        ended=ended,
        window_s=max(1.0, (snapshot.now_ms - began_ms) / 1000),
        taken=sum(snapshot.sessions.values()),
        mean_s=sum(part.held_ms for part in window) / 1000 / ended if ended else 0.0,
    )


def _window(flow: Sequence[Flow], now_ms: int) -> list[Flow]:
    """The shortest window that saw enough departures. Time before the first of them does not count: when an exam begins
    nobody can be done yet, and that says nothing of how fast they will leave once the first are.
    """
    first_ms = min((part.start_ms for part in flow if part.ended), default=now_ms)
    inside: list[Flow] = []
    for window_s in WINDOWS_S:
        since_ms = max(first_ms, now_ms - window_s * 1000)
        inside = [part for part in flow if part.start_ms >= since_ms]
        if sum(part.ended for part in inside) >= ENOUGH:
            break
    return inside


def _range(middle_s: float, error: float) -> Eta:
    return Eta(int(middle_s * (1 - error)), _up(middle_s * (1 + error) + POLL_SLACK_S))


def _up(seconds: float) -> int:
    return int(seconds) + 1
