"""What a change of limits would do to those who wait: the same estimate, made of the pool as it is and as it would be.

Law: pure, and as honest as the page: where nobody can say when somebody's turn comes, the sentence says so.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from pydantic import Field

from waitroom.admin.overview import wait_of
from waitroom.admin.shapes import ChangeShown, Shown, Wait
from waitroom.admission.audit import key_of, spelt
from waitroom.admission.estimate import Regime, regime
from waitroom.admission.line import Snapshot
from waitroom.admission.overrides import Filed, would_be

SPAN_S = 90
"""Shorter waits are told in seconds."""


class Outlook(Shown):
    """The pool as it is, or would be."""

    sessions_limit: int
    free: int = Field(description="Below 0: so many must leave before anybody enters.")
    allowed_per_s: float | None = Field(description="Null: unlimited.")
    last: Wait = Field(description="Of the last in line; of who comes next where nobody waits.")


class Crowded(Shown):
    """A backend that would have more sessions than newcomers are counted against."""

    backend: str
    live: int
    to_end: int = Field(description="So many of them must end before anybody new goes there; nobody is thrown out.")


class Preview(Shown):
    """What a change would do. Nothing was changed."""

    pool: str
    waiting: int
    changes: list[ChangeShown]
    now: Outlook
    then: Outlook
    crowded: list[Crowded]
    text: str = Field(description="The same in sentences; times of day of the server's time zone.")


def preview(pool: str, filed: Filed, at: Snapshot, fields: Mapping[str, str]) -> Preview:
    """What setting these fields would do."""
    after, file = would_be(at, filed, fields), filed.fields()
    waiting = sum(at.waiting.values())
    now, then = _outlook(at, waiting), _outlook(after, waiting)
    changes = [
        ChangeShown(
            key=key_of(field),
            old=spelt(field, at.live.get(field, "") or file.get(field, "")),
            new=spelt(field, value or file.get(field, "")),
        )
        for field, value in fields.items()
    ]
    crowded = _crowded(at, after)
    text = " ".join([_sentence(waiting, now, then), *_room(waiting, now, then), *map(_told, crowded)])
    return Preview(pool=pool, waiting=waiting, changes=changes, now=now, then=then, crowded=crowded, text=text)


def _outlook(at: Snapshot, waiting: int) -> Outlook:
    state: Regime = regime(at)
    return Outlook(
        sessions_limit=state.slots,
        free=state.free,
        allowed_per_s=at.rate_milli / 1000 if at.rate_milli else None,
        last=wait_of(state, max(0, waiting - 1)),
    )


def _sentence(waiting: int, now: Outlook, then: Outlook) -> str:
    who = f"the last of {waiting}" if waiting > 1 else "who waits" if waiting else "who comes next"
    sentence = _compared(who, now.last, then.last)
    if not waiting:
        return "Nobody waits." if then.free > 0 else f"Nobody waits. {_capital(sentence)}"
    return _capital(sentence)


def _compared(who: str, now: Wait, then: Wait) -> str:
    """In times of day; where those are the same and the waits are not, in spans; where one is not known, so it says."""
    before, after = _when(now), _when(then)
    if before is None and after is None:
        return f"when {who} enters nobody can tell, with it or without."
    if after is None:
        return f"when {who} would enter nobody could tell; now it is {before}."
    if before is None:
        return f"{who} would enter {after}; now nobody can tell when."
    if before == after:
        before, after = _span(now), _span(then)
    if before == after:
        return f"{who} would enter {_when(then)}, as without it."
    return f"{who} would enter {after} instead of {before}."


def _when(wait: Wait) -> str | None:
    """None: nobody knows."""
    if wait.unknown == "held":
        return "not before the hold ends"
    if wait.low_at_ms is None or wait.high_at_ms is None:
        return None
    low, middle, high = (
        _time(each) for each in (wait.low_at_ms, (wait.low_at_ms + wait.high_at_ms) // 2, wait.high_at_ms)
    )
    return f"at {middle}" if low == high else f"at about {middle} ({low} to {high})"


def _span(wait: Wait) -> str:
    low, high = wait.low_s or 0, wait.high_s or 0
    if high < SPAN_S:
        return f"in {low} to {high} s" if high else "at once"
    return f"in {round(low / 60)} to {round(high / 60)} min"


def _room(waiting: int, now: Outlook, then: Outlook) -> Iterator[str]:
    """Whether some of them would find a place at once that they do not find now."""
    found = min(waiting, then.free)
    if found > max(0, now.free) and then.last.unknown != "held":
        yield f"For {found} of them there would be a place at once."


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%H:%M")


def _crowded(at: Snapshot, after: Snapshot) -> list[Crowded]:
    return [
        Crowded(backend=name, live=at.sessions[name], to_end=at.sessions[name] - limit + 1)
        for name, limit in after.limits.items()
        if 0 < limit <= at.sessions.get(name, 0) and limit < at.limits.get(name, 0)
    ]


def _told(crowded: Crowded) -> str:
    return (
        f"{crowded.backend} has {crowded.live} sessions: nobody is thrown out, and nobody new goes there before"
        f" {crowded.to_end} of them have ended."
    )
