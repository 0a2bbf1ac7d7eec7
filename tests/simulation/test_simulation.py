"""Simulated mornings in which everything goes wrong: laws hold, a run can be replayed, every checker bites."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest

from tests.simulation.__main__ import run_many
from tests.simulation.faults import Faults
from tests.simulation.playing import play
from tests.simulation.replay import judge, store
from tests.simulation.storehouse import Server, Troubles
from tests.simulation.world import World
from waitroom.gate.gate import Gate
from waitroom.store import library

SEEDS = 50


@pytest.mark.timeout(600)  # a minute and a half of all cores
def test_every_law_holds_in_fifty_mornings() -> None:
    """Workers die, replies are lost, the store goes away, empty, older; clocks jump; operators do what they do."""
    bad = [verdict for verdict in run_many(range(1, 1 + SEEDS), os.cpu_count() or 1) if not verdict.good]
    assert not bad, "\n".join(map(str, bad))


def test_a_seed_tells_the_same_story_each_time() -> None:
    """Whatever the seed, a second play is the same to the last word: a failure can be looked at."""
    once, again = judge([3, 4]), judge([4, 3])
    assert [verdict.digest for verdict in once] == [verdict.digest for verdict in reversed(again)]
    assert once[0].digest != once[1].digest


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with store() as server:
        yield server


def _as_it_is(_world: World) -> None:
    """A morning without faults."""


def _paced(world: World) -> None:
    world.house = replace(world.house, rate="1/s")


def _lossy(world: World) -> None:
    world.faults = world.network.faults = Faults(reply_lost=0.1)


def _wiped(world: World) -> None:
    world.faults = Faults(store_wiped=0.7)


def _blinking(world: World) -> None:
    world.faults = Faults(backend_blinks=3.0)


def _all(**habits: object) -> Callable[[World], None]:
    def tweak(world: World) -> None:
        for student in world.students:
            student.life = replace(student.life, **habits)  # type: ignore[arg-type]  # fields of a life

    return tweak


BROKEN = [
    ("0 no error", _paced, "pool.bucket, 'tokens', pool.tokens, 'at'", "pool.bucket, 'tokens', pool.never, 'at'"),
    ("1 cap", _as_it_is, "local room = max(0, backend.limit - backend.used)", "local room = backend.limit"),
    ("2 order", _as_it_is, "pool.waiting == 0 and pool.room > 0", "pool.room > 0"),
    ("3 no idle slot", _as_it_is, "local free, open = 0, false", "local free, open = -1, false"),
    ("3 rate", _paced, "pool.tokens = pool.tokens - ONE_TOKEN\n", "pool.tokens = pool.tokens - ONE_TOKEN / 2\n"),
    ("4 newcomers", _as_it_is, "pool.waiting == 0 and pool.room > 0", "pool.room > 0"),
    ("5 idempotence", _lossy, "if key and not used then", "if key and not used and known then"),
    ("6 retention", _all(idles=True, idle_s=50.0, exam="MATH"), "if touch.over > pool.now or has_room", "if has_room"),
    ("7 ramp", _blinking, "if ahead < floor(target.ramp_tokens / ONE_TOKEN) then", "if ahead < 99 then"),
    ("8 ends", _as_it_is, "local PROVISIONAL_MS = 30000", "local PROVISIONAL_MS = 300000"),
    ("8 ends", _as_it_is, "max(min(pool.now + pool.rules.idle_ms,", "max(min(pool.now + pool.rules.idle_ms / 2,"),
    ("9 freeze", _wiped, "if pool.held or pool.now < pool.freeze then return 0 end", "if pool.held then return 0 end"),
    ("10 presence", _all(without_cookies=True), "local UNCONFIRMED_MS = 15000", "local UNCONFIRMED_MS = 300000"),
    ("11 polls", _as_it_is, "local POLL_MAX_MS = 30000", "local POLL_MAX_MS = 90000"),
]


@pytest.mark.parametrize(("law", "tweak", "right", "wrong"), BROKEN, ids=[each[0] for each in BROKEN])
def test_a_broken_library_is_found(
    server: Server, law: str, tweak: Callable[[World], None], right: str, wrong: str
) -> None:
    """One line of the library says something else, and the checker of that law notices within a few mornings."""
    text = library.source()
    assert right in text

    def only(world: World) -> None:
        world.faults = world.network.faults = Faults()
        tweak(world)

    found: set[str] = set()
    with patch.object(library, "source", lambda: text.replace(right, wrong)):
        for seed in range(1, 9):
            found |= {each.law for each in play(seed, server, only).referee.complaints}
            if law in found:
                return
    pytest.fail(f"nobody noticed; only {found}")


def test_a_gate_without_a_bar_is_found(server: Server) -> None:
    """Where workers let everybody with a pass through to a server that has died, the checker of the way notices."""

    def only(world: World) -> None:
        world.faults = world.network.faults = Faults()
        world.store.troubles = Troubles()
        _blinking(world)

    with patch.object(Gate, "_bar", lambda *_: None):
        found = {each.law for seed in range(1, 4) for each in play(seed, server, only).referee.complaints}
    assert "7 way back" in found
