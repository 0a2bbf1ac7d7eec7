"""What kind of request this is, which decides the form of an answer that is not the exam server's own.

Law (DESIGN.md section 4): HTML goes only where a person is looking at a whole page that is being loaded. Everything
else gets an answer that no script can mistake for success: Moodle's autosave stops for good after a 2xx that is not
JSON, and XHR follows redirects by itself.
"""

from enum import Enum, auto

from waitroom.proxy.decisions import Request
from waitroom.proxy.urgency import is_navigation

FORM_TYPE = b"application/x-www-form-urlencoded"
_UPLOAD_TYPES = (b"multipart/form-data", b"text/plain")
"""The other two encodings that an HTML form may have (HTML 4.10.18.6)."""


class Kind(Enum):
    """Who waits for the answer, and with what in hand."""

    PAGE = auto()
    """A person loading a page."""
    FORM = auto()
    """A person sending a form that a page can carry."""
    UPLOAD = auto()
    """A person sending something that a page cannot carry: files, text/plain."""
    PROGRAM = auto()
    """A script, an asset, a WebSocket, a command-line client."""


def kind_of(request: Request) -> Kind:
    """The kind of a request, from its method and what its headers say of the context it came from."""
    if request.method in (b"GET", b"HEAD"):
        return Kind.PAGE if is_navigation(request) and request.upgrade is None else Kind.PROGRAM
    if request.method != b"POST" or not is_navigation(request):
        return Kind.PROGRAM
    media_type = (request.first(b"content-type") or b"").partition(b";")[0].strip().lower()
    if media_type == FORM_TYPE:
        return Kind.FORM
    return Kind.UPLOAD if media_type in _UPLOAD_TYPES or request.first(b"sec-fetch-mode") else Kind.PROGRAM


def is_foreign(request: Request) -> bool:
    """Whether the browser has kept our cookies back: a form that a page of another site has sent (SameSite=Lax).

    A log-in elsewhere or a learning platform ends so. By Fetch Metadata; without it by Origin, which every POST has.
    """
    if request.method in (b"GET", b"HEAD"):
        return False
    site = request.first(b"sec-fetch-site")
    if site is not None:
        return site == b"cross-site"
    origin = request.first(b"origin")
    return origin is not None and origin.partition(b"://")[2].lower() != (request.first(b"host") or b"").lower()


def content_length(request: Request) -> int:
    """The announced length of the body; 0 where it comes in chunks or not at all."""
    value = request.first(b"content-length")
    return int(value) if value is not None and value.isdigit() else 0
