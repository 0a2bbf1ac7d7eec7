"""One timer for all that is held: in order, whatever one of them does, and all at once when the worker goes."""

import asyncio

from tests.support.aio import run
from tests.support.product import START_S
from waitroom.gate import holds as limits
from waitroom.gate.holds import Holds


def test_each_is_woken_at_its_time_and_no_failure_is_shared() -> None:
    """Also by one that comes later and is due earlier, and by one that holds again."""

    async def main() -> None:
        holds, loop = Holds(), asyncio.get_running_loop()
        woken: list[tuple[str, float]] = []
        started_s, done = loop.time(), loop.create_future()

        def note(name: str) -> None:
            woken.append((name, loop.time() - started_s))

        def fail() -> None:
            raise RuntimeError("mine")

        holds.after(60, lambda: holds.after(30, lambda: done.set_result(None)))
        holds.after(40, lambda: note("b"))
        holds.after(20, fail)
        holds.after(20, lambda: note("a"))
        await done
        assert [name for name, _ in woken] == ["a", "b"]
        assert woken[0][1] >= 0.019
        assert woken[1][1] >= 0.039
        assert loop.time() - started_s >= 0.088

    run(main())


def test_a_worker_that_goes_holds_nothing() -> None:
    """Whoever is held is woken at once, and who comes then too."""

    async def main() -> None:
        holds, loop = Holds(), asyncio.get_running_loop()
        order: list[int] = []
        for number in range(3):
            holds.after(60_000 - number, lambda number=number: order.append(number))
        assert holds.open
        holds.close()
        assert not holds.open
        done = loop.create_future()
        holds.after(60_000, lambda: done.set_result(None))
        await asyncio.wait_for(done, START_S)
        assert order == [0, 1, 2]

    run(main())


def test_what_is_held_is_bounded() -> None:
    """Beyond the bound requests meet the page."""

    async def main() -> None:
        holds = Holds()
        for _ in range(limits.HELD_AT_ONCE):
            assert holds.open
            holds.after(60_000, lambda: None)
        assert not holds.open
        holds.close()

    run(main())
