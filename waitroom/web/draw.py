"""What everybody may know of a draw: its fingerprint before the opening, its seed after, and how to check it.

Law: the seed is in no answer before the opening. What checks it needs nothing of ours.
"""

import json
from datetime import UTC, datetime

from waitroom.admission.draw import PLACES, Lot
from waitroom.proxy.decisions import Respond

HOW = (
    "fingerprint = SHA-256 of the seed as text. number of a code = the first 16 hex digits of "
    f"HMAC-SHA256(key: seed as text, message: code), as a number, modulo {PLACES}, plus 1. Who has the smaller number "
    "goes in earlier. In a shell: printf %s SEED | sha256sum; printf %s CODE | openssl dgst -sha256 -hmac SEED; or "
    "waitroom ticket draw SEED CODE."
)

_HEADERS = (
    (b"Content-Type", b"application/json"),
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)


def draw_response(pool: str, exam: str, lot: Lot, *, is_open: bool) -> Respond:
    """The answer to whoever asks, as JSON that a person can read."""
    opens = datetime.fromtimestamp(lot.opens_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {
        "pool": pool,
        "exam": exam,
        "opens_at": opens,
        "fingerprint": lot.fingerprint,
        "seed": lot.seed if is_open else None,
        "check": HOW,
    }
    return Respond(200, _HEADERS, (json.dumps(said, indent=2) + "\n").encode())
