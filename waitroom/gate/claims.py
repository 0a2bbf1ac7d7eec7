"""A pass of nobody becomes its student's: who signs on after they were let in is found in every browser from then on.

Law: one question to the store for a pass, asked with a page, which may as well come from another backend if they are in
elsewhere already. An answer that is being saved goes where it was going. With the store away nothing changes.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from waitroom.admission.identity import Known
from waitroom.admission.line import Life
from waitroom.admission.tickets import Ticket
from waitroom.errors import StoreError
from waitroom.gate.asking import Asking
from waitroom.gate.entrance import Entrance
from waitroom.gate.jar import Credential
from waitroom.gate.line import Line, TouchAnswer
from waitroom.gate.screens import Screens
from waitroom.proxy.decisions import Decision, Later, Relay, Request, Resume


class Claimant(NamedTuple):
    """Who claims a pass: the student, and what follows if it cannot be done: `as_it_is` goes on with the pass,
    `otherwise` is for one whose session is over.
    """

    request: Request
    held: Credential
    entrance: Entrance
    known: Known
    as_it_is: Callable[[], Decision]
    otherwise: Callable[[Life], Decision]


class Claims:
    """Asks the store."""

    def __init__(self, line: Line, screens: Screens) -> None:
        self._line = line
        self._screens = screens

    def decide(self, who: Claimant) -> Later:
        """What becomes of the request, once the store has said whose session there is."""

        def start(resume: Resume) -> None:
            def answered(answer: TouchAnswer) -> None:
                if isinstance(answer, StoreError):
                    resume(who.as_it_is())
                elif answer.life is Life.LIVE:
                    self._claim(who, resume)
                else:
                    resume(who.otherwise(answer.life))

            self._line.check(who.held, answered)

        return Later(start)

    def _claim(self, who: Claimant, resume: Resume) -> None:
        request, held, entrance = who.request, who.held, who.entrance

        def admitted(mine: Ticket, cookie: bytes) -> Relay:
            held.claimed = who.known.hashes[0]
            return Relay(entrance.target(mine.backend), cookie=cookie)

        show, place = partial(self._screens.page, request), held.ticket.place()
        secure, known = request.scheme == b"https", who.known
        asking = Asking(
            self._line, entrance, place, show, admitted, exam=place.exam, secure=secure, page=True, known=known
        )
        asking.start(resume)
