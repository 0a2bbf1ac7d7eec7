"""Students who sit their exam: one keep-alive connection each, one request after another, every answer timed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.product import look_again
from tests.support.student import Student

THOUGHT_S = 0.01
"""Between an answer and the next request."""


@dataclass(slots=True)
class Sitting:
    """What those inside saw."""

    statuses: list[int] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds that the slowest answer to each of them took."""
    failures: list[str] = field(default_factory=list)
    running: bool = True

    def unharmed(self) -> float:
        """Every request was answered by the exam server, on the connection that was open. The slowest answer, s."""
        assert not self.failures, self.failures[:3]
        assert set(self.statuses) == {200}, set(self.statuses)
        assert len(self.statuses) > 10, len(self.statuses)
        return max(self.slowest.values())

    def free(self, within_s: float) -> bool:
        """The same, and not all of them once had to wait so long: what holds up one holds up each."""
        self.unharmed()
        return min(self.slowest.values()) < within_s


@contextlib.asynccontextmanager
async def sitting(students: Sequence[Student]) -> AsyncIterator[Sitting]:
    """All of them at work for as long as the block runs."""
    seen = Sitting()
    tasks = [asyncio.ensure_future(_sit(student, seen)) for student in students]
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


def _head(head: bytes) -> tuple[int, int]:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return int(head.split()[1]), int(fields[b"content-length"])
