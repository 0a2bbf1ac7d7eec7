"""A contestant: a server that is one command, from its start to its end, and who of the machine's cores it may use.

Law: every contestant starts the same way, on the same core, and returns from `start` only when it answers. All its
processes are its own: what its children use is counted as its cost, and nothing of it is left after `stop`.
"""

import contextlib
import http.client
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.procs import family
from tests.support.ports import free_port

START_S = 120.0
"""In emulation (tests/machine) a start takes a minute."""

LOOK_S = 0.05


class Contestant(Protocol):
    """A server under measurement."""

    name: str
    port: int
    tls: bool

    def start(self, cores: set[int] | None = None) -> None:
        """Listen on `port`; returns when it answers."""

    def pids(self) -> list[int]:
        """Every process that belongs to it."""

    def stop(self) -> None:
        """End it."""


@dataclass(slots=True)
class Served:
    """A contestant that is one command."""

    name: str
    folder: Path
    upstream: int
    """Port of the backend behind it."""
    tls: bool = False
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        """Write what it reads, into its folder."""

    def command(self) -> list[str]:
        """What starts it, once it is configured."""
        raise NotImplementedError

    def checker(self) -> list[str]:
        """What tells whether it accepts its configuration."""
        raise NotImplementedError

    def start(self, cores: set[int] | None = None) -> None:
        """Configure, start on these cores, wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configure()
        pinned = [binary("taskset"), "-c", ",".join(map(str, sorted(cores)))] if cores else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*pinned, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=self.environment(), start_new_session=True,
            )  # fmt: skip
        give_up = time.monotonic() + START_S
        while not self._answers():
            if self._ended_within(LOOK_S) or time.monotonic() > give_up:
                raise SystemExit(f"{self.name} does not start:\n{(self.folder / 'log').read_text(errors='replace')}")

    def environment(self) -> dict[str, str]:
        """Its environment: ours, if it needs nothing special."""
        return dict(os.environ)

    def pids(self) -> list[int]:
        """Every process that belongs to it."""
        assert self.process is not None
        return family(self.process.pid)

    def stop(self) -> None:
        """End it, by force if it does not listen."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _ended_within(self, seconds: float) -> bool:
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = connect(self.port, tls=self.tls, timeout_s=5)
            connection.request("GET", "/health")
            connection.getresponse().read()
            connection.close()
            return True
        return False


def connect(port: int, *, tls: bool, timeout_s: float = 30) -> http.client.HTTPConnection:
    """A client's connection to a contestant; its certificate is the tests' own and is taken as it is."""
    if tls:
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)


def binary(name: str) -> str:
    """Where a server's program is; Debian keeps some where only root looks."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise SystemExit(f"{name} is missing: apt-get install {name}, or run `make bench`")
    return found


@contextlib.contextmanager
def running(contestants: Sequence[Contestant], cores: set[int] | None) -> Iterator[None]:
    """Freshly started, all of them; ended at the end, the last one first."""
    with contextlib.ExitStack() as stack:
        for each in contestants:
            stack.callback(each.stop)
            each.start(cores)
        yield
