"""What a worker process asks of the front that does its work, and the process's side of life and death.

Law: the process layer knows nothing of HTTP, and the front nothing of signals and pipes.
"""

import ctypes
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from waitroom.settings.model import Settings
from waitroom.settings.secrets import Secrets

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that this process gets when its parent dies."""


@dataclass(frozen=True, slots=True)
class Grace:
    """How long a worker that leaves waits: for requests in flight, and for tunnels."""

    requests_ms: int
    tunnels_ms: int

    @property
    def longest_s(self) -> float:
        """The longer of the two."""
        return max(self.requests_ms, self.tunnels_ms) / 1000

    @classmethod
    def of(cls, settings: Settings) -> "Grace":
        """The graces of the settings."""
        return cls(settings.timeouts.drain_ms, settings.timeouts.tunnel_drain_ms)


class Front(Protocol):
    """The public listener of one worker with everything behind it."""

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on these listening sockets. They belong to the front from now on."""

    async def prepare(self, settings: Settings, secrets: Secrets, taken_ms: int) -> Callable[[], None]:
        """Get ready for new settings and keys without using them; the function returned switches over and cannot fail.

        `taken_ms`: when they were read; of two machines the one that read later is right. Raises WaitroomError if these
        settings cannot be had.
        """

    async def retire(self, grace: Grace) -> None:
        """Go on accepting, one answer a connection, until all that is there now is finished or its grace over."""

    async def drain(self, grace: Grace) -> None:
        """Answer what waits in the backlog, accept nothing more, and return when all is answered or the grace over."""

    async def close(self) -> None:
        """Let go of everything, at once."""


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however it dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # the parent died before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


def worker_count(settings: Settings) -> int:
    """Workers of this machine."""
    return settings.workers if isinstance(settings.workers, int) else len(os.sched_getaffinity(0))
