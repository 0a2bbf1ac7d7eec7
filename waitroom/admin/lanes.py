"""`/api/v1/tickets/{code}` and its `lane`: staff find a student's ticket by the code on their page, and move it.

Law: a ticket is found by its code alone, in whichever pools were asked for; two students with one code (a chance of one
in a million among a million) are not guessed between. A move takes effect at once and leaves one line in the log: who,
whose, why, what before, what now.
"""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from waitroom.admin.access import Access
from waitroom.admin.refusals import RefusedError
from waitroom.admission.line import Lane, Move, Moved
from waitroom.admission.view import ticket_code
from waitroom.admission.waits import Wait
from waitroom.errors import StoreError
from waitroom.settings.model import Settings

log = structlog.get_logger(__name__)

PAGE = 1_000
"""Tickets in one call: some 3 ms of the store's time. A million take a few seconds."""

LANES = {"priority": Lane.PRIORITY, "standard": Lane.STANDARD}

_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", re.ASCII)
_FOLD = str.maketrans("OIL", "011")

_WHY_NOT = {
    Move.NOWHERE: (404, "This ticket has left the line."),
    Move.RETURNS: (409, "This student was in before, and goes back in ahead of both lanes."),
    Move.ADMITTED: (409, "This student has been let in."),
}


class Asked(BaseModel):
    """What a POST says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lane: Literal["priority", "standard"]
    why: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""


class Store(Protocol):
    """What lanes need of the store; see waitroom/store."""

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """Those still waiting, from this order key on. Raises StoreError."""

    async def move(self, pool: str, visitor: str, lane: Lane) -> Moved:
        """Move a ticket to another lane. Raises StoreError."""


class Found(NamedTuple):
    """A ticket that has the code."""

    pool: str
    wait: Wait


class Lanes:
    """The endpoints."""

    def __init__(self, settings: Callable[[], Settings], access: Access, store: Store) -> None:
        self._settings = settings
        self._access = access
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [
            web.get("/api/v1/tickets/{code}", self._get, allow_head=False),
            web.post("/api/v1/tickets/{code}/lane", self._post),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        self._access.of(request, "read")
        try:
            return web.json_response(_shown(await self._found(request)))
        except StoreError as error:
            raise _away() from error

    async def _post(self, request: web.Request) -> web.Response:
        who = self._access.of(request, "operate")
        asked = await _read(request)
        lane = LANES[asked.lane]
        try:
            found = await self._found(request)
            moved = await self._store.move(found.pool, found.wait.visitor, lane)
        except StoreError as error:
            raise _away() from error
        if moved.move is not Move.DONE:
            raise RefusedError(*_WHY_NOT[moved.move])
        code, old = ticket_code(found.wait.visitor), _word(moved.before)
        log.info("lane_changed", who=who, pool=found.pool, code=code, why=asked.why, old=old, new=asked.lane)
        return web.json_response(_shown(found) | {"lane": asked.lane, "before": old})

    async def _found(self, request: web.Request) -> Found:
        code = _code(request.match_info["code"])
        pools = self._pools(request.query.get("pool"))
        found = [one for pool in pools async for one in self._with_code(pool, code)]
        if not found:
            raise RefusedError(
                404, f"Nobody waits under {code} in {', '.join(pools)}. Who has been let in waits no more."
            )
        if len(found) > 1:
            where = ", ".join(sorted({one.pool for one in found}))
            raise RefusedError(409, f"{len(found)} tickets have the code {code} ({where}); name a pool with ?pool=.")
        return found[0]

    async def _with_code(self, pool: str, code: str) -> AsyncIterator[Found]:
        """Every ticket of the pool that has this code."""
        first, seen = "-inf", set[str]()
        while True:
            page = await self._store.waiting(pool, first, PAGE)
            for one in page:
                if one.visitor not in seen and ticket_code(one.visitor) == code:
                    seen.add(one.visitor)
                    yield Found(pool, one)
            if len(page) < PAGE:
                return
            last = page[-1].order
            first = f"({last}" if page[0].order == last else str(last)

    def _pools(self, pool: str | None) -> list[str]:
        pools = list(self._settings().pools)
        if pool is None:
            return pools
        if pool not in pools:
            raise RefusedError(404, f"The pools are: {', '.join(pools)}.")
        return [pool]


def _code(text: str) -> str:
    """A code as it was heard on the phone: in any case, without the stroke, O for 0."""
    folded = text.upper().translate(_FOLD).replace("-", "").replace(" ", "")
    code = f"{folded[:4]}-{folded[4:]}"
    if not _CODE.fullmatch(code):
        raise RefusedError(400, "A code has eight letters and digits, such as K7QF-2M9D.")
    return code


async def _read(request: web.Request) -> Asked:
    if request.content_type != "application/json":
        raise RefusedError(415, "The body is JSON: Content-Type: application/json.")
    try:
        return Asked.model_validate(json.loads(await request.read()))
    except (ValueError, RecursionError) as error:  # ValidationError, bad JSON and bad UTF-8 are among them
        allowed = '{"lane": "priority" or "standard", "why": up to 200 characters in one line}'
        wrong = "The body is not what is asked for." if isinstance(error, ValidationError) else "The body is not JSON."
        raise RefusedError(400, f"{wrong} Allowed: {allowed}") from error


def _word(lane: Lane) -> str:
    return lane.name.lower()


def _shown(found: Found) -> dict[str, Any]:
    wait = found.wait
    return {
        "code": ticket_code(wait.visitor),
        "pool": found.pool,
        "exam": wait.exam,
        "lane": _word(wait.lane),
        "arrived_at_ms": wait.arrival_us // 1000,
    }


def _away() -> RefusedError:
    return RefusedError(503, "The store does not answer; nothing was changed.", {"Retry-After": "2"})
