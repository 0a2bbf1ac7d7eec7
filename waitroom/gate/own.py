"""Our own endpoints under the prefix: the status poll, the page's choices, giving up a place.

Law: everything under the prefix is ours, and nothing of it ever reaches a backend.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qs

from waitroom.admission.line import Life, State
from waitroom.admission.tickets import Ticket
from waitroom.admission.view import View
from waitroom.errors import StoreError
from waitroom.gate.entrance import Entrance
from waitroom.gate.jar import Credential, Jar
from waitroom.gate.line import Line, TouchAnswer
from waitroom.gate.screens import Screens
from waitroom.proxy.decisions import Decision, Later, Request, Respond, Resume

_ALLOWED: dict[bytes, tuple[bytes, ...]] = {
    b"status": (b"GET", b"HEAD"),
    b"refresh": (b"GET", b"HEAD"),
    b"language": (b"GET", b"HEAD"),
    b"leave": (b"POST",),
}


MAX_QUERY = 512
"""Bytes of a query that is looked at; our page sends 40."""


class OwnEndpoints:
    """Answers `{prefix}status`, `{prefix}refresh`, `{prefix}language` and `{prefix}leave`."""

    def __init__(self, prefix: bytes, entrances: Mapping[str, Entrance], line: Line, screens: Screens) -> None:
        self._prefix = prefix
        self._entrances = entrances
        self._line = line
        self._screens = screens

    def decide(self, request: Request, jar: Jar) -> Decision:
        """The answer to a request under the prefix."""
        name, _, query = request.target[len(self._prefix) :].partition(b"?")
        allowed = _ALLOWED.get(name)
        if allowed is None:
            return self._screens.not_found(request)
        if request.method not in allowed:
            return self._screens.method_not_allowed(request, b", ".join(allowed))
        match name:
            case b"status":
                return self._status(request, jar, query)
            case b"leave":
                return self._leave(request, jar, query)
            case b"language":
                return self._screens.language(request, query)
            case _:
                return self._screens.choice(request, query)

    def _status(self, request: Request, jar: Jar, query: bytes) -> Decision:
        held = self._asked_for(jar, query)
        if held is None or held.dead:
            return self._screens.no_ticket(request)
        entrance = self._entrances[held.pool]
        if held.relay is not None:
            return self._status_of_pass(request, held, entrance)
        return self._status_of_ticket(request, held.ticket.place(), entrance, hidden=b"hidden=1" in query)

    def _status_of_ticket(self, request: Request, ticket: Ticket, entrance: Entrance, *, hidden: bool) -> Decision:
        if ticket.exam and entrance.is_closed(ticket.exam, self._line.now_ms()):
            return self._screens.status(request, _closed(entrance, ticket))
        secure = request.scheme == b"https"

        def start(resume: Resume) -> None:
            self._line.present(
                entrance,
                ticket,
                exam=ticket.exam,
                secure=secure,
                hidden=hidden,
                admitted=lambda passed, cookie: resume(
                    self._screens.status(request, entrance.inside(passed, (cookie,)))
                ),
                waits=lambda view: resume(self._screens.status(request, view)),
            )

        return Later(start)

    def _status_of_pass(self, request: Request, held: Credential, entrance: Entrance) -> Decision:
        """The cookie is a pass already (another tab was admitted): `admitted` while its session lives."""

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

    def _leave(self, request: Request, jar: Jar, query: bytes) -> Respond:
        """Give up the place (or the session) and take the cookie back."""
        held = self._asked_for(jar, query)
        if held is None:
            return self._screens.no_ticket(request)
        entrance = self._entrances[held.pool]
        if held.relay is not None:
            self._line.release(held)
        else:
            self._line.leave(entrance, held.ticket)
        held.dead = True
        return self._screens.left(request, entrance.farewell(secure=request.scheme == b"https"))

    def _asked_for(self, jar: Jar, query: bytes) -> Credential | None:
        """The credential of the pool named in the query; without a name, the latest."""
        pool = _pool_named(query) if 0 < len(query) <= MAX_QUERY else None
        return jar.latest() if pool is None else jar.by_pool.get(pool)


@lru_cache(maxsize=256)
def _pool_named(query: bytes) -> str | None:
    """The pool that a query names; pages ask with the same few."""
    return parse_qs(query.decode("latin-1")).get("pool", [None])[0]


def _closed(entrance: Entrance, ticket: Ticket) -> View:
    return View(State.CLOSED, entrance.name, ticket.exam, ticket.visitor, ticket.arrival_us, next_poll_ms=30_000)
