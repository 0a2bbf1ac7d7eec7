"""How honest the estimates are (law 12): coverage, error and width of the first range shown, over kinds of mornings.

    python -m tests.simulation.estimates            every kind, some seeds each
    python -m tests.simulation.estimates --seeds 8 --only outage

Law: what was shown first counts, from the moment it was shown until the student was let in. A kind of morning that
estimates were tuned on is marked; the others were drawn up before and looked at after.
"""

import argparse
import math
import os
import statistics
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

from tests.simulation import crowds
from tests.simulation.mornings import STEP_MS, Change, Morning, Stay, Student, play
from tests.store.driver import T0_MS, Server

LONG_S = 30
PROMISED = 0.8
ERROR = 0.2
FEW = 100


def memoryless(mean_s: float) -> Stay:
    """Whoever is in leaves at any moment as likely as at any other."""
    return lambda chance: chance.expovariate(1 / mean_s)


def exam(mean_s: float, spread_s: float) -> Stay:
    """Most finish about the same time after they began."""
    return lambda chance: max(30.0, chance.gauss(mean_s, spread_s))


def skewed(median_s: float, sigma: float) -> Stay:
    """Many short, a few long."""
    return lambda chance: chance.lognormvariate(math.log(median_s), sigma)


def between(least_s: float, most_s: float) -> Stay:
    """Evenly."""
    return lambda chance: chance.uniform(least_s, most_s)


def three_waves(chance: Random, span_s: float) -> float:
    """Three groups that staff send one after the other."""
    return chance.randrange(3) * span_s / 2 + chance.expovariate(1 / 10.0)


TUNED = [
    Morning("rate, at once", 900, crowds.at_once, 15, (2_000,), exam(3_600, 300), rate_milli=2_000),
    Morning("rate, some vanish", 900, crowds.at_once, 15, (2_000,), exam(3_600, 300), rate_milli=2_000, vanish=0.1),
    Morning("slots, trickle", 500, crowds.trickle, 2_400, (40,), memoryless(240)),
    Morning("slots, at once", 400, crowds.at_once, 15, (80,), memoryless(400)),
    Morning("slots, exam", 500, crowds.at_once, 15, (150,), exam(1_500, 240)),
    Morning("mixed", 600, crowds.at_once, 15, (100, 100), memoryless(400), rate_milli=1_000),
    Morning("two waves", 500, crowds.two_waves, 1_800, (60, 30), skewed(240, 0.6)),
    Morning("no-shows", 400, crowds.ramp, 900, (60,), memoryless(300), no_show=0.2),
    Morning("absent tabs", 500, crowds.at_once, 15, (60,), memoryless(300), absent=0.15, vanish=0.05),
    Morning("limit lowered", 500, crowds.at_once, 15, (90,), memoryless(300), changes=(Change(500, slots=(60,)),)),
    Morning("limit raised", 500, crowds.at_once, 15, (60,), memoryless(300), changes=(Change(500, slots=(90,)),)),
    Morning("outage", 500, crowds.trickle, 900, (60,), memoryless(240),
            changes=(Change(600, held=True), Change(780, held=False))),
    Morning("outage at the rate", 900, crowds.at_once, 15, (3_000,), exam(3_600, 300), rate_milli=2_000,
            vanish=0.03, changes=(Change(200, held=True), Change(245, held=False))),
]  # fmt: skip

