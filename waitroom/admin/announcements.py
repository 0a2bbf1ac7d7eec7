"""`/api/v1/pools/{pool}/announcement`: what staff say to everyone who waits.

Law: it is said on every open page within 5 s, in the visitor's language if it was given in that; each change leaves one
line in the log: who, where, what before, what now.
"""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Protocol

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from waitroom.admin.access import Access
from waitroom.admin.refusals import RefusedError
from waitroom.admission.line import Announced, Notice, Snapshot
from waitroom.errors import StoreError
from waitroom.settings.model import Settings

log = structlog.get_logger(__name__)

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")

MAX_CHARS = 500
MAX_LANGUAGES = 10
MAX_FOR_S = 7 * 86_400

Said = Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]
Language = Annotated[str, Field(pattern=r"^(?:[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?)?$")]


class Asked(BaseModel):
    """What a PUT says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Said | Annotated[dict[Language, Said], Field(min_length=1, max_length=MAX_LANGUAGES)]
    exam: str = ""
    for_s: Annotated[int, Field(ge=0, le=MAX_FOR_S)] = 0

    @field_validator("text")
    @classmethod
    def _plain(cls, text: str | dict[str, str]) -> str | dict[str, str]:
        """Text and line breaks, nothing that a terminal or a page could take for more."""
        for each in text.values() if isinstance(text, dict) else (text,):
            if not each.strip() or _CONTROL.search(each):
                raise ValueError("plain text with line breaks, no other control characters")
        return text

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """By language; "" is any."""
        return tuple(self.text.items()) if isinstance(self.text, dict) else (("", self.text),)


class Store(Protocol):
    """What announcements need of the store; see waitroom/store."""

    async def snapshot(self, pool: str) -> Snapshot:
        """The pool now. Raises StoreError."""

    async def announce(self, pool: str, exam: str, said: Announced | None, for_ms: int = 0) -> Announced | None:
        """Say something, or nothing any more; gives what was said before. Raises StoreError."""


class Announcements:
    """The endpoint."""

    def __init__(self, settings: Callable[[], Settings], access: Access, store: Store) -> None:
        self._settings = settings
        self._access = access
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """Where it is."""
        path = "/api/v1/pools/{pool}/announcement"
        return [web.get(path, self._get), web.put(path, self._put), web.delete(path, self._delete)]

    async def _get(self, request: web.Request) -> web.Response:
        self._access.of(request, "read")
        pool = self._pool(request)
        try:
            notices = (await self._store.snapshot(pool)).notices
        except StoreError as error:
            raise _away() from error
        shown = [_shown(exam, each) for exam, each in notices.items()]
        return web.json_response({"pool": pool, "announcements": shown})

    async def _put(self, request: web.Request) -> web.Response:
        who = self._access.of(request, "operate")
        pool = self._pool(request)
        asked = await _read(request)
        self._check_exam(pool, asked.exam)
        await self._say(who, pool, asked.exam, Announced(asked.texts, who), asked.for_s)
        return web.json_response({"pool": pool, "exam": asked.exam, "text": dict(asked.texts), "for_s": asked.for_s})

    async def _delete(self, request: web.Request) -> web.Response:
        who = self._access.of(request, "operate")
        pool, exam = self._pool(request), request.query.get("exam", "")
        self._check_exam(pool, exam)
        await self._say(who, pool, exam, None, 0)
        return web.Response(status=204)

    async def _say(self, who: str, pool: str, exam: str, said: Announced | None, for_s: int) -> None:
        try:
            before = await self._store.announce(pool, exam, said, for_s * 1000)
        except StoreError as error:
            raise _away() from error
        log.info(
            "announced",
            who=who,
            pool=pool,
            exam=exam,
            old=dict(before.texts) if before else None,
            new=dict(said.texts) if said else None,
            for_s=for_s,
        )

    def _pool(self, request: web.Request) -> str:
        pool = request.match_info["pool"]
        if pool not in self._settings().pools:
            raise RefusedError(404, f"The pools are: {', '.join(self._settings().pools)}.")
        return pool

    def _check_exam(self, pool: str, exam: str) -> None:
        exams = [name for name, each in self._settings().exams.items() if each.pool == pool]
        if exam and exam not in exams:
            raise RefusedError(404, f"The exams of {pool} are: {', '.join(exams) or 'none'}.")


async def _read(request: web.Request) -> Asked:
    if request.content_type != "application/json":
        raise RefusedError(415, "The body is JSON: Content-Type: application/json.")
    body = await request.read()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:  # bad UTF-8, bad JSON, a number or a nesting beyond all use
        raise RefusedError(400, "The body is not JSON.") from error
    try:
        return Asked.model_validate(found)
    except ValidationError as error:
        raise RefusedError(400, _complaint(error)) from error


def _complaint(error: ValidationError) -> str:
    """Every problem in one sentence; what was sent is not repeated."""
    found = [
        f"{'.'.join(str(part) for part in each['loc'] if part != 'str') or 'body'}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    allowed = f'{{"text": up to {MAX_CHARS} characters, or texts by language, "exam": name, "for_s": seconds}}'
    return f"{'; '.join(dict.fromkeys(found))}. Allowed: {allowed}"


def _shown(exam: str, notice: Notice) -> dict[str, Any]:
    return {"exam": exam, "text": dict(notice.texts), "at_ms": notice.at_ms}


def _away() -> RefusedError:
    return RefusedError(503, "The store does not answer; nothing was changed.", {"Retry-After": "2"})
