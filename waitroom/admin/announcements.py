"""`/api/v1/pools/{pool}/announcement`: what staff say to everyone who waits.

Law: it is said on every open page within 5 s, in the visitor's language if it was given in that; each change leaves an
entry in the audit and one line in the log: who, where, what before, what now.
"""

import re
from typing import Annotated, Protocol

import structlog
from pydantic import Field, field_validator

from waitroom.admin.commands import silence
from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.overview import announcement
from waitroom.admin.shapes import Announcement, Asked, ExamName, ForSeconds, Query, Shown, Why
from waitroom.admin.sight import Sight
from waitroom.admission.audit import write_entry
from waitroom.admission.line import Announced

log = structlog.get_logger(__name__)

MAX_CHARS = 500
MAX_LANGUAGES = 10

PLAIN = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
"""Text and line breaks, nothing that a terminal or a page could take for more; not blank."""

Said = Annotated[str, Field(min_length=1, max_length=MAX_CHARS, json_schema_extra={"pattern": PLAIN})]
Language = Annotated[str, Field(pattern=r"^(?:[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?)?$")]

_PLAIN = re.compile(PLAIN)


class AnnouncementAsked(Asked):
    """What a PUT says."""

    text: (
        Said
        | Annotated[
            dict[Language, Said],
            Field(min_length=1, max_length=MAX_LANGUAGES, json_schema_extra={"additionalProperties": False}),
        ]
    )
    exam: ExamName = ""
    for_s: ForSeconds = 0
    why: Why = ""

    @field_validator("text")
    @classmethod
    def _plain(cls, text: str | dict[str, str]) -> str | dict[str, str]:
        for each in text.values() if isinstance(text, dict) else (text,):
            if not _PLAIN.search(each):
                raise ValueError("plain text with line breaks, no other control characters")
        return text

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """By language; "" is any."""
        return tuple(self.text.items()) if isinstance(self.text, dict) else (("", self.text),)


class Unsaid(Query):
    """What a DELETE may say."""

    exam: ExamName = ""
    why: Why = ""


class AnnouncementSaid(Shown):
    """What is said from now on."""

    pool: str
    exam: str
    text: dict[str, str]
    for_s: int
    undo: str


class AnnouncementsShown(Shown):
    """All that is said in a pool."""

    pool: str
    announcements: list[Announcement]


class Store(Protocol):
    """What announcements need of the store; see waitroom/store."""

    async def announce(
        self, pool: str, exam: str, said: Announced | None, for_ms: int = 0, entry: str = ""
    ) -> Announced | None:
        """Say something, or nothing any more; gives what was said before. Raises StoreError."""


class Announcements:
    """The endpoints."""

    def __init__(self, sight: Sight, store: Store) -> None:
        self._sight = sight
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Where they are."""
        path = "/api/v1/pools/{pool}/announcement"
        return [
            Endpoint("GET", path, "read", "What staff say in a pool.", self._get, AnnouncementsShown),
            Endpoint(
                "PUT", path, "operate", "Say something to everyone who waits.", self._put, AnnouncementSaid,
                AnnouncementAsked,
            ),
            Endpoint("DELETE", path, "operate", "Say it no more.", self._delete, query=Unsaid),
        ]  # fmt: skip

    async def _get(self, call: Call) -> AnnouncementsShown:
        pool = call.names["pool"]
        self._sight.pool(pool)
        notices = (await self._sight.snapshot(pool)).notices
        shown = [announcement(exam, each) for exam, each in notices.items()]
        return AnnouncementsShown(pool=pool, announcements=shown)

    async def _put(self, call: Call, asked: AnnouncementAsked) -> AnnouncementSaid:
        await self._say(call, asked.exam, Announced(asked.texts, call.who), asked.why, asked.for_s)
        pool = call.names["pool"]
        return AnnouncementSaid(
            pool=pool, exam=asked.exam, text=dict(asked.texts), for_s=asked.for_s, undo=silence(pool, asked.exam)
        )

    async def _delete(self, call: Call, unsaid: Unsaid) -> None:
        await self._say(call, unsaid.exam, None, unsaid.why, 0)

    async def _say(self, call: Call, exam: str, said: Announced | None, why: str, for_s: int) -> None:
        pool = call.names["pool"]
        self._sight.exam(pool, exam)
        entry = write_entry(call.who, "announce" if said else "silence", why, exam)
        before = await self._store.announce(pool, exam, said, for_s * 1000, entry)
        log.info(
            "announced",
            who=call.who,
            pool=pool,
            exam=exam,
            old=dict(before.texts) if before else None,
            new=dict(said.texts) if said else None,
            for_s=for_s,
            why=why,
        )
