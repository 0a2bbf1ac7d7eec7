"""The settings: what an operator may write, as frozen values. DESIGN.md section 8 is their contract.

Law: a Settings that exists is whole: every key has a value in the unit its attribute names, relative paths are relative
to the working directory. `to_json` and `from_json` carry it to worker processes unchanged.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from waitroom.settings.addresses import DEFAULT_ADMIN, DEFAULT_PUBLIC, Address, HostPort, parse_host_port
from waitroom.settings.care import Adaptive, Health, Recovery, Tls, Token
from waitroom.settings.identity import Identity, Jwt, Priority
from waitroom.settings.look import Enclosed, Look
from waitroom.settings.part import Part
from waitroom.settings.pools import Admission, Backend, Exam, Match, Matches, Pace, Pool, Session
from waitroom.settings.spelling import (
    AdminAddress,
    Auto,
    ExamName,
    FilePath,
    Host,
    ListenAddress,
    Name,
    NetworkRange,
    PageLanguage,
    Spelling,
    StoreUrl,
    Texts,
    Truth,
    duration,
    is_name,
    named,
    one_of,
    size,
    whole,
)
from waitroom.settings.units import BadValueError

__all__ = [
    "Adaptive", "Address", "Admin", "Admission", "Backend", "Exam", "Health", "Help", "HostPort", "Identity", "Jwt",
    "Limits", "Listen", "Logging", "Look", "Match", "Pace", "Pool", "Priority", "PublicListen", "Recovery",
    "SecretsFile", "Session", "Settings", "Store", "Timeouts", "Tls", "Token",
]  # fmt: skip

MAX_POOLS = 64
"""Each pool has a cookie and a line; browsers keep 50 cookies a host or more (RFC 6265 section 6.1)."""

MAX_EXAMS = 5_000
MAX_LISTENERS = 16
MAX_NETWORKS = 1_000
MAX_HOSTS = 1_000
MAX_PACES = 100
MAX_TOKENS = 1_000

BROWSERS_ACT_UPON = frozenset({401, 407, 408, 421, 425, 426})
"""Statuses at which a browser asks for a password or sends the request again unasked."""


class PublicListen(Part):
    """One public address, with TLS if it has a certificate. In YAML an address alone is enough."""

    address: ListenAddress = Field(description="HOST:PORT, or unix:/PATH.")
    tls: Tls | None = Field(default=None, description="Certificate and key; without them it speaks plain HTTP.")
    proxy_protocol: Truth = Field(
        default=False,
        description="Connections of trusted_proxies begin with a PROXY header, version 1 or 2, naming the client.",
    )

    @property
    def host(self) -> str:
        """Host name or address, IPv6 without brackets; empty for a unix socket."""
        return self.address.host

    @property
    def port(self) -> int:
        """Port, 0 for any free one."""
        return self.address.port

    @property
    def unix(self) -> str | None:
        """Path of the unix socket, or None."""
        return self.address.unix

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, value: object) -> object:
        return value if isinstance(value, Mapping) else {"address": value}

    @model_serializer(mode="wrap")
    def _shortest(self, written: SerializerFunctionWrapHandler) -> object:
        parts = written(self)
        return parts if parts.get("tls") or parts.get("proxy_protocol") else parts.get("address")


def _one_or_many(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


class Listen(Part):
    """Where the two listeners are."""

    public: Annotated[
        tuple[PublicListen, ...], Field(min_length=1, max_length=MAX_LISTENERS), BeforeValidator(_one_or_many)
    ] = Field(
        default=(PublicListen.model_validate(DEFAULT_PUBLIC),),
        description="For students: an address, or a list of addresses, each alone or as {address, tls}.",
    )
    admin: AdminAddress = Field(
        default=parse_host_port(DEFAULT_ADMIN), description="For operators and Prometheus. Keep it away from students."
    )


class Store(Part):
    """Where the line lives."""

    url: StoreUrl | None = Field(
        default=None,
        repr=False,
        description="A Redis (7 or later) or Valkey server of yours. Without it, one is embedded.",
    )
    data_dir: FilePath = Field(default=Path("./var"), description="Folder of the embedded store.")


class SecretsFile(Part):
    """Where the signing keys are."""

    file: FilePath = Field(
        default=Path("./var/secrets"),
        description="Made on first start, mode 0600. Without secrets: the file secrets in store.data_dir.",
    )


def _secrets_beside_the_data(data: dict[str, Any]) -> SecretsFile:
    """Keys live and move with the data folder unless they are given a place of their own."""
    return SecretsFile(file=str(data["store"].data_dir / "secrets"))


def _queue_status() -> Spelling:
    """4xx or 5xx, but for those that browsers act upon by themselves."""
    base = whole(400, 599)

    def read(value: object) -> object:
        if value in BROWSERS_ACT_UPON and not isinstance(value, bool):
            raise BadValueError(f"{value} makes browsers act by themselves", "429, 503 or another of 400 to 599", "429")
        return base.read(value)

    excepted = ", ".join(map(str, sorted(BROWSERS_ACT_UPON)))
    return Spelling(read, base.write, base.schema, f"{base.allowed}, but for {excepted}")


class Timeouts(Part):
    """How long each phase of an exchange may take."""

    head_ms: Annotated[int, duration("1s", "5m")] = Field(
        default=10_000, alias="head", description="A request's head must be complete after this."
    )
    idle_ms: Annotated[int, duration("1s", "1h")] = Field(
        default=75_000, alias="idle", description="A client's connection without a request is closed after this."
    )
    connect_ms: Annotated[int, duration("100ms", "1m")] = Field(
        default=5_000, alias="connect", description="Longest time to reach a backend."
    )
    inflight_wait_ms: Annotated[int, duration("1s", "1m")] = Field(
        default=10_000,
        alias="inflight_wait",
        description="Longest wait of a request where a backend has max_inflight others; then its visitor is told.",
    )
    response_ms: Annotated[int, duration("1s", "1h")] = Field(
        default=300_000, alias="response", description="Longest silence of a backend before or within its response."
    )
    body_grace_ms: Annotated[int, duration("1s", "5m")] = Field(
        default=10_000, alias="body_grace", description="What a request's body may take before limits.body_rate counts."
    )
    body_ms: Annotated[int, duration("1s", "1h")] = Field(
        default=60_000,
        alias="body",
        description="Longest silence of a client that has sent much of a body, or has to read an answer.",
    )
    tunnel_idle_ms: Annotated[int, duration("1s", "7d", none=True)] = Field(
        default=0, alias="tunnel_idle", description="Longest silence of a WebSocket or other tunnel; none: no limit."
    )
    drain_ms: Annotated[int, duration("0s", "1h")] = Field(
        default=30_000, alias="drain", description="Time that running requests get when a worker stops."
    )
    tunnel_drain_ms: Annotated[int, duration("0s", "7d")] = Field(
        default=60_000, alias="tunnel_drain", description="Time that tunnels get when a worker stops."
    )


class Limits(Part):
    """How much of anything there may be."""

    header_bytes: Annotated[int, size("4KiB", "1MiB")] = Field(
        default=32 * 1_024,
        alias="header",
        description="A message's head, request or response (sign-on cookies are big).",
    )
    connections: Annotated[int, whole(10, 1_000_000)] = Field(
        default=20_000, description="Client connections of one worker."
    )
    form_bytes: Annotated[int, size("1KiB", "1MiB")] = Field(
        default=64 * 1_024, alias="form", description="A form that the waiting page carries along."
    )
    backend_idle: Annotated[int, whole(0, 10_000)] = Field(
        default=64, description="Idle connections that a worker keeps to each backend."
    )
    bypass: Annotated[int, whole(1, 100_000)] | None = Field(
        default=None,
        description="Requests of visitors without a pass that a backend has at a time, over all workers. "
        "Default: a quarter of its max_inflight, or 32 where it has none.",
    )
    body_bytes: Annotated[int, size("1KiB", "1TiB")] | None = Field(
        default=None, alias="body", description="A request's body. Default: no limit, since it is streamed."
    )
    body_rate: Annotated[int, size("1B", "1MiB", none=True)] = Field(
        default=500,
        description="Least bytes a second of a client that sends a body or reads an answer, over time; none: any.",
    )


class Help(Part):
    """Whom students can turn to; shown on every page of ours."""

    text: Texts = Field(default_factory=dict, description="A sentence or two: a text, or texts by language.")
    url: Annotated[str, named(r"https?://[!-~]{1,500}", "an http or https URL")] | None = Field(
        default=None, description="Page with help."
    )
    email: Annotated[str, named(r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,255}", "an e-mail address")] | None = Field(
        default=None, description="E-mail address of the help desk."
    )
    accessibility: Annotated[str, named(r"https?://[!-~]{1,500}", "an http or https URL")] | None = Field(
        default=None, description="Your accessibility statement; docs/accessibility-statement.md is a model of one."
    )
    phone: Annotated[str, named(r"[+0-9][0-9 ()./-]{1,39}", "a telephone number, such as +32 4 366 00 00")] | None = (
        Field(default=None, description="Telephone number of the help desk.")
    )


class Logging(Part):
    """What is logged. Logs are JSON, one event a line, without personal data."""

    level: Annotated[Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")] = Field(
        default="info", description="Least level that is written."
    )
    access: Truth = Field(default=True, description="Write a line for each request.")


class Admin(Part):
    """Who may use the admin listener's API."""

    open_on_loopback: Truth = Field(default=False, description="Let callers on this machine in without a token.")
    tokens: Annotated[tuple[Token, ...], Field(max_length=MAX_TOKENS)] = Field(
        default=(), description="Bearer tokens, by their hashes."
    )


