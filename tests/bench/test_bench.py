"""The bench's own sums: who is counted, and when a bar is met. The measurements themselves are `make bench`."""

import os
import subprocess
import sys
from statistics import median

import pytest

from tests.bench import requests
from tests.bench.__main__ import Bar, _bar, table
from tests.bench.procs import cpu_s, family, rss_kib


def test_a_family_is_counted_whole() -> None:
    """A process, its child and its grandchild; their CPU times add up."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(sum(range(10**7))); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        pids = family(parent.pid)
        assert len(pids) == 2
        assert set(pids) < set(family(os.getpid()))
        assert cpu_s(pids) > 0
        assert rss_kib(pids) > rss_kib(pids[:1])
        parent.communicate(b"\n")


def test_a_bar_is_the_median_of_ratios() -> None:
    """Not the ratio of medians: a slow moment of the machine falls on one pair of turns."""
    bar = _bar("x", "us", [10, 40, 10], [15, 60, 20], 1.5)
    assert bar.ratio == median([1.5, 1.5, 2.0])
    assert bar.good


@pytest.mark.parametrize(("ratio", "at_least", "good"), [(1.5, False, True), (1.6, False, False), (1.6, True, True)])
def test_bars(ratio: float, at_least: bool, good: bool) -> None:
    """At most for costs, at least for throughput; on the bar is met."""
    assert Bar("x", "us", 1, 1, 1.5, at_least, ratio).good is good
    assert Bar("x", "us", 1, 1, None).good is None
    assert table([Bar("x", "us", 1, 1, 1.5, at_least, ratio)]).row_count == 1


def test_requests_are_whole() -> None:
    """One head each, ended by an empty line, with a browser's other cookies beside ours."""
    for request in (requests.page("wr_main=a"), requests.poll("wr_main=a"), requests.page()):
        assert request.endswith(b"\r\n\r\n")
        assert request.count(b"\r\n\r\n") == 1
        assert b"Cookie: MoodleSession=" in request
        assert b"{" not in request
