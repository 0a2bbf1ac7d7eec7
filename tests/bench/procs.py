"""What processes cost, from the kernel's own accounting."""

import os
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""Resolution of CPU times: 10 ms. A round of some seconds has hundreds of them."""


def family(pid: int) -> list[int]:
    """A process and all its descendants: supervisor, workers and embedded store; master and worker."""
    found, todo = [], [pid]
    while todo:
        each = todo.pop()
        found.append(each)
        for task in Path(f"/proc/{each}/task").iterdir():
            todo += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_s(pids: list[int]) -> float:
    """User and system time of processes so far (fields 14 and 15 of /proc/PID/stat, proc(5))."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def stores(pids: list[int]) -> list[int]:
    """Those of them that are a store: its share of the cost is told apart."""
    return [pid for pid in pids if b"valkey" in Path(f"/proc/{pid}/comm").read_bytes()]


def rss_kib(pids: list[int]) -> int:
    """Resident memory of processes, pages that they share counted once: proportional set size."""
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)


def peak_kib(pids: list[int]) -> int:
    """The largest resident size any of these processes has had since `reset_peak`."""
    return max(_field(pid, "status", "VmHWM") for pid in pids)


def reset_peak(pids: list[int]) -> None:
    """Start looking for the peak again (proc(5), clear_refs 5)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{name} of {pid}")
