"""When free memory is given back: after a crowd, and not for each who leaves."""

from collections.abc import Iterable

import pytest

from waitroom.server.tide import CROWD, Tide, give_back


@pytest.mark.parametrize(
    ("connections", "ebbs"),
    [
        ([0, CROWD - 1, 0, CROWD - 1, 0], 0),
        ([CROWD, CROWD // 2, CROWD, CROWD // 2], 0),
        ([CROWD, CROWD // 2 - 1, 0, 0, 0], 1),
        ([CROWD, 0, 0, CROWD, 1, 2, CROWD, 3, 3], 3),
        ([16 * CROWD, 7 * CROWD, 6 * CROWD, 4 * CROWD, 3 * CROWD, 0], 0),
        ([16 * CROWD, 7 * CROWD, 7 * CROWD, 4 * CROWD, 3 * CROWD, 3 * CROWD, 0, 0, 0], 3),
        (range(40 * CROWD), 0),
    ],
    ids=["few", "half-stay", "gone", "waves", "going", "slowly", "coming"],
)
def test_memory_is_given_back_after_a_crowd(connections: Iterable[int], ebbs: int) -> None:
    """Once for each time that more than half of a crowd has gone."""
    seen = 0

    def ebb() -> None:
        nonlocal seen
        seen += 1

    tide = Tide(ebb)
    for number in connections:
        tide.turn(number)
    assert seen == ebbs


def test_a_crowd_for_a_moment_is_one() -> None:
    """Which came and went between two looks."""
    seen = list[int]()
    tide = Tide(lambda: seen.append(tide.most))
    tide.turn(3)
    tide.turn(3, CROWD)
    assert seen == [3]
    tide.turn(3, CROWD - 1)
    assert seen == [3]


def test_it_may_be_given_back_at_any_time() -> None:
    """Also where there is none."""
    give_back()
    give_back()
