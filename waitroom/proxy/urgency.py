"""Which requests go first where a backend can take only some of them.

Law: what a student has written goes before what a student wants to see. A request's class follows from its head alone,
and only what cannot be saved twice over by a reload is told from the rest: a page that waits can be loaded again, an
answer that is not saved may be gone.
"""

from enum import IntEnum

from waitroom.proxy.decisions import Request

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Methods that save nothing (RFC 9110 section 9.2.1). Any other, also one that nobody knows, may."""

_FETCH_METADATA = (b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-site", b"sec-fetch-user")

_PROGRAMS = frozenset({b"", b"empty", b"websocket"})
"""Destinations of what a script asks for (Fetch section 2.2.5); everything else is a part of a page."""

_SUFFIXES = frozenset(
    b"avif css eot gif ico jpeg jpg js map mjs mp3 mp4 ogg otf png svg ttf wasm webm webp woff woff2".split()
)
"""Names of assets, for browsers that send no Fetch Metadata (Safari before 16.4)."""


class Urgency(IntEnum):
    """Classes of requests; the smaller number goes first."""

    SAVE = 0
    """May change something: an answer, an autosave, an upload, the start of an attempt."""
    PROGRAM = 1
    """A script asks: the clock of a quiz, a keep-alive, a WebSocket. Small, and a page is of no use without it."""
    PAGE = 2
    """A person loads a page."""
    ASSET = 3
    """A part of a page: an image, a style sheet."""


def urgency_of(request: Request) -> Urgency:
    """The class of a request."""
    if request.method not in SAFE:
        return Urgency.SAVE
    if request.upgrade is not None:
        return Urgency.PROGRAM
    if is_navigation(request):
        return Urgency.PAGE
    destination = request.first(b"sec-fetch-dest")
    if destination is not None:
        return Urgency.PROGRAM if destination in _PROGRAMS else Urgency.ASSET
    _, dot, suffix = request.target.partition(b"?")[0].rpartition(b".")
    return Urgency.ASSET if dot and suffix.lower() in _SUFFIXES else Urgency.PROGRAM


def is_navigation(request: Request) -> bool:
    """`Sec-Fetch-Mode: navigate`; from a client that sends no Fetch Metadata, an Accept that names text/html.

    `X-Requested-With` counts only with the value scripts send: Android web views put their package name there on every
    request, page loads included.
    """
    if (request.first(b"x-requested-with") or b"").lower() == b"xmlhttprequest":
        return False
    mode = request.first(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate"
    if any(request.first(name) is not None for name in _FETCH_METADATA):
        return False
    listed = [value for value in request.every(b"accept") if b"html" in value.lower()]
    return any(_names_html(part) for value in listed for part in value.split(b","))


def _names_html(part: bytes) -> bool:
    media_type, *parameters = part.lower().split(b";")
    if media_type.strip() != b"text/html":
        return False
    return not any(_is_zero_weight(parameter.strip()) for parameter in parameters)


def _is_zero_weight(parameter: bytes) -> bool:
    name, _, value = parameter.partition(b"=")
    return name.strip() == b"q" and not value.strip(b" 0.")
