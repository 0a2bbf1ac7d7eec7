"""The bench's own sums, loads and contestants: who is counted, what is sent, when a bar is met.

The measurements themselves are `make bench`.
"""

import json
import mmap
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.bench import requests, sockets
from tests.bench.bars import BARS, HELD, Row
from tests.bench.contestants import BIG_BYTES, OTHERS, OURS, YARDSTICK, Backend, Nginx, Plain, Waitroom
from tests.bench.load import CONNECTIONS, Load
from tests.bench.procs import cpu_s, family, grown_kib, neighbours_s, rss_kib, split_cores, start_peaks
from tests.bench.served import Served, running
from tests.bench.table import report, table

CPU = "CPU per admitted request"
KINDS = {YARDSTICK: Nginx, OURS: Waitroom, **OTHERS}


def test_a_family_is_counted_whole() -> None:
    """A process, its child and its grandchild; their CPU times add up."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(sum(range(10**7))); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        pids = family(parent.pid)
        assert len(pids) == 2
        assert set(pids) < set(family(os.getpid()))
        assert cpu_s(pids) > cpu_s(pids[:1]) > 0
        assert rss_kib(pids) > rss_kib(pids[:1])
        parent.communicate(b"\n")


def test_threads_that_ended_are_counted() -> None:
    """A process's CPU time is what the process itself says of it, whoever of its threads is still there."""
    used: list[float] = []

    def burn() -> None:
        sum(range(10**6))
        used.append(time.thread_time())

    before_s = cpu_s([os.getpid()])
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    assert cpu_s([os.getpid()]) - before_s >= used[0] > 0
    assert cpu_s([os.getpid()]) == pytest.approx(time.process_time(), abs=0.05)


