"""Plays seeds from the beginning and says what became of them: a verdict to compare, or a story to read.

Law: whoever plays a seed gets the same text, here or elsewhere. A verdict that is not good names the command that tells
its story.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.simulation.playing import Outcome, play
from tests.simulation.storehouse import Server
from tests.simulation.world import FAULTS_S, World
from tests.store.driver import Server as Valkey


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a seed."""

    seed: int
    complaints: tuple[str, ...]
    digest: str
    """Of the story: two plays of a seed are the same if their digests are."""
    summary: str

    @property
    def good(self) -> bool:
        """Whether every law held."""
        return not self.complaints

    @property
    def command(self) -> str:
        """Plays it again."""
        return f"python -m tests.simulation --seed {self.seed}"

    def __str__(self) -> str:
        """A line, and why it is not good."""
        if self.good:
            return f"seed {self.seed}: good ({self.summary})"
        return "\n".join([f"seed {self.seed}: NOT GOOD ({self.summary}); replay: {self.command}", *self.complaints])


@contextmanager
def store() -> Iterator[Server]:
    """A Valkey that nobody else uses."""
    valkey = Valkey()
    server = Server(valkey.path)
    try:
        yield server
    finally:
        server.close()
        valkey.stop()


def judge(seeds: Sequence[int], change: Callable[[World], None] = lambda _world: None) -> list[Verdict]:
    """The verdicts of some seeds."""
    with store() as server:
        return [verdict_of(play(seed, server, change)) for seed in seeds]


def verdict_of(outcome: Outcome) -> Verdict:
    """What is to be said of a run."""
    complaints = tuple(map(str, outcome.referee.complaints))
    digest = hashlib.sha256("\n".join(_lines(outcome)).encode()).hexdigest()[:16]
    summary = (
        f"{outcome.shape}, {outcome.inside} of {outcome.students} students saw their exam, "
        f"{outcome.referee.calls} calls, {outcome.referee.facts} facts judged, {outcome.ended_s:.0f} s"
    )
    return Verdict(outcome.seed, complaints, digest, summary)


def story_of(seed: int) -> tuple[str, bool]:
    """The story of a seed, and whether it is good."""
    with store() as server:
        outcome = play(seed, server)
    verdict = verdict_of(outcome)
    head = [
        f"Seed {seed}. Students come {outcome.shape}; until {FAULTS_S:.0f} s anything may go wrong:",
        f"  {outcome.faults.named}",
        f"  slots {outcome.house.slots}, rate {outcome.house.rate or 'unlimited'}, idle after {outcome.house.idle_s} s",
        f"  MATH opens at {outcome.house.opens_s:.0f} s and closes at {outcome.house.closes_s:.0f} s",
        "",
    ]
    return "\n".join([*head, *_lines(outcome), "", str(verdict), f"story {verdict.digest}"]), verdict.good


def _lines(outcome: Outcome) -> list[str]:
    return [f"{at_s:9.3f}  {who:9} {what}" for at_s, who, what in outcome.referee.lines]
