"""The paces: requests of visitors already admitted that are let through one after the other.

Law: a request of a browser reaches the backend at most once, and a form that pages keep is sent by one of them at most
once. Who waits is held here for as long as the pace allows, then met by a page that sends what it keeps when its turn
comes; the place is the visitor's, so that a second click, a reload or another tab neither loses nor wins anything. Of a
form that is at the backend no second copy is sent before its end is known. Without the store each worker paces alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from waitroom import clock
from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import State
from waitroom.admission.pacing import ANSWERED, ASKS, UNANSWERED, UNSENT, LonePace, PaceSeal, Step, Turn, Verdict
from waitroom.admission.routing import PaceRoutes
from waitroom.admission.tickets import Ticket
from waitroom.admission.view import View
from waitroom.errors import StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.holds import Holds
from waitroom.gate.kinds import Kind, content_length, kind_of
from waitroom.gate.line import Store
from waitroom.gate.meters import GateMeters
from waitroom.gate.screens import Screens
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Request, Respond, Resume
from waitroom.settings.model import Settings
from waitroom.settings.pools import Pace

RESPONSE_MARGIN_MS = 2_000
"""A request is held so much shorter than the time within which the data path wants any decision."""

LENIENCE_MS = 250
"""Who has been held for nearly as long as may be, and whose turn is about to come, is not sent away for less."""

SENT_POLL_MS = 30_000
"""For a page that has nothing more to ask."""

LATE_PART, LATE_S = 1.25, 2
"""Of the time until a turn: how much longer it may take, since those ahead may come back late or leave."""


@dataclass(slots=True, eq=False)
class Asking:
    """A request that waits for its turn."""

    request: Request
    pace: Pace
    entrance: Entrance
    ticket: Ticket
    relay: Relay
    cookies: tuple[bytes, ...]
    """For a page in its place."""
    show: Callable[[View], Respond]
    kind: Kind
    form: str
    until_ms: int
    """How long it may be held, on the clock that never jumps."""
    since_us: int = 0
    resume: Resume = lambda _decision: None


class Pacer:
    """The paces of one set of settings in one worker. `workers`: how many share the rate while the store is away."""

    def __init__(
        self,
        settings: Settings,
        *,
        workers: int,
        seal: PaceSeal,
        store: Store,
        holds: Holds,
        screens: Screens,
        meters: GateMeters,
    ) -> None:
        self._paces = {pace.name: pace for pace in settings.pace}
        self._form_bytes = settings.limits.form_bytes
        self._longest_ms = settings.timeouts.response_ms - RESPONSE_MARGIN_MS
        self._lone = {pace.name: LonePace(pace.rate_milli // max(1, workers)) for pace in settings.pace}
        self._seal = seal
        self._store = store
        self._holds = holds
        self._screens = screens
        self._meters = meters
        self.find = PaceRoutes([(pace.name, pace.match) for pace in settings.pace]).find

    def decide(
        self,
        name: str,
        request: Request,
        entrance: Entrance,
        ticket: Ticket,
        relay: Relay,
        *,
        cookies: tuple[bytes, ...] = (),
    ) -> Decision:
        """What to do with a request of an admitted visitor that the pace `name` smooths."""
        pace, screens, kind = self._paces[name], self._screens, kind_of(request)
        until_ms = clock.monotonic_ms() + min(pace.max_wait_ms, self._longest_ms)

        def asking(show: Callable[[View], Respond], form: str = "") -> Asking:
            return Asking(request, pace, entrance, ticket, relay, cookies, show, kind, form, until_ms)

        def collected(body: bytes | None) -> Decision:
            assert body is not None, "its announced length fits"
            digest = self._seal.form(request.method, request.target, request.first(b"content-type") or b"", body)
            return self._later(asking(lambda view: screens.form_page(request, view, body), digest))

        match kind:
            case Kind.PAGE:
                return self._later(asking(lambda view: screens.page(request, view)))
            case Kind.FORM if self._may_collect(request):
                return Collect(self._form_bytes, collected)
            case Kind.FORM | Kind.UPLOAD:
                return self._later(asking(lambda view: screens.form_page(request, view, None)))
            case Kind.PROGRAM:
                return self._later(asking(lambda view: screens.refusal(request, view)))

    def status(self, request: Request, entrance: Entrance, ticket: Ticket, word: str, inside: Later) -> Later:
        """The answer to a page that keeps a paced request; `inside` is what it is told when its turn has come."""
        opened = self._seal.open(word, ticket.visitor)
        if opened is None or opened[0] not in self._paces:
            return inside
        name, form, since_us = opened
        step = Step(ticket.visitor, form, since_us, ASKS)

        def start(resume: Resume) -> None:
            def answered(answer: Turn | StoreError) -> None:
                turn = self._alone(name, step) if isinstance(answer, StoreError) else answer
                if turn.verdict is Verdict.GO:
                    resume(inside)
                else:
                    resume(self._screens.status(request, _view(entrance, ticket, turn)))

            self._store.pace(name, step, answered)

        return Later(start)

    def _may_collect(self, request: Request) -> bool:
        """Whether the body is known to fit into a page. What comes in chunks waits unread."""
        return request.first(b"transfer-encoding") is None and content_length(request) <= self._form_bytes

    def _later(self, asking: Asking) -> Later:
        def start(resume: Resume) -> None:
            asking.resume = resume
            self._ask(asking)

        return Later(start, queued=True)

    def _ask(self, asking: Asking) -> None:
        if asking.request.over:  # its place lapses, since nobody asks for it any more
            self._meters.paced(asking.pace.name, "left")
            return
        patience_ms = 0
        if self._holds.open:
            lenience_ms = LENIENCE_MS if asking.since_us else 0
            patience_ms = max(1, asking.until_ms - clock.monotonic_ms() + lenience_ms)
        step = Step(asking.ticket.visitor, asking.form, asking.since_us, patience_ms)

        def answered(answer: Turn | StoreError) -> None:
            turn = self._alone(asking.pace.name, step) if isinstance(answer, StoreError) else answer
            asking.since_us = turn.since_us
            self._follow(asking, turn)

        self._store.pace(asking.pace.name, step, answered)

    def _alone(self, name: str, step: Step) -> Turn:
        return self._lone[name].ask(step, clock.monotonic_ms(), clock.now_us())

    def _follow(self, asking: Asking, turn: Turn) -> None:
        """Do as the store says."""
        match turn.verdict:
            case Verdict.HOLD:
                self._holds.after(turn.next_ms, lambda: self._ask(asking))
            case Verdict.DIRECT | Verdict.TURN | Verdict.GO:
                self._pass_on(asking, "direct" if turn.verdict is Verdict.DIRECT else "waited")
            case Verdict.PAGE | Verdict.SENT:
                self._show(asking, turn)

    def _pass_on(self, asking: Asking, outcome: str) -> None:
        if asking.request.over:
            self._meters.paced(asking.pace.name, "left")
            self._tell(asking, UNSENT)
            return
        self._meters.paced(asking.pace.name, outcome)
        asking.resume(self._watched(asking) if asking.form else asking.relay)

    def _watched(self, asking: Asking) -> Relay:
        """A relay whose end is told, since no copy of the form is sent before."""
        before = asking.relay.finished

        def finished(status: int) -> None:
            if before is not None:
                before(status)
            self._tell(asking, ANSWERED if status else UNANSWERED)

        return replace(asking.relay, finished=finished)

    def _tell(self, asking: Asking, how: int) -> None:
        step = Step(asking.ticket.visitor, asking.form, asking.since_us, how)
        self._store.pace(asking.pace.name, step, _heard)

    def _show(self, asking: Asking, turn: Turn) -> None:
        """A page, or for a program a refusal, in place of the request."""
        program = asking.kind is Kind.PROGRAM
        carried = not program and (asking.kind is Kind.PAGE or bool(asking.form))
        outcome = "sent" if turn.verdict is Verdict.SENT else "page" if carried else "refused"
        self._meters.paced(asking.pace.name, outcome)
        word = self._seal.sign(asking.pace.name, asking.ticket.visitor, asking.form, turn.since_us)
        view = _view(asking.entrance, asking.ticket, turn)
        if program:
            view = view._replace(next_poll_ms=turn.wait_ms)
        asking.resume(asking.show(view._replace(cookies=asking.cookies, pace=word)))


def _view(entrance: Entrance, ticket: Ticket, turn: Turn) -> View:
    """What a visitor is told whose request is smoothed."""
    sent = turn.verdict is Verdict.SENT
    wait_s = -(-turn.wait_ms // 1000)
    return View(
        State.SENT if sent else State.PACED,
        entrance.name,
        ticket.exam,
        ticket.visitor,
        ticket.arrival_us,
        eta=Unknown.NO_DATA if sent else Eta(turn.wait_ms // 1000, int(wait_s * LATE_PART) + LATE_S),
        next_poll_ms=SENT_POLL_MS if sent else turn.next_ms,
        notice=entrance.notice(ticket.exam),
    )


def _heard(_answer: Turn | StoreError) -> None:
    """Nothing follows from it: without an end told, the library forgets."""
