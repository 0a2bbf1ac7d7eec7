"""One worker before a backend of the test's, and what is asked of it while something lasts: memory, time, the others.

Law: nothing is assumed of the machine. Memory is the kernel's account of the worker, a time is compared with one
measured on the same machine a moment before, and what has to last is filled with events, not with a pause.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.procs import grown_kib, start_peaks
from tests.streams.script import connect
from tests.support.product import Product, serving, until
from tests.support.student import Student

WORKER = "waitroom.server.worker"

PLENTY = 1_000_000
"""Seats, where the line is not what is looked at."""

FLOOR_S = 0.05
"""A 99th percentile below this is good whatever an idle one was: two cores, shared with the load itself."""

NOISE_BYTES = 2 << 20
"""What a worker's memory grows by for other reasons: caches that fill, the allocator's own pages."""

LOOKS = 200
"""Pages that another student loads while something lasts: enough for a 99th percentile."""


@contextlib.asynccontextmanager
async def room(tmp_path: Path, backend: str, more: str = "") -> AsyncIterator[Product]:
    """A product with one worker and seats for everybody. `more`: further keys, as YAML."""
    config = f"""
workers: 1
pools: {{main: {{backends: {{main-1: {{url: "{backend}", max_sessions: {PLENTY}}}}}}}}}
{more}
"""
    async with serving(tmp_path, config=config) as product:
        yield product


def worker(product: Product) -> int:
    """Process id of the only worker."""
    (pid,) = product.children(WORKER)
    return pid


@dataclass(slots=True)
class Memory:
    """A worker's memory from here on."""

    pid: int
    before: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.before = start_peaks([self.pid])

    @property
    def grown_bytes(self) -> int:
        """The most that it has held more than at the beginning."""
        return grown_kib(self.before) * 1024


SAMPLES = 5


async def pass_of(student: Student) -> str:
    """The Cookie field of a student who is inside."""
    assert (await student.page()).status == 200
    return "; ".join(f"{cookie.key}={cookie.value}" for cookie in student.client.cookie_jar)


async def page_times(student: Student, pages: int = LOOKS) -> list[float]:
    """Seconds that each of so many pages took, one after the other; all of them came."""
    took = []
    for _ in range(pages):
        began_s = time.perf_counter()
        assert (await student.page()).status == 200
        took.append(time.perf_counter() - began_s)
    return took


def p99(seconds: list[float]) -> float:
    """The 99th percentile."""
    assert len(seconds) >= 100, "too few for a 99th percentile"
    return sorted(seconds)[len(seconds) * 99 // 100]


async def silence(product: Product, seconds: float) -> None:
    """So long and more, in which the product's clock is seen to run: new connections are closed for saying nothing.

    `timeouts.head` says how long each of them lives.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + seconds
    while loop.time() < until_s:
        reader, writer = await connect(product)
        assert await reader.read() == b""
        writer.close()


def as_ever(idle: list[float]) -> float:
    """What the 99th percentile may be while something lasts, after what it was when nothing did."""
    return max(FLOOR_S, 2 * p99(idle))


async def good(student: Student) -> float:
    """The same, from a sample that is taken now."""
    return as_ever(await page_times(student))


async def served_as_ever(student: Student, good_s: float) -> float:
    """While something lasts, another student's pages come as ever; their 99th percentile, s.

    Two late ones of a sample are beyond it, and a machine that stands still for a moment makes them; who is held up
    by what lasts is so in every sample.
    """
    took_s: list[float] = []
    while not took_s or took_s[-1] > good_s:
        assert len(took_s) < SAMPLES, (took_s, good_s)
        took_s.append(p99(await page_times(student)))
    return took_s[-1]


async def stalls(sent: Callable[[], int]) -> None:
    """Wait until what is sent does not grow any more."""
    last = -1
    same = 0

    async def still() -> bool:
        nonlocal last, same
        now = sent()
        same = same + 1 if now == last and now else 0
        last = now
        return same > 20

    await until(still, what="a standstill")
