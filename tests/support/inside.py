"""Students who sit their exam: one keep-alive connection each, one request after another, every answer timed.

Law: what holds up the machine, a worker or the test itself is told from what holds up the students. Witnesses ask
beside them for what is answered at once, whatever happens, and their longest wait is taken off.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.load import one_request
from tests.support.product import look_again
from tests.support.student import Student

THOUGHT_S = 0.01
"""Between an answer and the next request."""

WITNESSES = 2
NEWS = b"GET /_waitroom/news?pool=main HTTP/1.1\r\nHost: exam\r\nConnection: close\r\n\r\n"
"""Answered from a worker's memory."""


@dataclass(slots=True)
class Sitting:
    """What those inside saw."""

    statuses: list[int] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds that the slowest answer to each of them took."""
    witnessed_s: float = 0.0
    """The longest from one answer to a witness to the next."""
    failures: list[str] = field(default_factory=list)
    running: bool = True

    def unharmed(self) -> float:
        """Every request was answered by the exam server, on the connection that was open.

        The slowest answer in seconds, beyond what the machine made everybody wait.
        """
        assert not self.failures, self.failures[:3]
        assert set(self.statuses) == {200}, set(self.statuses)
        assert len(self.statuses) > 10, len(self.statuses)
        return max(self.slowest.values()) - self.witnessed_s


@contextlib.asynccontextmanager
async def sitting(students: Sequence[Student]) -> AsyncIterator[Sitting]:
    """All of them at work for as long as the block runs."""
    seen = Sitting()
    tasks = [asyncio.ensure_future(_sit(student, seen)) for student in students]
    tasks += [asyncio.ensure_future(_witness(students[0].base, seen)) for _ in range(WITNESSES)]
    try:
        yield seen
    finally:
        seen.running = False
        await asyncio.gather(*tasks)


async def _sit(student: Student, seen: Sitting) -> None:
    at = urlsplit(student.base)
    loop = asyncio.get_running_loop()
    cookies = "; ".join(f"{each.key}={each.value}" for each in student.client.cookie_jar)
    request = (
        f"GET /work HTTP/1.1\r\nHost: {at.netloc}\r\nCookie: {cookies}\r\nX-Student: {student.name}\r\n"
        "Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        while seen.running:
            began_s = loop.time()
            writer.write(request)
            status, size = _head(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(size)
            seen.slowest[student.name] = max(seen.slowest.get(student.name, 0.0), loop.time() - began_s)
            seen.statuses.append(status)
            await look_again(THOUGHT_S)
    except (OSError, EOFError) as error:
        seen.failures.append(f"{student.name}: {error!r}")
    finally:
        writer.transport.abort()


async def _witness(url: str, seen: Sitting) -> None:
    """On a connection of its own each time, so that every worker is asked in turn."""
    loop = asyncio.get_running_loop()
    last_s = loop.time()
    while seen.running:
        await one_request(url, NEWS)
        seen.witnessed_s, last_s = max(seen.witnessed_s, loop.time() - last_s), loop.time()
        await look_again(THOUGHT_S)


def _head(head: bytes) -> tuple[int, int]:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return int(head.split()[1]), int(fields[b"content-length"])
