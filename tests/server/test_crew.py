"""A slot always has a worker: one that hangs is replaced, and a start that cannot succeed says why."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.product import until
from waitroom.metrics.layout import Layout
from waitroom.metrics.totals import Totals
from waitroom.server import crew as crew_module
from waitroom.server import member as member_module
from waitroom.server.crew import LONGEST_PAUSE_S, START_TRIES, Crew, StartError, _pause_s
from waitroom.server.orders import Orders, labels_of
from waitroom.server.sockets import open_doors
from waitroom.settings.load import Flags, load
from waitroom.settings.model import PublicListen
from waitroom.settings.secrets import Key, Secrets
from waitroom.store.embedded import EmbeddedStore


@contextlib.asynccontextmanager
async def crew_of_one(tmp_path: Path) -> AsyncIterator[Crew]:
    """A crew with one slot and a store of its own, not started; ended with the block."""
    store = EmbeddedStore(tmp_path)
    await store.start()
    settings = load(None, Flags(backend="http://127.0.0.1:9", max_sessions=1, store=store.url))
    layout = Layout()
    layout.extend(labels_of(settings))
    orders = Orders(settings, Secrets((Key("k1", b"k" * 32),)), layout)
    doors = open_doors([PublicListen.model_validate("127.0.0.1:0")], 1)
    crew = Crew(doors, Totals(layout), lambda: (1, orders))
    try:
        yield crew
    finally:
        await crew.end()
        doors.close()
        await store.stop()


def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that answers no ping is killed, and another takes its slot."""
    monkeypatch.setattr(crew_module, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(crew_module, "PING_WITHIN_S", 0.5)

    async def main() -> None:
        async with crew_of_one(tmp_path) as crew:
            await crew.start()
            (first,) = crew.accepting
            os.kill(first.pid, signal.SIGSTOP)
            await asyncio.wait_for(first.dead.wait(), 20)

            async def another() -> bool:
                return [member for member in crew.accepting if member is not first] != []

            await until(another, what="another worker")
            assert crew.restarts == 1

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