def test_a_peak_is_what_came_on_top() -> None:
    """Memory that was there before counts for nothing; memory that has been given back since counts."""
    before = start_peaks([os.getpid()])
    size_kib = 32 * 1024
    with mmap.mmap(-1, size_kib * 1024) as given_back:  # fresh pages, whatever this process has kept of others
        given_back[:: mmap.PAGESIZE] = bytes(len(given_back) // mmap.PAGESIZE)
    assert size_kib / 2 < grown_kib(before) < size_kib * 2


def test_our_own_work_is_no_neighbours() -> None:
    """What we and a child that has ended used is not counted as theirs; they may have worked meanwhile too."""
    wall_s, used_s, before_s = time.monotonic(), time.process_time(), neighbours_s()
    sum(range(10**7))
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    theirs_s = neighbours_s() - before_s
    used_s, wall_s = time.process_time() - used_s, time.monotonic() - wall_s  # around the others' from both sides
    assert theirs_s < wall_s * (os.cpu_count() or 1) - used_s + 0.05


def test_contestants_and_load_share_no_core() -> None:
    """But on a machine with one."""
    core, rest = split_cores()
    assert len(core) == 1
    assert core | rest == os.sched_getaffinity(0)
    assert not core & rest or core == rest


def test_a_bar_is_held_against_the_median_of_ratios() -> None:
    """Not the ratio of medians: a slow moment of the machine falls on one pair of turns."""
    row = Row("latency p99 at half load", "us", {YARDSTICK: [10, 40, 10], OURS: [15, 60, 20], "caddy": [130, 150]})
    assert row.ratio == median([1.5, 1.5, 2.0])
    assert row.numbers == {YARDSTICK: 10, OURS: 20, "caddy": 140}
    assert row.good


def test_a_cost_is_the_least_of_the_turns() -> None:
    """What disturbs a turn only adds to what a request costs."""
    row = Row(CPU, "us", {YARDSTICK: [10, 40, 11], OURS: [21, 60, 15], "caddy": [150, 130]})
    assert row.numbers == {YARDSTICK: 10, OURS: 15, "caddy": 130}
    assert row.ratio == 1.5


@pytest.mark.parametrize(
    ("what", "nginx", "ours", "good"),
    [(CPU, 10, 15, True), (CPU, 10, 16, False), ("100 MB up", 10, 8, True), ("100 MB up", 10, 7, False),
     ("memory per idle connection", 1, 12, True), ("memory per idle connection", 20, 13, False),
     (HELD, 20_000, 20_000, True), (HELD, 20_000, 19_999, False), ("throughput", 1, 1, None)],
)  # fmt: skip
def test_bars(what: str, nginx: float, ours: float, good: bool | None) -> None:
    """At most for costs, at least for throughput; on the bar is met; some are on our number alone."""
    row = Row(what, "", {YARDSTICK: [nginx], OURS: [ours]})
    assert row.good is good
    assert table([row]).row_count == 1
    (said,) = json.loads(json.dumps(report([row], 1, 1, 0.0)))["rows"]
    assert (said["good"], said["numbers"][OURS], said["bar"] is None) == (good, ours, what not in BARS)


def test_no_telling() -> None:
    """Neither where nginx's number is nothing to divide by, nor where this machine cannot reach the bar."""
    assert Row(CPU, "us", {YARDSTICK: [0.0], OURS: [1.0]}).good is None
    assert Row(HELD, "", {YARDSTICK: [900], OURS: [900]}, tried=False).good is None


def test_requests_are_whole() -> None:
    """One head each, ended by an empty line, with a browser's other cookies beside ours."""
    for request in (
        requests.page("wr_main=a"), requests.poll("wr_main=a"), requests.page(), requests.upload("wr_main=a", 7),
        requests.varied(["wr_main=a"])[0],
    ):  # fmt: skip
        assert request.endswith(b"\r\n\r\n")
        assert request.count(b"\r\n\r\n") == 1
        assert b"Cookie: MoodleSession=" in request
        assert b"{" not in request


def test_varied_requests_differ() -> None:
    """No two have the same path, Referer or cookies, and each student keeps the own pass and session."""
    heads = requests.varied([f"wr_main={at}" for at in range(64)])
    for pattern in (rb"GET (\S+)", rb"Referer: (\S+)", rb"Cookie: (.+)\r"):
        assert len({re.search(pattern, head)[1] for head in heads}) == len(heads)  # type: ignore[index]  # it is there
    pairs = {re.search(rb"MoodleSession=(\w+);.*(wr_main=\d+)", head).groups() for head in heads}  # type: ignore[union-attr]  # as above
    assert len(pairs) == 64


def test_half_load_is_a_pause(tmp_path: Path) -> None:
    """Each connection waits as long as its share of the rate says; never not at all."""
    load = Load(Nginx(YARDSTICK, tmp_path, 9), [requests.page()])
    assert load.at(CONNECTIONS).pause_ms == 1000
    assert load.at(10**9).pause_ms == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", KINDS)
def test_configurations_are_accepted(name: str, tls: bool, tmp_path: Path) -> None:
    """Each contestant's own checker takes what the bench writes for it."""
    contestant = KINDS[name](name, tmp_path, 9, tls)
    contestant.configure()
    environment = contestant.environment()
    said = subprocess.run(contestant.checker(), env=environment, check=False, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    """The plain proxy twice: before the backend, and before the sink."""
    backend = Backend("backend", tmp_path / "backend", 0)
    with sockets.sink() as port:
        down, up = Plain("down", tmp_path / "down", backend.port), Plain("up", tmp_path / "up", port)
        with running([backend, down, up], None):
            yield down, up


def test_large_and_idle_loads(plain: tuple[Served, Served]) -> None:
    """A large body arrives whole either way; idle connections answer once more, until closed."""
    down, up = plain
    assert sockets.download(down, requests.page(target="/big")) > 0
    assert sockets.upload(up, requests.upload("", BIG_BYTES)) > 0
    held = sockets.hold(down, [requests.page()], 20)
    assert len({connection.getsockname()[0] for connection in held}) == sockets.ADDRESSES
    held[0].close()
    assert sockets.still_there(held, [requests.page()]) == 19
    for connection in held:
        connection.close()


def test_handshakes(tmp_path: Path) -> None:
    """They happen, they cost something, and one core is enough for them."""
    backend = Backend("backend", tmp_path / "backend", 0)
    server = Nginx(YARDSTICK, tmp_path / "nginx", backend.port, tls=True)
    with running([backend, server], None):
        per_s, cpu_us, busy = sockets.shake_hands(server, 0.2)
    assert per_s > 0
    assert cpu_us > 0
    assert 0 < busy < 1.5
