"""`python -m tests.bench` (`make bench`): what the product costs beside others, measured here and now in one run.

nginx, the product and, for comparison, HAProxy, Caddy and a plain aiohttp proxy stand with one worker each before the
same nginx backend. nginx and we take turns, so that a machine that slows down slows both. CPU is the kernel's
accounting of every process of a contestant: supervisor, worker and embedded store; master and worker. bars.py says how
turns become a number. A bar that is missed is said to be missed; the exit code is 1 only with `--strict`.

Contestants are bound to one core, load and backend to the others; `--float` binds nobody. Bound is the steadier: the
ratio of CPU per admitted request, twice twelve pairs of turns while neighbours came and went, had a standard deviation
of 8 and 12 % of its mean bound, of 14 and 15 % floating. What remains seems to be this: who is kept from the core finds
more to do each time and works cheaper, and we gain more by it than nginx. So the run ends with what neighbours took.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.bench.bars import BARS, Row
from tests.bench.contestants import OTHERS, ROOT, YARDSTICK, Backend
from tests.bench.parts import PARTS, Bench
from tests.bench.procs import neighbours_s, split_cores
from tests.bench.served import running
from tests.bench.table import report, table

WIDTH = 140
QUIET = 0.1
"""What neighbours may take of the machine, in cores."""

OPEN_FILES = 65_536
OUT = ROOT / "out" / "bench.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of nginx and ours (default 5)")
    parser.add_argument(
        "--seconds", type=int, default=3, help="length of a turn, whole seconds as wrk has them (default 3)"
    )
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument(
        "--beside", nargs="+", choices=(YARDSTICK, *OTHERS), default=list(OTHERS), metavar="NAME",
        help=f"beside whom; nginx is always there, and alone with `--beside nginx` (default: {' '.join(OTHERS)})",
    )  # fmt: skip
    parser.add_argument("--float", action="store_true", help="bind nobody to a core")
    parser.add_argument("--out", type=Path, default=OUT, help="the JSON file (default out/bench.json)")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if a bar is missed")
    return parser.parse_args()


def main() -> int:
    """Start, measure, stop, say."""
    arguments = _arguments()
    console = Console()
    console.width = max(console.width, WIDTH)
    started_s, neighbours_before_s = time.monotonic(), neighbours_s()
    rows = _measure(arguments, console)
    took_s = time.monotonic() - started_s
    taken = max(0.0, neighbours_s() - neighbours_before_s) / took_s  # ticks may say a little less than nothing
    assert arguments.only or {row.what for row in rows} >= BARS.keys(), "a bar that no line is held against"
    console.print(table(rows))
    if arguments.only and arguments.out == OUT:  # a part never overwrites the whole
        arguments.out = OUT.with_name(f"bench-{arguments.only}.json")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    said = report(rows, arguments.rounds, arguments.seconds, taken)
    arguments.out.write_text(json.dumps(said, indent=2) + "\n")
    console.print(f"Neighbours took {taken:.2f} of {os.cpu_count()} cores meanwhile.")
    if taken > QUIET:
        console.print("[yellow]That is no quiet machine: ratios hold roughly, microseconds and latencies do not.[/]")
    console.print(f"Written to {arguments.out}")
    return 1 if arguments.strict and any(row.good is False for row in rows) else 0


def _measure(arguments: argparse.Namespace, console: Console) -> list[Row]:
    core, rest = split_cores()
    if not arguments.float:
        os.sched_setaffinity(0, rest)  # load and backend are our children
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="waitroom-bench-", ignore_cleanup_errors=True) as name:
        backend = Backend("backend", Path(name) / "backend", upstream=0)
        bench = Bench(
            Path(name), arguments.rounds, arguments.seconds, arguments.beside,
            None if arguments.float else core, _open_files(), backend,
        )  # fmt: skip
        with running([backend], None):
            for part in [arguments.only] if arguments.only else PARTS:
                with console.status(f"measuring: {part}"):
                    rows += PARTS[part](bench)
    return rows


def _open_files() -> int:
    """Enough, or as many as this machine allows: for us and for whom we start."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


if __name__ == "__main__":
    sys.exit(main())
