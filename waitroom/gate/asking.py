"""One visitor who asks for entry, from the question to the answer.

Law: whoever asks is answered once, by `admitted` or by `show`. The store decides; without it (DESIGN.md law 9) the
place is kept as the ticket says it, a newcomer is stamped with this machine's clock, and somebody enters only where the
operator chose so. One object a question, since every poll of everybody who waits is one.
"""

from collections.abc import Callable

from waitroom.admission.estimate import Unknown
from waitroom.admission.identity import Known
from waitroom.admission.line import Lane, Presence, Standing, State
from waitroom.admission.tickets import Ticket
from waitroom.admission.view import View
from waitroom.errors import StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.line import Line, StandingAnswer
from waitroom.proxy.decisions import Decision, Resume

AWAY_POLL_MS = 3_000
"""When to ask again while the store is away: within the library's SETTLE_MS, so that those stamped meanwhile enter in
order. 10,000 who wait are then 3,300 polls a second, answered from memory."""

KNOWN_TRIES = 3
"""A student is looked for under another visitor than the one that asked; more only if they move on meanwhile."""

Show = Callable[[View], Decision]
Admitted = Callable[[Ticket, bytes], Decision]


class Asking:
    """A question; `start` asks it.

    `ticket` None is a newcomer, who comes for `exam`. A cookie goes along whenever the browser does not hold this very
    ticket yet. `known` is the student who asks. `admitted` makes something of a pass and its cookie; without it a view
    says so.
    """

    __slots__ = (
        "_admitted", "_entrance", "_exam", "_found", "_hidden", "_known", "_line", "_mine", "_opens_ms", "_page",
        "_resume", "_secure", "_show", "_ticket", "_tries",
    )  # fmt: skip

    _mine: Ticket
    """The place that is asked for."""
    _opens_ms: int
    _resume: Resume

    def __init__(
        self,
        line: Line,
        entrance: Entrance,
        ticket: Ticket | None,
        show: Show,
        admitted: Admitted | None = None,
        *,
        exam: str,
        secure: bool,
        page: bool = False,
        hidden: bool = False,
        known: Known | None = None,
    ) -> None:
        self._line = line
        self._entrance = entrance
        self._ticket = ticket
        self._show = show
        self._admitted = admitted
        self._exam = exam
        self._secure = secure
        self._page = page
        self._hidden = hidden
        self._known = known
        self._found: Ticket | None = None
        """The student's place, where the store has said that it is another than asked."""
        self._tries = KNOWN_TRIES

    def start(self, resume: Resume) -> None:
        """Ask; `resume` hears the answer."""
        self._resume = resume
        self._ask()

    def _ask(self) -> None:
        line, entrance, ticket, known, found = self._line, self._entrance, self._ticket, self._known, self._found
        mine = found or ticket or Ticket(line.fresh_id(), self._exam, 0)
        if known is not None:
            mine = entrance.claim(mine, known)
        self._mine = mine
        exam = mine.exam
        self._opens_ms = opens_ms = entrance.opens_ms(exam) if exam else 0
        presence = Presence(
            mine.visitor,
            mine.arrival_us,
            entrance.order_us(mine, line.now_ms()) if entrance.proposals else mine.order_us,
            mine.lane,
            exam,
            opens_ms,
            found.arrival_us > 0 if found else ticket is not None,
            self._hidden,
            True,  # may enter
            self._page,
            mine.identity if known is None else ",".join(known.hashes),
            mine.first > 0,  # as a place stamped here, without the store, never is
        )
        line.present(entrance.name, presence, self._answered)

    def _answered(self, answer: StandingAnswer) -> None:
        if isinstance(answer, StoreError):
            self._resume(self._alone())
            return
        self._line.heard(answer.now_ms)
        if answer.elsewhere:
            self._look_elsewhere(answer)
            return
        entrance, mine, ticket = self._entrance, self._mine, self._ticket
        as_it_came = answer.arrival_us == mine.arrival_us and answer.lane is mine.lane and not entrance.proposals
        stamped = mine if as_it_came else _stamped(entrance, mine, answer, self._opens_ms)
        if ticket is None and self._found is None:
            self._line.meters.arrived(entrance.name)
        if answer.state is State.ADMITTED:
            self._resume(self._enters(answer, stamped))
        else:
            cookies = () if stamped is ticket else self._cookies(stamped)
            self._resume(self._show(_view(entrance, answer, stamped, self._opens_ms, cookies)))

    def _look_elsewhere(self, answer: Standing) -> None:
        """The student is here already as another visitor: ask as that one."""
        if not self._tries:
            self._resume(self._alone())
            return
        mine = self._mine
        self._found = Ticket(answer.visitor, mine.exam, answer.arrival_us, answer.lane, mine.identity)
        self._tries -= 1
        self._ask()

    def _enters(self, answer: Standing, stamped: Ticket) -> Decision:
        entrance, mine, ticket = self._entrance, self._mine, self._ticket
        newcomer = ticket is None and self._found is None
        self._line.meters.admitted(entrance.name, answer, _way(mine, newcomer=newcomer))
        if ticket is not None and mine.lane is Lane.STANDARD and not answer.repeated:
            self._judge_estimate(answer.now_ms)
        return self._with_pass(stamped.admitted(answer.backend, answer.admitted_ms))

    def _with_pass(self, passed: Ticket) -> Decision:
        cookie = self._entrance.cookie(passed, secure=self._secure)
        if self._admitted is not None:
            return self._admitted(passed, cookie)
        return self._show(self._entrance.inside(passed, (cookie,)))

    def _judge_estimate(self, now_ms: int) -> None:
        """Compare a wait that is over with what was said at its beginning."""
        entrance, arrival_ms = self._entrance, self._mine.arrival_us // 1000
        if middle_s := entrance.showings.middle_s(arrival_ms, self._mine.first):
            self._line.meters.judged(entrance.name, (now_ms - arrival_ms) / 1000, middle_s)

    def _alone(self) -> Decision:
        """The store is away: keep the place, and let newcomers in only where the operator chose so."""
        line, entrance, mine = self._line, self._entrance, self._mine
        stamped = mine if mine.arrival_us else mine._replace(arrival_us=line.now_us())
        now_ms, exam = line.now_ms(), stamped.exam
        state = entrance.resting_state(exam, now_ms)
        if self._ticket is None:
            line.meters.arrived(entrance.name)
        if state is State.WAITING and entrance.pool.on_store_loss == "admit":
            return self._with_pass(stamped.admitted(entrance.admit_away(), now_ms))
        return self._show(
            View(
                state,
                entrance.name,
                exam,
                visitor=stamped.visitor,
                arrival_us=stamped.arrival_us,
                next_poll_ms=AWAY_POLL_MS,
                stale=True,
                notice=entrance.notice(exam),
                opens_ms=entrance.opens_ms(exam),
                resume_ms=entrance.resume_ms(state),
                seed_hash=entrance.fingerprint(exam, now_ms),
                cookies=self._cookies(stamped),
            )
        )

    def _cookies(self, now: Ticket) -> tuple[bytes, ...]:
        return () if now == self._ticket else (self._entrance.cookie(now, secure=self._secure),)


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


def _view(entrance: Entrance, answer: Standing, ticket: Ticket, opens_ms: int, cookies: tuple[bytes, ...]) -> View:
    exam, state, ahead = ticket.exam, answer.state, answer.ahead
    seal = entrance.fingerprint(exam, answer.now_ms) if answer.now_ms < opens_ms else ""
    return View(
        state,
        entrance.name,
        exam,
        ticket.visitor,
        ticket.arrival_us,
        None if seal else ahead,
        answer.waiting,
        Unknown.NO_DATA if state is State.LOBBY else entrance.eta(ahead),
        answer.next_poll_ms,
        False,  # not stale
        entrance.notice(exam),
        opens_ms,
        entrance.resume_ms(state),
        seal,
        cookies,
    )
