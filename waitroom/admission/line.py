"""The nouns of the line: what a worker tells the store about a visitor, and what the store answers.

Law: these are values. The store's Lua library decides; nothing here does. Only integers and short strings cross the
border, so every field is one of the two. What is made for every poll is a named tuple: half the cost of a frozen class.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Lane(IntEnum):
    """Order class inside a line; a smaller lane goes first."""

    RETURN = 0
    PRIORITY = 1
    STANDARD = 2


class State(StrEnum):
    """Where a ticket stands; the words of the status answer and of X-Waitroom."""

    LOBBY = "lobby"
    WAITING = "waiting"
    RETURNING = "returning"
    HELD = "held"
    CLOSED = "closed"
    DOWN = "down"
    ADMITTED = "admitted"
    PACED = "paced"
    """Only a page's: its visitor is in, and the request that it keeps is smoothed."""
    BUSY = "busy"
    """Only a page's: its visitor is in, and the exam server has as many requests as it may have at a time."""
    SENT = "sent"
    """Only of such a page: the form that it keeps has been sent already, by another page or click of its visitor."""

    __hash__ = str.__hash__
    """An enum's own is written in Python, and members are looked up for every visitor."""


class Presence(NamedTuple):
    """One visitor showing up in a pool: a newcomer, a heartbeat, or a page asked for again.

    `arrival_us` 0 means newcomer: the store stamps the arrival. `order_us` is the place within the lane (order.py); 0
    means "the arrival". `opens_ms` 0 means the exam is open. `confirmed`: the browser has sent our cookie back.
    `page`: a whole page was loaded, whose next heartbeat may be the next whole page. `identity`: the student's keyed
    hashes, with commas, where it is known whose ticket this is (identity.py). `stamped`: a store stamped the arrival,
    so one that remembers no arrival as late has forgotten something (law 9).
    """

    visitor: str
    arrival_us: int = 0
    order_us: int = 0
    lane: Lane = Lane.STANDARD
    exam: str = ""
    opens_ms: int = 0
    confirmed: bool = False
    hidden: bool = False
    may_enter: bool = True
    page: bool = False
    identity: str = ""
    stamped: bool = False


class Standing(NamedTuple):
    """The store's answer to a Presence. `ahead` counts present tickets only; `backend` is named once admitted.

    `repeated`: the visitor had been admitted before and is told so again. `elsewhere`: this student is here already, as
    `visitor` who arrived at `arrival_us` (0: not known); nothing was done for the one who asked.
    """

    state: State
    visitor: str
    arrival_us: int
    now_ms: int
    backend: str = ""
    admitted_ms: int = 0
    ahead: int = 0
    waiting: int = 0
    next_poll_ms: int = 0
    lane: Lane = Lane.STANDARD
    repeated: bool = False
    elsewhere: bool = False


class Whereabouts(NamedTuple):
    """Where a ticket stands, asked without a heartbeat. `state` None: nowhere, as far as the store remembers."""

    state: State | None
    ahead: int = 0
    admitted_ms: int = 0


class Move(StrEnum):
    """What became of a ticket that was to go to another lane; in the order of the library."""

    NOWHERE = "nowhere"
    DONE = "done"
    RETURNS = "returns"
    """It was in before, and goes ahead of both lanes."""
    ADMITTED = "admitted"


class Moved(NamedTuple):
    """The answer to a move; `before` is the lane that the ticket came from."""

    move: Move
    before: Lane


class Overridden(NamedTuple):
    """The answer to what staff set: the store's clock, and by field the value of before, or ""."""

    now_ms: int
    before: dict[str, str]


class Stand(StrEnum):
    """Where a visitor is, whom staff ask about; in the order of the library."""

    NOWHERE = "nowhere"
    WAITING = "waiting"
    LOBBY = "lobby"
    ADMITTED = "admitted"
    RETURNING = "returning"
    """They have a session, and wait to come back to its backend."""


