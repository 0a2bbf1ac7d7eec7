"""`PATCH /api/v1/pools/{pool}`, `.../limits` and `.../preview`: staff change limits while it runs, and see before what
that does.

Law: what is set lies over the file until its time is over or it is undone; a restart or a reload drops nothing. It is
in force on all workers and machines with the next call to the store, at most 2 s later everywhere. A limit below the
present sessions throws nobody out. Each change says what undoes it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Protocol, Self

import structlog
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from waitroom.admin.commands import undo_of
from waitroom.admin.endpoints import Call, Endpoint
from waitroom.admin.forecast import Preview, preview
from waitroom.admin.overview import filed
from waitroom.admin.refusals import RefusedError
from waitroom.admin.shapes import WHOLE, Asked, ChangeShown, ForSeconds, Name, Query, Shown, Why
from waitroom.admin.sight import Sight
from waitroom.admission.audit import CEILING, HELD, SESSIONS, STAFF, key_of, spelt, write_entry
from waitroom.admission.line import Overridden
from waitroom.admission.overrides import Filed, too_fast, too_many_sessions, undone
from waitroom.settings.units import BadValueError, parse_rate, write_rate

log = structlog.get_logger(__name__)

MOST_SESSIONS = 1_000_000
"""What the file may say at most."""

RATE = r"^(?:(?:[1-9]\d{0,4}|\d{1,5}\.\d{0,2}[1-9])/s|(?:[1-9]\d{0,4}|\d{1,5}\.[1-9])/min|(?:[4-9]|[1-9]\d{1,4})/h)$"
"""As in the file, between 0.001/s and what the file may say at most."""


def _readable(rate: str) -> str:
    """What is no rate at all is told in the words of the settings file."""
    try:
        parse_rate(rate)
    except BadValueError as error:
        raise PydanticCustomError("rate", "{wrong}", {"wrong": f"{error.wrong}; {error.allowed}"}) from error
    if not re.fullmatch(RATE, rate, re.ASCII):
        raise PydanticCustomError("rate", "out of range; 0.001/s to 99999/s")
    return rate


Rate = Annotated[
    str, AfterValidator(_readable), Field(json_schema_extra={"pattern": RATE}, examples=["10/s", "90/min"])
]

Sessions = Annotated[int, Field(ge=1, le=MOST_SESSIONS), WHOLE]

_ONE_AT_LEAST: dict[str, Any] = {
    "anyOf": [{"required": ["rate"]}, {"required": ["max_sessions"]}],
    "dependentRequired": {"backend": ["max_sessions"]},
}


class LimitsAsked(Asked):
    """Limits to set; null: as in the file again."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_ONE_AT_LEAST)

    rate: Rate | None = Field(default=None, description="Most admissions over time, of the pool.")
    max_sessions: Sessions | None = Field(
        default=None, description="Most sessions, of each backend or of the one that is named."
    )
    backend: Name | None = Field(default=None, description="The backend that max_sessions is for.")
    for_s: ForSeconds = 0
    why: Why = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set & {"rate", "max_sessions"}:
            raise ValueError("rate or max_sessions, or both")
        if "backend" in self.model_fields_set and "max_sessions" not in self.model_fields_set:
            raise ValueError("backend goes with max_sessions: rate is the pool's")
        return self


class PreviewAsked(Asked):
    """What might be set."""

    rate: Rate | None = None
    max_sessions: Sessions | None = None
    backend: Name | None = None
    hold: bool | None = Field(default=None, description="Of the pool, or of the backend that is named.")


class Undone(Query):
    """What is to be as in the file again."""

    backend: Name | None = None
    why: Why = ""


class LimitsShown(Shown):
    """What was set."""

    pool: str
    changes: list[ChangeShown]
    until_ms: int
    why: str
    undo: str | None


class Store(Protocol):
    """What limits need of the store; see waitroom/store."""

    async def override(self, pool: str, fields: Mapping[str, str], entry: str, for_ms: int = 0) -> Overridden:
        """Set what lies over the rules; gives what was there before. Raises StoreError."""


