"""The line as a gate sees it: visitors in, passes or views out, with or without the store.

Law: the store decides; while it is away nobody's place changes. A newcomer is then stamped with this machine's clock
and their signed ticket keeps that stamp, so the line is whole again as soon as the store is (DESIGN.md law 9).
"""

from collections.abc import Callable, Iterator
from functools import partial
from os import urandom
from typing import Protocol

from waitroom import clock
from waitroom.admission.estimate import Unknown
from waitroom.admission.identity import Known
from waitroom.admission.line import Lane, Life, Presence, Standing, State, Touch, Touched, Whereabouts
from waitroom.admission.order import order_key
from waitroom.admission.pacing import Step, Turn
from waitroom.admission.recovery import Return, Returned
from waitroom.admission.tickets import VISITOR_BYTES, Ticket, visitor_id
from waitroom.admission.view import View
from waitroom.errors import StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.jar import NEVER, Credential
from waitroom.gate.meters import GateMeters

AWAY_POLL_MS = 3_000
"""When to ask again while the store is away: within the library's SETTLE_MS, so that those stamped meanwhile enter in
order. 10,000 who wait are then 3,300 polls a second, answered from memory."""

TRUSTED_S = 5
"""How long a worker relays a pass on the store's word without asking again. A session ended elsewhere meanwhile (by
staff, by another worker) is noticed within a second, by the touches."""

USED_REMEMBERED = 100_000
"""Passes used whose answer from the store is awaited; a forgotten one is verified at its next request instead."""

KNOWN_TRIES = 3
"""A student is looked for under another visitor than the one that asked; more only if they move on meanwhile."""

IDS_DRAWN = 64
"""A call for randomness costs as much as the rest of a ticket."""

StandingAnswer = Standing | StoreError
TouchAnswer = Touched | StoreError
WhereAnswer = Whereabouts | StoreError
ReturnAnswer = Returned | StoreError
TurnAnswer = Turn | StoreError

Admitted = Callable[[Ticket, bytes], None]
Waits = Callable[[View], None]


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
        self._meters = meters
        self._offset_ms = 0
        self._heard_ms = 0
        self._used: dict[tuple[str, str], Credential] = {}
        self._fresh_ids = _fresh_ids()

    @property
    def up(self) -> bool:
        """Whether the store answers."""
        return self._store.up

    def now_ms(self) -> int:
        """The store's clock, as of its last answer."""
        return clock.now_ms() + self._offset_ms

    def _now_us(self) -> int:
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

    def present(
        self,
        entrance: Entrance,
        ticket: Ticket | None,
        *,
        exam: str,
        secure: bool,
        page: bool = False,
        hidden: bool = False,
        known: Known | None = None,
        found: Ticket | None = None,
        tries: int = KNOWN_TRIES,
        admitted: Admitted,
        waits: Waits,
    ) -> None:
        """A visitor asks for entry; exactly one of `admitted` and `waits` is called.

        `ticket` None is a newcomer. A cookie goes along whenever the browser does not hold this very ticket yet.
        `known` is the student who asks; `found` their place, where the store has said that it is another than asked.
        """
        mine = found or ticket or Ticket(next(self._fresh_ids), exam, 0)
        if known is not None:
            mine = entrance.claim(mine, known)
        opens_ms = entrance.opens_ms(mine.exam) if mine.exam else 0
        order_us = entrance.order_us(mine, self.now_ms()) if entrance.proposals else mine.order_us
        confirmed, may_enter = found.arrival_us > 0 if found else ticket is not None, True
        names = ",".join(known.hashes) if known else mine.identity
        presence = Presence(
            *(mine.visitor, mine.arrival_us, order_us, mine.lane, mine.exam, opens_ms),
            *(confirmed, hidden, may_enter, page, names),
            mine.first > 0,  # as a place stamped here, without the store, never is
        )

        def answered(answer: StandingAnswer) -> None:
            if isinstance(answer, StoreError) or (answer.elsewhere and not tries):
                self._answer_alone(entrance, ticket, mine, secure=secure, admitted=admitted, waits=waits)
                return
            self.heard(answer.now_ms)
            if answer.elsewhere:
                there = Ticket(answer.visitor, mine.exam, answer.arrival_us, answer.lane, mine.identity)
                again = partial(self.present, entrance, ticket, exam=exam, secure=secure, page=page, hidden=hidden)
                again(known=known, found=there, tries=tries - 1, admitted=admitted, waits=waits)
                return
            stamped = _stamped(entrance, mine, answer, opens_ms)
            if ticket is None and found is None:
                self._meters.arrived(entrance.name)
            if answer.state is State.ADMITTED:
                self._meters.admitted(entrance.name, answer, _way(mine, newcomer=ticket is None and found is None))
                if ticket is not None and mine.lane is Lane.STANDARD and not answer.repeated:
                    self._judge_estimate(entrance, mine, answer.now_ms)
                passed = stamped.admitted(answer.backend, answer.admitted_ms)
                admitted(passed, entrance.cookie(passed, secure=secure))
            else:
                waits(_view(entrance, answer, stamped, opens_ms, _cookies(entrance, ticket, stamped, secure=secure)))

        self._store.present(entrance.name, presence, answered)

    def _judge_estimate(self, entrance: Entrance, ticket: Ticket, now_ms: int) -> None:
        """Compare a wait that is over with what was said at its beginning."""
        arrival_ms = ticket.arrival_us // 1000
        if middle_s := entrance.showings.middle_s(arrival_ms, ticket.first):
            self._meters.judged(entrance.name, (now_ms - arrival_ms) / 1000, middle_s)

    def _answer_alone(
        self, entrance: Entrance, ticket: Ticket | None, mine: Ticket, *, secure: bool, admitted: Admitted, waits: Waits
    ) -> None:
        """The store is away: keep the place, and let newcomers in only where the operator chose so."""
        stamped = mine if mine.arrival_us else mine._replace(arrival_us=self._now_us())
        state = entrance.resting_state(stamped.exam, self.now_ms())
        if ticket is None:
            self._meters.arrived(entrance.name)
        if state is State.WAITING and entrance.pool.on_store_loss == "admit":
            passed = stamped.admitted(entrance.admit_away(), self.now_ms())
            admitted(passed, entrance.cookie(passed, secure=secure))
            return
        waits(
            View(
                state,
                entrance.name,
                stamped.exam,
                visitor=stamped.visitor,
                arrival_us=stamped.arrival_us,
                next_poll_ms=AWAY_POLL_MS,
                stale=True,
                notice=entrance.notice(stamped.exam),
                opens_ms=entrance.opens_ms(stamped.exam),
                seed_hash=entrance.fingerprint(stamped.exam, self.now_ms()),
                cookies=_cookies(entrance, ticket, stamped, secure=secure),
            )
        )


