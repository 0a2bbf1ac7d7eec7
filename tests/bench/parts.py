"""What is measured, part by part. Each part starts its contestants, gives them turns, ends them, and returns its lines.

Law: nginx and we take turns at the same load; whoever else is there takes two turns of it afterwards, since nothing is
decided by them. What a load means is checked: answers that it did not ask for end the run.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from tests.bench import requests, sockets
from tests.bench.bars import HELD, PAGE_OF_FEW, POLL_OF_FEW, Row
from tests.bench.contestants import BIG_BYTES, OTHERS, OURS, YARDSTICK, Backend, Nginx, Waitroom
from tests.bench.load import CROWD, Load, Round
from tests.bench.procs import grown_kib, rss_kib, start_peaks
from tests.bench.served import Contestant, running

STUDENTS = 64
"""Visitors whose passes are used in turn: one a connection."""

TICKETS = 2_000
"""Waiting tickets that poll in turn; visitors whose connections say nothing."""

IDLE, IDLE_OTHERS = 20_000, 5_000
"""Connections that say nothing: nginx's and ours; those of the others."""

FILES_BESIDE = 300
"""Open files that a worker needs beside its clients' connections, with some to spare."""

WARM_UP_S = 1
TURNS_OF_OTHERS = 2
LIKE_A_PASS = f"wr_main={'x' * 150}"
"""For who knows no pass, so that it reads and relays as many bytes as we do."""

POLLS, NEWS, NEWCOMERS = "polls", "news", "newcomers"
"""Loads of a full house of ours."""

Rounds = Mapping[str, Sequence[Round]]


@dataclass(slots=True)
class Bench:
    """How long, beside whom, where, on which cores."""

    folder: Path
    rounds: int
    seconds: int
    beside: Sequence[str]
    core: set[int] | None
    open_files: int
    backend: Backend
    _parts: int = field(default=0)

    @contextlib.contextmanager
    def lineup(self, *, tls: bool = False, upstream: int | None = None) -> Iterator[dict[str, Contestant]]:
        """All contestants by name, freshly started."""
        self._parts += 1
        folder, port = self.folder / str(self._parts), upstream or self.backend.port
        kinds = {YARDSTICK: Nginx, OURS: Waitroom} | {name: OTHERS[name] for name in OTHERS if name in self.beside}
        found: dict[str, Contestant] = {name: kind(name, folder / name, port, tls) for name, kind in kinds.items()}
        with running(list(found.values()), self.core):
            yield found

    def turns(self, loads: Mapping[str, Load]) -> Rounds:
        """Rounds by name. nginx and ours in turn; then the others, each a few times."""
        mains = {name: load for name, load in loads.items() if name not in OTHERS}
        for load in mains.values():
            load.drive(WARM_UP_S, self.folder)
        found: dict[str, list[Round]] = {name: [] for name in loads}
        for _ in range(self.rounds):
            for name, load in mains.items():
                found[name].append(load.drive(self.seconds, self.folder))
        for name, load in loads.items():
            if name not in mains:
                load.drive(WARM_UP_S, self.folder)
                found[name] += [load.drive(self.seconds, self.folder) for _ in range(TURNS_OF_OTHERS)]
            _all_answered(found[name], refused=name == NEWCOMERS)
        return found


def admitted(bench: Bench) -> list[Row]:
    """Admitted students' pages; the same all different; what they cost in time at half of our own load."""
    with bench.lineup() as contestants:
        passes = requests.cookies(contestants[OURS], STUDENTS, lambda status: status == 200)
        pages = _loads(contestants, [requests.page(each) for each in passes], [requests.page(LIKE_A_PASS)])
        full = bench.turns(pages)
        alike = [LIKE_A_PASS] * STUDENTS
        varied = bench.turns(_loads(_two(contestants), requests.varied(passes), requests.varied(alike)))
        half = {name: _typical(rounds, lambda each: each.per_s) / 2 for name, rounds in full.items()}
        calm = bench.turns({name: load.at(min(half[OURS], half[name])) for name, load in pages.items()})
        direct = Load(bench.backend, pages[YARDSTICK].requests).at(half[OURS]).drive(bench.seconds, bench.folder)
    loads = ", ".join(f"{name} {_typical(rounds, lambda each: each.per_s):,.0f}" for name, rounds in calm.items())
    return [
        Row("CPU per admitted request", "us", _of(full, _cost), _store(full[OURS])),
        Row("CPU, all requests different", "us", _of(varied, _cost), _store(varied[OURS])),
        Row("throughput, admitted", "req/s", _of(full, lambda each: each.per_s)),
        Row("latency p50 at half load", "us", _of(calm, lambda each: each.p50_us), f"requests/s: {loads}"),
        Row("latency p99 at half load", "us", _of(calm, lambda each: each.p99_us),
            f"from the client, backend included; that alone: p50 {direct.p50_us}, p99 {direct.p99_us}"),
    ]  # fmt: skip


