"""`/api/v1/pools/{pool}/hold` and `.../backends/{backend}/hold`: staff stop admissions, or take a backend out.

Law: a hold costs nobody a place. Of a pool: nobody enters, whoever is in goes on. Of a backend: its students wait with
their places kept, or, with `drain`, finish there while nobody new comes. When it ends, those who waited come at the
recovery ramp. All workers on all machines know within 2 s; each change leaves one line in the log: who, what, why.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Protocol

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from waitroom.admin.access import Access
from waitroom.admin.refusals import RefusedError
from waitroom.errors import StoreError
from waitroom.settings.model import Settings

log = structlog.get_logger(__name__)

MAX_WHY = 200
ALLOWED = f'Allowed: {{"why": up to {MAX_WHY} characters, "drain": true or false}}, drain for a backend only.'


class Asked(BaseModel):
    """What a PUT says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    why: Annotated[str, Field(max_length=MAX_WHY, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    drain: bool = False


class Store(Protocol):
    """What holds need of the store; see waitroom/store."""

    async def set_live(self, pool: str, fields: Mapping[str, str]) -> dict[str, str]:
        """Set what lies over the rules; gives what was there before. Raises StoreError."""


class Holds:
    """The endpoints."""

    def __init__(self, settings: Callable[[], Settings], access: Access, store: Store) -> None:
        self._settings = settings
        self._access = access
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        paths = ("/api/v1/pools/{pool}/hold", "/api/v1/pools/{pool}/backends/{backend}/hold")
        return [web.put(path, self._put) for path in paths] + [web.delete(path, self._delete) for path in paths]

    async def _put(self, request: web.Request) -> web.Response:
        who = self._access.of(request, "operate")
        pool, backend = self._named(request)
        asked = await _read(request)
        if asked.drain and not backend:
            raise RefusedError(400, ALLOWED)
        said = "1" if not backend else "draining" if asked.drain else "held"
        await self._set(who, pool, backend, said, asked.why)
        return web.json_response({"pool": pool, "backend": backend or None, "hold": _words(said), "why": asked.why})

    async def _delete(self, request: web.Request) -> web.Response:
        who = self._access.of(request, "operate")
        pool, backend = self._named(request)
        await self._set(who, pool, backend, "", "")
        return web.Response(status=204)

    async def _set(self, who: str, pool: str, backend: str, said: str, why: str) -> None:
        field = f"staff:{backend}" if backend else "held"
        try:
            before = (await self._store.set_live(pool, {field: said}))[field]
        except StoreError as error:
            raise RefusedError(503, "The store does not answer; nothing was changed.", {"Retry-After": "2"}) from error
        log.info("hold", who=who, pool=pool, backend=backend, old=_words(before), new=_words(said), why=why)

    def _named(self, request: web.Request) -> tuple[str, str]:
        """The pool, and the backend or ""."""
        pools = self._settings().pools
        pool, backend = request.match_info["pool"], request.match_info.get("backend", "")
        if pool not in pools:
            raise RefusedError(404, f"The pools are: {', '.join(pools)}.")
        if backend and backend not in pools[pool].backends:
            raise RefusedError(404, f"The backends of {pool} are: {', '.join(pools[pool].backends)}.")
        return pool, backend


def _words(said: str) -> str | None:
    """What the store keeps, as it is told."""
    return {"": None, "1": "held"}.get(said, said)


async def _read(request: web.Request) -> Asked:
    body = await request.read()
    if not body:
        return Asked()
    if request.content_type != "application/json":
        raise RefusedError(415, "The body is JSON: Content-Type: application/json.")
    try:
        return Asked.model_validate(json.loads(body))
    except (ValueError, RecursionError, ValidationError) as error:
        raise RefusedError(400, ALLOWED) from error
