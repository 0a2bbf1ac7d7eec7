"""The line as a gate sees it: visitors in, passes or views out, with or without the store.

Law: the store decides; while it is away nobody's place changes. A newcomer is then stamped with this machine's clock
and their signed ticket keeps that stamp, so the line is whole again as soon as the store is (DESIGN.md law 9).
"""

from collections.abc import Callable, Iterator
from os import urandom
from typing import Protocol

from waitroom import clock
from waitroom.admission.line import Life, Presence, Standing, Touch, Touched, Whereabouts
from waitroom.admission.order import order_key
from waitroom.admission.pacing import Step, Turn
from waitroom.admission.recovery import Return, Returned
from waitroom.admission.tickets import VISITOR_BYTES, Ticket, visitor_id
from waitroom.errors import StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.jar import NEVER, Credential
from waitroom.gate.meters import GateMeters

TRUSTED_S = 5
"""How long a worker relays a pass on the store's word without asking again. A session ended elsewhere meanwhile (by
staff, by another worker) is noticed within a second, by the touches."""

USED_REMEMBERED = 100_000
"""Passes used whose answer from the store is awaited; a forgotten one is verified at its next request instead."""

IDS_DRAWN = 64
"""A call for randomness costs as much as the rest of a ticket."""

StandingAnswer = Standing | StoreError
TouchAnswer = Touched | StoreError
WhereAnswer = Whereabouts | StoreError
ReturnAnswer = Returned | StoreError
TurnAnswer = Turn | StoreError


class Store(Protocol):
    """What a gate needs of the store's client; see waitroom/store."""

    @property
    def up(self) -> bool:
        """Whether the store answered last time."""

    def present(self, pool: str, presence: Presence, done: Callable[[StandingAnswer], None]) -> None:
        """A visitor shows up."""

    def check(self, pool: str, touch: Touch, done: Callable[[TouchAnswer], None]) -> None:
        """Ask for a session now."""

    def come_back(self, pool: str, return_: Return, done: Callable[[ReturnAnswer], None]) -> None:
        """The holder of a pass wants the session on a backend that is down or comes back."""

    def where(self, pool: str, visitor: str, exam: str, order: int, done: Callable[[WhereAnswer], None]) -> None:
        """Ask where a ticket stands; changes nothing."""

    def touch(self, pool: str, touch: Touch) -> None:
        """A session was used; told to the store within a second."""

    def pace(self, name: str, step: Step, done: Callable[[TurnAnswer], None]) -> None:
        """A request of somebody inside asks for its turn, or its end is told."""

    def release(self, pool: str, visitor: str, reason: str) -> None:
        """A session has ended."""

    def leave(self, pool: str, visitor: str) -> None:
        """A ticket gives up its place."""


class Line:
    """Presents visitors to the store and turns its answers into passes and views."""

    def __init__(self, store: Store, meters: GateMeters) -> None:
        self._store = store
        self.meters = meters
        self._offset_ms = 0
        self._heard_ms = 0
        self._used: dict[tuple[str, str], Credential] = {}
        self.fresh_id = _fresh_ids().__next__
        """Gives an id for a newcomer."""
        self.present = store.present
        """A visitor shows up; asking.py makes of the answer what they want to know."""

    @property
    def up(self) -> bool:
        """Whether the store answers."""
        return self._store.up

    def now_ms(self) -> int:
        """The store's clock, as of its last answer."""
        return clock.now_ms() + self._offset_ms

    def now_us(self) -> int:
        """The same in microseconds: newcomers of one millisecond have an order too."""
        return clock.now_us() + self._offset_ms * 1000

    def heard(self, now_ms: int) -> None:
        """The store said what time it is."""
        if now_ms != self._heard_ms:  # once for all answers of a batch
            self._heard_ms, self._offset_ms = now_ms, now_ms - clock.now_ms()

    def touch(self, held: Credential) -> None:
        """A pass was used; what the store makes of it comes back through `touched`."""
        assert held.touch is not None
        if len(self._used) >= USED_REMEMBERED:
            self._used.clear()
        self._used[held.pool, held.touch.visitor] = held
        self._store.touch(held.pool, held.touch)

    def touched(self, pool: str, answer: Touched, tick: int) -> None:
        """The store's word on a pass that was used: its session lives, or is over."""
        held = self._used.pop((pool, answer.visitor), None)
        if held is None:
            return
        self.judge(held, answer, tick)

    def judge(self, held: Credential, answer: Touched, tick: int) -> None:
        """Take the store's word on a pass. It holds for `TRUSTED_S` seconds, and never beyond the session's own end."""
        held.dead = answer.life is Life.RELEASED
        held.good_until = NEVER
        if answer.life is Life.LIVE:
            left_s = (answer.expires_ms - self.now_ms()) // 1000
            held.good_until = tick + min(TRUSTED_S, left_s - 1)  # a tick may be a second late

    def check(self, held: Credential, done: Callable[[TouchAnswer], None]) -> None:
        """Ask whether a pass's session lives."""
        assert held.touch is not None
        self._store.check(held.pool, held.touch, done)

    def come_back(self, pool: str, return_: Return, done: Callable[[ReturnAnswer], None]) -> None:
        """Ask for a session whose backend is down or comes back."""
        self._store.come_back(pool, return_, done)

    def where(self, entrance: Entrance, ticket: Ticket, done: Callable[[WhereAnswer], None]) -> None:
        """Ask where a ticket stands, which is no heartbeat and changes nothing in the line."""
        order = order_key(ticket.lane, entrance.order_us(ticket, self.now_ms()) or ticket.arrival_us)
        self._store.where(entrance.name, ticket.visitor, ticket.exam, order, done)

    def release(self, held: Credential) -> None:
        """A pass's session ends because its holder logged out or handed in."""
        self._store.release(held.pool, held.ticket.visitor, "released")

    def leave(self, entrance: Entrance, ticket: Ticket) -> None:
        """A visitor gives up their place in line."""
        self._store.leave(entrance.name, ticket.visitor)


def _fresh_ids() -> Iterator[str]:
    """Ids for newcomers, from the system's randomness, drawn for many at a time."""
    while True:
        chance = urandom(VISITOR_BYTES * IDS_DRAWN)
        for at in range(0, len(chance), VISITOR_BYTES):
            yield visitor_id(chance[at : at + VISITOR_BYTES])
