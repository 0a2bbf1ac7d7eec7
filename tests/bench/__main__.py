"""`python -m tests.bench` (`make bench`): the bars of the design's section 12, measured here and now.

nginx with one worker and the product with one worker stand before the same nginx backend. They take turns, so that a
machine that slows down slows both, and each bar is the median of the turns' ratios. CPU is the kernel's accounting of
every process of a contestant: supervisor, worker and embedded store; master and worker. A bar that is missed is said to
be missed; the exit code is 1 only with `--strict`.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench import requests
from tests.bench.contestants import ROOT, Contestant, Nginx, Waitroom
from tests.bench.load import Round, download, drive, hold
from tests.bench.procs import peak_kib, reset_peak, rss_kib

STUDENTS = 64
"""Visitors whose passes are used in turn: one a connection."""

TICKETS = 2_000
"""Waiting tickets that poll in turn."""

IDLE = 1_000
WARM_UP_S = 1.0
LIKE_A_PASS = f"wr_main={'x' * 150}"
"""For nginx, so that it reads and relays as many bytes as we do."""

WIDTH = 128
OUT = ROOT / "out" / "bench.json"


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the table. `at_least`: good is above the bar."""

    what: str
    unit: str
    nginx: float
    ours: float
    bar: float | None
    at_least: bool = False
    ratio: float = 0.0
    note: str = ""

    @property
    def good(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None:
            return None
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar


@dataclass(slots=True)
class Bench:
    """The three servers, the numbers of a run and where it writes."""

    folder: Path
    rounds: int
    seconds: float
    console: Console
    yardstick: Nginx
    open_door: Waitroom
    full_house: Waitroom

    def turns(self, ours: Waitroom, load: Sequence[bytes], pause_ms: int = 0) -> tuple[list[Round], list[Round]]:
        """nginx, ours, nginx, ours: nginx always under the page load, since it is the measure of all."""
        pages = [requests.page(LIKE_A_PASS)]
        for contestant, sent in ((self.yardstick, pages), (ours, load)):
            drive(contestant, sent, WARM_UP_S, self.folder)
        theirs, mine = [], []
        for _ in range(self.rounds):
            theirs.append(drive(self.yardstick, pages, self.seconds, self.folder, pause_ms))
            mine.append(drive(ours, load, self.seconds, self.folder, pause_ms))
        return theirs, mine

    def admitted(self) -> list[Bar]:
        """Admitted students' pages, and what they cost in time at half of our own load."""
        passes = requests.cookies(self.open_door.port, STUDENTS, lambda status: status == 200)
        pages = [requests.page(each) for each in passes]
        theirs, mine = self.turns(self.open_door, pages)
        _all_answered(mine, refused=False)
        half = median(each.per_s for each in mine) / 2
        pause_ms = max(1, round(64 / half * 1000))
        calm_theirs, calm_mine = self.turns(self.open_door, pages, pause_ms)
        load = f"at {median(each.per_s for each in calm_mine):,.0f} requests/s"
        return [
            _cpu("CPU per admitted request", theirs, mine, 1.5),
            _bar("throughput, admitted", "req/s", [each.per_s for each in theirs], [each.per_s for each in mine], None),
            _bar("latency p50 at half load", "us", _p50s(calm_theirs), _p50s(calm_mine), None, note=load),
            _bar("latency p99 at half load", "us", _p99s(calm_theirs), _p99s(calm_mine), 2.0, note=load),
        ]

    def waiting(self) -> list[Bar]:
        """Status polls of many waiting tickets, and newcomers who find the pool full."""
        requests.cookies(self.full_house.port, 1, lambda status: status == 200)
        tickets = requests.cookies(self.full_house.port, TICKETS, lambda status: status == 429)
        theirs, mine = self.turns(self.full_house, [requests.poll(each) for each in tickets])
        _all_answered(mine, refused=False)
        polls = [
            _cpu("CPU per status poll, store included", theirs, mine, 2.0, note=f"{TICKETS:,} tickets"),
            _bar("throughput, polls", "req/s", [each.per_s for each in theirs], [each.per_s for each in mine], None),
        ]
        theirs, mine = self.turns(self.full_house, [requests.page()])
        _all_answered(mine, refused=True)
        made = sum(each.requests for each in mine)
        return [*polls, _cpu("CPU per newcomer's first page", theirs, mine, 3.0, note=f"{made:,} new tickets")]

    def large(self) -> list[Bar]:
        """100 MB down, and the memory it takes."""
        (cookie,) = requests.cookies(self.open_door.port, 1, lambda status: status == 200)
        request = requests.page(cookie, "/big")
        speeds: dict[str, list[float]] = {}
        peaks: dict[str, float] = {}
        for contestant in (self.yardstick, self.open_door):
            reset_peak(contestant.pids())
            before = peak_kib(contestant.pids())
            download(contestant, request)
            peaks[contestant.name] = peak_kib(contestant.pids()) - before
        for _ in range(self.rounds):
            for contestant in (self.yardstick, self.open_door):
                speeds.setdefault(contestant.name, []).append(download(contestant, request))
        names = self.yardstick.name, self.open_door.name
        return [
            _bar("100 MB down", "MB/s", speeds[names[0]], speeds[names[1]], 0.8, at_least=True),
            Bar("worker memory added by it", "KiB", peaks[names[0]], peaks[names[1]], None),
        ]

    def idle(self) -> list[Bar]:
        """Memory of a kept-alive connection that says nothing."""
        (cookie,) = requests.cookies(self.open_door.port, 1, lambda status: status == 200)
        added = []
        for contestant in (self.yardstick, self.open_door):
            before = rss_kib(contestant.pids())
            held = hold(contestant, requests.page(cookie), IDLE)
            added.append((rss_kib(contestant.pids()) - before) / IDLE)
            for connection in held:
                connection.close()
        return [Bar("memory per idle connection", "KiB", added[0], added[1], None, note=f"{IDLE:,} connections")]


def _cpu(what: str, theirs: list[Round], mine: list[Round], bar: float, note: str = "") -> Bar:
    store = f"store {median(each.store_us for each in mine):.1f} of it"
    note = f"{store}; {note}" if note else store
    return _bar(what, "us", [each.cpu_us for each in theirs], [each.cpu_us for each in mine], bar, note=note)


def _p50s(rounds: list[Round]) -> list[int]:
    return [each.p50_us for each in rounds]


def _p99s(rounds: list[Round]) -> list[int]:
    return [each.p99_us for each in rounds]


def _bar(
    what: str, unit: str, theirs: Sequence[float], mine: Sequence[float], bar: float | None,
    *, at_least: bool = False, note: str = "",
) -> Bar:  # fmt: skip
    ratio = median(ours / nginx for nginx, ours in zip(theirs, mine, strict=True))
    return Bar(what, unit, median(theirs), median(mine), bar, at_least, ratio, note)


def _all_answered(rounds: list[Round], *, refused: bool) -> None:
    """The load met what it was meant to meet: the exam server's 200 throughout, or our 429 throughout."""
    for each in rounds:
        if each.refused != (each.requests if refused else 0):
            raise SystemExit(f"{each.refused} of {each.requests} answers were refusals: this is not the load we meant")


def table(bars: Sequence[Bar]) -> Table:
    """What a person reads."""
    drawn = Table(title=f"beside nginx proxy_pass, one worker each, on {os.cpu_count()} cores", title_justify="left")
    for heading in ("what", "unit", "nginx", "waitroom", "ratio", "bar", "", "note"):
        drawn.add_column(heading, justify="right" if heading in ("nginx", "waitroom", "ratio", "bar") else "left")
    for bar in bars:
        verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[bar.good]
        limit = "" if bar.bar is None else f"{'>=' if bar.at_least else '<='} {bar.bar:g}"
        ratio = f"{bar.ratio:.2f}" if bar.ratio else ""
        drawn.add_row(bar.what, bar.unit, _number(bar.nginx), _number(bar.ours), ratio, limit, verdict, bar.note)
    return drawn


def report(bars: Sequence[Bar], bench: Bench, uptime_load: tuple[float, float, float]) -> dict[str, object]:
    """What a program reads."""
    return {
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "load_before": uptime_load,
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "bars": [asdict(bar) | {"good": bar.good} for bar in bars],
    }


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 1_000 else f"{value:,.0f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant (default 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn (default 4)")
    parser.add_argument("--only", choices=("admitted", "waiting", "large", "idle"), help="one part of it")
    parser.add_argument("--out", type=Path, default=OUT, help="the JSON file (default out/bench.json)")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if a bar is missed")
    return parser.parse_args()


