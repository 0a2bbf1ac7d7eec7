"""Listening sockets that a service manager has bound and hands over, in the protocol of sd_listen_fds(3).

Law: what is passed is the manager's: it outlives this process, so it is never shut, only let go of. Each passed socket
is one that the settings name, and no child of ours takes our sockets for its own.
"""

import os
import socket
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

FIRST_FD = 3
"""SD_LISTEN_FDS_START."""

NAMES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


@dataclass(slots=True)
class Passed:
    """The sockets passed to this process, and which of them nobody has taken yet."""

    _left: list[socket.socket] = field(default_factory=list)
    _taken: list[socket.socket] = field(default_factory=list)

    def take(self, family: int, at: tuple[Any, ...] | str) -> list[socket.socket]:
        """Those bound to this address, in the order of the manager."""
        taken = [each for each in self._left if each.family == family and _same(each.getsockname(), at)]
        self._left = [each for each in self._left if each not in taken]
        self._taken += taken
        return taken

    def names(self) -> list[str]:
        """The addresses of those that are left."""
        return [shown(each) for each in self._left]

    def close(self) -> None:
        """Let go of all, those that were taken too. The manager has its own."""
        for each in (*self._left, *self._taken):
            each.close()


def passed_sockets(environment: MutableMapping[str, str] = os.environ) -> Passed:
    """The stream sockets that this process was started with; the variables that say so are taken out."""
    said = {name: environment.pop(name, "") for name in NAMES}
    if said["LISTEN_PID"] != str(os.getpid()) or not said["LISTEN_FDS"].isdigit():
        return Passed()
    return adopted(range(FIRST_FD, FIRST_FD + int(said["LISTEN_FDS"])))


def adopted(descriptors: Iterable[int]) -> Passed:
    """Sockets of these descriptors; a child gets those that it is given, as any of ours."""
    found = []
    for descriptor in descriptors:
        each = socket.socket(fileno=descriptor)
        each.set_inheritable(False)
        each.setblocking(False)
        found.append(each)
    return Passed(found)


def shown(door: socket.socket) -> str:
    """Its address as settings write it."""
    at = door.getsockname()
    if isinstance(at, tuple):
        return f"[{at[0]}]:{at[1]}" if ":" in at[0] else f"{at[0]}:{at[1]}"
    return f"unix:{at}"


def _same(bound: tuple[Any, ...] | str, wanted: tuple[Any, ...] | str) -> bool:
    """Host and port; an IPv6 address carries a flow and a scope besides."""
    return bound[:2] == wanted[:2] if isinstance(bound, tuple) and isinstance(wanted, tuple) else bound == wanted