def waiting(bench: Bench) -> list[Row]:
    """Status polls of many waiting tickets, and newcomers who find the pool full, beside nginx's relayed page.

    Each load has a house of its own: the newcomers never come back, and what it costs to forget them is theirs. A crowd
    has many connections, each its own; the same is held to the same bars over as few as students at their exam have in
    this bench: batches are smaller then, and our worker waits for them at times, and finds colder caches.
    """
    yardstick = Nginx(YARDSTICK, bench.folder / "waiting" / YARDSTICK, bench.backend.port)
    polled, entered = (
        Waitroom(OURS, bench.folder / "waiting" / load, bench.backend.port, max_sessions=1)
        for load in (POLLS, NEWCOMERS)
    )
    with running([yardstick, polled, entered], bench.core):
        for house in (polled, entered):
            requests.cookies(house, 1, lambda status: status == 200)
        tickets = requests.cookies(polled, TICKETS, lambda status: status == 429)
        loads = {
            YARDSTICK: Load(yardstick, [requests.page(LIKE_A_PASS)]),
            POLLS: Load(polled, [requests.poll(each) for each in tickets]),
            NEWS: Load(polled, [requests.news()]),
            NEWCOMERS: Load(entered, [requests.page()]),
        }
        crowd = bench.turns({name: replace(load, connections=CROWD) for name, load in loads.items()})
        del loads[NEWS]
        few = bench.turns(loads)
    made = sum(each.requests for each in crowd[NEWCOMERS])
    polls, news, newcomers = (_beside(crowd, name) for name in (POLLS, NEWS, NEWCOMERS))
    return [
        Row("CPU per status poll", "us", _of(polls, _cost),
            f"{_store(polls[OURS])}; {TICKETS:,} tickets, {CROWD} connections; nginx's number is its relayed page"),
        Row("throughput, polls", "req/s", _of(polls, lambda each: each.per_s)),
        Row("CPU per question for news", "us", _of(news, _cost), "each open page asks one every 3 to 3.8 s"),
        Row("CPU per newcomer's first page", "us", _of(newcomers, _cost),
            f"{_store(newcomers[OURS])}; {made:,} new tickets, {CROWD} connections"),
        Row("throughput, newcomers", "req/s", _of(newcomers, lambda each: each.per_s)),
        Row(POLL_OF_FEW, "us", _of(_beside(few, POLLS), _cost), _store(few[POLLS])),
        Row(PAGE_OF_FEW, "us", _of(_beside(few, NEWCOMERS), _cost), _store(few[NEWCOMERS])),
    ]  # fmt: skip


def idle(bench: Bench) -> list[Row]:
    """Kept-alive connections that say nothing: how many one worker holds, and what one costs."""
    room = min(IDLE, bench.open_files - FILES_BESIDE)
    added: dict[str, list[float]] = {}
    held: dict[str, list[float]] = {}
    with bench.lineup() as contestants:
        passes = requests.cookies(contestants[OURS], TICKETS, lambda status: status == 200)
        for name, contestant in contestants.items():
            asked = [requests.page(each) for each in passes] if name == OURS else [requests.page(LIKE_A_PASS)]
            number = min(room, IDLE_OTHERS) if name in OTHERS else room
            before = rss_kib(contestant.pids())
            connections = sockets.hold(contestant, asked, number)
            added[name] = [(rss_kib(contestant.pids()) - before) / number]
            held[name] = [sockets.still_there(connections, asked)]
            for each in connections:
                each.close()
    limit = (
        "" if room == IDLE else f"this machine lets a process open {bench.open_files:,} files, so {room:,} were tried"
    )
    beside = f"the others were asked for {IDLE_OTHERS:,}" if bench.beside else ""
    return [
        Row("memory per idle connection", "KiB", added, f"each student has a pass of the {TICKETS:,}"),
        Row(HELD, "", held, "; ".join(filter(None, (limit, beside))), tried=room == IDLE),
    ]  # fmt: skip


