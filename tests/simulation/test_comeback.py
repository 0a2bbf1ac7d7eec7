"""The server that dies again under an unpaced return survives with the ramp, at several crowd sizes, every time."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.simulation.comeback import Morning
from tests.store.driver import Server
from waitroom.demo.model import Capacity

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
