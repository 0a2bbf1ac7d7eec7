"""Says in pages, problem documents and status answers what the gate found true.

Law: the status follows from the state, the form of the answer from the request; a program never gets HTML or a 2xx.
"""

from waitroom.admission.line import State
from waitroom.admission.receipts import Receipt
from waitroom.admission.view import News, View
from waitroom.assets import static_dir
from waitroom.errors import BackendError
from waitroom.gate.kinds import Kind, kind_of
from waitroom.proxy.decisions import Request, Respond
from waitroom.settings.model import Settings
from waitroom.web.encodings import choose_encoding
from waitroom.web.forms import KeptForm
from waitroom.web.languages import choose
from waitroom.web.languages import make_choice as make_language_choice
from waitroom.web.news import news
from waitroom.web.pages import Lost, Pages, PageSettings
from waitroom.web.problems import method_not_allowed, no_ticket, problem
from waitroom.web.receipts import Asked, Look, ReceiptPages
from waitroom.web.status import status_response
from waitroom.web.stillness import is_still, make_choice

RETRY_S = 10
"""When a program is told to try again: half of the longest poll, since it keeps no place."""

_REFUSALS = {
    State.LOBBY: ("not-open", "Not open yet", "The exam has not opened yet. Load the page in a browser to wait."),
    State.CLOSED: ("closed", "Closed", "The exam is over."),
    State.HELD: ("held", "On hold", "Staff have stopped admissions for a moment. Places in line are kept."),
    State.DOWN: ("backend-down", "Not answering", "The exam server does not answer. Places are kept."),
    State.BUSY: ("backend-busy", "Busy", "The exam server is busy. This request was not sent to it: send it again."),
}
_WAITING = ("waiting", "Waiting room", "All places are taken. Load the page in a browser to take a place in line.")


class WebScreens:
    """The screens of one worker, made anew for each settings."""

    def __init__(self, settings: Settings) -> None:
        self._queue_status = settings.queue_status
        self._languages = {name: exam.language for name, exam in settings.exams.items() if exam.language}
        self._default_language = settings.language
        self._pages = Pages(PageSettings.of(settings), static_dir())
        self._receipts = ReceiptPages(PageSettings.of(settings), static_dir())

    def page(self, request: Request, view: View) -> Respond:
        """A page for a person."""
        return self._page(request, view, None)

    def form_page(self, request: Request, view: View, body: bytes | None) -> Respond:
        """A page that carries a form, or says that it could not."""
        kept = None if body is None else self.kept_page(request, view, body)
        return kept or self._page(request, view, Lost.LOST)

    def kept_page(self, request: Request, view: View, body: bytes) -> Respond | None:
        """A page that carries a form; None for one that no page can carry."""
        kept = KeptForm.parse(body, request.first(b"content-type") or b"")
        return self._page(request, view, kept) if kept else None

    def refusal(self, request: Request, view: View) -> Respond:
        """A problem document for a program."""
        del request
        slug, title, detail = _REFUSALS.get(view.state, _WAITING)
        status = 503 if view.state in (State.CLOSED, State.HELD, State.DOWN) else self._queue_status
        return problem(status, slug, title, detail, RETRY_S, view.state)

    def status(self, request: Request, view: View) -> Respond:
        """The answer to a status poll."""
        return status_response(view, self._language(request, view.exam) if view.notice else "")

    def news(self, request: Request, exam: str, new: News) -> Respond:
        """What is new in a pool, for everyone who comes for `exam`."""
        language = self._language(request, exam) if new.notice else ""
        return news(new, language=language, known=request.first(b"if-none-match"))

    def receipt(self, request: Request, receipt: Receipt, line: str, query: bytes) -> Respond:
        """The record of a wait, as a page or as a file to keep."""
        asked = Asked.of(query, request.first(b"referer"), request.first(b"host"))
        return self._receipts.receipt(receipt, line, asked, self._look(request, receipt.exam))

    def no_receipt(self, request: Request) -> Respond:
        """401, in the words of whoever asks: a person or a program."""
        if kind_of(request) is not Kind.PAGE:
            return no_ticket()
        asked = Asked.of(b"", request.first(b"referer"), request.first(b"host"))
        return self._receipts.none(asked, self._look(request, ""))

    def no_ticket(self, request: Request) -> Respond:
        """401: the page takes a new ticket."""
        del request
        return no_ticket()

    def choice(self, request: Request, query: bytes) -> Respond:
        """A visitor without script chooses whether the page loads itself anew."""
        referer, host = request.first(b"referer"), request.first(b"host")
        return make_choice(query, referer, host, secure=request.scheme == b"https")

    def language(self, request: Request, query: bytes) -> Respond:
        """A visitor chooses a language."""
        referer, host = request.first(b"referer"), request.first(b"host")
        return make_language_choice(query, referer, host, secure=request.scheme == b"https")

    def left(self, request: Request, farewell: bytes) -> Respond:
        """204, and the cookie is taken back."""
        del request
        return Respond(204, ((b"Cache-Control", b"no-store"),), b"", (farewell,))

    def not_found(self, request: Request) -> Respond:
        """404."""
        del request
        return problem(404, "not-found", "Not found", "Nothing of that name is here.")

    def method_not_allowed(self, request: Request, allow: bytes) -> Respond:
        """405."""
        del request
        return method_not_allowed(allow)

    def misdirected(self, request: Request) -> Respond:
        """421: this Host is not served here (RFC 9110 section 15.5.20)."""
        del request
        return problem(421, "misdirected", "Misdirected request", "This host is not served here.")

    def unavailable(self, request: Request, view: View, error: BackendError) -> Respond:
        """A calm page for a person, 502, 503 or 504 for a program."""
        match kind_of(request):
            case Kind.PAGE:
                return self._page(request, view, None)
            case Kind.FORM | Kind.UPLOAD:
                return self._page(request, view, Lost.LOST)
            case Kind.PROGRAM:
                slug, title, detail = _REFUSALS[view.state]
                return problem(error.status, slug, title, detail, RETRY_S, view.state)

    def _language(self, request: Request, exam: str) -> str:
        default = self._languages.get(exam, self._default_language)
        return choose(request.every(b"cookie"), request.first(b"accept-language"), default)

    def _look(self, request: Request, exam: str) -> Look:
        return Look(self._language(request, exam), choose_encoding(request.first(b"accept-encoding")))

    def _page(self, request: Request, view: View, form: KeptForm | Lost | None) -> Respond:
        cookies = request.every(b"cookie")
        default = self._languages.get(view.exam, self._default_language)
        return self._pages.page(
            view,
            language=choose(cookies, request.first(b"accept-language"), default),
            encoding=choose_encoding(request.first(b"accept-encoding")),
            form=form,
            still=is_still(cookies),
        )