def large(bench: Bench) -> list[Row]:
    """100 MB each way: how fast, and by how much the peak of memory lies above that of a fresh start."""
    with bench.lineup() as contestants:
        down = _transfers(
            bench, contestants, lambda who, cookie: sockets.download(who, requests.page(cookie, "/big")), "down"
        )
    with sockets.sink() as port, bench.lineup(upstream=port) as contestants:
        up = _transfers(
            bench, contestants, lambda who, cookie: sockets.upload(who, requests.upload(cookie, BIG_BYTES)), "up"
        )
    return [*down, *up]


def _transfers(
    bench: Bench, contestants: Mapping[str, Contestant], send: Callable[[Contestant, str], float], way: str
) -> list[Row]:
    """The first transfer of each is the one whose memory counts; its speed does not."""
    cookies = dict.fromkeys(contestants, LIKE_A_PASS)
    (cookies[OURS],) = requests.cookies(contestants[OURS], 1, lambda status: status == 200)
    grown: dict[str, list[float]] = {}
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for name, contestant in contestants.items():
        before = start_peaks(contestant.pids())
        send(contestant, cookies[name])
        grown[name] = [grown_kib(before)]
    for _ in range(bench.rounds):
        for name, contestant in contestants.items():
            speeds[name].append(send(contestant, cookies[name]))
    how = "nginx streams it too: proxy_request_buffering off" if way == "up" else ""
    return [Row(f"100 MB {way}", "MB/s", speeds, how), Row(f"memory added by 100 MB {way}", "KiB", grown)]


def tls(bench: Bench) -> list[Row]:
    """The same pages over TLS, and full handshakes of clients who come for the first time."""
    with bench.lineup(tls=True) as contestants:
        passes = requests.cookies(contestants[OURS], STUDENTS, lambda status: status == 200)
        pages = _loads(contestants, [requests.page(each) for each in passes], [requests.page(LIKE_A_PASS)])
        rounds = bench.turns(pages)
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        costs: dict[str, list[float]] = {name: [] for name in contestants}
        busy: dict[str, float] = {}
        for turn in range(max(bench.rounds, TURNS_OF_OTHERS)):
            for name, contestant in contestants.items():
                if turn < (TURNS_OF_OTHERS if name in OTHERS else bench.rounds):
                    rate, cost, busy[name] = sockets.shake_hands(contestant, bench.seconds / 2)
                    rates[name].append(rate)
                    costs[name].append(cost)
    cores = ", ".join(f"{name} {share:.0%}" for name, share in busy.items())
    return [
        Row("CPU per admitted request, TLS", "us", _of(rounds, _cost), _store(rounds[OURS])),
        Row("throughput, admitted, TLS", "req/s", _of(rounds, lambda each: each.per_s)),
        Row("CPU per full handshake", "us", costs, "TLS 1.3, ECDSA P-256"),
        Row("full handshakes, 4 clients", "1/s", rates,
            f"core in use: {cores}; where it is not all, the clients were slower"),
    ]  # fmt: skip


PARTS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "admitted": admitted, "waiting": waiting, "idle": idle, "large": large, "tls": tls,
}  # fmt: skip


def _two(contestants: Mapping[str, Contestant]) -> dict[str, Contestant]:
    return {name: contestants[name] for name in (YARDSTICK, OURS)}


def _loads(contestants: Mapping[str, Contestant], ours: Sequence[bytes], theirs: Sequence[bytes]) -> dict[str, Load]:
    return {name: Load(each, ours if name == OURS else theirs) for name, each in contestants.items()}


def _of(rounds: Rounds, number: Callable[[Round], float]) -> dict[str, list[float]]:
    return {name: [number(each) for each in of_one] for name, of_one in rounds.items()}


def _beside(rounds: Rounds, load: str) -> Rounds:
    """A load of ours beside the yardstick's turns."""
    return {YARDSTICK: rounds[YARDSTICK], OURS: rounds[load]}


def _cost(one: Round) -> float:
    return one.cpu_us


def _typical(rounds: Sequence[Round], number: Callable[[Round], float]) -> float:
    return median(number(each) for each in rounds)


def _store(ours: Sequence[Round]) -> str:
    return f"store {_typical(ours, lambda each: each.store_us):.1f} of ours"


def _all_answered(rounds: Sequence[Round], *, refused: bool) -> None:
    """The load met what it was meant to meet: the exam server's 200 throughout, or our 429 throughout."""
    for each in rounds:
        if each.refused != (each.requests if refused else 0):
            raise SystemExit(f"{each.refused} of {each.requests} answers were refusals: this is not the load we meant")
