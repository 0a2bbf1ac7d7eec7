"""How many files this process and its children may have open; a connection is one, and so is the one to its backend.

Law: the soft limit is raised to the hard one before anything is opened, since the usual 1,024 is a few hundred
students. The hard one is the operator's, and where it is too small for the settings that is said at the start.
"""

import contextlib
import resource

FILES_A_CONNECTION = 2
"""A client's connection, and at its side one to a backend while it asks or tunnels."""

OWN_FILES = 64
"""Of a worker: listening sockets, store, supervisor, counters, logs, the loop's own; 20 are usual."""


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # a hard limit beyond fs.nr_open stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def too_few_files(connections: int, backend_idle: int) -> str | None:
    """What an operator should know about a limit that is too small for a worker, or None. `backend_idle`: in all."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * FILES_A_CONNECTION + backend_idle + OWN_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    return (
        f"this process may open {soft} files, but limits.connections: {connections} can need {wanted} in a worker; "
        f"raise the hard limit (systemd: LimitNOFILE={wanted}) or lower limits.connections"
    )
