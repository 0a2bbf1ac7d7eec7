"""The embedded Valkey: killed, started twice, orphaned, with a broken file; every place and session is found again."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.driver import rules
from tests.support.aio import run
from tests.support.product import START_S, until
from waitroom.admission.line import Lane, Presence, Standing, Touch, Touched
from waitroom.errors import SettingsError, StoreError
from waitroom.store.client import LineStore
from waitroom.store.embedded import EmbeddedStore, is_alive, socket_path
from waitroom.store.keys import PoolKeys


@contextlib.asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[EmbeddedStore]:
    embedded = EmbeddedStore(data_dir)
    try:
        await embedded.start()
        yield embedded
    finally:
        await embedded.stop()


@contextlib.asynccontextmanager
async def connected(embedded: EmbeddedStore) -> AsyncIterator[LineStore]:
    store = LineStore(embedded.url, {"p": PoolKeys(("b1",))})
    assert await store.start(START_S)
    await store.write_rules("p", rules(2))
    try:
        yield store
    finally:
        await store.close()


def ask(store: LineStore, presence: Presence) -> "asyncio.Future[Standing | StoreError]":
    future = asyncio.get_running_loop().create_future()
    store.present("p", presence, future.set_result)
    return future


async def again(store: LineStore, told: Standing) -> Standing:
    """Poll until the store answers again."""

    async def answered() -> Standing | None:
        answer = await ask(store, Presence(told.visitor, arrival_us=told.arrival_us, confirmed=True))
        return answer if isinstance(answer, Standing) else None

    found = await until(answered, what="the store's answer")
    assert found is not None
    return found


async def fill(store: LineStore) -> list[Standing]:
    """Two inside, three confirmed in line."""
    told = await asyncio.gather(*[ask(store, Presence(f"v{n}")) for n in range(5)])
    found = [one for one in told if isinstance(one, Standing)]
    assert len(found) == 5
    return [*found[:2], *[await again(store, one) for one in found[2:]]]


def test_kill_9_loses_no_place_and_no_session(tmp_path: Path) -> None:
    """Restarted from its file by itself; everybody stands where they stood."""

    async def main() -> None:
        async with running(tmp_path) as embedded, connected(embedded) as store:
            told = await fill(store)
            for _ in range(2):
                pid = embedded.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                back = [await again(store, one) for one in told]
                assert [one.ahead for one in back[2:]] == [0, 1, 2]
                assert [(one.backend, one.admitted_ms) for one in back[:2]] == [
                    (one.backend, one.admitted_ms) for one in told[:2]
                ]
            assert embedded.restarts == 2
            assert (await store.snapshot("p")).waiting[Lane.STANDARD] == 3

    run(main())


def test_a_clean_stop_keeps_everything(tmp_path: Path) -> None:
    """Stopped and started again the next minute, with another process and the same line."""

    async def main() -> None:
        async with running(tmp_path) as embedded, connected(embedded) as store:
            told = await fill(store)
        assert embedded.pid is None
        async with running(tmp_path) as embedded, connected(embedded) as store:
            assert [(await again(store, one)).ahead for one in told[2:]] == [0, 1, 2]
            assert (await store.snapshot("p")).sessions == {"b1": 2}

    run(main())


def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """A crash in the middle of a write costs that write, no more."""

    async def main() -> None:
        async with running(tmp_path) as embedded, connected(embedded) as store:
            told = await fill(store)
        (tail,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        tail.write_bytes(tail.read_bytes()[:-7])
        async with running(tmp_path) as embedded, connected(embedded) as store:
            assert [(await again(store, one)).ahead for one in told[2:]] == [0, 1, 2]

    run(main())


def put_aside(folder: Path) -> list[Path]:
    return list(folder.glob("appendonlydir.broken-*"))


def test_a_file_that_nobody_can_read_is_put_aside(tmp_path: Path) -> None:
    """The exam begins all the same: passes and tickets rebuild what was in it (law 9)."""

    async def main() -> None:
        async with running(tmp_path) as embedded, connected(embedded) as store:
            told = await fill(store)
        (tail,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        data = tail.read_bytes()
        tail.write_bytes(data[:-900] + b"\0" * 50 + data[-850:])
        async with running(tmp_path) as embedded, connected(embedded) as store:
            assert put_aside(tmp_path)
            future: asyncio.Future[Touched | StoreError] = asyncio.get_running_loop().create_future()
            store.check("p", Touch("v0", "b1", told[0].admitted_ms), future.set_result)
            answer = await future
            assert isinstance(answer, Touched)
            assert answer.life == "live"
            assert [(await again(store, one)).ahead for one in told[2:]] == [0, 1, 2]

    run(main())


def test_a_second_start_on_one_folder_says_who_has_it(tmp_path: Path) -> None:
    """Two products on one folder would be two lines in one file."""

    async def main() -> None:
        async with running(tmp_path):
            with pytest.raises(SettingsError, match=f"in use by process {os.getpid()}"):
                await EmbeddedStore(tmp_path).start()

    run(main())


ORPHAN = """
import asyncio, os, sys
from pathlib import Path
from waitroom.store.embedded import EmbeddedStore
async def main():
    embedded = EmbeddedStore(Path(sys.argv[1]))
    await embedded.start()
    print(embedded.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_a_killed_supervisor_leaves_no_server_behind(tmp_path: Path) -> None:
    """The kernel ends the server with its parent; the next start waits for that and finds the folder free."""
    with subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        supervisor.kill()
        supervisor.wait()

    async def main() -> None:
        async with running(tmp_path) as embedded, connected(embedded) as store:
            assert (await fill(store))[4].ahead == 2
            assert not is_alive(pid)

    run(main())


def test_only_its_user_may_talk_to_it(tmp_path: Path) -> None:
    """A socket of mode 0600, no port, files that others cannot read."""

    async def main() -> None:
        async with running(tmp_path / "new") as embedded:
            assert stat.S_IMODE(socket_path(embedded.data_dir).stat().st_mode) == 0o600
            assert stat.S_IMODE(embedded.data_dir.stat().st_mode) == 0o700
            assert stat.S_IMODE((embedded.data_dir / "store.log").stat().st_mode) & 0o077 == 0

    run(main())


def test_a_folder_with_a_long_name_works_too(tmp_path: Path) -> None:
    """The kernel takes 107 bytes for a socket's path; then it lies elsewhere, always at the same place."""
    deep = tmp_path / ("d" * 90) / "x"

    async def main() -> None:
        async with running(deep) as embedded, connected(embedded) as store:
            assert len(embedded.url) < 110
            assert (await store.snapshot("p")).sessions == {"b1": 0}
            assert socket_path(deep.resolve()) == socket_path(deep.resolve())

    run(main())


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """An operator's mistake reads like one."""
    (tmp_path / "file").write_text("")

    async def main() -> None:
        with pytest.raises(SettingsError, match="file/var cannot be used"):
            await EmbeddedStore(tmp_path / "file" / "var").start()

    run(main())
