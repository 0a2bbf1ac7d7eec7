"""The machine: open files, processors, kernel, disk, folders, clock.

Law: numbers of the system are read here and judged by functions that are given them. Where the service runs already,
its own limits count, not those of the shell that asks.
"""

import ctypes
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from waitroom.server.doctor.finding import Found, ok, problem, warning
from waitroom.server.duty import worker_count
from waitroom.server.files import FILES_A_CONNECTION, OWN_FILES
from waitroom.server.sockets import BACKLOG
from waitroom.settings.model import Settings

LOW_BYTES, SCARCE_BYTES = 1 << 30, 100 << 20
"""Free space under which the store's file (some 100 MB in a rewrite, with a million tickets) may not fit."""

UNSYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2): the clock is not synchronised."""

TIMEX_BYTES = 512
"""More than struct timex takes anywhere (208 on 64-bit Linux)."""

ONLY_OURS = stat.S_IRWXG | stat.S_IRWXO


def file_limit(pid: int | None) -> int:
    """Files that a process may open: its hard limit, to which it raises itself. None: whoever is started from here."""
    if pid is not None:
        for line in Path(f"/proc/{pid}/limits").read_text("ascii").splitlines():
            if line.startswith("Max open files"):
                return _number(line.split()[4])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _number("unlimited" if hard == resource.RLIM_INFINITY else str(hard))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 1 << 62


def look_at_files(settings: Settings, limit: int, expected: int) -> Iterator[Found]:
    """Whether a worker may open what its share of `expected` students needs, and what limits.connections allows."""
    idle = settings.limits.backend_idle * sum(len(pool.backends) for pool in settings.pools.values())
    share = -(-expected // worker_count(settings))
    needed = share * FILES_A_CONNECTION + idle + OWN_FILES
    wanted = settings.limits.connections * FILES_A_CONNECTION + idle + OWN_FILES
    remedy = f"raise the hard limit: systemd LimitNOFILE={max(wanted, needed)}, or ulimit -Hn"
    if limit < needed:
        said = f"{limit} open files a process, but a worker's share of {expected} students needs {needed}"
        yield problem("files", said, remedy)
    elif limit < wanted:
        said = f"{limit} open files a process, but limits.connections: {settings.limits.connections} can need {wanted}"
        yield warning("files", said, f"{remedy}; or lower limits.connections")
    else:
        shown = "any number of" if limit >= 1 << 62 else str(limit)
        yield ok("files", f"{shown} open files a process; {wanted} are enough for limits.connections")


def look_at_processors(settings: Settings) -> Iterator[Found]:
    """Workers against cores, and against backends that take fewer requests than there are workers."""
    cores, workers = len(os.sched_getaffinity(0)), worker_count(settings)
    if workers > 2 * cores:
        said = f"{workers} workers share {cores} cores: they get in each other's way"
        yield warning("machine", said, "workers: auto, or more cores")
    else:
        yield ok("machine", f"{workers} worker{'s' if workers != 1 else ''} on {cores} core{'s' if cores != 1 else ''}")
    for pool_name, pool in settings.pools.items():
        for name, backend in pool.backends.items():
            most = backend.max_inflight
            if isinstance(most, int) and most < workers:
                said = f"{pool_name}/{name} takes {most} requests at a time, fewer than the {workers} workers send"
                yield warning("machine", said, f"workers: {most}, or max_inflight: {workers} or more")


def kernel_number(name: str) -> int | None:
    """A value below /proc/sys, such as net/core/somaxconn; None where it cannot be read."""
    try:
        return int((Path("/proc/sys") / name).read_text("ascii"))
    except (OSError, ValueError):
        return None


def look_at_kernel(somaxconn: int | None, overcommit: int | None, *, embedded: bool) -> Iterator[Found]:
    """The backlog of the listening sockets, and memory for the store's snapshots."""
    if somaxconn is not None and somaxconn < BACKLOG:
        said = f"net.core.somaxconn is {somaxconn}: of students who click at once, those beyond wait for a second try"
        yield warning("machine", said, f"sysctl -w net.core.somaxconn={BACKLOG}")
    elif somaxconn is not None:
        yield ok("machine", f"net.core.somaxconn is {somaxconn}")
    if embedded and overcommit == 2:
        said = "vm.overcommit_memory is 2: the store may be refused the memory to rewrite its file"
        yield warning("machine", said, "sysctl -w vm.overcommit_memory=1")


def file_system(folder: Path, mounts: str | None = None) -> str:
    """The kind of file system that a folder lies on (proc(5), mountinfo); "" where that cannot be seen."""
    try:
        lines = (Path("/proc/self/mountinfo").read_text("utf-8") if mounts is None else mounts).splitlines()
    except OSError:
        return ""
    found = [(fields[4].replace("\\040", " "), fields[fields.index("-") + 1]) for fields in map(str.split, lines)]
    held = [(len(at), kind) for at, kind in found if folder.resolve().is_relative_to(at)]
    return max(held, key=lambda each: each[0], default=(0, ""))[1]


def look_at_file_system(folder: Path, kind: str) -> Iterator[Found]:
    """Whether what the store writes there outlives a restart."""
    passing = {
        "tmpfs": "memory: a reboot empties it",
        "overlay": "the container's own layer: it goes with the container",
    }
    if kind in passing:
        said = f"{folder} lies in {passing[kind]}, and line and keys with it"
        yield warning("disk", said, "a volume or a disk for store.data_dir")
    elif kind.startswith("nfs") or kind == "cifs":
        said = f"{folder} lies on the network ({kind}): the store waits for it at each write"
        yield warning("disk", said, "a local disk for store.data_dir")


def look_at_folder(folder: Path) -> Iterator[Found]:
    """The data folder of the embedded store: ours alone, writable, with room."""
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        said = f"{folder}: this user cannot write {'there' if there == folder else f'below {there}'}"
        yield problem(
            "disk", said, f"chown it to the service's user, or choose another store.data_dir (uid {os.getuid()})"
        )
        return
    mode = stat.S_IMODE(there.stat().st_mode)
    if there == folder and mode & ONLY_OURS:
        yield warning("disk", f"{folder}: mode {mode:04o} lets others at the store and the keys", f"chmod 700 {folder}")
    free = shutil.disk_usage(there).free
    shown = f"{free / (1 << 30):.1f} GiB free for {folder}"
    if free < LOW_BYTES:
        make = problem if free < SCARCE_BYTES else warning
        yield make("disk", f"{shown}: the store's file may not fit", "make room, or choose another store.data_dir")
    else:
        yield ok("disk", shown)


def clock_state() -> int | None:
    """What adjtimex(2) says of this machine's clock; None where it says nothing."""
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def look_at_clock(state: int | None) -> Iterator[Found]:
    """Whether something keeps it right: exams open by it where the store is embedded."""
    if state == UNSYNCHRONISED:
        said = "this machine's clock is not synchronised: exams may open early or late"
        yield warning("clock", said, "timedatectl set-ntp true, or run chrony")
    elif state is None:
        yield warning(
            "clock", "whether this clock is synchronised cannot be seen here", "compare it with a watch: date"
        )
    else:
        yield ok("clock", "this machine's clock is synchronised")
