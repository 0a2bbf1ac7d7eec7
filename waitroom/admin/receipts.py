"""`/api/v1/receipts/verify` and the form at `/receipts`: staff check the record of a wait that a student shows.

Law: it changes nothing, and who may `read` may ask. What is pasted is shown only as far as it is genuine.
"""

from collections.abc import Callable
from html import escape

from aiohttp import web
from pydantic import ConfigDict

from waitroom.admin.access import Access, Scope
from waitroom.admin.endpoints import Call, Endpoint, refuse_packed
from waitroom.admin.refusals import RefusedError
from waitroom.admin.shapes import Asked, Shown
from waitroom.admission.receipts import Doubt, Notary, Receipt
from waitroom.admission.verdicts import GENUINE, WHY, sayings, verdict
from waitroom.settings.secrets import Secrets

VERIFY_SCOPE: Scope = "read"
"""What it takes to have a record checked."""

FORM = "application/x-www-form-urlencoded"

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>waitroom: check a record of a wait</title>
<link rel="stylesheet" href="/dashboard/dashboard.css">
<link rel="stylesheet" href="/dashboard/panels.css">
<main class="wide view">
<h1>Check a record of a wait</h1>
{verdict}
<form class="record" method="post" action="/receipts">
<p class="field"><label for="receipt">The signed line, or the file or mail that has it:</label>
<textarea id="receipt" name="receipt" rows="8" cols="72" required></textarea>
<p class="field"><label for="token">Token of the admin API, if this listener asks for one:</label>
<input id="token" name="token" type="password" autocomplete="off">
<p><button>Check it</button>
</form>
<p><a href="/">Back to the admin listener</a></p>
</main>
"""


_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
}


class ReceiptAsked(Asked):
    """What is to be checked: the signed line, or the text that has it."""

    receipt: str


class Verdict(Shown):
    """Whether it is genuine, why not, and what a genuine one says."""

    model_config = ConfigDict(frozen=True, extra="allow")

    genuine: bool
    detail: str


class Receipts:
    """The endpoints."""

    def __init__(self, secrets: Callable[[], Secrets], access: Access) -> None:
        self._secrets = secrets
        self._access = access

    def routes(self) -> list[web.RouteDef]:
        """Where the form is."""
        return [web.get("/receipts", self._form), web.post("/receipts", self._check)]

    def endpoints(self) -> list[Endpoint]:
        """That of the API."""
        path = "/api/v1/receipts/verify"
        return [
            Endpoint(
                "POST", path, VERIFY_SCOPE, "Check the record of a wait.", self._verify, Verdict, ReceiptAsked
            )
        ]  # fmt: skip

    async def _verify(self, _call: Call, asked: ReceiptAsked) -> Verdict:
        return Verdict.model_validate(verdict(self._look(asked.receipt)))

    async def _form(self, _request: web.Request) -> web.Response:
        return _page("")

    async def _check(self, request: web.Request) -> web.Response:
        if request.content_type != FORM:
            raise RefusedError(415, f"A form is sent as {FORM}.")
        refuse_packed(request)
        try:
            asked = await request.post()
        except (UnicodeDecodeError, LookupError) as error:
            raise RefusedError(400, "The form is not text that can be read.") from error
        token, text = asked.get("token", ""), asked.get("receipt", "")
        if not isinstance(token, str) or not isinstance(text, str):
            raise RefusedError(400, "Both fields are text, not files.")
        try:
            self._access.of_form(request, token.strip(), VERIFY_SCOPE)
        except RefusedError as error:
            return _page(f'<p role="status"><strong>{escape(str(error))}</strong></p>', error)
        return _page(_told(self._look(text)))

    def _look(self, text: str) -> Receipt | Doubt:
        return Notary([(key.id, key.key) for key in self._secrets().keys]).look(text)


def _told(found: Receipt | Doubt) -> str:
    if isinstance(found, Doubt):
        return f'<p role="status"><strong>{escape(WHY[found])}</strong></p>'
    rows = "".join(f"<tr><th scope=row>{escape(each.name)}<td>{escape(each.text)}\n" for each in sayings(found))
    return f'<p role="status"><strong>{escape(GENUINE)}</strong></p>\n<table>\n{rows}</table>'


def _page(said: str, error: RefusedError | None = None) -> web.Response:
    status, headers = (error.status, error.headers) if error else (200, {})
    text = _PAGE.format(verdict=said)
    return web.Response(text=text, content_type="text/html", status=status, headers={**_POLICY, **headers})