def _fresh_ids() -> Iterator[str]:
    """Ids for newcomers, from the system's randomness, drawn for many at a time."""
    while True:
        chance = urandom(VISITOR_BYTES * IDS_DRAWN)
        for at in range(0, len(chance), VISITOR_BYTES):
            yield visitor_id(chance[at : at + VISITOR_BYTES])


def _stamped(entrance: Entrance, mine: Ticket, answer: Standing, opens_ms: int) -> Ticket:
    """The ticket with what the store has made of it. In a lobby nobody is told what they are about to draw."""
    if answer.now_ms < opens_ms:
        drawn = mine.exam in entrance.proposals
        stamped = mine.stamped(answer.arrival_us, 0 if drawn else answer.ahead + 1)
    else:
        stamped = mine.stamped(answer.arrival_us, answer.ahead + 1)
        if entrance.proposals:
            stamped = stamped.drawn(entrance.order_us(stamped, answer.now_ms))
    return stamped if answer.lane is stamped.lane or answer.repeated else stamped._replace(lane=answer.lane)


def _way(ticket: Ticket, *, newcomer: bool) -> str:
    if ticket.lane is Lane.RETURN:
        return "return"
    return "direct" if newcomer else "line"


def _cookies(entrance: Entrance, before: Ticket | None, now: Ticket, *, secure: bool) -> tuple[bytes, ...]:
    return () if now is before or now == before else (entrance.cookie(now, secure=secure),)


def _view(entrance: Entrance, answer: Standing, ticket: Ticket, opens_ms: int, cookies: tuple[bytes, ...]) -> View:
    eta = Unknown.NO_DATA if answer.state is State.LOBBY else entrance.eta(answer.ahead)
    seal = entrance.fingerprint(ticket.exam, answer.now_ms) if answer.now_ms < opens_ms else ""
    return View(
        answer.state,
        entrance.name,
        ticket.exam,
        ticket.visitor,
        ticket.arrival_us,
        None if seal else answer.ahead,
        answer.waiting,
        eta,
        answer.next_poll_ms,
        notice=entrance.notice(ticket.exam),
        opens_ms=opens_ms,
        seed_hash=seal,
        cookies=cookies,
    )
