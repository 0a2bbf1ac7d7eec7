"""The choice of a visitor without script to stop the page from loading itself anew (WCAG 2.2, 2.2.1).

Law: the exam's URL stays as it is. The choice is kept in a cookie of its own and made by an ordinary link to
`{prefix}refresh?auto=0&to=...`, which leads straight back. A link from elsewhere can do no more than that: the way
back never leaves this host.
"""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import parse_qs, quote

from waitroom.proxy.decisions import Respond
from waitroom.web.problems import problem

COOKIE = b"wr.still"
"""No pool's cookie: their names have no dot."""

REMEMBERED_TARGETS = 512
"""On an exam's day most pages are asked for at a few addresses."""

MAX_TARGET_REMEMBERED = 512
"""Longer ones are not these; quoted, 512 of them could take 60 MB."""

MAX_AGE_S = 24 * 3_600

_SEEN = COOKIE + b"=1"


def is_still(cookie_headers: Sequence[bytes]) -> bool:
    """Whether this browser asked for no automatic loading."""
    return any(_SEEN in header for header in cookie_headers)


def choice_url(prefix: str, target: bytes, *, auto: bool) -> str:
    """The link that makes the choice on the page at `target`, as HTML."""
    quoted = _quoted(target) if len(target) <= MAX_TARGET_REMEMBERED else quote(target, safe="/")
    return f"{prefix}refresh?auto={int(auto)}&amp;to={quoted}"


def make_choice(query: bytes, *, secure: bool) -> Respond:
    """The answer to `{prefix}refresh`: the cookie, and the way back."""
    asked = parse_qs(query.decode("latin-1"), encoding="latin-1")
    auto, back = asked.get("auto", [""])[0], asked.get("to", ["/"])[0]
    if auto not in ("0", "1") or not is_path(back):
        return problem(400, "bad-choice", "Not understood", "Expected: auto=0 or auto=1, and to=/a/path of this host.")
    age_s, tail = (MAX_AGE_S, b"; Secure") if auto == "0" else (0, b"; Secure")
    cookie = b"%b=1; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax" % (COOKIE, age_s)
    headers = ((b"Location", same_host(back).encode("latin-1")), (b"Cache-Control", b"no-store"))
    return Respond(303, headers, b"", (cookie + (tail if secure else b""),))


@lru_cache(maxsize=REMEMBERED_TARGETS)
def _quoted(target: bytes) -> str:
    return quote(target, safe="/")


def is_path(text: str) -> bool:
    """Whether it can be the way back: a path in visible ASCII."""
    return text.startswith("/") and all("!" <= character <= "~" for character in text)


def same_host(path: str) -> str:
    """`//host` and `/\\host` name another host to a browser; `/.//host` is the path that was meant (WHATWG URL)."""
    return f"/.{path}" if path[1:2] in ("/", "\\") else path
