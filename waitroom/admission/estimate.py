"""How long the wait will be: an honest range from measured flow, or a reason why nobody can say.

Law: never a fake countdown (DESIGN.md law 12). The turn of a visitor with `ahead` people before them comes with the
(ahead + 1)-th admission from now. Admissions come from two taps:

- free slots, let in at the configured rate: arithmetic, give or take `PACED_LOW` and `PACED_HIGH`;
- slots given back by those who leave. How fast that goes is told by up to three measures, and the range spans them:

  1. Counted: `ended` departures in `used_s` seconds of use. Times the slots, that is the flow of the full pool, however
     full it was when it was counted. Right where people leave at any time as likely as at any other.
  2. By length: slots over the mean stay of those who left (Little's law). Too fast while an exam is young, since those
     who leave first were short; the truth is between this and the first.
  3. By age: in a pool that has just filled nobody is done yet. Who came within the last half of a stay leaves after
     the others, and not before a stay is over.

  While people have left for about as long as they stayed, the stays seen are cut short by that very time: then length
  and age say nothing (`credible`).

Where nothing is known of the flow, the ends of exams may still say when slots are free at the latest.

Sessions that nobody ever used count nowhere: their slot is free again after 30 s, and a monitoring probe makes one
every few seconds.

With `a` departures seen, the time to the k-th next one is uncertain by about sqrt(1/k + 1/a) in its logarithm (a
Poisson process whose rate is itself measured); the range reaches `SPREAD` of that beyond the fastest and the slowest
measure. `python -m tests.simulation.estimates` prints how often that holds, over whole mornings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import exp, inf, log, sqrt
from typing import NamedTuple

from waitroom.admission.line import Flow, Snapshot

SPREAD = 1.3
"""How many standard deviations (of the logarithm) the range reaches either way."""

ENOUGH = 30
"""Flow is measured over as much time as it takes to see so many departures (their own error is then about 18 %), and
over more where it was no other before."""

ALIKE = 2.4
"""Standard deviations that two measured flows may lie apart and pass for one."""

FIRST = 10
"""With fewer departures of a flow that has just begun a range would span a factor of ten: nobody knows yet."""

FEWEST = 3
"""The same of a flow that is ten minutes old."""

OLD_S = 590
"""Flow seen for so long is as old as is remembered."""

DRIFT = 0.03
"""Variance for what a Poisson process has not: the flow itself changes while one waits, by some 17 %."""

PACED_LOW, PACED_HIGH = 0.9, 1.3
"""What becomes of a wait that the rate decides: people before one leave, or staff hold admissions for a minute."""

CUT_SHORT = 0.6
"""Where nobody's chance to leave depends on how long they have been in, the stays seen in the first minutes of a flow
are half as long as the flow is old."""

SHORT_S = OLD_S / 3
"""Stays that a flow of ten minutes has hardly cut short, whether it has just become so old or has been for hours."""

APART = 4
"""Measures that are so many times apart say that nobody knows."""

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
    """Below 0: so many must leave before anybody may enter."""
    slots: int
    ended: int
    """Departures in the window."""
    used_s: float
    """For how long sessions have lived in it, in sum."""
    mean_s: float = 0.0
    """How long those that ended in it had lasted on average (0: nothing known)."""
    flowing_s: float = 0.0
    """Since when departures have been seen, ten minutes at most."""
    young: int = 0
    """Sessions that are younger than `young_s`."""
    young_s: float = 0.0
    stayed: float = 1.0
    """Share of those admitted who used what they were given: each of the others makes room for one more at once."""
    stay_on: float = 1.0
    """Share of those in line who are present: as many of those present now will be gone when their turn comes."""
    ramps: bool = False
    """A backend comes back, and its own students go first."""
    ends: tuple[tuple[int, int], ...] = ()
    """Instants (ms), earliest first, and how many slots are free by then at the latest."""
    known: bool = field(init=False)
    credible: bool = field(init=False)
    """Whether lengths and ages say something."""
    counted: float = field(init=False)
    """Departures a second by the first measure."""

    def __post_init__(self) -> None:
        old = self.flowing_s >= OLD_S
        credible = self.mean_s > CUT_SHORT * self.flowing_s or (old and 0 < self.mean_s <= SHORT_S)
        object.__setattr__(self, "known", self.slots > 0 and self.ended >= (FEWEST if old else FIRST))
        object.__setattr__(self, "credible", credible)
        object.__setattr__(self, "counted", self.ended * self.slots / max(self.used_s, 1.0))

    def eta(self, ahead: int) -> Eta | Unknown:
        """The wait of a visitor who has `ahead` present people before them."""
        if self.held:
            return Unknown.HELD
        if self.ramps:
            return Unknown.NO_FLOW
        turn = ahead + 1
        if self.rate_milli:
            paced_s, after_free = max(0.0, (turn - self.tokens) * 1000 / self.rate_milli), turn - self.free
        else:  # whoever waits has no free slot: where the snapshot (up to 1 s old) says so, it is out of date
            paced_s, after_free = 0.0, turn - min(self.free, ahead)
        if after_free <= 0:
            return Eta(int(paced_s * self.stay_on * PACED_LOW), _up(paced_s * PACED_HIGH + POLL_SLACK_S))
        latest_s = self._at_latest_s(after_free) + paced_s
        if not self.known:
            return Eta(0, _up(latest_s)) if latest_s <= LONGEST_S else Unknown.NO_FLOW
        departures = max(1, round(after_free * self.stayed))
        fewest = max(1, round(departures * self.stay_on))
        fastest_s, slowest_s = self.spans(fewest)[0], self.spans(departures)[1]
        if slowest_s > APART * fastest_s:
            return Eta(0, _up(latest_s)) if latest_s <= LONGEST_S else Unknown.NO_FLOW
        spread = exp(SPREAD * sqrt(1 / departures + 1 / self.ended + DRIFT))
        low_s, high_s = fastest_s / spread, slowest_s * spread
        if paced_s:
            low_s, high_s = max(low_s, paced_s * self.stay_on * PACED_LOW), max(high_s, paced_s * PACED_HIGH)
        high_s = min(high_s + POLL_SLACK_S, latest_s)
        low_s = min(low_s, high_s)
        return Eta(int(low_s), _up(high_s)) if low_s < LONGEST_S + 1 else Unknown.NO_FLOW

    def _at_latest_s(self, departures: int) -> float:
        """Until so many slots are free because exams are over."""
        for end_ms, over in self.ends:
            if over >= departures and end_ms > self.now_ms:
                return (end_ms - self.now_ms) / 1000 + POLL_SLACK_S
        return inf

    def spans(self, departures: int) -> tuple[float, float]:
        """Seconds until so many have left: by the fastest measure, and by the slowest."""
        counted_s = departures / self.counted
        if not self.credible:
            return counted_s, counted_s
        by_length_s, by_age_s = departures * self.mean_s / self.slots, self._by_age_s(departures)
        return min(counted_s, by_length_s, by_age_s), max(counted_s, by_length_s, by_age_s)

    def _by_age_s(self, departures: int) -> float:
        """Those who are older than `young_s` leave first, evenly within what is left of a stay; then the young."""
        rounds, rest = divmod(departures, self.slots)
        grown = self.slots - self.young
        first_s = self.mean_s - self.young_s
        if rest <= grown:
            return rounds * self.mean_s + (rest / grown * first_s if grown else 0.0)
        return rounds * self.mean_s + first_s + (rest - grown) / self.young * self.young_s


def regime(snapshot: Snapshot) -> Regime:
    """What a pool's snapshot says about waits. While a backend comes back, newcomers wait for its own students: nobody
    knows how long.
    """
    now_ms, flow, limits = snapshot.now_ms, snapshot.flow, snapshot.limits
    slots, waiting = sum(limits.values()), sum(snapshot.waiting.values())
    first_ms = min((part.start_ms for part in flow if part.ended), default=now_ms)
    seen = _alike(_slices(flow, first_ms, sum(snapshot.sessions.values()), now_ms))
    mean_s = seen.held_s / seen.ended if seen.ended else 0.0
    young_s = min(mean_s / 2, OLD_S)
    came = sum(part.admitted - part.unused for part in flow if part.start_ms >= now_ms - young_s * 1000)
    return Regime(
        now_ms=now_ms,
        held=snapshot.held,
        rate_milli=snapshot.rate_milli,
        tokens=snapshot.tokens_milli // 1000,
        free=slots - sum(snapshot.sessions.get(name, 0) for name, limit in limits.items() if limit),
        slots=slots,
        ended=seen.ended - (seen.ended > 1 and seen.start_ms == first_ms),  # the first opens the window
        used_s=seen.used_s,
        mean_s=mean_s,
        flowing_s=(now_ms - first_ms) / 1000,
        young=max(0, min(slots, came)),
        young_s=young_s,
        ramps=any(course_text.startswith(("recovering", "easing")) for course_text in _courses(snapshot)),
        ends=snapshot.ends,
        stay_on=waiting / (waiting + snapshot.absent) if waiting else 1.0,
        stayed=1 - sum(part.unused for part in flow) / max(1, sum(part.admitted for part in flow)),
    )


def _courses(snapshot: Snapshot) -> Iterator[str]:
    return (text for field, text in snapshot.live.items() if field.startswith("phase:"))


class _Seen(NamedTuple):
    """A while of flow: when it began, who left, seconds that sessions lived in it, seconds that those who left had."""

    start_ms: int
    ended: int = 0
    used_s: float = 0.0
    held_s: float = 0.0

    def before(self, more: "_Seen") -> "_Seen":
        """Together with a while before it."""
        return _Seen(more.start_ms, self.ended + more.ended, self.used_s + more.used_s, self.held_s + more.held_s)


def _slices(flow: Sequence[Flow], first_ms: int, taken: int, now_ms: int) -> Iterator[_Seen]:
    """The slices of time from the latest to the first in which somebody left. Before that nobody could be done yet,
    which says nothing of how fast they leave once the first do. Sessions lived in a slice: as many as after it, less
    who came in it, more who went.
    """
    until_ms = now_ms
    for part in reversed(flow):
        if part.start_ms < first_ms:
            return
        before = max(0, taken - part.admitted + part.ended + part.unused)
        used_s = (until_ms - part.start_ms) * (taken + before) / 2000
        yield _Seen(part.start_ms, part.ended, used_s, part.held_ms / 1000)
        taken, until_ms = before, part.start_ms


def _alike(slices: Iterable[_Seen]) -> _Seen:
    """The latest while that saw enough departures, and before it all that is like it."""
    seen, more = _Seen(0), _Seen(0)
    for part in slices:
        more = more.before(part)
        if more.ended < ENOUGH:
            continue
        if seen.ended and not _is_like(seen, more):
            return seen
        seen, more = seen.before(more), _Seen(0)
    return seen.before(more) if more.start_ms and (not seen.ended or _is_like(seen, more)) else seen


def _is_like(seen: _Seen, more: _Seen) -> bool:
    """Whether people left as fast, as far as so few can tell."""
    if not more.ended or not more.used_s or not seen.used_s:
        return False
    apart = log(seen.ended / seen.used_s) - log(more.ended / more.used_s)
    return abs(apart) <= ALIKE * sqrt(1 / seen.ended + 1 / more.ended)


def _up(seconds: float) -> int:
    return int(seconds) + 1
