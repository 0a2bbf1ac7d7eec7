"""How a ticket that staff looked up is told on a terminal.

Law: a line for each thing that is known, none for what is not.
"""

from collections.abc import Iterator
from typing import Any

from waitroom.cli.spans import clock_time

_STATES = {
    "waiting": "waits in line",
    "lobby": "waits for the opening",
    "admitted": "is in",
    "returning": "was in, and waits to come back",
    "ended": "has left",
}
_UNKNOWN = {"held": "admissions are held", "no_flow": "nobody can say yet", "no_data": "nobody can say yet"}


def lines(ticket: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and text of each."""
    yield "Code", ticket["code"]
    yield "State", _STATES[ticket["state"]] + _how(ticket)
    yield "Pool", ticket["pool"]
    if ticket["exam"]:
        yield "Exam", ticket["exam"]
    if ticket["lane"]:
        yield "Lane", ticket["lane"]
    if ticket["position"]:
        yield "Place", f"{ticket['position']} of {ticket['among']}"
    if ticket["wait"]:
        yield "Turn", _turn(ticket["wait"])
    for name, key in (("Arrived", "arrived_at_ms"), ("Let in", "admitted_at_ms"), ("Ended", "ended_at_ms")):
        if ticket[key]:
            yield name, clock_time(ticket[key])
    if ticket["waited_s"] is not None:
        yield "Waited", f"{ticket['waited_s']:.0f} s"
    if ticket["backend"]:
        yield "Backend", ticket["backend"]
    if ticket["expires_at_ms"]:
        yield "Lapses", f"{clock_time(ticket['expires_at_ms'])} unless it is used"


def _how(ticket: dict[str, Any]) -> str:
    if ticket["ended"]:
        return f" ({ticket['ended']})"
    if ticket["absent_since_ms"]:
        return f", absent since {clock_time(ticket['absent_since_ms'])}; the place is kept"
    return ""


def _turn(wait: dict[str, Any]) -> str:
    if wait["unknown"]:
        return _UNKNOWN[wait["unknown"]]
    return f"between {clock_time(wait['low_at_ms'])} and {clock_time(wait['high_at_ms'])}"
