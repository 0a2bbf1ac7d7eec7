"""What is said of a text that somebody shows as the record of a wait: the same on a terminal, in JSON, on a page.

Law: the verdict stands in the first words, and what a doubtful text claims is never repeated: it may be anybody's.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from waitroom.admission.receipts import Doubt, Receipt, Wait

GENUINE = "Genuine: this waiting room has signed it."

WHY = {
    Doubt.NONE_THERE: "No record in this text: it has no line that begins with WR1.",
    Doubt.UNKNOWN_KEY: "Not genuine here: it names a key that this waiting room has not, or has no longer.",
    Doubt.FALSE: "Not genuine: it was altered, or this waiting room never signed it.",
}

_OUTCOMES = {
    Wait.ADMITTED: "let in",
    Wait.WAITING: "still waiting when it was made",
    Wait.LOBBY: "waiting for the opening when it was made",
    Wait.RETURNING: "was in before, waiting to go back in when it was made",
}


class Said(NamedTuple):
    """One line of what a genuine record says: its name in JSON, its name for people, the value for each."""

    key: str
    name: str
    value: str | int | None
    text: str


def sayings(receipt: Receipt) -> tuple[Said, ...]:
    """What a genuine record says, instants in UTC."""
    return (
        Said("pool", "Pool", receipt.pool, receipt.pool),
        Said("exam", "Exam", receipt.exam or None, receipt.exam or "none in particular"),
        Said("code", "Code", receipt.code, receipt.code),
        Said("state", "Situation", str(receipt.state), _OUTCOMES[receipt.state]),
        _instant("arrived_at", "Arrived", receipt.arrival_us // 1000),
        _instant("admitted_at", "Let in", receipt.admitted_ms),
        Said("wait_s", "Waited", receipt.wait_s, f"{receipt.wait_s} s"),
        _position("position_on_arrival", "Place on arrival", receipt.first),
        _position("position", "Place when it was made", receipt.last),
        *((Said("drawn", "Number drawn", receipt.drawn, str(receipt.drawn)),) if receipt.drawn else ()),
        _instant("issued_at", "Made", receipt.issued_ms),
    )


def verdict(found: Receipt | Doubt) -> dict[str, object]:
    """The same as JSON."""
    if isinstance(found, Doubt):
        return {"genuine": False, "why": str(found), "detail": WHY[found]}
    return {"genuine": True, "detail": GENUINE, **{said.key: said.value for said in sayings(found)}}


def _position(key: str, name: str, position: int) -> Said:
    return Said(key, name, position or None, str(position) if position else "not recorded")


def _instant(key: str, name: str, at_ms: int) -> Said:
    if not at_ms:
        return Said(key, name, None, "-")
    iso = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Said(key, name, iso, iso)
