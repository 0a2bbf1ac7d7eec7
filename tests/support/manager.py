"""A service manager: it holds the listening sockets, passes them to each service that it starts, and hears of it.

Law: it speaks as systemd does, sd_listen_fds(3) and sd_notify(3), and knows nothing of the product.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.product import START_S

HIGH_FD = 100
"""Where descriptors wait until the child puts them at 3 and above."""

START = 'exec {moves}; export LISTEN_PID=$$ LISTEN_FDS={count}; exec "$@"'


@dataclass(slots=True)
class Manager:
    """The manager of one service."""

    ear: socket.socket
    doors: list[socket.socket] = field(default_factory=list)
    _copies: list[int] = field(default_factory=list)
    heard: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def bind(self, *, shared: bool = False, port: int = 0) -> int:
        """One more listening socket; gives its port."""
        port = port or free_port()
        door = socket.socket()
        if shared:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        door.bind(("127.0.0.1", port))
        door.listen(4_096)
        self.doors.append(door)
        return port

    def launch(self) -> tuple[Sequence[str], Sequence[int]]:
        """How a service is started with the sockets: a command, and the descriptors it takes along."""
        self._copies += (new := [fcntl.fcntl(door.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH_FD) for door in self.doors])
        moves = " ".join(f"{number}<&{fd} {fd}<&-" for number, fd in enumerate(new, start=3))
        return ("bash", "-c", START.format(moves=moves, count=len(new)), "manager"), new

    async def hears(self, line: str) -> str:
        """Wait for the next message that holds this line, and give it."""
        async with asyncio.timeout(START_S):
            while line not in (message := await self.heard.get()).splitlines():
                pass
            return message

    def let_go(self) -> None:
        """Close the sockets."""
        for door in self.doors:
            door.close()
        for copy in self._copies:
            os.close(copy)

    def listen(self) -> None:
        """There is a message."""
        self.heard.put_nowait(self.ear.recv(1_000).decode())


@contextlib.contextmanager
def managing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A manager of the services that are started in the block."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.setblocking(False)
        ear.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        manager = Manager(ear)
        loop = asyncio.get_running_loop()
        loop.add_reader(ear, manager.listen)
        try:
            yield manager
        finally:
            loop.remove_reader(ear)
            manager.let_go()
