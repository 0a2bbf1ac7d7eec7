"""Ports for programs that cannot take port 0.

Law: a port is given once, and to one test process on this machine: each process holds a block of ports by a lock that
ends with it. The blocks lie below those that the system gives to outgoing connections (32768 and up), so that none of
these can be in the way either.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FIRST, LAST = 12_000, 32_000
BLOCK = 500
"""Ports of one process, which come round again: a run of all tests takes some thousands, one after the other."""


def free_port() -> int:
    """A loopback port that nobody listens on."""
    for port in _block():
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is no end of a block")


@cache
def _block() -> Iterator[int]:
    """The ports of this process, in turn, for ever."""
    folder = Path(tempfile.gettempdir()) / "waitroom-ports"
    folder.mkdir(exist_ok=True)
    for first in range(FIRST, LAST, BLOCK):
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)  # held until we end
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            return _round(first)
    raise AssertionError(f"all blocks of ports in {folder} are taken: as many test runs at once?")


def _round(first: int) -> Iterator[int]:
    while True:
        yield from range(first, first + BLOCK)
