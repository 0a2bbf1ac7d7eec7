"""Runs simulated mornings: one seed with its story, or many with a line each.

python -m tests.simulation --seed 17          the story of a morning, and whether every law held
python -m tests.simulation --seeds 1000       many mornings (a deep run); the exit code says whether all were good
"""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.replay import Verdict, judge, story_of


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="tell the story of this one")
    parser.add_argument("--seeds", type=int, default=50, help="how many mornings (default 50)")
    parser.add_argument("--first", type=int, default=1, help="the first seed of many")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    wanted = parser.parse_args()
    if wanted.seed is not None:
        text, good = story_of(wanted.seed)
        print(text)
        return 0 if good else 1
    bad = 0
    for verdict in run_many(range(wanted.first, wanted.first + wanted.seeds), wanted.jobs):
        bad += not verdict.good
        if not verdict.good or sys.stdout.isatty():
            print(verdict, flush=True)
    print(f"{wanted.seeds - bad} of {wanted.seeds} mornings are good")
    return 1 if bad else 0


def run_many(seeds: range, jobs: int) -> Iterator[Verdict]:
    """The verdicts of many seeds, in their order."""
    parts = [seeds[at : at + 5] for at in range(0, len(seeds), 5)]
    with ProcessPoolExecutor(jobs) as pool:
        for verdicts in pool.map(judge, parts):
            yield from verdicts


if __name__ == "__main__":
    sys.exit(main())
