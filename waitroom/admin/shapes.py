"""What the admin API is asked and what it answers, as models: from them come the checks and the OpenAPI document.

Law: instants are milliseconds of the store's clock (`_ms`), spans are seconds (`_s`), rates are numbers a second. A
name of a visitor, a secret or a backend's URL is in none of them. What is asked may hold no key that is not known.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from waitroom.settings.spelling import EXAM_NAME, NAME

MAX_WHY = 200
MAX_FOR_S = 7 * 86_400

LaneWord = Literal["return", "priority", "standard"]
Name = Annotated[str, Field(pattern=f"^{NAME}$", description="Of a pool or a backend.")]
ExamName = Annotated[str, Field(pattern=f"^(?:{EXAM_NAME})?$", description="Of an exam; empty: the whole pool.")]
Why = Annotated[
    str,
    Field(
        max_length=MAX_WHY,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$",
        description="Stands in the audit: one line of text, which nothing turns around.",
    ),
]


def _whole(value: object) -> object:
    """JSON Schema counts 5.0 as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
ForSeconds = Annotated[
    int,
    Field(ge=0, le=MAX_FOR_S, description="For how long, by the store's clock. 0: until it is undone."),
    WHOLE,
]


class Asked(BaseModel):
    """Something that is asked."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Parameters of a query: text that is read as what it stands for."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """Something that is answered."""

    model_config = ConfigDict(frozen=True)


class Problem(Shown):
    """Why something was not done (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = Field(default=None, description="For people: what is wrong, and what is allowed.")


class Wait(Shown):
    """A wait from now, as an honest range; or why nobody can say."""

    low_s: int | None
    high_s: int | None
    low_at_ms: int | None
    high_at_ms: int | None
    unknown: Literal["held", "no_flow", "no_data"] | None


class Lanes(Shown):
    """Present tickets by lane."""

    return_: int = Field(alias="return")
    priority: int
    standard: int

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class Lobby(Shown):
    """Those who wait for an exam to open."""

    exam: str
    tickets: int
    opens_ms: int | None


class Line(Shown):
    """Who waits."""

    waiting: int = Field(description="Present, and may enter.")
    lanes: Lanes
    absent: int = Field(description="Whose heartbeat is overdue. They keep their order.")
    lobby: list[Lobby]
    last: Wait = Field(description="Of the last in line.")
    newcomer: Wait = Field(description="Of who comes now.")


class Set(Shown):
    """What staff have set, and how it ends."""

    at_ms: int
    until_ms: int = Field(description="0: until it is undone.")
    who: str
    why: str
    undo: str = Field(description="The command that undoes it.")


class Sessions(Shown):
    """Sessions against what is allowed."""

    live: int
    limit: int | None = Field(
        description="What newcomers are counted against; 0: nobody new; null: no limit is stated."
    )
    max_sessions: int | None = Field(description="In force.")
    file: int | None = Field(description="What the file says.")
    set: Set | None


class Load(Shown):
    """What all workers saw of a backend in the last ten seconds."""

    inflight: int
    inflight_limit: int | None
    inflight_waiting: int
    requests_per_s: float
    failed_per_s: float
    p50_ms: int | None
    p95_ms: int | None


class BackendShown(Shown):
    """One replica of the exam server."""

    backend: str
    phase: Literal["up", "down", "recovering", "easing"]
    phase_since_ms: int
    hold: Literal["held", "draining"] | None
    hold_set: Set | None
    sessions: Sessions
    load: Load | None = Field(description="Null: no worker has told.")
    returning: int = Field(description="Students with a session who wait to come back.")
    return_rate_per_s: float | None = Field(description="The ramp on which they do; null: there is none.")


class Rate(Shown):
    """How fast newcomers enter."""

    allowed_per_s: float | None = Field(description="Now; null: unlimited.")
    ceiling_per_s: float | None = Field(description="Most that is ever allowed; null: unlimited.")
    file_per_s: float | None = Field(description="What the file says; null: unlimited.")
    adaptive: bool
    admitted_per_s: float = Field(description="Over the last minute.")
    set: Set | None


class Announcement(Shown):
    """What staff say to everyone who waits."""

    exam: str
    text: dict[str, str] = Field(description='By language; "" is any.')
    at_ms: int


class ChangeShown(Shown):
    """One value that changed, or would; null: there is none."""

    key: str
    old: str | None
    new: str | None


class Drift(Shown):
    """One thing that is not as the file says."""

    key: str
    file: str | None
    in_force: str | None
    set: Set


class Hours(Shown):
    """When an exam opens and closes; null: it says nothing of that."""

    exam: str
    opens_ms: int | None
    closes_ms: int | None


class Totals(Shown):
    """Since the store knows the pool."""

    arrivals: int
    admissions: dict[str, int]
    departures: dict[str, int]


class PoolShown(Shown):
    """A pool at one instant."""

    pool: str
    now_ms: int
    state: Literal["open", "held", "down", "closed"] = Field(
        description="Whether newcomers may enter: held by staff, all backends down, or all closed by staff."
    )
    hold_set: Set | None
    line: Line
    sessions: int
    sessions_limit: int | None
    rate: Rate
    backends: list[BackendShown]
    announcements: list[Announcement]
    drift: list[Drift]
    exams: list[str]
    hours: list[Hours] = Field(description="Of its exams that have any.")
    totals: Totals


class Pools(Shown):
    """All pools of this service."""

    now_ms: int
    version: str
    store_up: bool
    who: str
    scopes: list[Literal["read", "operate"]]
    pools: list[PoolShown]
    missing: list[str] = Field(description="Pools of which the store said nothing within 2 s.")


class History(Shown):
    """A pool in the last hour or day, as columns of equal length; null: not known. Of a step the worst is told."""

    pool: str
    step_ms: int
    at_ms: list[int] = Field(description="The beginning of each step; one in which the store was away is not there.")
    columns: dict[str, list[float | None]]


class OutageShown(Shown):
    """When a backend did not answer."""

    backend: str
    from_ms: int
    to_ms: int | None = Field(description="Null: it still does not.")


class OutagesShown(Shown):
    """All outages of the last days, the oldest first."""

    pool: str
    outages: list[OutageShown]