FRESH = [
    Morning("fresh: 1,400 at nine", 1_400, crowds.at_once, 15, (300, 300), exam(2_400, 400), rate_milli=5_000),
    Morning("fresh: small pool", 60, crowds.trickle, 600, (5,), between(60, 300)),
    Morning("fresh: three waves", 600, three_waves, 1_800, (120,), between(200, 1_000), rate_milli=2_000),
    Morning("fresh: skewed stays", 500, crowds.ramp, 1_200, (70,), skewed(180, 1.0), vanish=0.05, leave=0.05),
    Morning("fresh: long exam", 500, crowds.two_waves, 600, (180,), exam(3_000, 500), no_show=0.05, absent=0.1),
    Morning("fresh: rate changed", 900, crowds.ramp, 300, (3_000,), exam(3_600, 300), rate_milli=1_500,
            changes=(Change(300, rate_milli=2_000),)),
    Morning("fresh: hold at the rate", 800, crowds.ramp, 240, (3_000,), exam(3_600, 300), rate_milli=2_500,
            vanish=0.05, absent=0.05, changes=(Change(150, held=True), Change(200, held=False))),
    Morning("fresh: two pools' worth", 700, three_waves, 900, (40, 80), skewed(300, 0.8), rate_milli=1_000, absent=0.1),
    Morning("fresh: lowered, trickle", 500, crowds.trickle, 1_500, (50, 50), between(150, 450),
            changes=(Change(700, slots=(35, 35)),)),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """How one kind of morning went."""

    name: str
    waits: int
    """Of students who were shown a range and stayed until they were let in."""
    answered: float
    """Share of those asked at arrival who were shown a range then, and not that nobody knows."""
    inside: int
    early: int
    """Let in before the range began."""
    error: float
    """Median of |middle - actual| / actual, the first shown once flow was established, of half a minute and more."""
    bias: float
    """Median of middle / actual - 1, of the same: above 0 people waited less than was said."""
    width: float
    """Median of (high - low) / actual, of the same."""
    wait_s: float
    firm: int
    """Waits during which flow was established."""

    @property
    def coverage(self) -> float:
        """Share of waits that ended inside."""
        return self.inside / self.waits if self.waits else 1.0

    def __str__(self) -> str:
        """A line of the table."""
        waits = max(1, self.waits)
        late = self.waits - self.inside - self.early
        return (
            f"{self.name:28} {self.waits:6} {self.wait_s:5.0f} s {self.answered:6.0%} {self.firm / waits:6.0%} "
            f"{self.coverage:7.1%} {self.early / waits:6.1%} {late / waits:6.1%} {self.error:6.1%} {self.bias:+6.0%} "
            f"{self.width:6.2f}"
        )

    @property
    def holds(self) -> bool:
        """Whether it is as promised. An error that rests on few waits says nothing."""
        return self.coverage >= PROMISED and (self.error <= ERROR or self.firm < FEW)

    @classmethod
    def of(cls, name: str, students: Iterable[Student]) -> "Score":
        """Count."""
        asked = [one for one in students if one.asked and one.admitted_ms and not one.disturbed]
        first = [(one.wait_s(one.shown), one.shown, one) for one in asked if one.shown]
        firm = [(one.wait_s(one.firm), one.firm) for one in asked if one.firm]
        return cls(
            name,
            len(first),
            sum(shown.at_ms - T0_MS - one.comes_ms <= 2 * STEP_MS for _, shown, one in first) / max(1, len(asked)),
            sum(shown.eta.low_s <= wait_s <= shown.eta.high_s for wait_s, shown, _ in first),
            sum(wait_s < shown.eta.low_s for wait_s, shown, _ in first),
            _median(abs(shown.middle_s / wait_s - 1) for wait_s, shown in firm if wait_s >= LONG_S),
            _median(shown.middle_s / wait_s - 1 for wait_s, shown in firm if wait_s >= LONG_S),
            _median((shown.eta.high_s - shown.eta.low_s) / wait_s for wait_s, shown in firm if wait_s >= LONG_S),
            _median(wait_s for wait_s, *_ in first),
            len(firm),
        )


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values) or [0.0])


def measure(name: str, seeds: range) -> Score:
    """One kind, over some seeds."""
    morning = next(kind for kind in TUNED + FRESH if kind.name == name)
    server = Server()
    try:
        students = [one for seed in seeds for one in play(morning, seed, server.client)]
    finally:
        server.stop()
    return Score.of(morning.name, students)


def main() -> int:
    """Print the table; the exit code says whether the law holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.estimates", description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    wanted = parser.parse_args()
    kinds = [kind for kind in TUNED + FRESH if wanted.only in kind.name]
    print(
        f"{'morning':28} {'waits':>6} {'wait':>7} {'shown':>6} {'firm':>6} {'inside':>7} {'early':>6} {'late':>6} "
        f"{'error':>6} {'bias':>6} {'width':>6}"
    )
    scores = []
    with ProcessPoolExecutor(wanted.jobs) as pool:
        for score in pool.map(measure, [kind.name for kind in kinds], [range(1, 1 + wanted.seeds)] * len(kinds)):
            scores.append(score)
            print(score, flush=True)
    broken = [score.name for score in scores if not score.holds]
    print(f"not as promised: {', '.join(broken)}" if broken else "all as promised")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
