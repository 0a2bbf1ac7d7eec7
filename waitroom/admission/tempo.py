"""How fast newcomers enter a pool whose capacity nobody knows: `admission.adaptive`.

Law: the rate moves between `min_rate` and `rate`, with what is seen of the backends: the 95th percentile of their
answer times, the load, the share of requests that fail, and those that wait for a place there. It does not grow while
nobody waits in line. Nothing here reads a clock: the conductor steps it once a second, and what it must remember is the
text of a `Tempo`, which the store keeps, so that any other conductor goes on from there.

**What makes it hard.** A request costs a server milliseconds, an admission costs it a session of hours; and who enters
now asks for the dearest page minutes later. So a rate that is right is one at which as many come as go, and one that is
a little too high overloads the server slowly, for sure, and for long. A control that moves the rate itself up and down
(AIMD) always has to overshoot to learn that. Instead

    rate = sessions that end per second + sessions at work x stride x room

The first part keeps the load as it is. The second lets it grow, in proportion to what the pool is seen to carry now: a
part `stride` of that each second, at most 1/120, so that what was admitted and is not felt yet is never much of what is
proven. Sessions at work are as many as would send the requests that are seen: who was admitted at 08:45 and waits for
nine o'clock proves nothing. `room` is 1 while the pressure (the worst of the signs, as a share of what is
allowed) is below one half, and falls to 0 at 1. Beyond that the first part is cut as well, to nothing at 3.

**How it settles.** Just below its capacity a server is as fast as ever, so the room says little before it is too late.
The stride is what is learned: halved when the pressure comes to 1, doubled after a minute in which people waited and
the pressure was low. So the first approach is fast, the next ones are slower each time, and in the end only those who
leave are replaced. A server that can take more later, when all write and nobody begins, gets more at strides that
double. All is relative to what is there: nothing must be known of the server, or of how long sessions last.

**What it cannot do.** Who is in keeps asking: a server that has tipped over (locks, a full backlog) is not brought back
by admitting nobody. That is for the limit of requests in flight (limits.py), so `adaptive` needs `max_inflight`. And
`min_rate` is a promise to those in line, kept whatever happens: over the length of a session it must come to less than
the server carries, such as 1/min.

**Noise.** Twenty answers say little of a 95th percentile. It counts as exceeded only where that is hardly chance: the
answer that stands two standard deviations of the rank lower is above the target as well. Of fewer than five it is not
judged.

**Slow pages.** Who enters asks for the slowest pages first, and those are slow on an idle server too. So where the load
is known (limits.py: how many times longer requests take than alone, each kind against its own), slow answers press at
most half as much as the load: at a load of 1, when nobody waits for anybody, that holds nothing back. Where it is not
known, they count from four requests at a time on.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from waitroom.admission.traffic import BOUNDS_MS, Traffic

LOOK_BACK_S = 30
"""Traffic of so many seconds is what is judged."""

LOOK_BACK_ENDS_S = 60
"""Sessions that ended in so many seconds are what leaves per second."""

FIRST_SESSIONS = 60
"""With fewer sessions than these it grows as with these: what any exam server carries."""

ALL_BOUNDS_MS = (*BOUNDS_MS, 2 * BOUNDS_MS[-1])

ACTIVE_S = 30
"""Who works asks for something every half minute: a save a minute (Moodle), and a page."""

MILLIONTH = 1_000_000
MAX_STRIDE, MIN_STRIDE = MILLIONTH // 120, MILLIONTH // 2_400
"""Growth a second, in millionths: e-fold in two minutes, or in forty."""

CALM_MS = 60_000
"""After so long without pressure the stride is doubled."""

CALM = 0.7
"""Pressure below this is none."""

UNUSED = 0.99
"""A rate that nobody waits for falls by a hundredth a second to what it would be."""

MAX_RATE_MILLI = 1_000_000
"""The most where the settings state no rate."""

AMPLE = 0.5
"""Pressure below which nothing is held back."""

NOTHING = 3.0
"""Pressure at which nobody is replaced any more."""

FAILING_SHARE = 0.05
"""Failed requests that are a pressure of 1."""

WAITING_SHARE = 0.5
"""Requests that wait for a place at a backend, as a share of its places, that are a pressure of 1."""

SATURATED = 0.8
"""Pressure of a backend at whose limit somebody had to wait."""

ANSWERS_FEWEST = 5
IDLE_LEVEL = 4.0
"""With fewer requests at a time than these, a slow answer is a slow page."""

HEAVY_LOAD = 2.0
"""At a load of this, requests wait for each other: a slow answer is a sign of it."""

EXCESSIVE_LOAD = 4.0
"""A load that is a pressure of 1, also where answers are quick enough: a limit of requests in flight keeps it below 3,
so something else than requests slows the server down, such as sessions that do not fit into its memory."""


class Bounds(NamedTuple):
    """What the settings say."""

    rate_milli: int
    min_rate_milli: int
    target_p95_ms: int


class Signs(NamedTuple):
    """What is known of a pool now."""

    backends: Sequence[Traffic] = ()
    """Of each backend that is up, the last `LOOK_BACK_S` seconds."""
    sessions: int = 0
    ended: int = 0
    """Sessions that ended within the last `LOOK_BACK_ENDS_S` seconds."""
    waiting: int = 0
    """People present in line, who may enter."""


class Tempo(NamedTuple):
    """What is known from before."""

    rate_milli: int = 0
    """The rate of now; 0: none yet."""
    stride: int = MAX_STRIDE
    calm_since_ms: int = 0
    pressed: bool = False
    """Whether the pressure was above 1."""

    @property
    def text(self) -> str:
        """What the store keeps."""
        rate_milli, stride, calm_since_ms, pressed = self
        return f"{rate_milli} {stride} {calm_since_ms} {int(pressed)}"

    @classmethod
    def read(cls, text: str) -> "Tempo":
        """What such a text says; a text that is none (of another version) is a beginning."""
        try:
            rate_milli, stride, calm_since_ms, pressed = map(int, text.split())
        except ValueError:
            return cls()
        stride = min(MAX_STRIDE, max(MIN_STRIDE, stride))
        return cls(rate_milli, stride, calm_since_ms, bool(pressed))


def step(tempo: Tempo, signs: Signs, bounds: Bounds, now_ms: int) -> Tempo:
    """The tempo after one more look at the pool."""
    if not signs.backends:  # there is nothing to be seen, and nowhere to go
        return tempo._replace(rate_milli=max(tempo.rate_milli, bounds.min_rate_milli), calm_since_ms=now_ms)
    pressure = max(pressure_of(traffic, bounds.target_p95_ms) for traffic in signs.backends)
    seen = all(sum(traffic.durations) >= ANSWERS_FEWEST for traffic in signs.backends)
    tempo = _learn(tempo, pressure, now_ms, used=signs.waiting > 0 and seen)
    ends = signs.ended / LOOK_BACK_ENDS_S
    active = sum(traffic.requests for traffic in signs.backends) * ACTIVE_S / LOOK_BACK_S
    grows = max(FIRST_SESSIONS, min(signs.sessions, active)) * tempo.stride / MILLIONTH
    room = min(1.0, max(0.0, (1.0 - pressure) / (1.0 - AMPLE)))
    kept = min(1.0, max(0.0, (NOTHING - pressure) / (NOTHING - 1.0)))
    rate_milli = round(1_000 * (ends * kept + grows * room))
    if not signs.waiting and pressure < 1.0 and tempo.rate_milli:
        rate_milli = min(tempo.rate_milli, max(rate_milli, round(tempo.rate_milli * UNUSED)))
    return tempo._replace(rate_milli=min(bounds.rate_milli or MAX_RATE_MILLI, max(bounds.min_rate_milli, rate_milli)))


def pressure_of(traffic: Traffic, slow_ms: int) -> float:
    """How near a backend is to what is allowed: 1 is there."""
    return max(
        _slowness(traffic, slow_ms), (traffic.load or 0.0) / EXCESSIVE_LOAD, _failing(traffic), _crowding(traffic)
    )


def _learn(tempo: Tempo, pressure: float, now_ms: int, *, used: bool) -> Tempo:
    if pressure >= 1.0:
        stride = tempo.stride if tempo.pressed else max(MIN_STRIDE, tempo.stride // 2)
        return tempo._replace(stride=stride, calm_since_ms=now_ms, pressed=True)
    tempo = tempo._replace(pressed=False)
    if pressure >= CALM or not used or not now_ms - tempo.calm_since_ms >= 0:
        return tempo._replace(calm_since_ms=now_ms)
    if now_ms - tempo.calm_since_ms < CALM_MS:
        return tempo
    return tempo._replace(stride=min(MAX_STRIDE, tempo.stride * 2), calm_since_ms=now_ms)


def _slowness(traffic: Traffic, slow_ms: int) -> float:
    """The 95th percentile as a share of what is allowed; above 1 only where that is hardly chance."""
    total = sum(traffic.durations)
    if total < ANSWERS_FEWEST:
        return 0.0
    measured_ms = _ranked_ms(traffic, 0.95 * total)
    surely_ms = _ranked_ms(traffic, 0.95 * total - 2 * sqrt(0.95 * 0.05 * total))
    slowness = max(surely_ms, min(measured_ms, slow_ms)) / slow_ms
    if traffic.load is not None:
        return min(slowness, traffic.load / HEAVY_LOAD)
    spent_ms = sum(count * bound for count, bound in zip(traffic.durations, ALL_BOUNDS_MS, strict=True))
    return slowness if spent_ms >= IDLE_LEVEL * LOOK_BACK_S * 1_000 else min(slowness, AMPLE)


def _failing(traffic: Traffic) -> float:
    surely = traffic.failed - 2 * sqrt(traffic.failed)
    return max(0.0, surely) / (FAILING_SHARE * traffic.requests) if traffic.requests else 0.0


def _crowding(traffic: Traffic) -> float:
    if not traffic.inflight_limit:
        return 0.0
    crowd = traffic.waiting / (WAITING_SHARE * traffic.inflight_limit)
    return max(crowd, SATURATED) if traffic.saturated else crowd


def _ranked_ms(traffic: Traffic, rank: float) -> float:
    """The answer time of this rank, from the fastest, as if those of a bucket were spread over it evenly."""
    below, lower_ms = 0, 0.0
    for count, upper_ms in zip(traffic.durations, ALL_BOUNDS_MS, strict=True):
        if count and below + count >= rank:
            return lower_ms + (upper_ms - lower_ms) * max(0.0, rank - below) / count
        below, lower_ms = below + count, upper_ms
    return lower_ms