def main() -> int:
    """Start, measure, stop, say."""
    arguments = _arguments()
    console = Console()
    console.width = max(console.width, WIDTH)
    load = os.getloadavg()
    if load[0] > 0.5 * (os.cpu_count() or 1):
        console.print(
            f"[yellow]This machine is busy (load {load[0]:.1f}): ratios hold roughly, microseconds do not.[/]"
        )
    with tempfile.TemporaryDirectory(prefix="waitroom-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        backend = Nginx("backend", folder / "backend")
        bench = Bench(
            folder, arguments.rounds, arguments.seconds, console,
            yardstick=Nginx("nginx", folder / "nginx", upstream=backend.port),
            open_door=Waitroom("waitroom", folder / "open", upstream=backend.port, max_sessions=1_000_000),
            full_house=Waitroom("waitroom, full", folder / "full", upstream=backend.port, max_sessions=1),
        )  # fmt: skip
        bars = _measure(bench, backend, arguments.only)
    console.print(table(bars))
    if arguments.only and arguments.out == OUT:  # a part never overwrites the whole
        arguments.out = OUT.with_name(f"bench-{arguments.only}.json")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report(bars, bench, load), indent=2) + "\n")
    console.print(f"Written to {arguments.out}")
    return 1 if arguments.strict and any(bar.good is False for bar in bars) else 0


def _measure(bench: Bench, backend: Contestant, only: str | None) -> list[Bar]:
    servers: list[Contestant] = [backend, bench.yardstick, bench.open_door, bench.full_house]
    parts = {"admitted": bench.admitted, "waiting": bench.waiting, "large": bench.large, "idle": bench.idle}
    bars: list[Bar] = []
    try:
        for server in servers:
            server.start()
        for name, part in parts.items():
            if only in (None, name):
                with bench.console.status(f"measuring: {name}"):
                    bars += part()
    finally:
        for server in reversed(servers):
            server.stop()
    return bars


if __name__ == "__main__":
    sys.exit(main())
