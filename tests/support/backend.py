"""An exam server that counts: who is in, how many at once, and in which order they came."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.ports import free_port
from tests.support.site import everywhere, listening

PATIENCE_S = 60.0
"""For those who wait for an answer still when it stops."""


@dataclass(slots=True)
class CountingBackend:
    """Students name themselves in `X-Student`; a session lasts from the first request to `/logout`."""

    url: str = ""
    inside: set[str] = field(default_factory=set)
    most_inside: int = 0
    entered: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    paths: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each of `paths` was asked for, on the loop's clock."""
    bodies: list[bytes] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    """Of each body, when its request came."""
    slow: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any page; `/logout` ends a session, `/slow` waits until the test says so, `/cut` is answered by nothing."""
        student = request.headers.get("X-Student", "")
        self.requests[student] += 1
        self.paths.append(request.raw_path)
        self.times.append(asyncio.get_running_loop().time())
        if request.method == "POST":
            self.times_s.append(asyncio.get_running_loop().time())
            self.bodies.append(await request.read())
        if request.path == "/logout":
            self.inside.discard(student)
        elif student not in self.inside:
            self.inside.add(student)
            self.entered.append(student)
            self.most_inside = max(self.most_inside, len(self.inside))
        if request.path == "/slow":
            await self.slow.wait()
        if request.path == "/cut" and request.transport is not None:
            request.transport.close()
        return web.Response(text=f"exam server: {request.raw_path}\n", headers={"X-Exam": "yes"})


@contextlib.asynccontextmanager
async def counting_backend(port: int = 0) -> AsyncIterator[CountingBackend]:
    """A counting exam server, on a free port unless one is named."""
    backend = CountingBackend()
    async with listening(everywhere(backend.answer), port or free_port(), patience_s=PATIENCE_S) as at:
        backend.url = f"http://127.0.0.1:{at}"
        try:
            yield backend
        finally:
            backend.slow.set()
