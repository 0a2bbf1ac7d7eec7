"""A real product with an exam server and a line in front of it, for all tests: made once, on a loop of
its own in a thread, because the tests drive their browser from the main one.
"""

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import Product, look_again, serving
from tests.support.student import Student

T = TypeVar("T")

SEATS, WAITING = 4, 6
PATIENCE_S = 120
OPERATOR, READER, GUEST = "operate-me", "read-me", "for-today"
CONFIG = """
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 4}
    admission: {rate: 20/s, burst: 40}
    session: {idle_timeout: 30m}
exams:
  MATH0001: {title: "Maths", pool: main, match: [{path: "/math/*"}]}
release: [{path: "/logout"}]
admin:
  tokens:
    - {name: dean, sha256: "DEAN", scopes: [read, operate]}
    - {name: helpline, sha256: "HELPLINE", scopes: [read]}
    - {name: guest, sha256: "GUEST", scopes: [read, operate]}
"""


def digest(token: str) -> str:
    """As the file has a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class House:
    """The product, and what a test does to it from outside."""

    product: Product
    backend: CountingBackend
    inside: list[Student]
    waiting: list[Student]
    loop: asyncio.AbstractEventLoop
    more: list[Student] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The dashboard's."""
        return self.product.admin + "/"

    @property
    def line(self) -> int:
        """How many wait, once all of them have been heard: nobody ever enters or leaves."""
        return len(self.waiting) + len(self.more)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """On the house's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def comes(self, name: str) -> Student:
        """One more student, who polls once."""
        return self.do(self._comes(name))

    async def _comes(self, name: str) -> Student:
        student = await Student(self.product.public, name).__aenter__()
        self.more.append(student)
        await _arrive(student)
        return student

    def code_of(self, student: Student) -> str:
        """What the page of somebody who waits shows."""
        code: str = self.do(student.poll("?pool=main"))["code"]
        return code

    def api(self, method: str, path: str, body: object = None) -> Any:
        """The API, as the operator."""
        return self.do(self._api(method, path, body))

    async def _api(self, method: str, path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        more = {} if body is None else {"json": body}
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, f"{self.product.admin}/api/v1/{path}", headers=headers, **more) as answer,
        ):
            assert answer.ok, await answer.text()
            return await answer.json() if answer.status != 204 else None


async def _arrive(student: Student) -> None:
    await student.page("/math/1")
    if (await student.poll("?pool=main"))["state"] == "admitted":
        assert (await student.page("/math/1")).status == 200


@contextlib.asynccontextmanager
async def _students(product: Product, names: Sequence[str]) -> AsyncIterator[list[Student]]:
    async with contextlib.AsyncExitStack() as stack:
        found = [await stack.enter_async_context(Student(product.public, name)) for name in names]
        for student in found:
            await _arrive(student)
        yield found


@contextlib.asynccontextmanager
async def _house(folder: Path) -> AsyncIterator[House]:
    async with counting_backend() as backend:
        config = CONFIG.replace("URL", backend.url).replace("DEAN", digest(OPERATOR))
        config = config.replace("HELPLINE", digest(READER)).replace("GUEST", digest(GUEST))
        async with (
            serving(folder, "--workers", "1", config=config) as product,
            _students(product, [f"inside-{n}" for n in range(SEATS)]) as inside,
            _students(product, [f"waiting-{n}" for n in range(WAITING)]) as waiting,
        ):
            house = House(product, backend, inside, waiting, asyncio.get_running_loop())
            pages = asyncio.ensure_future(_open_pages(house))
            yield house
            pages.cancel()
            for student in house.more:
                await student.__aexit__(None, None, None)


async def _open_pages(house: House) -> None:
    """The pages of those who wait ask now and then, so that nobody counts as absent."""
    while True:
        await look_again(1.0)
        for student in [*house.waiting, *house.more]:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await student.poll("?pool=main")


@contextlib.contextmanager
def house(folder: Path) -> Iterator[House]:
    """A house that stands while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="house")
    thread.start()
    standing = _house(folder)
    try:
        made = asyncio.run_coroutine_threadsafe(standing.__aenter__(), loop).result(PATIENCE_S)
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(standing.__aexit__(None, None, None), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
