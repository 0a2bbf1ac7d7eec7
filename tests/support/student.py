"""A student's browser, as far as the waiting room can tell: a cookie jar, page loads and status polls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from tests.support.product import look_again

PAGE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html,*/*;q=0.8"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Accept": "application/json"}


@dataclass(slots=True)
class Answer:
    """One response, read."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def state(self) -> str | None:
        """The waiting room's own word for its answer; None for the exam server's."""
        return self.headers.get("X-Waitroom")


@dataclass(slots=True)
class Student:
    """One visitor."""

    base: str
    name: str
    client: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        jar = aiohttp.CookieJar(unsafe=True)
        self.client = aiohttp.ClientSession(
            cookie_jar=jar, headers={"X-Student": self.name}, connector=aiohttp.TCPConnector(limit=4)
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.client.close()

    async def ask(self, method: str, path: str, headers: dict[str, str], **more: Any) -> Answer:
        """Any request."""
        async with self.client.request(
            method, URL(self.base + path, encoded=True), headers=headers, allow_redirects=False, **more
        ) as got:
            return Answer(got.status, dict(got.headers), await got.read())

    async def page(self, path: str = "/") -> Answer:
        """Load a page."""
        return await self.ask("GET", path, PAGE)

    async def poll(self, query: str = "") -> dict[str, Any]:
        """What the waiting page asks."""
        async with self.client.get(f"{self.base}/_waitroom/status{query}", headers=SCRIPT) as got:
            said: dict[str, Any] = await got.json(content_type=None)
            return said | {"http": got.status}

    async def enter(self, *, every_s: float = 0.1) -> int:
        """Load the page and wait until the exam server itself answers; the number of polls it took."""
        polls = 0
        while (answer := await self.page()).state is not None:
            assert answer.status in (429, 503), answer
            while (await self.poll())["state"] != "admitted":
                polls += 1
                await look_again(every_s)
        assert answer.status == 200, answer
        return polls

    def arrival_us(self) -> int:
        """The arrival stamped in the ticket or pass that this browser holds."""
        for cookie in self.client.cookie_jar:
            if cookie.key.endswith("wr_main"):
                return int(cookie.value.split(".", 2)[2].split("~")[2])
        raise AssertionError(f"{self.name} holds no ticket")


@contextlib.asynccontextmanager
async def staying(student: Student, *, every_s: float = 1.0) -> AsyncIterator[None]:
    """A page that stays open beside the block, however long that takes: who does not ask for seconds counts as gone."""
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            await student.poll()
            await look_again(every_s)

    asking = asyncio.ensure_future(ask())
    try:
        yield
    finally:
        over.set()
        await asking
