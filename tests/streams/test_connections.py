"""Connections that only want to be there: as many as the limit says, cheap, and one more is told to come back."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.procs import rss_kib
from tests.proxy.wire import OK
from tests.streams.room import page_times, pass_of, room, worker
from tests.streams.script import backend, connect, request
from tests.support.aio import run
from tests.support.load import one_request
from tests.support.product import START_S, Product, until
from tests.support.student import Student

FEW = 10
"""The least that `limits.connections` takes."""

MANY = 20_000
RESERVED_FILES = 300
"""Of this process and of the worker, for all but these connections."""

FEWEST = 10_000
"""Where the hard limit of open files is lower than MANY and cannot be raised, so many have to be possible still."""

EACH_BYTES = 12 * 1024
"""What an idle connection may cost the worker."""

SOURCES = 10
"""Addresses to come from, since one has some 28,000 ports."""

ROOMY = f"limits: {{connections: {MANY + RESERVED_FILES}}}\ntimeouts: {{idle: 10m}}"
"""The first is not to be shut for its silence before the last is there."""

AT_ONCE = 100
"""Connections that are being made at a time."""


def test_beyond_the_limit_one_is_told_to_come_back(tmp_path: Path) -> None:
    """503 with Retry-After at once; those inside are served, and a place that becomes free is used again."""

    async def main() -> None:
        async with (
            backend({}) as url,
            room(tmp_path, url, f"limits: {{connections: {FEW}}}") as product,
            Student(product.public, "ann") as ann,
        ):
            cookie = await pass_of(ann)
            held = [await _answered(product, cookie) for _ in range(FEW - 1)]
            reader, writer = await connect(product)
            refusal = await asyncio.wait_for(reader.read(), START_S)
            assert refusal.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 5\r\n" in refusal
            assert b"application/problem+json" in refusal
            writer.close()
            await page_times(ann)
            held.pop()[1].close()

            async def served() -> bool:
                return await one_request(product.public) == 200

            await until(served, what="a place that became free")
            for _, writer in held:
                writer.close()

    run(main())


async def _answered(product: Product, cookie: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has had one answer and stays open."""
    reader, writer = await connect(product)
    writer.write(request(cookie, "/"))
    assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
    return reader, writer


@contextlib.contextmanager
def _open_files() -> Iterator[int]:
    """As many files as this process and what it starts may open, at most what MANY connections need."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY + RESERVED_FILES
    with contextlib.suppress(ValueError, OSError):  # only root may raise a hard limit, and not everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, before[1])))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(hard, wanted) if soft < wanted else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))
    try:
        yield files
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_twenty_thousand_at_rest(tmp_path: Path) -> None:
    """Each was answered once and stays: little memory for each, and a newcomer is served like the first."""

    async def main(number: int) -> None:
        async with (
            backend({}) as url,
            room(tmp_path, url, ROOMY) as product,
            Student(product.public, "ann") as ann,
        ):
            asked = request(await pass_of(ann), "/")
            await page_times(ann)
            pid = worker(product)
            before_kib = rss_kib([pid])
            held: list[socket.socket] = []
            try:
                for start in range(0, number, AT_ONCE):
                    some = range(start, min(start + AT_ONCE, number))
                    held += await asyncio.gather(*(_at_rest(product, each, asked) for each in some))
                each_bytes = (rss_kib([pid]) - before_kib) * 1024 / number
                print(f"{number} connections at rest, {each_bytes / 1024:.1f} KiB each in the worker")
                assert each_bytes <= EACH_BYTES
                assert await one_request(product.public) == 200
                loop = asyncio.get_running_loop()
                for each in (held[0], held[-1]):  # none was shut for another
                    await loop.sock_sendall(each, asked)
                    assert (await loop.sock_recv(each, 4_096)).endswith(OK[-2:])
            finally:
                for each in held:
                    each.close()

    with _open_files() as files:
        number = min(MANY, files - RESERVED_FILES)
        assert number >= FEWEST, "the hard limit of open files is too low here: ulimit -Hn"
        run(main(number))


async def _at_rest(product: Product, number: int, asked: bytes) -> socket.socket:
    """A connection from one of many addresses that has had its answer. A bare socket: there are very many of them."""
    loop, port = asyncio.get_running_loop(), urlsplit(product.public).port
    one = socket.socket()
    one.setblocking(False)
    one.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
    one.bind((f"127.0.0.{2 + number % SOURCES}", 0))
    await loop.sock_connect(one, ("127.0.0.1", port))
    await loop.sock_sendall(one, asked)
    got = b""
    while not got.endswith(OK[-2:]):
        data = await loop.sock_recv(one, 4_096)
        assert data, "closed instead of answered"
        got += data
    assert got.startswith(b"HTTP/1.1 200 "), got
    return one
