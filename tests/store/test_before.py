"""What workers and browsers of versions before say is understood as ever, by the present library and the present keys.

Law: `tests/store/before` holds what such a version really said and was answered (`record.py`). A worker of before may
meet a newer library at any time: machines are not upgraded at once.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.store.driver import Server
from tests.store.record import KEY, plain
from waitroom.admission.tickets import Lane, Seal, Ticket
from waitroom.store import codec, library

FLOW = 9
"""Where a snapshot tells what has come and gone in each 10 s: measures of a version's own, for its estimates."""

FILES = sorted((Path(__file__).parent / "before").glob("*.json"))


def before(path: Path) -> dict[str, Any]:
    """What one version said."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_version_before_is_among_them() -> None:
    """A library with a new version brings the recording of the one before with it."""
    assert library.version_of(library.source()) - 1 in {before(path)["version"] for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_worker_of_before_is_answered_as_it_expects(path: Path) -> None:
    """The same morning, call by call: the present library's replies begin with those that the worker's own gave.

    What a later version has to tell besides stands behind, where no worker of before looks.
    """
    server = Server()
    try:
        for number, (command, reply) in enumerate(before(path)["calls"]):
            now = plain(server.client.execute_command(*command))[: len(reply)]
            if command[1] == "wr_snapshot" and reply[0] == codec.OK:
                assert len(now[FLOW]) == len(reply[FLOW])
                now[FLOW] = reply[FLOW]
            assert now == reply, f"call {number}: {command}"
    finally:
        server.stop()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_cookie_of_before_keeps_its_place(path: Path) -> None:
    """Tickets and passes open to what they were, with the fields that have come since at their defaults."""
    seal = Seal("main", (("k1", KEY),))
    for cookie, fields in before(path)["cookies"]:
        visitor, exam, at, lane, *rest = fields
        assert seal.open(cookie) == Ticket(visitor, exam, at, Lane(lane), *rest)
