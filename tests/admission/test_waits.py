"""Waits as CSV: what a person in an office opens, and what a program reads."""

import csv
import io

import pytest

from waitroom.admission.line import Lane
from waitroom.admission.view import ticket_code
from waitroom.admission.waits import COLUMNS, Outcome, Wait, head, lines

WAIT = Wait(
    "abcdefghijklmnop", 1_780_297_080_123_456, Lane.PRIORITY, "MATH0001", Outcome.ADMITTED, 1_780_297_800_000, "b1", 7
)


def read(*waits: Wait) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((head() + lines("sciences", waits)).decode(), newline="")))


def test_a_line() -> None:
    """Instants in UTC with ms, the wait in seconds, the code and not the visitor."""
    assert read(WAIT) == [
        {
            "code": ticket_code(WAIT.visitor),
            "exam": "MATH0001",
            "pool": "sciences",
            "lane": "priority",
            "arrived_at": "2026-06-01T06:58:00.123Z",
            "outcome": "admitted",
            "outcome_at": "2026-06-01T07:10:00.000Z",
            "wait_s": "719.877",
            "backend": "b1",
            "position_on_arrival": "7",
        }
    ]
    assert WAIT.visitor.encode() not in lines("sciences", [WAIT])
    assert tuple(read(WAIT)[0]) == COLUMNS


def test_what_is_not_known_is_empty() -> None:
    """No exam, no backend, no position; a clock that went back makes no negative wait."""
    row = read(WAIT._replace(exam="", backend="", first=0, outcome=Outcome.LEFT, at_ms=5))[0]
    assert (row["exam"], row["backend"], row["position_on_arrival"], row["wait_s"]) == ("", "", "", "0.000")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    """A spreadsheet shows it as text."""
    assert read(WAIT._replace(exam=cell))[0]["exam"] == f"'{cell}"


def test_quotes_and_commas() -> None:
    """As RFC 4180 has them."""
    assert read(WAIT._replace(backend='a,"b"\nc'))[0]["backend"] == 'a,"b"\nc'
