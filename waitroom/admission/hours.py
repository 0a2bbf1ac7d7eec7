"""When slots that are held for exams come free at the latest.

Law: pure; who hands in late may look at it a while, so a slot is free an idle timeout after the end of the exam.
"""

from collections.abc import Iterable

from waitroom.settings.pools import Session

ENDS = 16
"""Ends of exams that are looked ahead to."""


def ends_ms(session: Session, closes_ms: Iterable[int | None], now_ms: int) -> tuple[int, ...]:
    """The instants to come, earliest first, for the exams of a pool that close at these instants."""
    if session.hold_until_exam_ends is False:
        return ()
    ends = {closes + session.idle_timeout_ms for closes in closes_ms if closes is not None}
    return tuple(sorted(end for end in ends if end > now_ms)[:ENDS])
