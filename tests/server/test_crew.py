"""A slot always has a worker: one that hangs is replaced, and a start that cannot succeed says why."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.product import START_S, until
from waitroom.metrics.layout import Layout
from waitroom.metrics.totals import Totals
from waitroom.server import crew as crew_module
from waitroom.server import member as member_module
from waitroom.server.crew import LONGEST_PAUSE_S, START_TRIES, Crew, StartError, _pause_s
from waitroom.server.orders import Orders, labels_of
from waitroom.server.sockets import Doors, open_doors
from waitroom.settings.load import Flags, load
from waitroom.settings.model import PublicListen
from waitroom.settings.secrets import Key, Secrets
from waitroom.store.embedded import EmbeddedStore


def one_door() -> Doors:
    """A slot with one socket."""
    return open_doors([PublicListen.model_validate("127.0.0.1:0")], 1)


Given = Callable[[], tuple[int, Orders]]


@contextlib.asynccontextmanager
async def crew_of_one(
    tmp_path: Path, told: Callable[[Given], Given] = lambda orders: orders, doors: Doors | None = None
) -> AsyncIterator[Crew]:
    """A crew with one slot and a store of its own, not started; ended with the block. `told` changes its orders."""
    store = EmbeddedStore(tmp_path)
    await store.start()
    settings = load(None, Flags(backend="http://127.0.0.1:9", max_sessions=1, store=store.url))
    layout = Layout()
    layout.extend(labels_of(settings))
    orders = Orders(settings, Secrets((Key("k1", b"k" * 32),)), layout)
    doors = doors or one_door()
    crew = Crew(doors, Totals(layout), told(lambda: (1, orders)))
    try:
        yield crew
    finally:
        await crew.end()
        doors.close()
        await store.stop()


def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that answers no ping is killed, and another takes its slot. Nobody else is hurried meanwhile."""
    monkeypatch.setattr(crew_module, "PING_EVERY_S", 0.05)
    usual_s = crew_module.PING_WITHIN_S

    async def main() -> None:
        async with crew_of_one(tmp_path) as crew:
            await crew.start()
            (first,) = crew.accepting
            monkeypatch.setattr(crew_module, "PING_WITHIN_S", 0.5)
            os.kill(first.pid, signal.SIGSTOP)
            await asyncio.wait_for(first.dead.wait(), usual_s + START_S)
            monkeypatch.setattr(crew_module, "PING_WITHIN_S", usual_s)

            async def another() -> bool:
                return [member for member in crew.accepting if member is not first] != []

            await until(another, what="another worker")
            assert crew.restarts == 1

    run(main())


class Changing:
    """Orders whose queue status is another one each time that `now` is set; 501 for the first worker."""

    def __init__(self) -> None:
        self.now = 1
        self.asked = 0

    def of(self, given: Given) -> Given:
        def told() -> tuple[int, Orders]:
            self.asked += 1
            if self.asked == 2:  # the first time it was for the worker that is starting now
                self.now = 2
            _, orders = given()
            settings = orders.settings.model_copy(update={"queue_status": 500 + self.now})
            return self.now, replace(orders, settings=settings)

        return told


def test_settings_that_change_while_a_worker_starts_cost_no_connection(tmp_path: Path) -> None:
    """It is given them, as it is when it was not there to be asked: whoever waited in its backlog goes on with it."""

    async def main() -> None:
        changing, doors = Changing(), one_door()
        async with crew_of_one(tmp_path, changing.of, doors) as crew:
            reader, writer = await asyncio.open_connection(*doors.slots[0][0].getsockname())

            async def status() -> int:
                writer.write(b"POST / HTTP/1.1\r\nHost: exam\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readuntil(b"}")
                return int(head.split()[1])

            first = asyncio.ensure_future(status())
            await crew.start()
            assert await first in {501, 502}
            (member,) = crew.accepting
            assert (member.generation, await status()) == (2, 502)
            changing.now = 3
            await crew.catch_up()
            assert (member.generation, await status()) == (3, 503)
            assert (crew.accepting, crew.restarts) == ([member], 0)
            writer.close()

    run(main())


def test_a_start_that_cannot_succeed_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that die at the very first start are tried a few times, then the whole start has failed."""
    monkeypatch.setattr(member_module, "MODULE", "waitroom.nowhere")

    async def main() -> None:
        async with crew_of_one(tmp_path) as crew:
            with pytest.raises(StartError, match=f"worker 0 died {START_TRIES} times"):
                await crew.start()
            assert crew.living == []

    run(main())


def test_a_machine_that_can_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that cannot even be made counts as one that died: tried again, then told, and nothing is left of it."""

    async def main() -> None:
        async with crew_of_one(tmp_path) as crew:
            monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
            with pytest.raises(StartError, match="worker 0 died"):
                await crew.start()
            assert crew.living == []

    run(main())


def test_pauses_double_up_to_a_bound() -> None:
    """A first death costs no pause; a worker that keeps dying young costs little."""
    pauses = [_pause_s(deaths) for deaths in range(10)]
    assert pauses[:5] == [0, 0, 0.1, 0.2, 0.4]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_S
