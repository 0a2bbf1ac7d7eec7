"""`/api/v1/tickets/{code}`, its `lane` and its `release`: staff find a student by the code on their page, move them to
another lane, or end what they have.

Law: to look changes nothing and is no heartbeat. A change takes effect at once and leaves an entry in the audit and a
line in the log: who, whose, why, what before, what now; never a visitor's id.
"""

from typing import Literal, Protocol

import structlog
from pydantic import Field

from waitroom.admin import people
from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.overview import wait_of
from waitroom.admin.people import Person
from waitroom.admin.refusals import RefusedError
from waitroom.admin.shapes import Asked, LaneWord, Name, Query, Shown, Wait, Why
from waitroom.admin.sight import Sight
from waitroom.admission.audit import write_entry
from waitroom.admission.estimate import regime
from waitroom.admission.line import Lane, Move, Moved, Stand

log = structlog.get_logger(__name__)

LANES = {"priority": Lane.PRIORITY, "standard": Lane.STANDARD}

_WHY_NOT = {
    Move.NOWHERE: (404, "This ticket has left the line."),
    Move.RETURNS: (409, "This student was in before, and goes back in ahead of both lanes."),
    Move.ADMITTED: (409, "This student has been let in."),
}


class LaneAsked(Asked):
    """Where a ticket is to go."""

    lane: Literal["priority", "standard"]
    why: Why = ""


class ReleaseAsked(Asked):
    """Why something ends."""

    why: Why = ""


class InPool(Query):
    """Where to look."""

    pool: Name | None = Field(default=None, description="Default: in every pool.")


class TicketShown(Shown):
    """All that is known of a ticket."""

    code: str
    pool: str
    state: Literal["waiting", "lobby", "admitted", "returning", "ended"]
    exam: str
    lane: LaneWord | None
    arrived_at_ms: int | None
    present: bool | None = Field(description="Whether it was heard of in time; null: it need not be.")
    absent_since_ms: int | None
    ahead: int | None
    position: int | None
    among: int | None = Field(description="Of how many present.")
    wait: Wait | None = Field(description="From now.")
    waited_s: float | None = Field(description="Of somebody who was let in: how long they waited.")
    backend: str | None
    admitted_at_ms: int | None
    expires_at_ms: int | None = Field(description="When the session lapses if nobody uses it.")
    ended_at_ms: int | None
    ended: Literal["released", "lapsed"] | None


class LaneMoved(Shown):
    """A ticket in its new lane."""

    code: str
    pool: str
    exam: str
    lane: LaneWord
    before: LaneWord
    arrived_at_ms: int
    undo: str


class ReleaseDone(Shown):
    """What ended."""

    code: str
    pool: str
    what: Literal["place", "session"]
    backend: str | None
    undo: None = Field(default=None, description="It cannot be undone: they come again as newcomers.")


class Store(people.Store, Protocol):
    """What tickets need of the store; see waitroom/store."""

    async def move(self, pool: str, visitor: str, lane: Lane, entry: str = "") -> Moved:
        """Move a ticket to another lane. Raises StoreError."""

    async def dismiss(self, pool: str, visitor: str, entry: str) -> tuple[int, str]:
        """End what a visitor has. Raises StoreError."""


