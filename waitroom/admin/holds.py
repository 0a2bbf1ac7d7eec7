"""`/api/v1/pools/{pool}/hold` and `.../backends/{backend}/hold`: staff stop admissions, or take a backend out.

Law: a hold costs nobody a place. Of a pool: nobody enters, whoever is in goes on. Of a backend: its students wait with
their places kept, or, with `drain`, finish there while nobody new comes. When it ends, those who waited come at the
recovery ramp. All workers on all machines know within 2 s; each change leaves an entry in the audit and a line in the
log: who, what, why.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

import structlog
from pydantic import AfterValidator, Field

from waitroom.admin.commands import undo
from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.shapes import Asked, ForSeconds, Query, Shown, Why
from waitroom.admin.sight import Sight
from waitroom.admission.audit import HELD, STAFF, write_entry
from waitroom.admission.line import Overridden

log = structlog.get_logger(__name__)


def _of_backends(drain: bool) -> bool:
    if drain:
        raise ValueError("for a backend: name one")
    return drain


class HoldAsked(Asked):
    """What a PUT says of a pool."""

    why: Why = ""
    drain: Annotated[bool, AfterValidator(_of_backends), Field(json_schema_extra={"const": False})] = False
    for_s: ForSeconds = 0


class BackendHoldAsked(Asked):
    """What a PUT says of a backend."""

    why: Why = ""
    drain: bool = False
    for_s: ForSeconds = 0


class Because(Query):
    """What a DELETE may say."""

    why: Why = ""


class HoldShown(Shown):
    """A hold as it is now."""

    pool: str
    backend: str | None
    hold: Literal["held", "draining"]
    why: str
    until_ms: int
    undo: str


class Store(Protocol):
    """What holds need of the store; see waitroom/store."""

    async def override(self, pool: str, fields: Mapping[str, str], entry: str, for_ms: int = 0) -> Overridden:
        """Set what lies over the rules; gives what was there before. Raises StoreError."""


class Holds:
    """The endpoints."""

    def __init__(self, sight: Sight, store: Store) -> None:
        self._sight = sight
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Where they are."""
        pool, backend = "/api/v1/pools/{pool}/hold", "/api/v1/pools/{pool}/backends/{backend}/hold"
        end = "End a hold; who waited comes in at the recovery ramp."
        return [
            Endpoint(
                "PUT", pool, "operate", "Let nobody enter a pool.", self._put_pool, HoldShown, HoldAsked,
                optional=True,
            ),
            Endpoint("DELETE", pool, "operate", end, self._delete_pool, query=Because),
            Endpoint(
                "PUT", backend, "operate", "Take a backend out, or let nobody new go there.", self._put_backend,
                HoldShown, BackendHoldAsked, optional=True,
            ),
            Endpoint("DELETE", backend, "operate", end, self._delete_backend, query=Because),
        ]  # fmt: skip

    async def _put_pool(self, call: Call, asked: HoldAsked) -> HoldShown:
        return await self._put(call, asked)

    async def _put_backend(self, call: Call, asked: BackendHoldAsked) -> HoldShown:
        return await self._put(call, asked)

    async def _delete_pool(self, call: Call, because: Because) -> None:
        await self._set(call, "", because.why, 0)

    async def _delete_backend(self, call: Call, because: Because) -> None:
        await self._set(call, "", because.why, 0)

    async def _put(self, call: Call, asked: HoldAsked | BackendHoldAsked) -> HoldShown:
        backend = call.names.get("backend", "")
        said = "1" if not backend else "draining" if asked.drain else "held"
        found = await self._set(call, said, asked.why, asked.for_s)
        field = f"{STAFF}{backend}" if backend else HELD
        return HoldShown(
            pool=call.names["pool"],
            backend=backend or None,
            hold="draining" if asked.drain else "held",
            why=asked.why,
            until_ms=found.now_ms + 1000 * asked.for_s if asked.for_s else 0,
            undo=undo(call.names["pool"], field),
        )

    async def _set(self, call: Call, said: str, why: str, for_s: int) -> Overridden:
        pool, backend = call.names["pool"], call.names.get("backend", "")
        self._sight.pool(pool)
        if backend:
            self._sight.backend(pool, backend)
        field = f"{STAFF}{backend}" if backend else HELD
        entry = write_entry(call.who, "hold" if said else "open", why, backend)
        found = await self._store.override(pool, {field: said}, entry, 1000 * for_s)
        old, new = _words(found.before[field]), _words(said)
        log.info("hold", who=call.who, pool=pool, backend=backend, old=old, new=new, why=why, for_s=for_s)
        return found


def _words(said: str) -> str | None:
    """What the store keeps, as it is told."""
    return {"": None, "1": "held"}.get(said, said)
