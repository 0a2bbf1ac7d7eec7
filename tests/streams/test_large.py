"""Large bodies and those who stop in the middle of one: memory stays flat, and nobody else is held up."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.proxy.wire import OK, Call
from tests.streams.room import NOISE_BYTES, Memory, good, page_times, pass_of, room, served_as_ever, stalls, worker
from tests.streams.script import Wire, ask, backend, connect, connect_narrow, request
from tests.support.aio import run
from tests.support.product import Product, until
from tests.support.student import Student
from waitroom.proxy.rules import BUFFER_BYTES

MB = 1 << 20
GB = 1 << 30
BLOCK = os.urandom(MB)
TWICE = BLOCK * 2

HELD_BYTES = 2 * BUFFER_BYTES
"""Of one connection whose body goes one way: what rules.py says of BUFFER_BYTES."""

BESIDE_BYTES = 256 * 1024
"""What a request in progress costs beside its body: two connections, heads, and what the allocator leaves between
buffers: on a machine that is busy they come and go in another order, and 156 kB have been seen."""

STALLED = 100
STALLED_BYTES = STALLED * (HELD_BYTES + BESIDE_BYTES) + NOISE_BYTES
OFFERED_BYTES = 16 * MB
"""To each who is stalled: more than kernels and the product hold together."""

PATIENT = 10
"""Of the stalled ones, those who go on; the others leave."""

WITHIN_S = 60.0

UNHURRIED = "timeouts: {body: 10m, body_grace: 5m}\nlimits: {body_rate: none}"
"""Who stands still is not shown out for it here, however long the others' pages take."""

Visit = Callable[[Product, str, Student], Awaitable[None]]


class Exam:
    """An exam server with large files; what went into it and out of it is counted."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0
        self.open = 0
        self.reads = asyncio.Event()
        self.streams = {"/down": self.down, "/up": self.up, "/later": self.later}

    async def down(self, call: Call) -> None:
        """As many bytes as the path says."""
        size = _size(call)
        self.open += 1
        try:
            await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // MB):
                await call.say(BLOCK)
                self.sent_bytes += MB
        finally:
            self.open -= 1

    async def up(self, call: Call) -> None:
        """Takes an upload and looks at every byte."""
        await self.take(call, _size(call))

    async def later(self, call: Call) -> None:
        """The same, but does not begin to read until it is told to."""
        size = _size(call)
        await self.reads.wait()
        await self.take(call, size)

    async def take(self, call: Call, size: int) -> None:
        """The body, and the answer to it."""
        got = 0
        while got < size:
            data = await call.reader.read(MB)
            if not data:
                return  # the client left; one that stayed waits for the answer
            assert data == _part(got, len(data))
            got += len(data)
            self.received_bytes += len(data)
        await call.say(OK)


def _size(call: Call) -> int:
    """The size that the path of the request just read ends with."""
    return int(call.backend.heads[-1].split(b" ")[1].rpartition(b"/")[2])


def _part(at: int, length: int) -> bytes:
    """What stands at a place of a body that repeats BLOCK."""
    return TWICE[at % MB : at % MB + length]


def _visited(tmp_path: Path, exam: Exam, visit: Visit, more: str = "") -> None:
    """Ann has a pass for what is large; Bob only looks at pages."""

    async def main() -> None:
        async with (
            backend(exam.streams) as url,
            room(tmp_path, url, more) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            await visit(product, await pass_of(ann), bob)

    run(main())


async def _download(reader: asyncio.StreamReader, size: int) -> None:
    """Look at every byte of an answer whose head has been read."""
    got = 0
    while got < size:
        data = await reader.read(min(MB, size - got))
        assert data, f"a download ended after {got} bytes"
        assert data == _part(got, len(data))
        got += len(data)


async def _upload(product: Product, cookie: str, path: str, size: int, announced: int = 0) -> Wire:
    """Send the first `size` bytes of an upload of `announced` bytes, or of all of it."""
    wire = await connect(product)
    announced = announced or size
    wire[1].write(request(cookie, f"{path}/{announced}", "POST", f"Content-Length: {announced}"))
    for at in range(0, size, MB):
        wire[1].write(_part(at, min(MB, size - at)))
        await wire[1].drain()
    return wire


async def _accepted(wire: Wire) -> None:
    """The backend's answer to a whole upload."""
    assert await asyncio.wait_for(wire[0].readexactly(len(OK)), WITHIN_S) == OK
    wire[1].close()


