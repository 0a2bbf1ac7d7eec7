"""How waits ended, or how long they have lasted: one value a wait, and one line of CSV.

Law: a wait is a ticket's from its arrival to its end, and is told once. A line names the code that the student's page
shows, never a visitor or an address. A spreadsheet must not take a cell for a formula.
"""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from typing import NamedTuple

from waitroom.admission.line import Lane
from waitroom.admission.order import order_key
from waitroom.admission.view import ticket_code

COLUMNS = (
    "code", "exam", "pool", "lane", "arrived_at", "outcome", "outcome_at", "wait_s", "backend", "position_on_arrival",
)  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes a cell for a formula by (OWASP, CSV injection)."""


class Outcome(StrEnum):
    """How a wait ended, if it has."""

    ADMITTED = "admitted"
    LEFT = "left"
    WAITING = "waiting"


class Wait(NamedTuple):
    """One wait. `at_ms` is when it ended, or now; `first` the position on arrival where the store knows it, or 0."""

    visitor: str
    arrival_us: int
    lane: Lane
    exam: str
    outcome: Outcome
    at_ms: int
    backend: str = ""
    first: int = 0

    @property
    def key(self) -> int:
        """What tells this wait from all others; a visitor whose ticket is used up waits a second time."""
        return hash((self.visitor, self.arrival_us))

    @property
    def order(self) -> int:
        """Its place among those waiting."""
        return order_key(self.lane, self.arrival_us)


def head() -> bytes:
    """The first line."""
    return _lines([COLUMNS])


def lines(pool: str, waits: Iterable[Wait]) -> bytes:
    """The lines of some waits (RFC 4180)."""
    return _lines(_cells(pool, each) for each in waits)


def _cells(pool: str, wait: Wait) -> tuple[str, ...]:
    wait_ms = max(0, wait.at_ms - wait.arrival_us // 1000)
    return (
        ticket_code(wait.visitor),
        wait.exam,
        pool,
        wait.lane.name.lower(),
        _instant(wait.arrival_us // 1000),
        str(wait.outcome),
        _instant(wait.at_ms),
        f"{wait_ms // 1000}.{wait_ms % 1000:03}",
        wait.backend,
        str(wait.first) if wait.first else "",
    )


def _instant(at_ms: int) -> str:
    there = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{there:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