class Settings(Part):
    """Everything an operator can say."""

    listen: Listen = Field(default_factory=Listen, description="Where the listeners are.")
    workers: Annotated[int | Auto, whole(1, 256, "auto")] = Field(
        default="auto", description="Worker processes; auto: one a core."
    )
    store: Store = Field(default_factory=Store, description="Where the line lives.")
    secrets: SecretsFile = Field(
        default_factory=_secrets_beside_the_data, description="Keys that sign tickets; or set WAITROOM_SECRETS instead."
    )
    trusted_proxies: Annotated[tuple[NetworkRange, ...], Field(max_length=MAX_NETWORKS)] = Field(
        default=(), description="Networks whose X-Forwarded-*, Forwarded and PROXY headers are believed."
    )
    forward_as: Annotated[Literal["x-forwarded", "forwarded"], one_of("x-forwarded", "forwarded")] = Field(
        default="x-forwarded",
        description="How a backend is told who asks: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239).",
    )
    hosts: Annotated[tuple[Host, ...], Field(max_length=MAX_HOSTS)] = Field(
        default=(), description="Hosts that are served; another gets 421. Default: any."
    )
    queue_status: Annotated[int, _queue_status()] = Field(
        default=429, description="Status of the waiting page. 429 and 503 are what crawlers and clients understand."
    )
    prefix: Annotated[str, named(r"/[A-Za-z0-9._~-]{1,50}/", "a / , 1 to 50 of A-Z a-z 0-9 . _ ~ -, and a /")] = Field(
        default="/_waitroom/", description="Path under which the product's own endpoints live."
    )
    pools: Annotated[dict[Name, Pool], Field(min_length=1, max_length=MAX_POOLS)] = Field(
        description="Groups of interchangeable backends, by name."
    )
    exams: Annotated[dict[ExamName, Exam], Field(max_length=MAX_EXAMS)] = Field(
        default_factory=dict, description="What students come to sit, by name. The first that matches wins."
    )
    default_pool: Name = Field(
        default="", description="Pool of requests that name no exam. Not needed where there is one pool."
    )
    bypass: Matches = Field(default=(), description="Requests that pass without a ticket, such as sign-on returns.")
    release: Matches = Field(default=(), description="Requests after which the session is over, such as log-out.")
    pace: Annotated[tuple[Pace, ...], Field(max_length=MAX_PACES)] = Field(
        default=(),
        description="Expensive requests of visitors already admitted that are smoothed.",
    )
    identity: Identity | None = Field(
        default=None, description="How one student is known across browsers. Without it nobody is known by name."
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long each phase may take.")
    limits: Limits = Field(default_factory=Limits, description="How much of anything there may be.")
    language: PageLanguage = Field(
        default="en", description="Language of our pages for visitors whose own we do not speak."
    )
    pages: Look = Field(default_factory=Look, description="Your own words and look on the pages.")
    help: Help = Field(default_factory=Help, description="Whom students can turn to.")
    logging: Logging = Field(default_factory=Logging, description="What is logged.")
    admin: Admin = Field(default_factory=Admin, description="Who may use the admin API.")

    _enclosed: Enclosed = PrivateAttr(default_factory=dict)

    @property
    def enclosed(self) -> Enclosed:
        """What stands in the files that `pages`, `identity`, rosters and listeners name."""
        return self._enclosed

    def with_files(self, enclosed: Enclosed) -> Self:
        """The same with these contents of those files."""
        copy = self.model_copy()
        copy._enclosed = dict(enclosed)  # noqa: SLF001 - one's own
        return copy

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: object) -> object:
        """The one pool is the default pool."""
        if not isinstance(value, Mapping) or "default_pool" in value:
            return value
        pools = value.get("pools")
        names = list(pools) if isinstance(pools, Mapping) else []
        return {**value, "default_pool": names[0]} if len(names) == 1 and is_name(names[0]) else value

    def to_json(self) -> str:
        """What was said, in the file's own spelling, and the files that go with it, as JSON; defaults are left to the
        reader.
        """
        said = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return json.dumps({"said": said, "enclosed": dict(self._enclosed)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings that `to_json` wrote. They were checked before, so nothing is said about them in detail."""
        both = json.loads(text)
        return cls.model_validate(both["said"]).with_files(both["enclosed"])