class Tickets:
    """The endpoints."""

    def __init__(self, sight: Sight, store: Store) -> None:
        self._sight = sight
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Where they are."""
        path, twice = "/api/v1/tickets/{code}", {409: "Two students have this code: name a pool."}
        moved = {409: "They have been let in, or were in before; or two have this code."}
        return [
            Endpoint(
                "GET", path, "read", "Where the student of this code is.", self._get, TicketShown, query=InPool,
                refuses=twice,
            ),
            Endpoint(
                "POST", f"{path}/lane", "operate", "Move them to another lane.", self._move, LaneMoved, LaneAsked,
                query=InPool, refuses=moved,
            ),
            Endpoint(
                "POST", f"{path}/release", "operate", "End their session, or give up their place.", self._release,
                ReleaseDone, ReleaseAsked, optional=True, query=InPool, refuses=twice,
            ),
        ]  # fmt: skip

    async def _get(self, call: Call, where: InPool) -> TicketShown:
        person = await self._find(call, where)
        found, known, stands = person.found, None, person.found.stand
        if stands in (Stand.ADMITTED, Stand.NOWHERE):
            known = await people.wait_before(self._store, person)
        waits = stands in (Stand.WAITING, Stand.LOBBY)
        arrival_us = found.arrival_us or (known.arrival_us if known else 0)
        return TicketShown(
            code=person.code,
            pool=person.pool,
            state="ended" if stands is Stand.NOWHERE else stands.value,
            exam=found.exam or (known.exam if known else ""),
            lane=word(found.lane) if waits else word(known.lane) if known else None,
            arrived_at_ms=arrival_us // 1000 or None,
            present=found.due_ms > 0 if waits else None,
            absent_since_ms=-found.due_ms if waits and found.due_ms < 0 else None,
            ahead=found.ahead if waits or stands is Stand.RETURNING else None,
            position=found.ahead + 1 if waits or stands is Stand.RETURNING else None,
            among=found.among if waits or stands is Stand.RETURNING else None,
            wait=await self._wait(person) if stands is Stand.WAITING else None,
            waited_s=(known.at_ms - known.arrival_us // 1000) / 1000 if known and found.admitted_ms else None,
            backend=found.backend or (known.backend if known else None) or None,
            admitted_at_ms=found.admitted_ms or None,
            expires_at_ms=found.expires_ms or None,
            ended_at_ms=abs(found.ended_ms) or None if stands is Stand.NOWHERE else None,
            ended=("released" if found.ended_ms < 0 else "lapsed") if stands is Stand.NOWHERE else None,
        )

    async def _wait(self, person: Person) -> Wait:
        return wait_of(regime(await self._sight.snapshot(person.pool)), person.found.ahead)

    async def _move(self, call: Call, where: InPool, asked: LaneAsked) -> LaneMoved:
        person = await self._find(call, where)
        code, found = person.code, person.found
        entry = write_entry(call.who, "lane", asked.why, code)
        moved = await self._store.move(person.pool, found.visitor, LANES[asked.lane], entry)
        if moved.move is not Move.DONE:
            raise RefusedError(*_WHY_NOT[moved.move])
        old = word(moved.before)
        log.info("lane_changed", who=call.who, pool=person.pool, code=code, why=asked.why, old=old, new=asked.lane)
        return LaneMoved(
            code=code,
            pool=person.pool,
            exam=found.exam,
            lane=asked.lane,
            before=old,
            arrived_at_ms=found.arrival_us // 1000,
            undo=f"waitroom ticket lane {code} {old}",
        )

    async def _release(self, call: Call, where: InPool, asked: ReleaseAsked) -> ReleaseDone:
        person = await self._find(call, where)
        what, backend = await self._store.dismiss(
            person.pool, person.found.visitor, write_entry(call.who, "release", asked.why, person.code)
        )
        if not what:
            raise RefusedError(404, "This student has no place and no session any more.")
        ended: Literal["place", "session"] = "session" if backend else "place"
        log.info("released", who=call.who, pool=person.pool, code=person.code, why=asked.why, what=ended)
        return ReleaseDone(code=person.code, pool=person.pool, what=ended, backend=backend or None)

    async def _find(self, call: Call, where: InPool) -> Person:
        pools = list(self._sight.settings.pools) if where.pool is None else [where.pool]
        self._sight.pool(pools[0])
        return await people.find(self._store, pools, call.names["code"])


def word(lane: Lane) -> LaneWord:
    """A lane as it is told."""
    words: dict[Lane, LaneWord] = {Lane.RETURN: "return", Lane.PRIORITY: "priority", Lane.STANDARD: "standard"}
    return words[lane]
