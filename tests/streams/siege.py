"""Those who come to hold connections, by slowhttptest, and those who only want their pages meanwhile.

Law: whether an attacker is gone is read from the worker's open files, not from what the attacker believes.
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.streams.room import p99, worker
from tests.streams.script import connect, request
from tests.support.load import REQUEST
from tests.support.product import Product, look_again, until

HOLDERS, NEWCOMERS = 8, 4
"""Honest clients at once: with a pass on a kept-alive connection, and without on a new one each time."""

SAMPLE = 300
"""Answers from which a 99th percentile is taken."""

ATTACKERS = 2_000
A_SECOND = 1_000
"""How many of them connect in a second."""

KEPT = 64
"""Idle connections to the backend that a worker may keep (limits.backend_idle)."""

ENOUGH_S = 60
"""After which an attack that was not ended ends itself."""


@dataclass(slots=True)
class Honest:
    """What honest clients have seen."""

    product: Product
    cookie: str
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    running: bool = True

    async def hold(self) -> None:
        """Page after page on one connection."""
        reader, writer = await connect(self.product)
        while self.running:
            await self._answered(reader, writer, request(self.cookie, "/"))
            await look_again()
        writer.close()

    async def come(self) -> None:
        """A newcomer after the other, each with a first page."""
        while self.running:
            began_s = time.perf_counter()
            reader, writer = await connect(self.product)
            await self._answered(reader, writer, REQUEST, began_s)
            writer.close()
            await look_again()

    async def _answered(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytes, began_s: float = 0.0
    ) -> None:
        began_s = began_s or time.perf_counter()
        try:
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"ok"
            assert head.startswith(b"HTTP/1.1 200 "), head
        except (OSError, EOFError, AssertionError) as error:
            self.failures.append(repr(error))
            self.running = False
        self.seconds.append(time.perf_counter() - began_s)

    async def sampled(self) -> bool:
        """Whether enough have been answered."""
        return len(self.seconds) >= SAMPLE or not self.running


@contextlib.asynccontextmanager
async def honest(product: Product, cookie: str) -> AsyncIterator[Honest]:
    """Honest clients for as long as the block runs, and until there are enough of their answers; none has failed."""
    seen = Honest(product, cookie)
    tasks = [asyncio.ensure_future(seen.hold()) for _ in range(HOLDERS)]
    tasks += [asyncio.ensure_future(seen.come()) for _ in range(NEWCOMERS)]
    try:
        yield seen
        await until(seen.sampled, what="a sample of honest answers")
    finally:
        seen.running = False
        await asyncio.gather(*tasks)
    assert seen.failures == []


async def calm(product: Product, cookie: str) -> list[float]:
    """What honest clients wait for when nothing else happens."""
    async with honest(product, cookie) as seen:
        pass
    return seen.seconds


@dataclass(frozen=True, slots=True)
class Siege:
    """How an attack went."""

    most: int
    """Connections that it held at once."""
    lasted_s: float
    """From when all were there to when none was."""
    seconds: list[float]
    """What honest clients waited for meanwhile."""

    def __str__(self) -> str:
        return (
            f"{self.most} attackers held at most, the last gone after {self.lasted_s:.1f} s; "
            f"{len(self.seconds)} honest answers, p99 {p99(self.seconds) * 1e3:.1f} ms, "
            f"slowest {max(self.seconds) * 1e3:.1f} ms"
        )


async def besieged(folder: Path, product: Product, cookie: str, *mode: str) -> Siege:
    """Let 2,000 attackers come, and wait until the worker has got rid of all of them, or they have of themselves."""
    pid = worker(product)
    before = most = _files(pid)
    most_s = 0.0
    async with honest(product, cookie) as seen, _attack(folder, product, *mode) as attack:

        async def over() -> bool:
            nonlocal most, most_s
            now = _files(pid)
            if now > most:
                most, most_s = now, time.perf_counter()
            all_came = most > before + ATTACKERS // 2 or attack.returncode is not None
            return all_came and now <= before + HOLDERS + NEWCOMERS + KEPT

        await until(over, within_s=ENOUGH_S, what="the end of the siege")
        lasted_s = time.perf_counter() - most_s
    return Siege(most - before, lasted_s, seen.seconds)


def _files(pid: int) -> int:
    """Files that a process has open: nearly all are connections. Cheap, since honest clients wait meanwhile."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@contextlib.asynccontextmanager
async def _attack(folder: Path, product: Product, *mode: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """slowhttptest for as long as the block runs, at most `ENOUGH_S`."""
    program = shutil.which("slowhttptest", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program, "slowhttptest is missing: apt-get install slowhttptest"
    log = folder / "slowhttptest.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(program, "-c", str(ATTACKERS), "-r", str(A_SECOND), "-l", str(ENOUGH_S)),
            *("-u", f"{product.public}/large", *mode),
            stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=folder,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
