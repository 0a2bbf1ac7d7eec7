"""`/api/v1/exams/{exam}/waits.csv` and `/api/v1/pools/{pool}/waits.csv`: all waits, for whoever must account for them.

Law: each wait is told once, with its latest outcome. They are read in pages and sent as they come, however long the
line is. What cannot be told whole is cut off, never ended as if it were.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import structlog
from aiohttp import web

from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.refusals import RefusedError
from waitroom.admin.shapes import Name, Query
from waitroom.admin.sight import Sight
from waitroom.admission.line import Lane
from waitroom.admission.waits import Wait, head, lines
from waitroom.errors import StoreError

log = structlog.get_logger(__name__)

PAGE = 256
"""Waits in one call: less than 1 ms of the store's time."""


class Waits(Protocol):
    """Where waits can be read; see waitroom/store."""

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """Those still waiting, from this order key on. Raises StoreError."""

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        """How others ended, latest first, without those read already. Raises StoreError."""


class PoolOfExam(Query):
    """Where an exam was sat that is in the settings no more."""

    pool: Name | None = None


class WaitsApi:
    """The endpoints."""

    def __init__(self, sight: Sight, store: Waits) -> None:
        self._sight = sight
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Where they are."""
        return [
            Endpoint(
                "GET", "/api/v1/exams/{exam}/waits.csv", "read", "Every wait for an exam.", self._of_exam,
                media="text/csv", query=PoolOfExam,
            ),
            Endpoint(
                "GET", "/api/v1/pools/{pool}/waits.csv", "read", "Every wait in a pool.", self._of_pool,
                media="text/csv",
            ),
        ]  # fmt: skip

    async def _of_exam(self, call: Call, where: PoolOfExam) -> web.StreamResponse:
        exam, exams = call.names["exam"], self._sight.settings.exams
        pool = where.pool or (exams[exam].pool if exam in exams else "")
        if not pool:
            known = ", ".join(exams) or "none"
            raise RefusedError(404, f"There is no such exam. The exams are: {known}. For one of before, name its pool.")
        self._sight.pool(pool)
        return await self._send(call.request, pool, exam)

    async def _of_pool(self, call: Call) -> web.StreamResponse:
        pool = call.names["pool"]
        self._sight.pool(pool)
        return await self._send(call.request, pool, None)

    async def _send(self, request: web.Request, pool: str, exam: str | None) -> web.StreamResponse:
        pages = every_wait(self._store, pool, exam)
        page = await anext(pages, None)
        response = web.StreamResponse(headers=_headers(exam or pool))
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await response.write(head())
        try:
            while page is not None:
                if page:
                    await response.write(lines(pool, page))
                page = await anext(pages, None)
        except StoreError as error:
            log.warning("waits_cut_off", pool=pool, problem=str(error))
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response


async def every_wait(store: Waits, pool: str, exam: str | None) -> AsyncIterator[list[Wait]]:
    """All waits of a pool, or of one exam of it, in pages; each once.

    First who waits, then the ends, latest first: a wait that ends meanwhile is met there, and what was told is known.
    The end of a wait that went on (somebody was forgotten as absent, and came back) is older than what is told.
    """
    told: set[int] = set()
    first = "-inf"
    while True:
        page = await store.waiting(pool, first, PAGE)
        yield _untold(told, page, exam)
        if len(page) < PAGE:
            break
        last = page[-1].order
        first = f"({last}" if page[0].order == last else str(last)
    read = 0
    while page := await store.ended(pool, read, PAGE):
        read += len(page)
        yield _untold(told, page, exam)


def _untold(told: set[int], page: Iterable[Wait], exam: str | None) -> list[Wait]:
    """Those of the exam that were not told. Who was in before and waits again keeps the line of the first time."""
    found = []
    for each in page:
        if each.lane is Lane.RETURN or (exam is not None and each.exam != exam) or (key := each.key) in told:
            continue
        told.add(key)
        found.append(each)
    return found


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": f'attachment; filename="waits-{name}.csv"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
