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
from waitroom.admission.tickets import Lane, Seal, Ticket
from waitroom.store import library

KEY = b"the key of a test, 32 bytes long"


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


def tickets() -> list[Ticket]:
    """A ticket and a pass of every kind."""
    at = T0_MS * 1000
    waiting = Ticket("A" * 16, "MATH0001", at, Lane.PRIORITY)
    return [Ticket("B" * 16, "", at), waiting, waiting.admitted("main-1", T0_MS + 5_000)]


def main() -> None:
    """Write the file."""
    server = Server()
    try:
        recording = Recording(server.client)
        morning(Line(recording, pool="main"))  # type: ignore[arg-type] # all that a line asks of a client
    finally:
        server.stop()
    seal = Seal("main", (("k1", KEY),))
    cookies = [[seal.sign(ticket), list(ticket)] for ticket in tickets()]
    found = {"version": library.version_of(library.source()), "calls": recording.calls, "cookies": cookies}
    Path(sys.argv[1]).write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
