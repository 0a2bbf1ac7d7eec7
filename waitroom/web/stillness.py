"""The choice of a visitor without script to stop the page from loading itself anew (WCAG 2.2, 2.2.1).

Law: the exam's URL stays as it is. The choice is kept in a cookie of its own and made by an ordinary link to
`{prefix}refresh?auto=0`, which leads straight back to the page it was made on.
"""

from collections.abc import Sequence
from urllib.parse import parse_qs

from waitroom.proxy.decisions import Respond
from waitroom.web.problems import problem
from waitroom.web.wayback import leads_back

COOKIE = b"wr.still"
"""No pool's cookie: their names have no dot."""

MAX_AGE_S = 24 * 3_600

_SEEN = COOKIE + b"=1"


def is_still(cookie_headers: Sequence[bytes]) -> bool:
    """Whether this browser asked for no automatic loading."""
    for header in cookie_headers:  # noqa: SIM110 - `any` with a generator costs three times as much, on every page
        if _SEEN in header:
            return True
    return False


def make_choice(query: bytes, referer: bytes | None, host: bytes | None, *, secure: bool) -> Respond:
    """The answer to `{prefix}refresh`: the cookie, and the way back."""
    asked = parse_qs(query.decode("latin-1"), encoding="latin-1")
    auto, back = asked.get("auto", [""])[0], leads_back(asked.get("to", [""])[0], referer, host)
    if auto not in ("0", "1") or back is None:
        return problem(400, "bad-choice", "Not understood", "Expected: auto=0 or auto=1, and to=/a/path of this host.")
    age_s, tail = (MAX_AGE_S, b"; Secure") if auto == "0" else (0, b"; Secure")
    cookie = b"%b=1; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax" % (COOKIE, age_s)
    headers = ((b"Location", back), (b"Cache-Control", b"no-store"))
    return Respond(303, headers, b"", (cookie + (tail if secure else b""),))
