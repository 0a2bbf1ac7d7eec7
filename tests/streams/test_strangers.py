"""A server that has a thread for each connection, as Apache has, and strangers who would keep all of them.

Law: what a stranger sends slowly is waited for here. Who is inside is served as ever.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.proxy.wire import OK, Backend, Call
from tests.streams.room import good, pass_of, room, served_as_ever
from tests.streams.script import BACKLOG, LIMIT_BYTES, Wire, connect
from tests.support.aio import run
from tests.support.product import Product, until
from tests.support.student import Student
from waitroom.proxy.strangers import STRANGERS

THREADS = 40
"""Fewer than strangers who come, and more than the backend is to have of them."""

MANY = 200

BYPASS = """
bypass: [{path: "/open/*"}]
timeouts: {body: 10m, body_grace: 5m}
limits: {body_rate: none}
"""
"""Strangers are given as much time as they want: what is looked at is whom they hold up meanwhile."""

FORM, UPLOAD = 20_000, 200_000
"""Bytes of a body that is read before it is passed on, and of one that is not."""


@dataclass(slots=True)
class Threads:
    """A backend with so many threads; each serves one connection, from its first byte to its end."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(THREADS))
    strangers: int = 0
    """Whose requests are being read now."""
    most: int = 0
    bodies: list[int] = field(default_factory=list)
    """Lengths of those that were read whole."""

    async def serve(self, call: Call) -> None:
        async with self.free:
            while head := await call.head():
                if b" /open/" not in head:
                    await call.say(OK)
                    continue
                self.strangers += 1
                self.most = max(self.most, self.strangers)
                try:
                    self.bodies.append(len(await call.body(head)))
                finally:
                    self.strangers -= 1
                await call.say(OK)


@contextlib.asynccontextmanager
async def _exam(tmp_path: Path) -> AsyncIterator[tuple[Threads, Product, Student]]:
    threads = Threads()
    server = await asyncio.start_server(
        Backend(threads.serve).serve, "127.0.0.1", 0, backlog=BACKLOG, limit=LIMIT_BYTES
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with room(tmp_path, url, BYPASS) as product, Student(product.public, "ann") as ann:
        await pass_of(ann)
        yield threads, product, ann
    server.close()


async def _trickle(product: Product, length: int, *, chunked: bool = False) -> Wire:
    """A body that has begun to come."""
    reader, writer = await connect(product)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
    writer.write(f"POST /open/x HTTP/1.1\r\nHost: exam\r\n{framing}\r\n\r\n".encode())
    writer.write(b"%x\r\nx" % length if chunked else b"x")
    return reader, writer


def test_a_form_is_read_before_it_costs_a_thread(tmp_path: Path) -> None:
    """Hundreds that trickle are not seen by the backend; each is passed on once it is whole, in chunks or not."""

    async def main() -> None:
        async with _exam(tmp_path) as (threads, product, ann):
            good_s = await good(ann)
            wires = [await _trickle(product, FORM, chunked=n % 2 == 0) for n in range(MANY)]
            await served_as_ever(ann, good_s)
            assert threads.most == 0
            rest = b"x" * (FORM - 1)
            for n, (reader, writer) in enumerate(wires):
                writer.write(rest + (b"\r\n0\r\n\r\n" if n % 2 == 0 else b""))
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
                writer.close()
            assert len(threads.bodies) == MANY
            assert min(threads.bodies) >= FORM

    run(main())


def test_uploads_leave_threads_for_students(tmp_path: Path) -> None:
    """What is too large to be read first takes no more threads than are for strangers, and no page is late or lost."""

    async def main() -> None:
        async with _exam(tmp_path) as (threads, product, ann):
            good_s = await good(ann)
            wires = [await _trickle(product, UPLOAD) for _ in range(MANY)]

            async def full() -> bool:
                return threads.strangers == STRANGERS

            await until(full, what="a backend with all strangers that it may have")
            await served_as_ever(ann, good_s)
            assert threads.most == STRANGERS
            for _, writer in wires:
                writer.close()

    run(main())


def test_a_form_that_is_announced_is_for_the_backend_to_ask_for(tmp_path: Path) -> None:
    """Its head goes on, and no 100 comes from here (RFC 9110 section 10.1.1)."""

    async def main() -> None:
        async with _exam(tmp_path) as (threads, product, _):
            reader, writer = await connect(product)
            writer.write(b"POST /open/x HTTP/1.1\r\nHost: exam\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")

            async def there() -> bool:
                return threads.strangers == 1

            await until(there, what="the head at the backend")
            writer.write(b"hi")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            assert threads.bodies == [2]
            writer.close()

    run(main())


def test_a_body_in_chunks_that_is_too_large_arrives_whole(tmp_path: Path) -> None:
    """Nobody knows its length before: what was read first goes first."""

    async def main() -> None:
        async with _exam(tmp_path) as (threads, product, _):
            reader, writer = await _trickle(product, UPLOAD, chunked=True)
            writer.write(b"x" * (UPLOAD - 1) + b"\r\n0\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            assert threads.bodies[0] > UPLOAD
            writer.close()

    run(main())