def test_a_gigabyte_each_way(tmp_path: Path) -> None:
    """Every byte arrives in its place, and the worker does not notice."""
    exam = Exam()

    async def visit(product: Product, cookie: str, bob: Student) -> None:
        await page_times(bob)
        loop, memory = asyncio.get_running_loop(), Memory(worker(product))
        began_s = loop.time()
        reader, writer = await ask(product, cookie, f"/down/{GB}")
        await _download(reader, GB)
        writer.close()
        down_s = loop.time() - began_s
        await _accepted(await _upload(product, cookie, "/up", GB))
        up_s = loop.time() - began_s - down_s
        assert (exam.sent_bytes, exam.received_bytes) == (GB, GB)
        print(f"1 GB down in {down_s:.1f} s, up in {up_s:.1f} s; worker grew by {memory.grown_bytes >> 10} KiB")
        assert memory.grown_bytes <= HELD_BYTES + NOISE_BYTES

    _visited(tmp_path, exam, visit)


def test_readers_that_stop(tmp_path: Path) -> None:
    """A hundred of them cost their buffers and nobody's time; who reads on gets all of it."""
    exam = Exam()

    async def visit(product: Product, cookie: str, bob: Student) -> None:
        good_s = await good(bob)
        memory = Memory(worker(product))
        wires = [await connect_narrow(product) for _ in range(STALLED)]

        async def all_asked() -> bool:
            return exam.open == STALLED

        for _, writer in wires:
            writer.write(request(cookie, f"/down/{OFFERED_BYTES}"))
        await until(all_asked, what="all of them at the exam server")
        await stalls(lambda: exam.sent_bytes)
        took_s = await served_as_ever(bob, good_s)
        print(f"{STALLED} stalled readers: p99 {took_s * 1e3:.1f} ms, worker grew by {memory.grown_bytes >> 10} KiB")
        assert exam.open == STALLED
        assert exam.sent_bytes < STALLED * OFFERED_BYTES
        assert memory.grown_bytes <= STALLED_BYTES
        reader, writer = wires.pop()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await _download(reader, OFFERED_BYTES)
        writer.close()
        for _, writer in wires:
            writer.transport.abort()

        async def over() -> bool:
            return exam.open == 0

        await until(over, what="the end of what nobody reads")

    _visited(tmp_path, exam, visit, UNHURRIED)


def test_writers_that_stop(tmp_path: Path) -> None:
    """A hundred uploads that stand still hold up nobody; each that goes on is taken."""
    exam = Exam()
    half = MB // 2

    async def visit(product: Product, cookie: str, bob: Student) -> None:
        good_s = await good(bob)
        wires = [await _upload(product, cookie, "/up", half, announced=MB) for _ in range(STALLED)]

        async def there() -> bool:
            return exam.received_bytes == STALLED * half

        await until(there, what="the first halves")
        took_s = await served_as_ever(bob, good_s)
        print(f"{STALLED} stalled uploads: p99 {took_s * 1e3:.1f} ms")
        for wire in wires:
            wire[1].write(_part(half, half))
            await _accepted(wire)

    _visited(tmp_path, exam, visit, UNHURRIED)


def test_a_backend_that_does_not_read(tmp_path: Path) -> None:
    """A hundred uploads wait at their clients, not in the worker; who is patient is taken in the end."""
    exam = Exam()

    async def visit(product: Product, cookie: str, bob: Student) -> None:
        good_s = await good(bob)
        memory, sent_bytes = Memory(worker(product)), 0

        async def upload() -> None:
            nonlocal sent_bytes
            wire = await connect(product)
            try:
                length = f"Content-Length: {OFFERED_BYTES}"
                wire[1].write(request(cookie, f"/later/{OFFERED_BYTES}", "POST", length))
                for _ in range(OFFERED_BYTES // MB):
                    wire[1].write(BLOCK)
                    await wire[1].drain()
                    sent_bytes += MB
                await _accepted(wire)
            finally:
                wire[1].transport.abort()

        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(upload()) for _ in range(STALLED)]
            await stalls(lambda: sent_bytes)
            took_s = await served_as_ever(bob, good_s)
            print(f"{STALLED} uploads unread: p99 {took_s * 1e3:.1f} ms, worker grew by {memory.grown_bytes >> 10} KiB")
            assert sent_bytes < STALLED * OFFERED_BYTES
            assert memory.grown_bytes <= STALLED_BYTES
            for each in uploads[PATIENT:]:
                each.cancel()
            exam.reads.set()

    _visited(tmp_path, exam, visit, UNHURRIED)
