"""What of a view depends on the visitor, put into words: numbers, ranges and instants.

Law: page.js says the same things in the same words once it runs, and with the visitor's own clock; these are what a
browser without script shows. A range is rounded outwards to whole minutes, so that it stays true.
"""

from datetime import UTC, datetime
from functools import lru_cache
from html import escape

from waitroom.admission.estimate import Eta
from waitroom.admission.line import State
from waitroom.admission.view import View
from waitroom.web.catalogue import Catalogue
from waitroom.web.languages import pick

IN_LINE = (State.WAITING, State.RETURNING, State.HELD, State.DOWN)

REMEMBERED = 4_096
"""Ranges and numbers of people that many visitors are told: each a few hundred bytes."""

LONG_MIN = 90
"""Beyond this many minutes a range is said in hours."""

_HIDDEN = " hidden"


def duration(words: Catalogue, eta: Eta) -> str:
    """A range of waiting time."""
    low, high = _outwards(eta, 60)
    if high > LONG_MIN:
        return _hours(words, *_outwards(eta, 3_600))
    return _minutes(words, low, high)


@lru_cache(maxsize=REMEMBERED)
def _hours(words: Catalogue, low: int, high: int) -> str:
    return words.say("eta.hours", low=low, high=high) if low else words.count("eta.under_hours", high)


@lru_cache(maxsize=REMEMBERED)
def _minutes(words: Catalogue, low: int, high: int) -> str:
    return words.say("eta.minutes", low=low, high=high) if low else words.count("eta.under_minutes", high)


@lru_cache(maxsize=REMEMBERED)
def _people(words: Catalogue, ahead: int) -> str:
    return words.count("board.people", ahead) if ahead else words.say("board.next")


def instant(words: Catalogue, at_ms: int) -> str:
    """A `time` element in the server's zone, which the script turns into the visitor's."""
    there = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone()
    text = words.say(
        "clock.date", d=there.day, m=f"{there.month:02}", y=there.year, time=f"{there:%H:%M}", zone=there.tzname()
    )
    return f'<time datetime="{there.isoformat()}" data-ms="{at_ms}">{escape(text)}</time>'


def shared_slots(words: Catalogue, said: View, title: str) -> dict[str, str]:
    """Everyone's part of a page, as HTML by slot. `title`: the exam's, as HTML."""
    notice = said.notice
    return {
        "tab_exam": f" – {title}" if title else "",
        "exam": title,
        "exam_hidden": "" if title else _HIDDEN,
        "msg": escape(pick(dict(notice.texts), words.language)) if notice else "",
        "msg_at": instant(words, notice.at_ms) if notice and notice.at_ms else "",
        "msg_hidden": "" if notice else _HIDDEN,
        "warn_hidden": "" if said.stale else _HIDDEN,
        "opens": instant(words, said.opens_ms) if said.opens_ms else "",
        "opens_hidden": "" if said.opens_ms and said.state is State.LOBBY else _HIDDEN,
        "order": words.say("lobby.draw", hash=said.seed_hash) if said.seed_hash else words.say("lobby.arrival"),
        "order_hidden": "" if said.state is State.LOBBY else _HIDDEN,
        "resume": instant(words, said.resume_ms) if said.resume_ms else "",
        "resume_hidden": "" if said.resume_ms else _HIDDEN,
    }


def own_slots(words: Catalogue, view: View) -> dict[str, str]:
    """The visitor's part of a page, as HTML by slot."""
    state, ahead, eta, code = view.state, view.ahead, view.eta, view.code
    if ahead is None or state not in IN_LINE:
        place = ahead_said = eta_said = why = ""
    else:
        place, ahead_said = str(ahead + 1), _people(words, ahead)
        if isinstance(eta, Eta):
            eta_said, why = duration(words, eta), ""
        else:
            eta_said, why = words.say("eta.unknown"), words.say(_WHY.get(state, "why.unknown"))
    return {
        "line_hidden": "" if place else _HIDDEN,
        "position": place,
        "ahead": ahead_said,
        "eta": eta_said,
        "why": why,
        "code": code,
        "code_hidden": "" if code else _HIDDEN,
    }


_WHY = {State.HELD: "why.held", State.DOWN: "why.down"}


def _outwards(eta: Eta, unit_s: int) -> tuple[int, int]:
    low = eta.low_s // unit_s
    return low, max(low + 1, -(-eta.high_s // unit_s))
