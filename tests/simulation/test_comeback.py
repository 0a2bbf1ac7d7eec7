"""The server that dies again under an unpaced return survives with the ramp, at several crowd sizes, every time."""

from collections.abc import Iterator
from itertools import pairwise
from unittest.mock import patch

import pytest

from tests.simulation.comeback import Morning
from tests.store.driver import Server
from waitroom.demo.model import Capacity
from waitroom.server import reports

SERVER = Capacity(cores=8, workers=40, backlog=80, ram_mib=32_768, swap_mib=1_024)
"""It carries them all once they are in (an autosave a minute each), but not their signing in at once."""

CROWDS = (150, 400, 1_400)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.stop()


@pytest.mark.parametrize("crowd", CROWDS)
def test_an_unpaced_return_kills_it_again_and_again(server: Server, crowd: int) -> None:
    """What happened in Liège: back, and gone again within 30 s."""
    morning = Morning(server, crowd, SERVER, seed=1, paced=False).run(120_000)
    died = [death.at_ms for death in morning.machine.deaths]
    assert len(died) >= 4
    assert all(later - sooner < SERVER.restart_ms + 30_000 for sooner, later in pairwise(died))
    assert morning.back == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("crowd", CROWDS)
def test_a_paced_return_does_not(server: Server, crowd: int, seed: int) -> None:
    """It dies once, of the start that nobody paced; then all are back, within ten minutes for 1,400."""
    morning = Morning(server, crowd, SERVER, seed=seed, paced=True).run(600_000)
    assert morning.deaths == 1
    assert morning.back == crowd


@pytest.mark.parametrize(("crowd", "outage_ms"), [(150, 2_500), (400, 300), (400, 2_500), (1_400, 1_000)])
def test_a_short_outage_is_paced_too(server: Server, crowd: int, outage_ms: int) -> None:
    """Killed at work and back before a look at the last seconds tells: those it has forgotten kill it not again."""
    morning = Morning(server, crowd, SERVER, seed=1, paced=True).blink(600_000, outage_ms)
    assert morning.deaths == 1
    assert morning.back == crowd


@pytest.mark.parametrize("paced", [False, True], ids=["straight", "with a look each second alone"])
def test_otherwise_it_is_killed_again(server: Server, paced: bool) -> None:
    """By the same crowd, which finds it open, also where the product looks once a second at the last three."""
    with patch.object(reports, "DESERTED", 1_000_000):
        morning = Morning(server, 400, SERVER, seed=1, paced=paced).blink(120_000, 1_000)
    assert morning.deaths >= 2
