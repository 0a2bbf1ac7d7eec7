"""`waitroom demo` from the command line, with real processes, from start to an empty stage."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import _children, until  # what /proc says of any process
from waitroom.demo.stage import Places, StageError, settings_text
from waitroom.settings.load import load

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0


def port_base() -> int:
    """Four free ports in a row."""
    while True:
        base = free_port()
        try:
            for port in range(base, base + 4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return base


async def demo(tmp_path: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "waitroom", "demo", *flags, "--port-base", str(port_base()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )  # fmt: skip


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def under_way(process: asyncio.subprocess.Process) -> None:
    """Wait for the first line about the play; if it ended before that, say what it complained of."""
    assert process.stdout is not None
    while b" | exam server: " not in (line := await asyncio.wait_for(process.stdout.readline(), WITHIN_S)):
        assert line, await ended(process)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    said, complained = await asyncio.wait_for(process.communicate(), WITHIN_S)
    return process.returncode, said.decode(), complained.decode()


def test_a_crowd_gets_through_the_waiting_room(tmp_path: Path) -> None:
    """20 students, seven at a time: all submit, the server never has an eighth session, nothing is left behind."""

    async def main() -> dict[str, Any]:
        flags = ("--students", "20", "--max-sessions", "7", "--speed", "400", "--json")
        code, said, complained = await ended(await demo(tmp_path, *flags))
        assert (code, complained) == (0, "")
        facts: dict[str, Any] = json.loads(said)
        return facts

    facts = run(main())
    assert facts["students"]["submitted"] == 20
    assert (facts["errors"], facts["deaths"]) == (0, 0)
    assert 0 < facts["most_sessions"] <= 7
    assert facts["most_waiting"] > 0
    assert list(tmp_path.iterdir()) == []


def test_plain_lines_without_a_terminal(tmp_path: Path) -> None:
    """Piped into a file, it says where to go and ends with how it went; without the waiting room too."""

    async def main() -> str:
        flags = ("--students", "3", "--without", "--speed", "1000")
        code, said, complained = await ended(await demo(tmp_path, *flags))
        assert (code, complained) == (0, "")
        return said

    said = run(main())
    assert "\x1b" not in said
    assert "All 3 students submitted" in said
    assert re.search(r"^\d+:\d\d \| (coming|in the exam|submitted) [1-3]", said, re.MULTILINE), said


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGHUP])
def test_any_goodbye_clears_the_stage(tmp_path: Path, name: signal.Signals) -> None:
    """Ctrl-C or a closed terminal: children end, the folder goes, exit code 0 since nobody was sent."""

    async def main() -> int | None:
        process = await demo(tmp_path)
        await under_way(process)
        children = _children(process.pid)
        assert len(children) == 2
        process.send_signal(name)
        code, _, complained = await ended(process)
        assert complained == ""

        async def gone() -> bool:
            return not any(_lives(pid) for pid in children)

        await until(gone, what="the end of the children")
        return code

    assert run(main()) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_ends_the_play(tmp_path: Path) -> None:
    """If the waiting room itself is killed, the demonstration says so, ends the rest and exits with 2."""

    async def main() -> tuple[int | None, str, str]:
        process = await demo(tmp_path)
        await under_way(process)
        os.kill(_children(process.pid)[1], signal.SIGKILL)
        return await ended(process)

    code, _, complained = run(main())
    assert code == 2
    assert complained.startswith("waitroom demo: waitroom serve ended by itself with -9")
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """Two demonstrations on one machine: the second one names the port and the option, and starts nothing."""

    async def main() -> tuple[int | None, str, str]:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            flags = ("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
            return await ended(await demo(tmp_path, *flags))

    code, _, complained = run(main())
    assert code == 2
    assert "address already in use. Choose others with --listen and --port-base" in complained


@pytest.mark.parametrize("listen", ["8080", "localhost", ":80", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:0"])
def test_a_bad_address_is_said(listen: str) -> None:
    """Before anything is started."""
    with pytest.raises(StageError, match="no HOST:PORT"):
        _ = Places.of(listen, 8080).public_url


def test_its_settings_are_right(tmp_path: Path) -> None:
    """The file it writes has no problem."""
    file = tmp_path / "waitroom.yaml"
    file.write_text(settings_text("http://127.0.0.1:8081", 40), encoding="utf-8")
    settings = load(file)
    assert list(settings.exams) == ["MATH0001", "PHYS0002", "HIST0101"]