class Found(NamedTuple):
    """All that the store knows of a visitor, asked without a heartbeat."""

    visitor: str
    stand: Stand
    now_ms: int
    ahead: int = 0
    among: int = 0
    lane: Lane = Lane.STANDARD
    arrival_us: int = 0
    due_ms: int = 0
    """When they are to ask again; of somebody absent, minus the instant since when they are."""
    exam: str = ""
    backend: str = ""
    admitted_ms: int = 0
    expires_ms: int = 0
    ended_ms: int = 0
    """When a session or a place of theirs ended: released where it is negative, lapsed where positive; 0: none did."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One pass seen by a worker: keeps its session alive. `keep_until_ms`: the end of the exam, or 0."""

    visitor: str
    backend: str
    admitted_ms: int
    keep_until_ms: int = 0
    lapses: bool = False
    """Its slot is not kept until then; its holder is let in again all the same (law 6)."""
    saved: bool = False
    """Its holder has saved something: they are in an attempt, and come back first after an outage."""


class Life(StrEnum):
    """What became of a touched pass."""

    LIVE = "live"
    LAPSED = "lapsed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Touched:
    """The store's answer to a Touch; `expires_ms` is when the session lapses if nothing more is heard."""

    visitor: str
    life: Life
    expires_ms: int


@dataclass(frozen=True, slots=True)
class BackendRules:
    """What the line must know of one backend."""

    name: str
    max_sessions: int
    open: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """What the line must know of one pool; written whole, `version` decides between two writers: the first of a version
    stays until a higher one comes. `rate_milli` counts admissions in 1,000 s; 0 means unlimited."""

    version: int
    rate_milli: int
    burst: int
    idle_timeout_ms: int
    max_duration_ms: int
    absence_grace_ms: int
    backends: tuple[BackendRules, ...]
    held: bool = False
    move: bool = False
    """Sessions of a backend that is down move to a sibling."""
    priority_percent: int = 50
    """Of admissions, for the priority lane, while standard waits too."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One slice of time: `start_ms` (store clock), people admitted, sessions ended in it, and how long those lasted;
    and sessions that lapsed without ever having been used, which are not among the ended ones."""

    start_ms: int
    admitted: int
    ended: int
    held_ms: int = 0
    unused: int = 0


Texts = tuple[tuple[str, str], ...]
"""Languages with what is said in them; "" is a language too: any."""


class Notice(NamedTuple):
    """What staff say to everyone who waits: plain text, by language."""

    texts: Texts
    at_ms: int = 0


class Announced(NamedTuple):
    """A notice as it is given: what is said, and the name of whose token it was."""

    texts: Texts
    by: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pool at one instant of the store's clock. `limits` is 0 for a backend that is closed or no longer configured;
    `waiting` counts who is present and eligible, `flow` the last ten minutes in slices of 10 s, quiet ones too."""

    now_ms: int
    held: bool
    rate_milli: int
    tokens_milli: int
    waiting: dict[Lane, int]
    absent: int
    lobby: dict[str, int]
    sessions: dict[str, int]
    limits: dict[str, int]
    flow: tuple[Flow, ...]
    arrivals_total: int
    admissions_total: dict[str, int]
    departures_total: dict[str, int]
    notices: dict[str, Notice] = field(default_factory=dict)
    """By exam; "" is the whole pool."""
    live: dict[str, str] = field(default_factory=dict)
    """What lies over the rules while it runs; see the key `live` of the library."""
    returning: dict[str, int] = field(default_factory=dict)
    """By backend, who waits to come back to it."""
    missed: dict[str, int] = field(default_factory=dict)
    """By backend that recovers, who had a session there and has not come back."""
    ends: tuple[tuple[int, int], ...] = ()
    """Instants (ms) at which exams are over, earliest first, with how many sessions are over by then if nobody uses
    them after the exam."""
