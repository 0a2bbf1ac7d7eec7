"""The load of many requests: wrk sends them, the kernel says what they cost."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.procs import cpu_s, stores
from tests.bench.served import Contestant, binary

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS, CROWD = 64, 256
"""Of students at their exam, and of a crowd that waits: they are the more, and each has a connection of their own."""


@dataclass(frozen=True, slots=True)
class Round:
    """One contestant under one load for some seconds."""

    requests: int
    cpu_us: float
    """CPU per request, all processes of the contestant."""
    store_us: float
    """The embedded store's part of it."""
    per_s: float
    p50_us: int
    p99_us: int
    refused: int
    """Answers of status 400 and above."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a contestant is sent: the requests in turn, over so many keep-alive connections.

    With a pause, each connection thinks between two, so long in the mean.
    """

    contestant: Contestant
    requests: Sequence[bytes]
    pause_ms: int = 0
    connections: int = CONNECTIONS

    def drive(self, seconds: int, folder: Path) -> Round:
        """One turn."""
        file = folder / "requests"
        file.write_bytes(b"".join(request + b"--next--\n" for request in self.requests))
        pids = self.contestant.pids()
        before_s, store_before_s = cpu_s(pids), cpu_s(stores(pids))
        ran = subprocess.run(
            [binary("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT),
             f"{'https' if self.contestant.tls else 'http'}://127.0.0.1:{self.contestant.port}/",
             "--", str(file), str(self.pause_ms)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        used_s, store_s = cpu_s(pids) - before_s, cpu_s(stores(pids)) - store_before_s
        said = json.loads(ran.stdout.rpartition("RESULT ")[2])
        if said["broken"] or not said["requests"]:
            raise SystemExit(
                f"{self.contestant.name}: {said['broken']} broken of {said['requests']} requests\n{ran.stdout}"
            )
        return Round(
            requests=said["requests"],
            cpu_us=used_s / said["requests"] * 1e6,
            store_us=store_s / said["requests"] * 1e6,
            per_s=said["requests"] / said["duration_us"] * 1e6,
            p50_us=said["p50_us"],
            p99_us=said["p99_us"],
            refused=said["refused"],
        )

    def at(self, per_s: float) -> "Load":
        """The same, slowed down to about so many requests a second."""
        pause_ms = max(1, round(self.connections / per_s * 1000))
        return Load(self.contestant, self.requests, pause_ms, self.connections)
