"""What staff do, put to the library by the plain client of the tests."""

from collections.abc import Mapping

from tests.store.driver import Line
from waitroom.admission.audit import Entry, read_entry, write_entry
from waitroom.admission.line import Found, Lane, Stand
from waitroom.store.operators import Known


def override(line: Line, fields: Mapping[str, str], for_ms: int = 0, why: str = "") -> list[str]:
    """Set fields as `dean`, and get the values of before."""
    entry = write_entry("dean", "limit", why, file={"ceiling": "20000", "sessions:b1": "4"})
    words = [word for pair in fields.items() for word in pair]
    reply = line.call("wr_override", (for_ms, entry, *words), {}, line.backends)
    return [each.decode() for each in reply[2:]]


def audit(line: Line, read: int = 0, count: int = 1_000) -> list[Entry]:
    """The latest first."""
    reply = line.call("wr_audit", (read, count), {}, line.backends)
    return [read_entry(each.decode()) for each in reversed(reply[2])]


def dismiss(line: Line, visitor: str) -> tuple[int, str]:
    """End what somebody has."""
    reply = line.call("wr_dismiss", (visitor, write_entry("dean", "release", target="CODE")), line.exams, line.backends)
    return reply[2], reply[3].decode()


def where(line: Line, visitor: str) -> Found:
    """All that is known of somebody."""
    reply = line.call("wr_ticket", (visitor,), {}, line.backends)
    stands, ahead, among, lane, arrival, due_ms, exam, backend, *rest = reply[2:]
    found = Found(visitor, tuple(Stand)[stands], reply[1], ahead, among, Lane(lane), int(arrival), due_ms)
    return Found(*found[:8], exam.decode(), backend.decode(), *rest)


def visitors(line: Line, known: Known, count: int = 1_000) -> list[str]:
    """All of a kind, page by page."""
    cursor, found = "0", list[str]()
    while True:
        reply = line.call("wr_visitors", (int(known), cursor, count), {}, line.backends)
        cursor = reply[2].decode()
        found += [each.decode() for each in reply[3]]
        if cursor == "0":
            return found
