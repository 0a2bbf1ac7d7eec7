"""The load: wrk on the one hand, a plain socket for what is large or idle on the other."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contestants import BIG_BYTES, Contestant
from tests.bench.procs import cpu_s, stores

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 64
CHUNK_BYTES = 256 * 1024


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


def drive(contestant: Contestant, requests: Sequence[bytes], seconds: float, folder: Path, pause_ms: int = 0) -> Round:
    """Send the requests in turn over 64 keep-alive connections; with a pause, each connection thinks between two."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install nginx-light wrk")
    file = folder / "requests"
    file.write_bytes(b"".join(request + b"--next--\n" for request in requests))
    pids = contestant.pids()
    before_s, store_before_s = cpu_s(pids), cpu_s(stores(pids))
    ran = subprocess.run(
        [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", "-s", str(SCRIPT),
         f"http://127.0.0.1:{contestant.port}/", "--", str(file), str(pause_ms)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    used_s, store_s = cpu_s(pids) - before_s, cpu_s(stores(pids)) - store_before_s
    said = json.loads(ran.stdout.rpartition("RESULT ")[2])
    if said["broken"] or not said["requests"]:
        raise SystemExit(f"{contestant.name}: {said['broken']} broken of {said['requests']} requests\n{ran.stdout}")
    return Round(
        requests=said["requests"],
        cpu_us=used_s / said["requests"] * 1e6,
        store_us=store_s / said["requests"] * 1e6,
        per_s=said["requests"] / said["duration_us"] * 1e6,
        p50_us=said["p50_us"],
        p99_us=said["p99_us"],
        refused=said["refused"],
    )


def download(contestant: Contestant, request: bytes) -> float:
    """Read the large file to its end; MB/s."""
    with socket.create_connection(("127.0.0.1", contestant.port), timeout=60) as connection:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        started = time.perf_counter()
        connection.sendall(request)
        got = 0
        while got < BIG_BYTES:  # the head is among it: some hundred bytes of 100 MB
            read = connection.recv_into(buffer)
            if not read:
                raise SystemExit(f"{contestant.name} ended the download after {got} bytes")
            got += read
        return got / (time.perf_counter() - started) / 1e6


def hold(contestant: Contestant, request: bytes, number: int) -> list[socket.socket]:
    """So many connections that have had one answer each and stay open."""
    held = []
    for _ in range(number):
        connection = socket.create_connection(("127.0.0.1", contestant.port), timeout=30)
        held.append(connection)
        connection.sendall(request)
        if b" 200 " not in connection.recv(CHUNK_BYTES).split(b"\r\n", 1)[0]:
            raise SystemExit(f"{contestant.name} does not answer an idle connection's first request with 200")
    return held
