"""Crowds: when the students of a morning come, and what each of them will do.

Law: pure, from a seed.
"""

from collections.abc import Callable, Sequence
from random import Random

from tests.simulation.students import Habits, Life

Shape = Callable[[Random, float], float]
"""One arrival, in seconds, of a morning whose arrivals take about so many seconds."""


def at_once(chance: Random, _span_s: float) -> float:
    """Everybody clicks at nine."""
    return min(chance.expovariate(1 / 1.5), 15.0)


def ramp(chance: Random, span_s: float) -> float:
    """More and more towards the end."""
    return float(span_s * chance.random() ** 0.5)


def trickle(chance: Random, span_s: float) -> float:
    """Evenly."""
    return chance.uniform(0.0, span_s)


def two_waves(chance: Random, span_s: float) -> float:
    """Half at the beginning, half at two thirds: the second exam's students, or those whom staff told to come again."""
    return (0.0 if chance.random() < 0.5 else span_s * 0.66) + chance.expovariate(1 / 3.0)


SHAPES: dict[str, Shape] = {
    "at once": at_once,
    "ramp": ramp,
    "trickle": trickle,
    "two waves": two_waves,
}


def lives(
    seed: str, number: int, *, exams: Sequence[str], shape: Shape, span_s: float, works_s: float, habits: Habits
) -> list[Life]:
    """A crowd."""
    return [
        _life(
            Random(f"{seed}/life/{at}"),
            f"s{at:03}",
            exams=exams,
            comes_s=shape(Random(f"{seed}/comes/{at}"), span_s),
            works_s=works_s,
            habits=habits,
        )
        for at in range(number)
    ]


def _life(chance: Random, name: str, *, exams: Sequence[str], comes_s: float, works_s: float, habits: Habits) -> Life:
    def does(probability: float) -> bool:
        return chance.random() < probability

    return Life(
        name=name,
        exam=chance.choice(exams),
        comes_s=comes_s,
        works_s=works_s * chance.uniform(0.3, 1.7),
        without_cookies=does(habits.without_cookies),
        hidden=does(habits.hidden),
        absent=does(habits.absent),
        crash=does(habits.crash),
        forgets=does(habits.forgets),
        second_tab=does(habits.second_tab),
        impatient=does(habits.impatient),
        leaves=does(habits.leaves),
        no_show=does(habits.no_show),
        wanders=does(habits.wanders),
        idles=does(habits.idles),
        idle_s=chance.uniform(60.0, 240.0),
    )
