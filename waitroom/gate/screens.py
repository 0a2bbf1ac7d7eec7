"""To whom it is left to tell a visitor what the gate found true.

Law: the gate decides what is true, the screens how it is said. Neither imports the other; the server introduces them.
"""

from typing import Protocol

from waitroom.admission.receipts import Receipt
from waitroom.admission.view import News, View
from waitroom.errors import BackendError
from waitroom.proxy.decisions import Request, Respond


class Screens(Protocol):
    """Turns a view into an answer of the right kind."""

    def page(self, request: Request, view: View) -> Respond:
        """A page for a person."""

    def form_page(self, request: Request, view: View, body: bytes | None) -> Respond:
        """A page that carries a form; `body` None: what was sent is too large or of a kind that no page can carry."""

    def kept_page(self, request: Request, view: View, body: bytes) -> Respond | None:
        """A page that carries a form; None for one that no page can carry."""

    def refusal(self, request: Request, view: View) -> Respond:
        """A problem document for a program."""

    def status(self, request: Request, view: View) -> Respond:
        """The answer to a status poll."""

    def news(self, request: Request, exam: str, new: News) -> Respond:
        """What is new in a pool, for everyone who comes for `exam`."""

    def language(self, request: Request, query: bytes) -> Respond:
        """A visitor chose a language; `query` says which."""

    def receipt(self, request: Request, receipt: Receipt, line: str, query: bytes) -> Respond:
        """The record of a wait; `line` is its signed text, `query` says in which form and where the way back leads."""

    def no_receipt(self, request: Request) -> Respond:
        """Somebody without a ticket asks for the record of their wait: 401."""

    def no_ticket(self, request: Request) -> Respond:
        """The answer to a status poll that shows no ticket of ours: 401."""

    def choice(self, request: Request, query: bytes) -> Respond:
        """A visitor without script chose whether the page loads itself anew; `query` says how."""

    def left(self, request: Request, farewell: bytes) -> Respond:
        """The answer to giving up a place; `farewell` takes the cookie back."""

    def not_found(self, request: Request) -> Respond:
        """Nothing of that name under our prefix: 404."""

    def method_not_allowed(self, request: Request, allow: bytes) -> Respond:
        """Ours, but not with this method: 405."""

    def misdirected(self, request: Request) -> Respond:
        """The answer to a Host that is not ours: 421."""

    def unavailable(self, request: Request, view: View, error: BackendError) -> Respond:
        """The answer to an admitted visitor whose backend failed: a calm page, or 502 to 504 for a program."""
