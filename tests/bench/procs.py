"""What processes cost, from the kernel's own accounting.

Law: a process is asked for its whole life's CPU time, threads that have ended included, and the difference of two such
answers is the cost of what lay between them.
"""

import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CLOCK_OF_A_PROCESS = 2
"""CPUCLOCK_SCHED of the kernel's posix-timers: nanoseconds that the scheduler gave to a whole thread group."""


def family(pid: int) -> list[int]:
    """A process and all its descendants: supervisor, workers and embedded store; master and worker."""
    found, todo = [], [pid]
    while todo:
        each = todo.pop()
        found.append(each)
        for task in Path(f"/proc/{each}/task").iterdir():
            todo += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """User and system time of processes so far.

    Each process's CPU clock, as clock_getcpuclockid(3) builds its number. /proc/PID/stat says the same in ticks of
    10 ms, and /proc/PID/schedstat in nanoseconds, but for the first thread only.
    """
    return sum(time.clock_gettime((~pid << 3) | CLOCK_OF_A_PROCESS) for pid in pids)


def stores(pids: Sequence[int]) -> list[int]:
    """Those of them that are a store: its share of the cost is told apart."""
    return [pid for pid in pids if b"valkey" in Path(f"/proc/{pid}/comm").read_bytes()]


def rss_kib(pids: Sequence[int]) -> int:
    """Resident memory of processes, pages that they share counted once: proportional set size."""
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)


def start_peaks(pids: Sequence[int]) -> dict[int, int]:
    """Resident KiB of each process, from which `grown_kib` counts; its peak starts here again (proc(5), clear_refs)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return {pid: _field(pid, "status", "VmRSS") for pid in pids}


def grown_kib(before: Mapping[int, int]) -> int:
    """By how much the peaks of these processes lie above what they had before."""
    return sum(max(0, _field(pid, "status", "VmHWM") - kib) for pid, kib in before.items())


def neighbours_s() -> float:
    """CPU seconds that went to others on this machine so far: all that was used, less ours and our ended children's.

    Between two moments at which no child is left, that is exact to a few ticks.
    """
    user, nice, system, _idle, _wait, irq, softirq, steal = (
        int(each) * TICK_S for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return user + nice + system + irq + softirq + steal - sum(each.ru_utime + each.ru_stime for each in own)


def split_cores() -> tuple[set[int], set[int]]:
    """The contestant's core and those of load and backend; the same one where there is only one."""
    cores = os.sched_getaffinity(0)
    last = {max(cores)}
    return last, cores - last or last


def _field(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{name} of {pid}")
