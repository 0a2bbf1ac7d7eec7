"""Who may use the admin API: bearer tokens by their hashes, the token of whoever can read our keys, and callers of this
machine where that is switched on.

Law: a token is compared by its hash in constant time and is never logged. A browser on this machine is not its
operator: without a token only a request is taken that no other site can have caused (Host of this machine, no Origin
but our own pages').
"""

import hashlib
import hmac
from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal

import structlog
from aiohttp import web

from waitroom.admin.refusals import RefusedError
from waitroom.settings.model import Admin

log = structlog.get_logger(__name__)

Scope = Literal["read", "operate"]

LOOPBACK, LOCAL = "loopback", "local"
"""The names under which callers stand in the audit who have no token, or the one made from our keys."""

_OURS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="waitroom"'}


class Access:
    """Looks at each API request; asks for the settings each time, since a reload may change them."""

    def __init__(self, admin: Callable[[], Admin], local_token: Callable[[], str]) -> None:
        self._admin = admin
        self._local_token = local_token

    def of(self, request: web.Request, scope: Scope) -> str:
        """The name of who asks, if they may do what needs `scope`; RefusedError if not."""
        header = request.headers.get("Authorization", "")
        if not header:
            if self._admin().open_on_loopback and _from_this_machine(request):
                return LOOPBACK
            raise RefusedError(401, "A bearer token of admin.tokens is needed.", _CHALLENGE)
        kind, _, token = header.partition(" ")
        return self._holder(request, token.strip() if kind.lower() == "bearer" else "", scope)

    def of_form(self, request: web.Request, token: str, scope: Scope) -> str:
        """The same for a form of our own pages, in which a person gives the token: browsers send no such header."""
        return self._holder(request, token, scope) if token else self.of(request, scope)

    def _holder(self, request: web.Request, token: str, scope: Scope) -> str:
        found = self._find(token) if token else None
        if found is None:
            log.warning("admin_token_refused", path=request.path)
            raise RefusedError(401, "This is no bearer token of admin.tokens.", _CHALLENGE)
        name, scopes = found
        if scope not in scopes:
            raise RefusedError(403, f"The token {name} has not the scope {scope}.")
        return name

    def _find(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        """All tokens are looked at, so that the time says nothing about which one was near."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()  # any bytes of a header
        found: tuple[str, tuple[str, ...]] | None = None
        if hmac.compare_digest(hashlib.sha256(self._local_token().encode()).hexdigest(), digest):
            found = LOCAL, ("read", "operate")
        for each in self._admin().tokens:
            if hmac.compare_digest(each.sha256, digest):
                found = each.name, each.scopes
        return found


def _from_this_machine(request: web.Request) -> bool:
    """No other machine, and no page of another site in a browser of this one (DNS rebinding, forgery)."""
    host = request.headers.get("Host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] if ":" in host else host
    ours = request.headers.get("Origin") == f"http://{host}"
    site, from_us = request.headers.get("Sec-Fetch-Site", "none"), ("none", "same-origin") if ours else ("none",)
    if name not in _OURS or ("Origin" in request.headers and not ours) or site not in from_us:
        return False
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
