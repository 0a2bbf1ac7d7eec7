"""Writes what a worker of some version says to the line in a short morning, and what its own library answers.

`PYTHONPATH=CHECKOUT python tests/store/record.py FILE`, with a checkout of that version, writes one file of
`tests/store/before`; `test_before.py` then holds the present library and cookies against it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.store.driver import T0_MS, Line, Server, rules
from waitroom.admission.line import Presence, Touch
from waitroom.admission.pacing import Step
from waitroom.admission.recovery import Phase, Return
from waitroom.admission.tickets import Lane, Seal, Ticket
from waitroom.store import library
from waitroom.store.keys import AS_REMEMBERED, pace_call
from waitroom.store.pace import pace_arguments

KEY = b"the key of a test, 32 bytes long"
STAFF_SINCE = 6
"""The version of the library that brought what staff do."""


class Recording:
    """A client that writes down each command with its reply."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[tuple[Any, Any]] = []

    def execute_command(self, *command: Any) -> Any:
        reply = self._client.execute_command(*command)
        self.calls.append((list(command), plain(reply)))
        return reply


def plain(reply: Any) -> Any:
    """A reply as JSON has it."""
    if isinstance(reply, list):
        return [plain(part) for part in reply]
    return reply.decode("latin-1") if isinstance(reply, bytes) else reply


def morning(line: Line) -> None:
    """Four in, four wait; somebody logs out, somebody leaves, one comes back, one is silent; the line moves."""
    line.write(rules(2, 2))
    visitors = [f"visitor{number:09d}" for number in range(8)]
    standings = {}
    for name in visitors:
        line.now_ms += 40
        standings[name] = line.one(name, exam="MATH" if name < visitors[4] else "")
    for name in visitors:
        standings[name] = line.again(standings[name])
    line.snapshot()
    for name in visitors[:4]:
        line.use(standings[name])
    line.advance(5_000)
    line.release(visitors[0])
    line.leave(visitors[5])
    for name in (visitors[4], visitors[6], visitors[7]):
        line.advance(2_000)
        standings[name] = line.again(standings[name])
    line.touch(Touch(visitors[1], standings[visitors[1]].backend, standings[visitors[1]].admitted_ms))
    line.advance(70_000)
    line.again(standings[visitors[6]])
    line.present(*(Presence(f"newcomer{number:08d}") for number in range(3)))
    line.snapshot()


def the_rest_of_it(line: Line) -> None:
    """Whatever else a worker says: a lobby that is drawn, students who are known, lanes, an outage with its ramp, and
    what is on the pages and asked of the line.
    """
    line.exams = {"DRAWN": line.now_ms + 60_000}
    line.call("wr_draw", ("DRAWN", line.exams["DRAWN"], "5" * 64), {}, ())
    early = [line.one(f"early{number:011d}", exam="DRAWN", opens_ms=line.exams["DRAWN"]) for number in range(3)]
    for each in early:
        line.again(each, exam="DRAWN", opens_ms=line.exams["DRAWN"], stamped=True)
    for name in ("phone00000000000", "laptop0000000000"):
        line.one(name, identity="hash-of-ann", lane=Lane.PRIORITY, page=True)
    line.present(*(Presence(f"hidden{number:010d}", hidden=True, confirmed=True) for number in range(2)))
    line.report("worker-1", '{"a":1}')
    inside = line.one("inside0000000000", lane=Lane.PRIORITY, confirmed=True)
    line.course("b1", Phase.DOWN)
    line.come_back(Return("inside0000000000", "b1", inside.admitted_ms or line.now_ms, attempt=True, page=True))
    line.advance(10_000)
    line.course("b1", Phase.RECOVERING, 2_000)
    line.come_back(Return("inside0000000000", "b1", inside.admitted_ms or line.now_ms, attempt=True))
    line.course("b1", Phase.UP)
    line.call("wr_announce", ("", 60_000, '{"texts":{"":"hello"},"by":"dean"}'), {}, line.backends)
    line.snapshot()
    line.call("wr_prove", (line.now_ms, 0, 1), {}, ())
    line.advance(70_000)
    for each in early:
        line.again(each, exam="DRAWN", stamped=True)
    line.waits()
    line.snapshot()


def staff(line: Line) -> None:
    """What staff say, since version 6: limits, a look-up, another lane, an end, the audit."""
    entry, exams = '{"who":"dean","what":"limit"}', dict.fromkeys(line.exams, AS_REMEMBERED)
    line.call("wr_override", (60_000, entry, "ceiling", "5000", "sessions:b1", "9"), {}, line.backends)
    line.call("wr_tell", ('{"who":"dean","what":"reload"}',), {}, line.backends)
    line.call("wr_traffic", (), {}, line.backends)
    for visitor in ("early00000000000", "hidden0000000000", "nobody0000000000"):
        line.call("wr_ticket", (visitor,), exams, line.backends)
    line.call("wr_lane", ("hidden0000000000", int(Lane.PRIORITY), entry), exams, line.backends)
    line.call("wr_dismiss", ("hidden0000000001", entry), exams, line.backends)
    line.snapshot()
    line.advance(70_000)
    line.call("wr_visitors", (1, "0", 100), {}, line.backends)
    line.call("wr_audit", (0, 10), {}, line.backends)


def a_pace(recording: "Recording", now_ms: int) -> None:
    """Five click at once, two a second may pass, and all come again until they have."""
    steps = [Step(f"clicks{number:010d}", f"form-{number}", 0, 5_000) for number in range(5)]
    for late_ms in (0, 500, 1_000, 2_000, 3_000):
        recording.execute_command(*pace_call("start", 2_000, 1, pace_arguments(steps), now_ms=now_ms + late_ms))


def tickets() -> list[Ticket]:
    """A ticket and a pass of every kind."""
    at = T0_MS * 1000
    waiting = Ticket("A" * 16, "MATH0001", at, Lane.PRIORITY)
    return [Ticket("B" * 16, "", at), waiting, waiting.admitted("main-1", T0_MS + 5_000)]


def main() -> None:
    """Write the file."""
    server, version = Server(), library.version_of(library.source())
    try:
        recording = Recording(server.client)
        line = Line(recording, pool="main")  # type: ignore[arg-type] # all that a line asks of a client
        morning(line)
        the_rest_of_it(line)
        if version >= STAFF_SINCE:
            staff(line)
        a_pace(recording, line.now_ms)
    finally:
        server.stop()
    seal = Seal("main", (("k1", KEY),))
    cookies = [[seal.sign(ticket), list(ticket)] for ticket in tickets()]
    found = {"version": version, "calls": recording.calls, "cookies": cookies}
    Path(sys.argv[1]).write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