class Limits:
    """The endpoints."""

    def __init__(self, sight: Sight, store: Store) -> None:
        self._sight = sight
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Where they are."""
        pool = "/api/v1/pools/{pool}"
        insane = {409: "More than an override may be, beside what the file says."}
        return [
            Endpoint(
                "PATCH", pool, "operate", "Set limits over the file's.", self._patch, LimitsShown, LimitsAsked,
                refuses=insane,
            ),
            Endpoint(
                "DELETE", f"{pool}/limits", "operate", "Limits are the file's again.", self._delete, LimitsShown,
                query=Undone,
            ),
            Endpoint(
                "POST", f"{pool}/preview", "read", "What a change would do; nothing is changed.", self._preview,
                Preview, PreviewAsked, refuses=insane,
            ),
        ]  # fmt: skip

    async def _patch(self, call: Call, asked: LimitsAsked) -> LimitsShown:
        pool = call.names["pool"]
        fields = self._fields(pool, asked, asked.model_fields_set)
        return await self._set(call, fields, asked.backend or "", asked.why, asked.for_s)

    async def _delete(self, call: Call, gone: Undone) -> LimitsShown:
        pool = call.names["pool"]
        self._sight.pool(pool)
        live = (await self._sight.snapshot(pool)).live
        if gone.backend and f"{SESSIONS}{gone.backend}" not in live:
            self._sight.backend(pool, gone.backend)
        fields = undone(live, [gone.backend] if gone.backend else [])
        if not fields:
            return LimitsShown(pool=pool, changes=[], until_ms=0, why=gone.why, undo=None)
        return await self._set(call, fields, gone.backend or "", gone.why)

    async def _preview(self, call: Call, asked: PreviewAsked) -> Preview:
        pool = call.names["pool"]
        fields = self._fields(pool, asked, asked.model_fields_set)
        if asked.hold is not None:
            field = f"{STAFF}{asked.backend}" if asked.backend else HELD
            fields[field] = ("held" if asked.backend else "1") if asked.hold else ""
        return preview(pool, filed(self._sight.pool(pool)), await self._sight.snapshot(pool), fields)

    def _fields(self, pool: str, asked: LimitsAsked | PreviewAsked, said: set[str]) -> dict[str, str]:
        """What is asked as the store keeps it; RefusedError for what is beyond all measure."""
        known, fields = filed(self._sight.pool(pool)), dict[str, str]()
        if asked.backend:
            self._sight.backend(pool, asked.backend)
        if "rate" in said:
            fields[CEILING] = str(_checked_rate(known, asked.rate)) if asked.rate else ""
        if "max_sessions" in said:
            for name in [asked.backend] if asked.backend else known.max_sessions:
                fields[f"{SESSIONS}{name}"] = _checked_sessions(known, name, asked.max_sessions)
        return fields

    async def _set(self, call: Call, fields: dict[str, str], backend: str, why: str, for_s: int = 0) -> LimitsShown:
        pool, what = call.names["pool"], "limit" if any(fields.values()) else "undo"
        file = filed(self._sight.pool(pool)).fields()
        entry = write_entry(call.who, what, why, backend, {name: file[name] for name in fields if name in file})
        found = await self._store.override(pool, fields, entry, 1000 * for_s)
        changes = changes_of(fields, found.before, file)
        log.info(
            "limit", who=call.who, pool=pool, why=why, for_s=for_s, changes=[each.model_dump() for each in changes]
        )
        kept = what == "limit"
        return LimitsShown(
            pool=pool,
            changes=changes,
            until_ms=found.now_ms + 1000 * for_s if for_s and kept else 0,
            why=why,
            undo=undo_of(pool, fields, backend) if kept else None,
        )


def changes_of(fields: Mapping[str, str], before: Mapping[str, str], file: Mapping[str, str]) -> list[ChangeShown]:
    """What is set, beside what was in force before."""

    def in_force(field: str, value: str) -> str | None:
        return spelt(field, value or file.get(field, ""))

    return [
        ChangeShown(key=key_of(field), old=in_force(field, before.get(field, "")), new=in_force(field, value))
        for field, value in fields.items()
    ]


def _checked_rate(known: Filed, rate: str) -> int:
    milli = parse_rate(rate)
    why = too_fast(known.rate_milli, milli)
    if why:
        raise RefusedError(409, f"rate {rate} {why} (it says {write_rate(known.rate_milli)}).")
    return milli


def _checked_sessions(known: Filed, backend: str, wanted: int | None) -> str:
    if wanted is None:
        return ""
    why = too_many_sessions(known.max_sessions[backend], wanted)
    if why:
        raise RefusedError(409, f"{backend}: {why}.")
    return str(wanted)
