"""Passes whose backend is down or comes back: who goes on, and who waits for the ramp (DESIGN.md law 7).

Law: nobody overtakes, and nothing is lost. A page waits with its place shown, a form is kept and sent once its sender
is back, a program is told to try again. Who has been let back in goes on without being asked again; so does everybody
where nothing is wrong, at the cost of looking at one empty dictionary.

While the store is away nobody can say whose turn it is. A student a second and worker then goes on by themselves:
passes keep working (law 9), and a server that has just come back is not met by everybody at once.
"""

from collections.abc import Callable
from typing import NamedTuple, assert_never

from waitroom.admission.estimate import Unknown
from waitroom.admission.line import State
from waitroom.admission.recovery import Course, Outcome, Phase, Return, Returned, eta
from waitroom.admission.tickets import Ticket
from waitroom.admission.view import View
from waitroom.errors import StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.jar import Credential
from waitroom.gate.kinds import Kind, content_length, kind_of
from waitroom.gate.line import Line
from waitroom.gate.screens import Screens
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Request, Respond, Resume

ALONE_POLL_MS = 5_000
"""When to ask again while the store is away."""

SAVES = 2
"""Requests that save something until a student counts as in an attempt: the first is the log-in."""

Show = Callable[[View], Respond]
Admitted = Callable[[Ticket, bytes | None], Decision]
"""What follows for somebody who is back: their pass, and the cookie that says so, if it is a new one."""


class Caller(NamedTuple):
    """The holder of a pass at the bar of their backend."""

    request: Request
    held: Credential
    entrance: Entrance
    bar: Course
    goes_on: Callable[[], Decision]
    """What follows where nothing is in the way any more."""
    otherwise: Callable[[Ticket | None], Decision]
    """What follows where there is no session any more: with the ticket to stand in line with, if any."""
    second: int


class Comeback:
    """Decides about requests with a pass at a bar."""

    def __init__(self, line: Line, screens: Screens, form_bytes: int) -> None:
        self._line = line
        self._screens = screens
        self._form_bytes = form_bytes
        self._alone: dict[str, int] = {}
        """By target, the last second in which somebody went on without the store."""

    def decide(self, caller: Caller) -> Decision:
        """What becomes of a request."""
        request, screens = caller.request, self._screens
        match kind_of(request):
            case Kind.PAGE:
                return self._ask(caller, lambda view: screens.page(request, view), page=True)
            case Kind.FORM if content_length(request) <= self._form_bytes:
                return Collect(self._form_bytes, lambda body: self._with_form(caller, body))
            case Kind.FORM | Kind.UPLOAD:
                return self._ask(caller, lambda view: screens.form_page(request, view, None), page=True)
            case Kind.PROGRAM if caller.bar.phase is Phase.DOWN and self._line.up:
                return screens.refusal(request, _view(caller, None))
            case Kind.PROGRAM:
                return self._ask(caller, lambda view: screens.refusal(request, view))

    def status(self, caller: Caller) -> Decision:
        """The answer to a page that asks whether it is its turn."""
        request, screens, entrance = caller.request, self._screens, caller.entrance

        def admitted(ticket: Ticket, cookie: bytes | None) -> Respond:
            return screens.status(request, entrance.inside(ticket, (cookie,) if cookie else ()))

        return self._ask(caller, lambda view: screens.status(request, view), admitted=admitted)

    def _with_form(self, caller: Caller, body: bytes | None) -> Decision:
        """A form was collected. One that outgrew the bound (it came in chunks) is partly read and can only be lost."""
        request, screens = caller.request, self._screens
        if body is None:
            return screens.form_page(request, _view(caller, None), None)
        return self._ask(caller, lambda view: screens.form_page(request, view, body), page=True)

    def _ask(self, caller: Caller, show: Show, *, admitted: Admitted | None = None, page: bool = False) -> Decision:
        """`admitted` None: the request is relayed."""
        held = caller.held
        assert held.touch is not None

        def relayed(ticket: Ticket, cookie: bytes | None) -> Decision:
            return Relay(caller.entrance.target(ticket.backend), cookie=cookie) if cookie else caller.goes_on()

        back = admitted or relayed
        if not self._line.up:
            return self._without_store(caller, show, back)
        touch = held.touch
        wish = Return(touch.visitor, touch.backend, touch.admitted_ms, touch.keep_until_ms, held.saves >= SAVES, page)

        def start(resume: Resume) -> None:
            self._line.come_back(held.pool, wish, lambda answer: resume(self._judge(caller, answer, show, back)))

        return Later(start)

    def _judge(self, caller: Caller, answer: Returned | StoreError, show: Show, back: Admitted) -> Decision:
        """Take the store's word."""
        if isinstance(answer, StoreError):
            return self._without_store(caller, show, back)
        held, over = caller.held, caller.entrance.is_closed(caller.held.ticket.exam, answer.now_ms)
        match answer.outcome:
            case Outcome.WAITS:
                return show(_view(caller, answer))
            case Outcome.BACK:
                return self._back(caller, answer.backend, back)
            case Outcome.LAPSED:
                return caller.otherwise(None if over else held.ticket.returning())
            case Outcome.RELEASED:
                held.dead = True
                return caller.otherwise(None)
            case _:
                assert_never(answer.outcome)

    def _back(self, caller: Caller, backend: str, back: Admitted) -> Decision:
        """Somebody is back, perhaps on another backend: then the pass says so from now on."""
        held, ticket = caller.held, caller.held.ticket
        if backend == ticket.backend:
            held.back_since_ms = caller.bar.since_ms
            return back(ticket, None)
        moved = ticket.admitted(backend, ticket.admitted_ms)
        return back(moved, caller.entrance.cookie(moved, secure=caller.request.scheme == b"https"))

    def _without_store(self, caller: Caller, show: Show, back: Admitted) -> Decision:
        held = caller.held
        assert held.relay is not None
        if self._alone.get(held.relay.target) == caller.second:
            return show(_view(caller, None))
        self._alone[held.relay.target] = caller.second
        return self._back(caller, held.ticket.backend, back)


def _view(caller: Caller, answer: Returned | None) -> View:
    """What somebody is told who waits. `answer` None: the store was not asked, or is away."""
    entrance, ticket, bar = caller.entrance, caller.held.ticket, caller.bar
    target = bar if answer is None else entrance.course(answer.backend)
    ahead = None if answer is None or target.phase is Phase.DOWN else answer.ahead
    return View(
        State.DOWN if ahead is None and bar.phase is Phase.DOWN else State.RETURNING,
        entrance.name,
        ticket.exam,
        ticket.visitor,
        ticket.arrival_us,
        ahead,
        None if ahead is None or answer is None else answer.waiting,
        Unknown.NO_DATA if ahead is None else eta(target, ahead),
        ALONE_POLL_MS if answer is None else answer.next_poll_ms,
        stale=answer is None and bar.phase is not Phase.DOWN,
        notice=entrance.notice(ticket.exam),
    )
