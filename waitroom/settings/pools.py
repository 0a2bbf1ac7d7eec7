"""The parts that say who waits for what: match rules, backends, pools, exams, pace.

Law: pool, backend and pace names go into cookie names, store keys and metric labels, so their letters are few.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from waitroom.settings.care import Adaptive, Health, Recovery
from waitroom.settings.identity import Priority
from waitroom.settings.part import Part
from waitroom.settings.spelling import (
    AnyText,
    Auto,
    BackendAddress,
    FilePath,
    HeaderName,
    Host,
    InstantMs,
    Method,
    Name,
    PageLanguage,
    ShortTexts,
    Texts,
    Truth,
    complaint,
    duration,
    named,
    one_of,
    rate,
    whole,
)
from waitroom.settings.units import BadValueError

MAX_RULES = 1_000
"""Match rules of one list."""

PATH_GLOB = r"[/*][^?#\s]{0,499}"
PATH_FORMS = "a path that begins with /, * standing for any characters; the query goes under query"


class Match(Part):
    """What a request must have: everything that is stated here."""

    host: Host | None = Field(default=None, description="Host, without port, in any case.")
    path: Annotated[str, named(PATH_GLOB, PATH_FORMS)] | None = Field(
        default=None, description="Path; * stands for any characters, slashes included."
    )
    query: dict[AnyText, AnyText] = Field(
        default_factory=dict, description="Parameters of the query and their values, decoded; others may stand beside."
    )
    header: dict[HeaderName, AnyText] = Field(
        default_factory=dict, description="Headers (first of each name) and their exact values."
    )
    method: Method | None = Field(default=None, description="Method, such as POST.")

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if not (self.host or self.path or self.query or self.header or self.method):
            raise complaint(BadValueError("matches every request", "at least one of host, path, query, header, method"))
        return self


Matches = Annotated[tuple[Match, ...], Field(max_length=MAX_RULES)]


class Backend(Part):
    """One replica of the exam server."""

    url: BackendAddress = Field(
        description="Address of the exam server: http://HOST[:PORT], https://HOST[:PORT] or http+unix:///PATH."
    )
    max_sessions: Annotated[int, whole(1, 1_000_000)] | None = Field(
        default=None, description="Most admitted visitors at a time. May be absent only where admission.rate is set."
    )
    max_inflight: Annotated[int | Auto, whole(1, 100_000, "auto")] | None = Field(
        default=None,
        description="Most requests at a time, over all workers, each of which sends one at least; auto finds it from "
        "the answer times.",
    )
    ca: FilePath | None = Field(
        default=None, description="Certificates (PEM) that vouch for an https backend. Default: those of the system."
    )
    server_name: Host | None = Field(
        default=None, description="Name in an https backend's certificate, also told to it (SNI). Default: url's host."
    )

    @model_validator(mode="after")
    def _tls_only(self) -> Self:
        for key in ("ca", "server_name"):
            if getattr(self, key) is not None and self.url.scheme != "https":
                raise complaint(BadValueError(f"{key} is for https, and url is not", "an https:// url, or no such key"))
        return self


def _default_burst(data: dict[str, Any]) -> int:
    """Two seconds of the rate, as in the example of the handbook."""
    return max(1, 2 * int(data["rate_milli"]) // 1_000)


class Admission(Part):
    """How fast newcomers enter a pool."""

    rate_milli: Annotated[int, rate(unlimited=True)] = Field(
        default=0, alias="rate", description="Most admissions over time, kept in thousandths per second."
    )
    burst: Annotated[int, whole(1, 100_000)] = Field(
        default_factory=_default_burst, description="Admissions at once after a quiet time. Default: 2 s of the rate."
    )
    adaptive: Adaptive | None = Field(
        default=None,
        description="Let the rate move with the backends' health, up to `rate`. max_inflight is then auto by default.",
    )


class Session(Part):
    """How long an admitted visitor keeps a slot."""

    idle_timeout_ms: Annotated[int, duration("1s", "7d")] = Field(
        default=30 * 60_000, alias="idle_timeout", description="A session ends after this long without a request."
    )
    max_duration_ms: Annotated[int, duration("1s", "7d")] = Field(
        default=4 * 3_600_000, alias="max_duration", description="A session ends this long after its admission."
    )
    hold_until_exam_ends: Truth | None = Field(
        default=None, description="Keep the slot until the exam closes. Default: true where the exam has closes."
    )


class Pool(Part):
    """Interchangeable backends with one line in front of them."""

    backends: dict[Name, Backend] = Field(min_length=1, description="The replicas, by name.")
    admission: Admission = Field(default_factory=Admission, description="How fast newcomers enter.")
    session: Session = Field(default_factory=Session, description="How long an admission lasts.")
    priority: Priority = Field(default_factory=Priority, description="The lane of accommodations.")
    health: Health | None = Field(default=None, description="Active checks of the backends.")
    recovery: Recovery = Field(default=Recovery(), description="The ramp after an outage.")
    absence_grace_ms: Annotated[int, duration("1s", "7d")] = Field(
        default=10 * 60_000,
        alias="absence_grace",
        description="How long an absent ticket is remembered by the store. Its order lives on in the ticket itself.",
    )
    on_store_loss: Annotated[Literal["hold", "admit"], one_of("hold", "admit")] = Field(
        default="hold", description="What newcomers meet while the store is away."
    )
    on_backend_down: Annotated[Literal["hold", "move"], one_of("hold", "move")] = Field(
        default="hold", description="Whether sessions of a dead backend wait for it or move to a sibling."
    )


class Exam(Part):
    """What a student comes to sit."""

    title: Texts = Field(default_factory=dict, description="Name shown to students: a text, or texts by language.")
    pool: Name = Field(description="The pool whose backends serve it.")
    match: Matches = Field(min_length=1, description="Requests that name this exam: one rule that fits is enough.")
    opens_ms: InstantMs | None = Field(default=None, alias="opens", description="Before this, students meet the lobby.")
    closes_ms: InstantMs | None = Field(default=None, alias="closes", description="After this, nobody enters.")
    expected: Annotated[int, whole(1, 1_000_000)] | None = Field(
        default=None, description="Students who will come. waitroom check compares them with what the pool holds."
    )
    language: PageLanguage | None = Field(
        default=None, description="Language of its pages for visitors whose own we do not speak."
    )
    note: ShortTexts = Field(
        default_factory=dict,
        description="A sentence that stands under good to know on its pages. Default: pages.note.",
    )
    order: Annotated[Literal["arrival", "draw"], one_of("arrival", "draw")] = Field(
        default="arrival", description="Order of those in the lobby at the opening: arrival, or draw (docs/draw.md)."
    )


class Pace(Part):
    """Smooths one expensive request of visitors already admitted."""

    name: Name = Field(description="A label for metrics.")
    match: Match = Field(description="The request.")
    rate_milli: Annotated[int, rate()] = Field(alias="rate", description="How many a second may pass.")
    max_wait_ms: Annotated[int, duration("1s", "5m")] = Field(
        default=20_000, alias="max_wait", description="Longest time a request is held before a page takes over."
    )
