"""The load that wrk cannot send: one large body at a time, connections that say nothing, handshakes alone."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence

from tests.bench.contestants import BIG_BYTES
from tests.bench.procs import cpu_s
from tests.bench.served import Contestant

CHUNK_BYTES = 256 * 1024
ADDRESSES = 8
"""Loopback addresses that idle connections come from: one alone has 28,000 ports, and some of them are in use."""

SHAKERS = 4
"""Clients that shake hands at a time."""

HEAD_END = b"\r\n\r\n"


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


def upload(contestant: Contestant, head: bytes) -> float:
    """Send a large body and wait for the answer, which the backend gives when it has the whole; MB/s."""
    with socket.create_connection(("127.0.0.1", contestant.port), timeout=60) as connection:
        chunk = bytes(CHUNK_BYTES)
        started = time.perf_counter()
        connection.sendall(head)
        for _ in range(BIG_BYTES // CHUNK_BYTES):
            connection.sendall(chunk)
        if b" 200 " not in (said := connection.recv(CHUNK_BYTES).split(b"\r\n", 1)[0]):
            raise SystemExit(f"{contestant.name} answers a large body with {said!r}")
        return BIG_BYTES / (time.perf_counter() - started) / 1e6


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """A backend that takes bodies whole and only then answers, on the port given. nginx by itself answers before."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as door:
        threading.Thread(target=_welcome, args=(door,), daemon=True).start()
        try:
            yield door.getsockname()[1]
        finally:
            door.shutdown(socket.SHUT_RDWR)


def _welcome(door: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the door is shut
        while True:
            threading.Thread(target=_swallow, args=(door.accept()[0],), daemon=True).start()


def _swallow(connection: socket.socket) -> None:
    """Request after request until the other side has enough."""
    buffer, seen = memoryview(bytearray(CHUNK_BYTES)), b""
    with connection, contextlib.suppress(ConnectionError):
        while True:
            while HEAD_END not in seen:
                if not (read := connection.recv(CHUNK_BYTES)):
                    return
                seen += read
            head, _, body = seen.partition(HEAD_END)
            left = _length(head) - len(body)
            while left > 0:
                if not (got := connection.recv_into(buffer, min(left, CHUNK_BYTES))):
                    return
                left -= got
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            seen = b""


def hold(contestant: Contestant, requests: Sequence[bytes], number: int) -> list[socket.socket]:
    """So many connections that have had one answer each and stay open."""
    held = []
    for at in range(number):
        source = (f"127.0.0.{2 + at % ADDRESSES}", 0)
        held.append(socket.create_connection(("127.0.0.1", contestant.port), timeout=30, source_address=source))
        if not _answers(held[-1], requests[at % len(requests)]):
            raise SystemExit(f"{contestant.name} does not answer the first request of idle connection {at + 1}")
    return held


def still_there(held: Sequence[socket.socket], requests: Sequence[bytes]) -> int:
    """How many of them answer once more."""
    return sum(_answers(connection, requests[at % len(requests)]) for at, connection in enumerate(held))


def _answers(connection: socket.socket, request: bytes) -> bool:
    """Whether the answer is a 200; it is read to its end, for some send its head and its body apart."""
    seen = b""
    with contextlib.suppress(OSError):
        connection.sendall(request)
        while not _whole(seen):
            if not (read := connection.recv(CHUNK_BYTES)):
                return False
            seen += read
    return b" 200 " in seen.split(b"\r\n", 1)[0]


def _whole(message: bytes) -> bool:
    head, end, body = message.partition(HEAD_END)
    return bool(end) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    """Content-Length, as all bodies have it here."""
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    return int(fields.get(b"content-length", b"0"))


def shake_hands(contestant: Contestant, seconds: float) -> tuple[float, float, float]:
    """Full TLS handshakes, a new connection and a new session each, closed at once.

    Handshakes a second, microseconds of CPU for one, and how busy its core was: below 1 the client was the slower.
    """
    context = ssl._create_unverified_context()
    pids, made = contestant.pids(), [0] * SHAKERS
    started, before_s = time.perf_counter(), cpu_s(pids)

    def shake(own: int) -> None:
        while not made[own] or time.perf_counter() - started < seconds:
            with socket.create_connection(("127.0.0.1", contestant.port), timeout=30) as plain:
                context.wrap_socket(plain).close()
            made[own] += 1

    shakers = [threading.Thread(target=shake, args=(own,)) for own in range(SHAKERS)]
    for each in shakers:
        each.start()
    for each in shakers:
        each.join()
    took_s, used_s = time.perf_counter() - started, cpu_s(pids) - before_s
    if not all(made):
        raise SystemExit(f"{contestant.name} does not shake hands")
    return sum(made) / took_s, used_s / sum(made) * 1e6, used_s / took_s
