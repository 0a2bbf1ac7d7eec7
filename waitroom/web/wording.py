"""What of a view depends on the visitor, put into words: numbers, ranges and instants.

Law: page.js says the same things in the same words once it runs, and with the visitor's own clock; these are what a
browser without script shows. A range is rounded outwards to whole minutes, so that it stays true.
"""

from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from typing import NamedTuple

from waitroom.admission.estimate import Eta
from waitroom.admission.line import State
from waitroom.admission.view import Notice, View
from waitroom.web.catalogue import Catalogue
from waitroom.web.templates import RAIL_FULL, rail_share

IN_LINE = (State.WAITING, State.RETURNING, State.HELD, State.DOWN)

LONG_MIN = 90
"""Beyond this many minutes a range is said in hours."""

_HIDDEN = " hidden"


def duration(words: Catalogue, eta: Eta) -> str:
    """A range of waiting time."""
    low, high = _outwards(eta, 60)
    if high > LONG_MIN:
        low, high = _outwards(eta, 3_600)
        return words.say("eta.hours", low=low, high=high) if low else words.count("eta.under_hours", high)
    return words.say("eta.minutes", low=low, high=high) if low else words.count("eta.under_minutes", high)


def instant(words: Catalogue, at_ms: int) -> str:
    """A `time` element in the server's zone, which the script turns into the visitor's."""
    there = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone()
    text = words.say(
        "clock.date", d=there.day, m=f"{there.month:02}", y=there.year, time=f"{there:%H:%M}", zone=there.tzname()
    )
    return f'<time datetime="{there.isoformat()}" data-ms="{at_ms}">{escape(text)}</time>'


class Shared(NamedTuple):
    """What a page says to everyone who is shown it now."""

    state: State
    exam: str
    """Its title, as HTML."""
    notice: Notice | None
    stale: bool
    opens_ms: int
    resume_ms: int


def shared_slots(words: Catalogue, said: Shared) -> dict[str, str]:
    """Everyone's part of a page, as HTML by slot."""
    notice, title = said.notice, said.exam
    return {
        "tab_exam": f" – {title}" if title else "",
        "exam": title,
        "exam_hidden": "" if title else _HIDDEN,
        "msg": escape(notice.text) if notice else "",
        "msg_at": instant(words, notice.at_ms) if notice and notice.at_ms else "",
        "msg_hidden": "" if notice else _HIDDEN,
        "warn_hidden": "" if said.stale else _HIDDEN,
        "opens": instant(words, said.opens_ms) if said.opens_ms else "",
        "opens_hidden": "" if said.opens_ms and said.state is State.LOBBY else _HIDDEN,
        "resume": instant(words, said.resume_ms) if said.resume_ms else "",
        "resume_hidden": "" if said.resume_ms else _HIDDEN,
    }


def own_slots(words: Catalogue, view: View) -> dict[str, str]:
    """The visitor's part of a page, as HTML by slot."""
    place = _place(words, view, view.ahead) if view.ahead is not None and view.state in IN_LINE else _NO_PLACE
    return place | {"code": view.code, "code_hidden": "" if view.visitor else _HIDDEN}


_NO_PLACE = {
    "tab_place": "",
    "line_hidden": _HIDDEN,
    "rail_hidden": _HIDDEN,
    "position": "",
    "ahead": "",
    "eta": "",
    "why": "",
    "rail": "0%",
    "train": "2%",
}


def _place(words: Catalogue, view: View, ahead: int) -> dict[str, str]:
    rail, train = _rail(min(ahead, RAIL_FULL))
    known = isinstance(view.eta, Eta)
    return {
        "tab_place": f"{ahead + 1} · ",
        "line_hidden": "",
        "rail_hidden": "",
        "position": str(ahead + 1),
        "ahead": words.count("board.people", ahead) if ahead else words.say("board.next"),
        "eta": duration(words, view.eta) if isinstance(view.eta, Eta) else words.say("eta.unknown"),
        "why": "" if known else words.say(_WHY.get(view.state, "why.unknown")),
        "rail": rail,
        "train": train,
    }


@lru_cache(maxsize=RAIL_FULL + 1)
def _rail(ahead: int) -> tuple[str, str]:
    """How long the rail's done part is and where the train stands on it."""
    share = rail_share(ahead)
    return f"{94 * share:.1f}%", f"{2 + 93 * share:.1f}%"


_WHY = {State.HELD: "why.held", State.DOWN: "why.down"}


def _outwards(eta: Eta, unit_s: int) -> tuple[int, int]:
    low = eta.low_s // unit_s
    return low, max(low + 1, -(-eta.high_s // unit_s))
