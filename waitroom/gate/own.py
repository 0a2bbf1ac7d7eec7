"""Our own endpoints under the prefix: the status poll, the choice of the page without script, giving up a place.

Law: everything under the prefix is ours, and nothing of it ever reaches a backend.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs

from waitroom.admission.identity import Known
from waitroom.admission.line import Life, State, Whereabouts
from waitroom.admission.tickets import Ticket
from waitroom.admission.view import View
from waitroom.errors import StoreError
from waitroom.gate.asking import Asking
from waitroom.gate.entrance import Entrance
from waitroom.gate.jar import Credential, Jar
from waitroom.gate.line import Line, TouchAnswer
from waitroom.gate.pace import Pacer
from waitroom.gate.screens import Screens
from waitroom.proxy.decisions import Decision, Later, Request, Respond, Resume

LOOKED_AT = (b"GET", b"HEAD")

MAX_QUERY = 512
"""Bytes of a query that is looked at; our page sends 40."""

ERRANDS_REMEMBERED = 256
"""Distinct targets under the prefix whose reading is kept: our pages ask for a few a pool."""


class Errand(NamedTuple):
    """What a target under the prefix asks for; `pool` None where it names none."""

    name: bytes
    query: bytes
    pool: str | None
    exam: str
    hidden: bool
    takes: bool
    """A ticket, if there is none."""
    pace: str = ""
    """What the page of a paced request asks for its turn with."""


Answer = Callable[[Request, Jar, Errand, Known | None], Decision]
Otherwise = Callable[[Ticket | None], Decision]
"""What follows for the holder of a pass without a session: with the ticket to stand in line with, if any."""


class OwnEndpoints:
    """Answers `{prefix}status`, `news`, `refresh`, `language`, `receipt`, `draw` and `leave`."""

    def __init__(
        self,
        prefix: bytes,
        entrances: Mapping[str, Entrance],
        line: Line,
        screens: Screens,
        status_at_bar: Callable[[Request, Credential, Otherwise], Decision | None],
        *,
        pacer: Pacer | None = None,
    ) -> None:
        self._prefix = prefix
        self._entrances = entrances
        self._line = line
        self._screens = screens
        self._status_at_bar = status_at_bar
        self._pacer = pacer
        self._errands: dict[bytes, Errand] = {}
        self._endpoints: dict[bytes, tuple[tuple[bytes, ...], Answer]] = {
            b"status": (LOOKED_AT, self._status),
            b"news": (LOOKED_AT, self._news),
            b"refresh": (LOOKED_AT, lambda request, _jar, errand, _known: screens.choice(request, errand.query)),
            b"language": (LOOKED_AT, lambda request, _jar, errand, _known: screens.language(request, errand.query)),
            b"receipt": (LOOKED_AT, self._receipt),
            b"draw": (LOOKED_AT, self._draw),
            b"leave": ((b"POST",), self._leave),
        }

    def decide(self, request: Request, jar: Jar, known: Known | None = None) -> Decision:
        """The answer to a request under the prefix."""
        errand = self._errands.get(request.target) or self._read(request.target)
        endpoint = self._endpoints.get(errand.name)
        if endpoint is None:
            return self._screens.not_found(request)
        methods, answer = endpoint
        if request.method not in methods:
            return self._screens.method_not_allowed(request, b", ".join(methods))
        return answer(request, jar, errand, known)

    def _read(self, target: bytes) -> Errand:
        """Read a target, and remember what it asks for."""
        name, _, query = target[len(self._prefix) :].partition(b"?")
        asked = parse_qs(query.decode("latin-1")) if 0 < len(query) <= MAX_QUERY else {}
        pool, exam = asked.get("pool", [None])[0], asked.get("exam", [""])[0]
        hidden, takes, pace = asked.get("hidden") == ["1"], asked.get("take") == ["1"], asked.get("pace", [""])[0]
        errand = Errand(name, query, pool, exam, hidden, takes, pace)
        if len(query) <= MAX_QUERY and not pace:  # that is one visitor's
            if len(self._errands) >= ERRANDS_REMEMBERED:
                self._errands.clear()
            self._errands[target] = errand
        return errand

    def _status(self, request: Request, jar: Jar, errand: Errand, known: Known | None) -> Decision:
        held = _asked_for(jar, errand)
        if held is None or held.dead:
            return self._taken(request, errand, known) if errand.takes else self._screens.no_ticket(request)
        entrance = self._entrances[held.pool]
        if held.relay is not None:
            inside = self._status_of_pass(request, held, entrance)
            if errand.pace and self._pacer is not None and isinstance(inside, Later):
                self._line.touch(held)  # who waits for a turn is inside, and their session lives
                return self._pacer.status(request, entrance, held.ticket, errand.pace, inside)
            return inside
        return self._status_of_ticket(request, held.ticket.place(), entrance, hidden=errand.hidden, known=known)

    def _status_of_ticket(
        self, request: Request, ticket: Ticket, entrance: Entrance, *, hidden: bool, known: Known | None = None
    ) -> Decision:
        if ticket.exam and entrance.is_closed(ticket.exam, self._line.now_ms()):
            return self._screens.status(request, _closed(entrance, ticket))
        return self._present(request, entrance, ticket, ticket.exam, hidden=hidden, known=known)

    def _present(
        self,
        request: Request,
        entrance: Entrance,
        ticket: Ticket | None,
        exam: str,
        *,
        hidden: bool,
        known: Known | None,
    ) -> Decision:
        show = partial(self._screens.status, request)
        secure = request.scheme == b"https"
        asking = Asking(self._line, entrance, ticket, show, exam=exam, secure=secure, hidden=hidden, known=known)
        return Later(asking.start)

    def _taken(self, request: Request, errand: Errand, known: Known | None) -> Decision:
        """A page of ours that was given no ticket asks for one; a page of another site may not."""
        entrance = self._entrances.get(errand.pool or "")
        if entrance is None or request.first(b"sec-fetch-site") not in (None, b"same-origin"):
            return self._screens.no_ticket(request)
        exam = errand.exam if errand.exam in entrance.exams else ""
        if exam and entrance.is_closed(exam, self._line.now_ms()):
            return self._screens.status(request, _closed(entrance, Ticket("", exam, 0)))
        return self._present(request, entrance, None, exam, hidden=errand.hidden, known=known)

    def _status_of_pass(self, request: Request, held: Credential, entrance: Entrance) -> Decision:
        """The cookie is a pass already (another tab was admitted): `admitted` while its session lives."""

        def over(ticket: Ticket | None) -> Decision:
            if ticket is None:
                return self._screens.no_ticket(request)
            return self._status_of_ticket(request, ticket, entrance, hidden=False)

        barred = self._status_at_bar(request, held, over)
        if barred is not None:
            return barred

        def start(resume: Resume) -> None:
            def answered(answer: TouchAnswer) -> None:
                if isinstance(answer, StoreError) or answer.life is Life.LIVE:
                    resume(self._screens.status(request, entrance.inside(held.ticket)))
                elif answer.life is Life.LAPSED:
                    resume(self._status_of_ticket(request, held.ticket.returning(), entrance, hidden=False))
                else:
                    held.dead = True
                    resume(self._screens.no_ticket(request))

            self._line.check(held, answered)

        return Later(start)

    def _news(self, request: Request, _jar: Jar, errand: Errand, _known: Known | None) -> Respond:
        """What is new in the pool that is asked about: no ticket is needed to be told."""
        entrance = self._entrances.get(errand.pool or "")
        if entrance is None:
            return self._screens.not_found(request)
        return self._screens.news(request, errand.exam, entrance.news(errand.exam))

    def _draw(self, request: Request, _jar: Jar, errand: Errand, _known: Known | None) -> Respond:
        """How places in an exam's lobby are drawn: the fingerprint before its opening, the seed after."""
        now_ms = self._line.now_ms()
        for entrance in self._entrances.values():
            lot = entrance.lot(errand.exam, now_ms)
            if lot is not None:
                return self._screens.draw(request, entrance.name, errand.exam, lot, is_open=lot.opens_ms <= now_ms)
        return self._screens.not_found(request)

    def _receipt(self, request: Request, jar: Jar, errand: Errand, _known: Known | None) -> Decision:
        """The record of the wait. A pass says all of it; where a ticket stands is asked of the store.

        That is no heartbeat: to look at a record must keep no place that nobody waits at.
        """
        held = _asked_for(jar, errand)
        if held is None:
            return self._screens.no_receipt(request)
        ticket, entrance = held.ticket, self._entrances[held.pool]

        def certified(found: Whereabouts | None) -> Respond:
            receipt = entrance.receipt(ticket, self._line.now_ms(), found)
            return self._screens.receipt(request, receipt, entrance.notary.sign(receipt), errand.query)

        if ticket.is_pass:
            return certified(None)
        return Later(
            lambda resume: self._line.where(
                entrance,
                ticket,
                lambda answer: resume(certified(answer if isinstance(answer, Whereabouts) else None)),
            )
        )

    def _leave(self, request: Request, jar: Jar, errand: Errand, _known: Known | None) -> Respond:
        """Give up the place (or the session) and take the cookie back."""
        held = _asked_for(jar, errand)
        if held is None:
            return self._screens.no_ticket(request)
        entrance = self._entrances[held.pool]
        if held.relay is not None:
            self._line.release(held)
        else:
            self._line.leave(entrance, held.ticket)
        held.dead = True
        return self._screens.left(request, entrance.farewell(secure=request.scheme == b"https"))


def _asked_for(jar: Jar, errand: Errand) -> Credential | None:
    """The credential of the pool named in the query; without a name, the latest."""
    return jar.latest() if errand.pool is None else jar.by_pool.get(errand.pool)


def _closed(entrance: Entrance, ticket: Ticket) -> View:
    notice = entrance.notice(ticket.exam)
    return View(
        State.CLOSED, entrance.name, ticket.exam, ticket.visitor, ticket.arrival_us, next_poll_ms=30_000, notice=notice
    )
