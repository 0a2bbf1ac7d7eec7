"""The way into one pool: its seal, its backends, the hours of its exams, and what this worker knows of its line.

Law: an entrance knows the pool, not the request. All it says of time is said on the store's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from waitroom.admission.audit import HELD
from waitroom.admission.draw import Lot, in_force
from waitroom.admission.estimate import Eta, Regime, Unknown, regime
from waitroom.admission.hours import ends_ms
from waitroom.admission.identity import Known
from waitroom.admission.line import Lane, Notice, Snapshot, State, Touch, Whereabouts
from waitroom.admission.overrides import until_ms
from waitroom.admission.receipts import Notary, Receipt, Wait
from waitroom.admission.recovery import UP, Course, Phase, course_of
from waitroom.admission.shown import Showings
from waitroom.admission.tickets import Seal, Ticket, set_cookie
from waitroom.admission.view import News, View, ticket_code
from waitroom.gate.jar import Credential
from waitroom.proxy.decisions import Relay
from waitroom.settings.model import Exam, Pool

TICKET_MAX_AGE_S = 24 * 3_600
"""How long a browser keeps a ticket: longer than any exam day, so that a crash or a flat battery loses nothing."""

ADMITTED_POLL_MS = 2_000
"""When a page that was told of its admission and is still there asks again."""

NEWS_MS = 4_000
"""How often an open page asks for news: what staff say is on it within 5 s."""

NEWS_A_SECOND = 25_000
"""Of all pages of a pool, on all its workers together (`make bench` prints what one costs). With more than 100,000
pages each asks more rarely."""

NEWS_MAX_MS = 64_000


LOTS_ASKED_MS = 600_000
"""So long after an opening the store is told its seed again, in case it has lost it."""


@dataclass(slots=True)
class Entrance:
    """One pool as a worker's gate sees it."""

    name: str
    pool: Pool
    exams: Mapping[str, Exam]
    seal: Seal
    notary: Notary
    regime: Regime | None = None
    snapshot: Snapshot | None = None
    showings: Showings = field(default_factory=Showings)
    notices: Mapping[str, Notice] = field(default_factory=dict)
    """What staff say now, by exam; "" is the whole pool. The last that was known stays while the store is away."""
    held_until_ms: int = 0
    """When a hold of the pool is over; 0: there is none, or nobody has said."""
    away_admissions: dict[str, int] = field(default_factory=dict)
    """Newcomers let in by this worker while the store was away (`on_store_loss: admit`), by backend."""
    courses: Mapping[str, Course] = field(default_factory=dict)
    """Of the backends that are not simply up, as the store says; staff who hold one count as its being down."""
    bars: dict[str, Course] = field(default_factory=dict)
    """By target, the backends that are barred even to those who have a pass. All entrances of a gate share it."""
    roster: frozenset[str] = frozenset()
    """Digests of the students who go before others."""
    proposals: Mapping[str, Lot] = field(default_factory=dict)
    """What this worker would draw by, for each exam whose places are drawn."""
    lots: dict[str, Lot] = field(default_factory=dict)
    """What the store says that is drawn by. It outlives a reload: a seed stays when its opening moves."""

    _cookies: tuple[tuple[str, str], tuple[str, str]] = field(init=False)
    """What stands around a cookie's value, plain and secure."""

    def __post_init__(self) -> None:
        age_s = max(TICKET_MAX_AGE_S, self.pool.session.max_duration_ms // 1000)

        def around(*, secure: bool) -> tuple[str, str]:
            before, _, after = (
                set_cookie(self.name, "VALUE", secure=secure, max_age_s=age_s).decode().partition("VALUE")
            )
            return before, after

        self._cookies = around(secure=False), around(secure=True)

    def target(self, backend: str) -> str:
        """The backend's name in the connection pools."""
        return f"{self.name}/{backend}"

    def credential(self, ticket: Ticket) -> Credential:
        """What a verified ticket lets its holder do here. A pass for a backend that is gone counts as a ticket."""
        if ticket.backend not in self.pool.backends:
            return Credential(ticket, self.name)
        lapses = self.pool.session.hold_until_exam_ends is False
        touch = Touch(ticket.visitor, ticket.backend, ticket.admitted_ms, self.keep_until_ms(ticket), lapses)
        return Credential(ticket, self.name, touch, Relay(self.target(ticket.backend)))

    def keep_until_ms(self, ticket: Ticket) -> int:
        """The end of the exam, until when its students are let in again at once (DESIGN.md law 6); 0: none is known."""
        exam = self.exams.get(ticket.exam)
        return 0 if exam is None or exam.closes_ms is None else exam.closes_ms

    def opens_ms(self, exam: str) -> int:
        """When the exam opens, or 0 for one that needs no opening."""
        found = self.exams.get(exam)
        return found.opens_ms or 0 if found else 0

    def lot(self, exam: str, now_ms: int) -> Lot | None:
        """The lot by which places in the exam's lobby are drawn; None where they are not."""
        fresh = self.proposals.get(exam)
        return in_force(self.lots.get(exam), fresh, now_ms) if fresh else None

    def undrawn(self, now_ms: int) -> dict[str, Lot]:
        """Lots to ask the store about: those of openings to come or just past, and those that it has not said yet."""
        return {
            exam: in_force(self.lots.get(exam), fresh, now_ms)
            for exam, fresh in self.proposals.items()
            if exam not in self.lots or now_ms < fresh.opens_ms + LOTS_ASKED_MS
        }

    def fingerprint(self, exam: str, now_ms: int) -> str:
        """What those in the exam's lobby are shown of the lot; "" where none is drawn."""
        lot = self.lot(exam, now_ms) if self.proposals else None
        return lot.fingerprint if lot else ""

    def order_us(self, ticket: Ticket, now_ms: int) -> int:
        """The place that is drawn for a ticket, or 0 if its place is that of its arrival."""
        if ticket.order_us or ticket.exam not in self.proposals:
            return ticket.order_us
        lot, opens_ms = self.lot(ticket.exam, now_ms), self.opens_ms(ticket.exam)
        if lot is None or (ticket.arrival_us or now_ms * 1000) >= opens_ms * 1000:
            return 0
        return lot.order_us(ticket_code(ticket.visitor), opens_ms)

    def claim(self, ticket: Ticket, known: Known) -> Ticket:
        """The ticket as this student's own, in the lane that the roster gives them."""
        return known.claim(ticket, priority=known.digest in self.roster)

    def is_closed(self, exam: str, now_ms: int) -> bool:
        """Whether the exam has ended."""
        found = self.exams.get(exam)
        return found is not None and found.closes_ms is not None and now_ms >= found.closes_ms

    def cookie(self, ticket: Ticket, *, secure: bool) -> bytes:
        """The Set-Cookie value that gives a browser its ticket or pass."""
        before, after = self._cookies[secure]
        return f"{before}{self.seal.sign(ticket)}{after}".encode()

    def farewell(self, *, secure: bool) -> bytes:
        """The Set-Cookie value that takes the pass away again."""
        return set_cookie(self.name, "", secure=secure, max_age_s=0)

    def inside(self, ticket: Ticket, cookies: tuple[bytes, ...] = ()) -> View:
        """The view of somebody who has been admitted."""
        return View(
            State.ADMITTED,
            self.name,
            ticket.exam,
            visitor=ticket.visitor,
            arrival_us=ticket.arrival_us,
            ahead=0,
            next_poll_ms=ADMITTED_POLL_MS,
            cookies=cookies,
        )

    def receipt(self, ticket: Ticket, issued_ms: int, found: Whereabouts | None = None) -> Receipt:
        """The record of a ticket's or pass's wait; `found` is where the store saw the ticket, if it was asked."""
        admitted_ms = ticket.admitted_ms or (found.admitted_ms if found else 0)
        if admitted_ms:
            state = Wait.ADMITTED
        elif ticket.lane is Lane.RETURN:
            state = Wait.RETURNING
        else:
            state = Wait.LOBBY if issued_ms < self.opens_ms(ticket.exam) else Wait.WAITING
        code, known = ticket_code(ticket.visitor), found is not None and found.state in (State.WAITING, State.LOBBY)
        last = found.ahead + 1 if found and known else 0
        lot = self.lot(ticket.exam, issued_ms) if self.order_us(ticket, issued_ms) else None
        drawn = 0
        if lot is not None:  # who knew their number in time could go on taking tickets until they have a good one
            last, drawn = (0, 0) if state is Wait.LOBBY else (last, lot.number(code))
        return Receipt(
            self.name, ticket.exam, code, state, ticket.arrival_us, issued_ms, admitted_ms, ticket.first, last, drawn
        )

    def learn(self, snapshot: Snapshot) -> None:
        """Take in the pool's state: estimates and the choice of a backend are made from it."""
        self.snapshot, self.regime = snapshot, regime(snapshot)
        if any(snapshot.waiting.values()):
            self.showings.note(self.regime)
        self.notices = snapshot.notices
        self.held_until_ms = until_ms(snapshot.live, HELD)
        self.away_admissions.clear()
        self.courses = {name: found for name in self.pool.backends if (found := course_of(snapshot.live, name)) != UP}
        for name in self.pool.backends:
            course = self.course(name)
            if course.phase in (Phase.DOWN, Phase.RECOVERING):
                self.bars[self.target(name)] = course
            else:
                self.bars.pop(self.target(name), None)

    def bar(self, backend: str, now_ms: int) -> None:
        """A backend is down, as this worker alone knows, since the store is away: until it says how things are."""
        self.bars[self.target(backend)] = Course(Phase.DOWN, now_ms)

    def course(self, backend: str) -> Course:
        """How a backend is."""
        return self.courses.get(backend, UP)

    def notice(self, exam: str) -> Notice | None:
        """What staff say to those who come for `exam`."""
        if not self.notices:
            return None
        return self.notices.get(exam) or self.notices.get("")

    def news(self, exam: str) -> News:
        """What is new for those who come for `exam`. All pages together ask at most `NEWS_A_SECOND` times a second."""
        next_ms = NEWS_MS
        if self.snapshot is not None:
            pages = sum(self.snapshot.waiting.values()) + sum(self.snapshot.lobby.values())
            while next_ms < NEWS_MAX_MS and pages * 1000 > NEWS_A_SECOND * next_ms:
                next_ms *= 2  # in steps, so that the answer seldom changes
        return News(self.notice(exam), self.regime is not None and self.regime.held, next_ms)

    def eta(self, ahead: int | None) -> Eta | Unknown:
        """The wait of somebody with `ahead` people before them."""
        if self.regime is None or ahead is None:
            return Unknown.NO_DATA
        return self.regime.eta(ahead)

    def ends_ms(self, now_ms: int) -> tuple[int, ...]:
        """When slots that are held for exams come free at the latest: who hands in late may look at it a while."""
        return ends_ms(self.pool.session, (exam.closes_ms for exam in self.exams.values()), now_ms)

    def quietest(self) -> str:
        """The open backend with the largest free share, as far as this worker knows."""
        sessions = self.snapshot.sessions if self.snapshot else {}

        def share(name: str) -> float:
            used = sessions.get(name, 0) + self.away_admissions.get(name, 0)
            return used / (self.pool.backends[name].max_sessions or 1_000_000)

        takers = [name for name in self.pool.backends if self.course(name).phase is not Phase.DOWN]
        return min(takers or self.pool.backends, key=share)

    def admit_away(self) -> str:
        """A backend for a newcomer while the store is away; counted, so that such newcomers spread."""
        backend = self.quietest()
        self.away_admissions[backend] = self.away_admissions.get(backend, 0) + 1
        return backend

    def resume_ms(self, state: State) -> int:
        """When it goes on, as far as that is known; 0 where it is not."""
        return self.held_until_ms if state is State.HELD else 0

    def resting_state(self, exam: str, now_ms: int) -> State:
        """What somebody without a place is told: closed, held, not open yet, or a line."""
        if self.is_closed(exam, now_ms):
            return State.CLOSED
        if self.regime is not None and self.regime.held:
            return State.HELD
        return State.LOBBY if now_ms < self.opens_ms(exam) else State.WAITING
