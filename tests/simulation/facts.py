"""What the store was asked and what it said, read off the wire: facts that checkers judge.

Law: read from the bytes as the head of library.lua describes them, without the product's own reading of them, and
nothing is concluded here.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.simulation.storehouse import Asked

LANE_WIDTH = 3_000_000_000_000_000
RETURN, STANDARD = 0, 2
_STATES = ("waiting", "admitted", "lobby", "returning", "held", "down")
_LIVES = ("live", "lapsed", "released")
_BACK = ("waits", "back", "lapsed", "released")
SAVED = 65_536


class Present(NamedTuple):
    """A visitor showed up and was told something."""

    visitor: str
    asked_us: int
    """The arrival in the ticket shown; 0: none."""
    order_us: int
    confirmed: bool
    hidden: bool
    may_enter: bool
    page: bool
    lane: int
    exam: str
    opens_ms: int
    state: str
    repeated: bool
    arrival_us: int
    backend: str
    admitted_ms: int
    ahead: int
    waiting: int
    poll_ms: int

    @property
    def key(self) -> int:
        """The order key that follows from the ticket."""
        return self.lane * LANE_WIDTH + (self.order_us or self.arrival_us)


class Touched(NamedTuple):
    """A pass was used."""

    visitor: str
    backend: str
    admitted_ms: int
    keep_ms: int
    life: str
    expires_ms: int


class Came(NamedTuple):
    """The holder of a pass asked to come back to a backend that was down."""

    visitor: str
    backend: str
    admitted_ms: int
    keep_ms: int
    outcome: str
    at: str
    """The backend that they go on with, or wait for."""


class Ended(NamedTuple):
    """A session was released, or a place given up."""

    visitor: str
    left: bool


class Seen(NamedTuple):
    """What a snapshot said."""

    sessions: dict[str, int]
    waiting: int


@dataclass(frozen=True, slots=True)
class RulesSet:
    """Rules were written, and are in force."""

    text: dict[str, Any]

    @property
    def limits(self) -> dict[str, int]:
        """Slots by backend."""
        return {name: slots for name, slots, _ in self.text["backends"]}


class LiveSet(NamedTuple):
    """What lies over the rules was set."""

    fields: dict[str, str]


Fact = Present | Touched | Came | Ended | Seen | RulesSet | LiveSet


def read(asked: Asked) -> list[Fact]:
    """The facts of a call; none of a call that changed nothing."""
    reply = asked.reply
    if not isinstance(reply, list) or not reply or reply[0] != 0:
        return []
    backends, exams, own = _head(asked.args)
    found: Iterable[Fact] = ()
    match asked.function:
        case "wr_present":
            found = _presents(own, reply, backends, exams)
        case "wr_touch":
            found = _touches(own, reply, backends)
        case "wr_return":
            found = _returns(own, reply, backends)
        case "wr_release":
            found = [Ended(own[at].decode(), left=False) for at in range(0, len(own), 2)]
        case "wr_leave":
            found = [Ended(visitor.decode(), left=True) for visitor in own]
        case "wr_rules":
            found = [RulesSet(json.loads(own[1]))] if reply[2] == int(own[0]) else []
        case "wr_live":
            found = [LiveSet({own[at].decode(): own[at + 1].decode() for at in range(0, len(own), 2)})]
        case "wr_snapshot":
            sessions = reply[8]
            found = [
                Seen({sessions[at].decode(): sessions[at + 1] for at in range(0, len(sessions), 3)}, sum(reply[6]))
            ]
        case _:
            pass
    return list(found)


def cut_ms(asked: Asked) -> int:
    """For how long visitors could not be heard, if this call says so: the library then expires nobody for a while."""
    return int(_head(asked.args)[2][1]) if asked.function == "wr_prove" else 0


def _head(args: list[bytes]) -> tuple[list[str], list[tuple[str, int]], list[bytes]]:
    """The pool's part of the arguments: backends, exams with openings; and the function's own."""
    count = int(args[0])
    backends, at = [name.decode() for name in args[1 : 1 + count]], 1 + count
    exams = int(args[at])
    pairs = [(args[at + 1 + 2 * n].decode(), int(args[at + 2 + 2 * n])) for n in range(exams)]
    return backends, pairs, args[at + 1 + 2 * exams :]


def _presents(
    own: list[bytes], reply: list[int], backends: list[str], exams: list[tuple[str, int]]
) -> Iterator[Present]:
    assert own[-1].partition(b":")[0] == b"lanes", "workers of today ask so, where nobody is known by name"
    rest = iter(reply[2:])
    for at in range(0, len(own) - 1, 3):
        arrival, _, order = own[at + 1].partition(b":")
        mix = int(own[at + 2])
        exam, opens_ms = exams[mix // 64 - 1] if mix >= 64 else ("", 0)
        told, ahead, waiting, poll_ms = next(rest), next(rest), next(rest), next(rest)
        moved, code = divmod(told, 64)  # 1 + the lane of a ticket that stands in another than it says
        arrival_us, backend, admitted_ms = int(arrival), 0, 0
        if code < 32:
            arrival_us, backend, admitted_ms = next(rest), next(rest), next(rest)
        yield Present(
            own[at].decode(),
            int(arrival),
            int(order or 0),
            bool(mix & 1),
            bool(mix & 2),
            bool(mix & 4),
            bool(mix & 8),
            moved - 1 if moved else mix // 16 % 4,
            exam,
            opens_ms,
            _STATES[code % 16],
            bool(code & 16),
            arrival_us,
            backends[backend - 1] if backend else "",
            admitted_ms,
            ahead,
            waiting,
            poll_ms,
        )


def _touches(own: list[bytes], reply: list[int], backends: list[str]) -> Iterator[Touched]:
    for number, at in enumerate(range(0, len(own), 4)):
        backend = backends[int(own[at + 1]) % SAVED - 1]
        life, expires_ms = _LIVES[reply[2 + 2 * number]], reply[3 + 2 * number]
        yield Touched(own[at].decode(), backend, int(own[at + 2]), int(own[at + 3]), life, expires_ms)


def _returns(own: list[bytes], reply: list[int], backends: list[str]) -> Iterator[Came]:
    for number, at in enumerate(range(0, len(own), 5)):
        state, where = reply[2 + 5 * number], reply[6 + 5 * number]
        visitor, backend = own[at].decode(), backends[int(own[at + 1]) - 1]
        yield Came(visitor, backend, int(own[at + 2]), int(own[at + 3]), _BACK[state], backends[where - 1])
