"""Plays the world of a seed on a real Valkey, from its first arrival to its last.

Law: what `reigning` takes over is given back, whatever happens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from unittest.mock import patch

from structlog.typing import EventDict

from tests.simulation import plagues
from tests.simulation.faults import Faults
from tests.simulation.referee import Referee
from tests.simulation.settings import House
from tests.simulation.storehouse import Server
from tests.simulation.virtual import reigning
from tests.simulation.world import World
from waitroom.server import brain, checks
from waitroom.server.screens import WebScreens
from waitroom.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    seed: int
    referee: Referee
    faults: Faults
    house: House
    shape: str
    students: int
    inside: int
    ended_s: float

    @property
    def good(self) -> bool:
        """Whether every law held."""
        return not self.referee.complaints


@cache
def _screens_of(exams: frozenset[str]) -> WebScreens:
    """Rendering all pages takes as long as half a run; what they say follows from the view that they are given."""
    house = House((1,), None, 60, 60, 0.0, 1.0)
    assert exams == house.settings().exams.keys()
    return WebScreens(house.settings())


def _screens(settings: Settings) -> WebScreens:
    return _screens_of(frozenset(settings.exams))


def play(seed: int, server: Server, change: Callable[[World], None] = lambda _world: None) -> Outcome:
    """Run the world of a seed on a Valkey that nobody else uses. `change` may alter it before it begins."""
    world: World | None = None

    def hear(process: str, event: EventDict) -> None:
        assert world is not None
        world.heard(process, event)

    with reigning(str(seed), hear) as loop, patch.object(brain, "WebScreens", _screens):
        referee = Referee(loop)
        world = World.of(seed, loop, server, referee)
        change(world)
        with patch.object(checks, "ask", world.checked):
            loop.run_until_complete(world.run(plagues.of(world)))
        inside = sum(student.inside_s is not None for student in world.students)
        return Outcome(seed, referee, world.faults, world.house, world.shape, len(world.students), inside, loop.time())
