"""Answers for programs: problem documents (RFC 9457).

Law: never HTML and never a success. Moodle's autosave stops for good after a 2xx that is not its own, and a script
follows a redirect without knowing.
"""

import json
from functools import lru_cache

from waitroom.proxy.decisions import Header, Respond

TYPE_PREFIX = "urn:waitroom:problem:"

REMEMBERED = 256
"""Distinct documents: a few dozen kinds, times the Retry-After values in use."""


@lru_cache(maxsize=REMEMBERED)
def problem(  # noqa: PLR0917 - the parts of an answer, in the order they are said
    status: int,
    slug: str,
    title: str,
    detail: str,
    retry_after_s: int | None = None,
    state: str | None = None,
    more: tuple[Header, ...] = (),
) -> Respond:
    """A problem document. `state` is the word for X-Waitroom where one applies, `more` further headers (Allow)."""
    assert status >= 400
    document = {"type": TYPE_PREFIX + slug, "title": title, "status": status, "detail": detail}
    headers: list[Header] = [
        (b"Content-Type", b"application/problem+json"),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
    ]
    if retry_after_s is not None:
        headers.append((b"Retry-After", str(retry_after_s).encode()))
    if state is not None:
        headers.append((b"X-Waitroom", state.encode()))
    return Respond(status, (*headers, *more), json.dumps(document).encode())


def method_not_allowed(allow: bytes) -> Respond:
    """Ours, but not with this method."""
    detail = f"Allowed here: {allow.decode()}."
    return problem(405, "method-not-allowed", "Method not allowed", detail, more=((b"Allow", allow),))


def no_ticket() -> Respond:
    """A status poll without a ticket that verifies. A page takes a new one; no password is asked for.

    RFC 9110 section 15.5.2 wants a challenge with a 401: a scheme that browsers do not know makes them ask nothing.
    """
    return problem(
        401,
        "no-ticket",
        "No ticket",
        "No cookie of this waiting room came along, or it does not verify. Load the page again to take a ticket.",
        more=((b"WWW-Authenticate", b"Waitroom"),),
    )
