"""Who gets what: one request in, one decision out.

Law (DESIGN.md section 4): a valid pass is relayed whatever happens to the store; a page asks for a place; nobody
without a pass gets a byte to a backend, except by `bypass`. The admitted path is: cookie seen before, exam of the
target seen before, two comparisons, a decision made earlier. Everything that asks the store is a `Later`, answered by
its callback.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from waitroom.admission.identity import Known
from waitroom.admission.line import Life, State, Touched
from waitroom.admission.recovery import Course
from waitroom.admission.routing import ExamRoutes, RuleSet, host_name
from waitroom.admission.tickets import Ticket
from waitroom.admission.view import View
from waitroom.errors import BackendError, BusyError, StoreError
from waitroom.gate.asking import Asking
from waitroom.gate.claims import Claimant, Claims
from waitroom.gate.comeback import SAVES, Caller, Comeback
from waitroom.gate.entrance import Entrance
from waitroom.gate.identity import Identities, own
from waitroom.gate.jar import NEVER, Credential, Jar, Jars
from waitroom.gate.kinds import Kind, content_length, is_foreign, kind_of
from waitroom.gate.line import Line, TouchAnswer
from waitroom.gate.own import Otherwise, OwnEndpoints
from waitroom.gate.pace import Pacer
from waitroom.gate.screens import Screens
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Request, Respond, Resume
from waitroom.settings.model import Settings

DOWN_STATUS = 503
"""What a page is answered with whose backend failed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The part of the settings that routes requests, compiled."""

    routes: ExamRoutes
    bypass: RuleSet
    release: RuleSet
    hosts: frozenset[str]
    prefix: bytes
    default_pool: str
    form_bytes: int
    pool_of_exam: dict[str, str]

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """Compile the settings."""
        return cls(
            routes=ExamRoutes([(name, exam.match) for name, exam in settings.exams.items()]),
            bypass=RuleSet(settings.bypass, opens_door=True),
            release=RuleSet(settings.release),
            hosts=frozenset(host.lower() for host in settings.hosts),
            prefix=settings.prefix.encode(),
            default_pool=settings.default_pool,
            form_bytes=settings.limits.form_bytes,
            pool_of_exam={name: exam.pool for name, exam in settings.exams.items()},
        )


class Gate:
    """Decides about every request of one worker."""

    def __init__(
        self,
        rules: Rules,
        entrances: dict[str, Entrance],
        jars: Jars,
        line: Line,
        screens: Screens,
        *,
        identities: Identities | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        self._rules = rules
        self._identities = identities
        self._entrances = entrances
        self._jars = jars
        self._line = line
        self._screens = screens
        self._bars: dict[str, Course] = {}
        for entrance in entrances.values():
            entrance.bars = self._bars
        self._comeback = Comeback(line, screens, rules.form_bytes)
        self._claimed = Claims(line, screens)
        self._own = OwnEndpoints(rules.prefix, entrances, line, screens, self.status_at_bar, pacer=pacer)
        self._pacer = pacer
        self._find_exam = rules.routes.find
        self._releases = rules.release.fits
        self._tick = 0

    def tick(self) -> None:
        """A second has passed."""
        self._tick += 1

    def touched(self, pool: str, answer: Touched) -> None:
        """The store's word on a pass that was used."""
        self._line.touched(pool, answer, self._tick)

    def decide(self, request: Request) -> Decision:
        """What to do with a request."""
        rules = self._rules
        if rules.hosts and host_name(request.first(b"host")) not in rules.hosts:
            return self._screens.misdirected(request)
        jar, known = self._jars.read(request.every(b"cookie")), None
        if self._identities is not None and (known := self._identities.of(request)) is not None:
            jar = own(jar, known)
        if request.target.startswith(rules.prefix):
            return self._own.decide(request, jar, known)
        exam = self._find_exam(request)
        held = self._held(exam, jar)
        if held is not None and held.relay is not None and not held.dead:
            if known is not None and self._claims(request, held):
                return self._claim(request, held, exam, known)
            return self._with_pass(request, held, exam)
        ticket = held.ticket.place() if held is not None and not held.dead else None
        return self._without_pass(request, jar, self._pool(exam, held), ticket, exam, known=known)

    def backend_failed(self, request: Request, relay: Relay, error: BackendError) -> Respond | Collect:
        """The answer to somebody whose backend failed before its answer. The place is kept: a newcomer has the pass.

        So is a form that was not sent.
        """
        jar = self._jars.read(request.every(b"cookie"))
        exam = self._find_exam(request)
        held = self._held(exam, jar)
        entrance = self._entrances[self._pool(exam, held)]
        ticket = held.ticket if held else None
        view = View(
            State.BUSY if isinstance(error, BusyError) else State.DOWN,
            entrance.name,
            exam or (ticket.exam if ticket else ""),
            visitor=ticket.visitor if ticket else "",
            arrival_us=ticket.arrival_us if ticket else 0,
            notice=entrance.notice(exam or (ticket.exam if ticket else "")),
            cookies=(relay.cookie,) if relay.cookie and relay.cookie_below > DOWN_STATUS else (),
        )
        bound = self._rules.form_bytes
        if error.unsent and kind_of(request) is Kind.FORM and content_length(request) <= bound:
            return Collect(bound, lambda body: self._screens.form_page(request, view, body))
        return self._screens.unavailable(request, view, error)

    def _held(self, exam: str | None, jar: Jar) -> Credential | None:
        """The credential that counts: of the exam's pool; where none is named the last pass, else the default pool's.

        A ticket of another pool does not count there: who waits for one exam is no worse off elsewhere than a stranger.
        """
        if not jar.by_pool:
            return None
        if exam is not None:
            return jar.by_pool.get(self._rules.pool_of_exam[exam])
        latest = jar.latest()
        if latest is not None and latest.relay is not None and not latest.dead:
            return latest
        return jar.by_pool.get(self._rules.default_pool)

    def _pool(self, exam: str | None, held: Credential | None) -> str:
        if exam is not None:
            return self._rules.pool_of_exam[exam]
        return held.pool if held is not None else self._rules.default_pool

    def _with_pass(self, request: Request, held: Credential, exam: str | None) -> Decision:
        assert held.touch is not None
        assert held.relay is not None
        if self._bars and (bar := self._bar(held)) is not None:
            return self._comeback.decide(self._at_bar(request, held, bar, exam))
        tick = self._tick
        if request.method != b"GET" and held.saves < SAVES:
            self._note_save(held)
        if held.touched_tick != tick:
            held.touched_tick = tick
            self._line.touch(held)
        relay = self._relay_and_release(request, held) if self._releases(request) else held.relay
        decision: Decision = relay
        if self._pacer is not None:
            decision = self._smoothed(request, self._entrances[held.pool], held.ticket, relay)
        if tick <= held.good_until or not self._line.up:
            return decision
        return Later(lambda resume: self._verify(request, held, decision, exam, resume))

    def _smoothed(
        self, request: Request, entrance: Entrance, ticket: Ticket, relay: Relay, *, cookies: tuple[bytes, ...] = ()
    ) -> Decision:
        """The relay of somebody inside, or what a pace makes of it; `cookies` go with a page in its place."""
        name = self._pacer.find(request) if self._pacer is not None else None
        if self._pacer is None or name is None:
            return relay
        return self._pacer.decide(name, request, entrance, ticket, relay, cookies=cookies)

    def _note_save(self, held: Credential) -> None:
        """A request that may save something. After a few its holder is in an attempt, and the store is told."""
        assert held.touch is not None
        held.saves += 1
        if held.saves == SAVES:
            held.touch, held.touched_tick = replace(held.touch, saved=True), NEVER

    def _bar(self, held: Credential) -> Course | None:
        """Why a pass is barred from its backend; None where it is not, or its holder is back already."""
        assert held.relay is not None
        bar = self._bars.get(held.relay.target)
        return None if bar is None or held.back_since_ms == bar.since_ms else bar

    def _at_bar(
        self, request: Request, held: Credential, bar: Course, exam: str | None, otherwise: Otherwise | None = None
    ) -> Caller:
        def stands_in_line(ticket: Ticket | None) -> Decision:
            return self._without_pass(request, Jar(), held.pool, ticket, exam)

        goes_on = partial(self._with_pass, request, held, exam)
        return Caller(request, held, self._entrances[held.pool], bar, goes_on, otherwise or stands_in_line, self._tick)

    def status_at_bar(self, request: Request, held: Credential, otherwise: Otherwise) -> Decision | None:
        """The answer to a status poll of somebody whose backend is barred; None where it is not."""
        bar = self._bar(held)
        return None if bar is None else self._comeback.status(self._at_bar(request, held, bar, None, otherwise))

    def _verify(
        self,
        request: Request,
        held: Credential,
        decision: Decision,
        exam: str | None,
        resume: Resume,
    ) -> None:
        def answered(answer: TouchAnswer) -> None:
            if isinstance(answer, StoreError):
                resume(decision)
                return
            self._line.judge(held, answer, self._tick)
            if answer.life is Life.LIVE:
                resume(decision)
            else:
                resume(self._without_pass(request, Jar(), held.pool, self._returning(held), exam))

        self._line.check(held, answered)

    def _returning(self, held: Credential) -> Ticket | None:
        """The place of somebody whose session has lapsed; none after a release, or after the end of their exam."""
        over = self._entrances[held.pool].is_closed(held.ticket.exam, self._line.now_ms())
        return None if held.dead or over else held.ticket.returning()

    def _relay_and_release(self, request: Request, held: Credential) -> Relay:
        assert held.relay is not None
        entrance = self._entrances[held.pool]

        def finished(status: int) -> None:
            if 0 < status < 500:
                held.dead = True
                self._line.release(held)

        farewell = entrance.farewell(secure=request.scheme == b"https")
        return Relay(held.relay.target, cookie=farewell, finished=finished, cookie_below=500)

    def _claims(self, request: Request, held: Credential) -> bool:
        """Whether this request may make a pass of nobody its student's."""
        assert held.relay is not None
        barred = held.relay.target in self._bars
        return not (held.owner or barred or self._releases(request)) and kind_of(request) is Kind.PAGE

    def _claim(self, request: Request, held: Credential, exam: str | None, known: Known) -> Decision:
        def otherwise(life: Life) -> Decision:
            held.dead = life is Life.RELEASED
            return self._without_pass(request, Jar(), held.pool, self._returning(held), exam, known=known)

        entrance = self._entrances[held.pool]
        as_it_is = partial(self._with_pass, request, held, exam)
        return self._claimed.decide(Claimant(request, held, entrance, known, as_it_is, otherwise))

    def _without_pass(
        self,
        request: Request,
        jar: Jar,
        pool: str,
        ticket: Ticket | None,
        exam: str | None,
        *,
        known: Known | None = None,
    ) -> Decision:
        if self._rules.bypass.fits(request):
            return self._bypass(request, jar, exam)
        entrance = self._entrances[pool]
        if exam is None:
            exam = ticket.exam if ticket and not entrance.is_closed(ticket.exam, self._line.now_ms()) else ""
        ask = Ask(request, entrance, ticket.for_exam(exam) if ticket else None, exam, known)
        match kind_of(request):
            case Kind.PAGE:
                return self._enter(ask, lambda view: self._screens.page(request, view))
            case Kind.FORM if content_length(request) <= self._rules.form_bytes:
                bound = self._rules.form_bytes
                if ask.foreign:
                    return Collect(bound, lambda body: self._ask_again(ask, body))
                return Collect(bound, lambda body: self._enter_with_form(ask, body))
            case Kind.FORM | Kind.UPLOAD:
                return self._enter(ask, lambda view: self._screens.form_page(request, view, None))
            case Kind.PROGRAM:
                return self._screens.refusal(request, self._bystander(ask))

    def _bypass(self, request: Request, jar: Jar, exam: str | None) -> Relay | Collect:
        """To the visitor's backend, or a quiet one, as a stranger. A form is read first: at the backend it would keep
        a thread busy for as long as its sender likes. One that is only announced is for the backend to ask for."""
        relay = self._way_past(jar, exam)
        bound = self._rules.form_bytes
        if request.has_body and content_length(request) <= bound and request.first(b"expect") is None:
            return Collect(bound, lambda _body: relay)
        return relay

    def _way_past(self, jar: Jar, exam: str | None) -> Relay:
        latest = jar.by_pool.get(self._rules.pool_of_exam[exam]) if exam else jar.latest()
        if latest is not None and latest.relay is not None:
            return replace(latest.relay, stranger=True)
        entrance = self._entrances[self._pool(exam, latest)]
        return Relay(entrance.target(entrance.quietest()), stranger=True)

    def _bystander(self, ask: "Ask") -> View:
        """The view of a request that does not ask for a place."""
        ticket, entrance = ask.ticket, ask.entrance
        state = entrance.resting_state(ask.exam, self._line.now_ms())
        return View(
            state,
            entrance.name,
            ask.exam,
            visitor=ticket.visitor if ticket else "",
            arrival_us=ticket.arrival_us if ticket else 0,
            notice=entrance.notice(ask.exam),
            opens_ms=entrance.opens_ms(ask.exam),
            resume_ms=entrance.resume_ms(state),
            seed_hash=entrance.fingerprint(ask.exam, self._line.now_ms()),
        )

    def _ask_again(self, ask: "Ask", body: bytes | None) -> Decision:
        """A form that came without cookies: the page that keeps it asks for entry from here, where they come along.

        Asked for now, a second place or session would be taken by everybody who has one, at each log-in elsewhere.
        """
        kept = None if body is None else self._screens.kept_page(ask.request, self._bystander(ask), body)
        return kept or self._enter_with_form(ask, body)

    def _enter_with_form(self, ask: "Ask", body: bytes | None) -> Decision:
        """A form was collected. One that outgrew the bound (it came in chunks) is partly read and can only be lost."""
        if body is None:
            return self._enter(ask, lambda view: self._screens.form_page(ask.request, view, None), may_relay=False)
        return self._enter(ask, lambda view: self._screens.form_page(ask.request, view, body))

    def _enter(self, ask: "Ask", show: Callable[[View], Respond], *, may_relay: bool = True) -> Decision:
        """Ask for entry: relayed if admitted, shown a page otherwise."""
        entrance = ask.entrance
        if ask.exam and entrance.is_closed(ask.exam, self._line.now_ms()):
            return show(self._bystander(ask))

        def admitted(mine: Ticket, cookie: bytes) -> Decision:
            if not may_relay:
                return show(entrance.inside(mine, (cookie,)))
            relay = Relay(entrance.target(mine.backend), cookie=cookie)
            return self._smoothed(ask.request, entrance, mine, relay, cookies=(cookie,))

        return Later(
            Asking(
                self._line,
                entrance,
                ask.ticket,
                lambda view: show(_nameless(view) if ask.foreign else view),
                admitted,
                exam=ask.exam,
                secure=ask.request.scheme == b"https",
                page=True,
                known=ask.known,
            ).start
        )


def _nameless(view: View) -> View:
    """The same for somebody whose cookies were kept back: a ticket given now would take the place of theirs."""
    return view._replace(visitor="", arrival_us=0, ahead=None, cookies=())


class Ask(NamedTuple):
    """A request without a pass that wants something of a pool."""

    request: Request
    entrance: Entrance
    ticket: Ticket | None
    exam: str
    known: Known | None

    @property
    def foreign(self) -> bool:
        """Whether it came without the cookies that its sender may hold, and from nobody who is known without."""
        return self.ticket is None and self.known is None and is_foreign(self.request)
