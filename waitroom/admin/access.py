"""Who may use the admin API: bearer tokens by their hashes, the token of whoever can read our keys, and callers of this
machine where that is switched on.

Law: a token is compared by its hash in constant time and is never logged. A browser on this machine is not its
operator: without a token only a request is taken that no other site can have caused (Host of this machine, no Origin
but our own pages', nobody in between). Who guesses is soon not listened to; the token of our keys cannot be guessed, so
that nobody's guesses lock the operator of this machine out.
"""

import hashlib
import hmac
from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal

import structlog
from aiohttp import web

from waitroom import clock
from waitroom.admin.asker import address_of
from waitroom.admin.attempts import Attempts
from waitroom.admin.refusals import RefusedError
from waitroom.settings.model import Settings

log = structlog.get_logger(__name__)

Scope = Literal["read", "operate"]
SCOPES: tuple[Scope, ...] = ("read", "operate")

LOOPBACK = "anyone on loopback"
CLI = "cli on {}"
"""The names under which callers stand in the audit who have no token, or the one made from our keys: no token can be
called so."""

_OURS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BETWEEN = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="waitroom"'}


class Caller(str):
    """The name of who asks, with what they may do."""

    __slots__ = ("scopes",)

    scopes: tuple[str, ...]

    def __new__(cls, name: str, scopes: tuple[str, ...]) -> "Caller":
        """A name with scopes."""
        self = super().__new__(cls, name)
        self.scopes = scopes
        return self


class Access:
    """Looks at each API request; asks for the settings each time, since a reload may change them."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        local_token: Callable[[], str],
        now_ms: Callable[[], int] = clock.monotonic_ms,
    ) -> None:
        self._settings = settings
        self._local_token = local_token
        self._now_ms = now_ms
        self._attempts = Attempts()

    def of(self, request: web.Request, scope: Scope) -> Caller:
        """Who asks, if they may do what needs `scope`; RefusedError if not."""
        header = request.headers.get("Authorization", "")
        if not header:
            if self._settings().admin.open_on_loopback and _from_this_machine(request):
                return Caller(LOOPBACK, SCOPES)
            raise RefusedError(401, "A bearer token of admin.tokens is needed.", _CHALLENGE)
        kind, _, token = header.partition(" ")
        return self._holder(request, token.strip() if kind.lower() == "bearer" else "", scope)

    def of_form(self, request: web.Request, token: str, scope: Scope) -> Caller:
        """The same for a form of our own pages, in which a person gives the token: browsers send no such header."""
        return self._holder(request, token, scope) if token else self.of(request, scope)

    def _holder(self, request: web.Request, token: str, scope: Scope) -> Caller:
        found = self._find(request, token) if token else None
        if found is None:
            self._attempts.failed(self._address(request), self._now_ms())
            log.warning("admin_token_refused", path=request.path)
            raise RefusedError(401, "This is no bearer token of admin.tokens.", _CHALLENGE)
        if scope not in found.scopes:
            raise RefusedError(403, f"The token {found} has not the scope {scope}.")
        if _is_foreign(request):
            raise RefusedError(403, "A page of another site may not use this API.")
        return found

    def _address(self, request: web.Request) -> str:
        return address_of(request, self._settings().trusted_proxies)

    def _find(self, request: web.Request, token: str) -> Caller | None:
        """All tokens are looked at, so that the time says nothing about which one was near."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()  # any bytes of a header
        if hmac.compare_digest(hashlib.sha256(self._local_token().encode()).hexdigest(), digest):
            return Caller(CLI.format("loopback" if _is_loopback(request) else request.remote), SCOPES)
        if wait_s := self._attempts.wait_s(self._address(request), self._now_ms()):
            detail = f"Too many tokens from your address were none; ask again in {wait_s} s."
            raise RefusedError(429, detail, {"Retry-After": str(wait_s)})
        found: Caller | None = None
        for each in self._settings().admin.tokens:
            if hmac.compare_digest(each.sha256, digest):
                found = Caller(each.name, each.scopes)
        return found


def _from_this_machine(request: web.Request) -> bool:
    """No other machine, nobody in between, and no page of another site in a browser of this one (DNS rebinding,
    forgery).
    """
    host = request.headers.get("Host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] if ":" in host else host
    if name not in _OURS or any(field in request.headers for field in _BETWEEN):
        return False
    return _is_loopback(request) and not _is_foreign(request)


def _is_foreign(request: web.Request) -> bool:
    """Whether a page that is not ours caused it. A browser names the page's origin with all but plain look-ups, and
    says from where a request comes (Fetch Metadata); what is no browser says neither.
    """
    origin, host = request.headers.get("Origin"), request.headers.get("Host", "").lower()
    if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def _is_loopback(request: web.Request) -> bool:
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
