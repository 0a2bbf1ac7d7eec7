"""`waitroom status`: what a terminal shows of an answer, and a real service looked at once and again and again."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.samples import NOW_MS, Answer, answer, backend, pool, quiet, trouble, wait
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import START_S, Product, serving
from tests.support.student import Student, staying
from tests.support.terminal import on_terminal, watched_on_terminal
from waitroom.cli.picture import pools_shown, wait_said

BUSY = """\
waitroom 0.1.0  09:05:00

sciences  OPEN  MATH0001
  line      840 waiting (3 return, 12 priority, 825 standard), 31 absent
  last in   enters in 9m to 12m (about 09:14 to 09:17)
  inside    700 of 800
  rate      20/s; 18.2/s enter
  backend  health   sessions  in flight  req/s  fail/s      p95
  sci-1    up        350/400      40/80   25.2     0.0   180 ms
  sci-2    up        350/400      40/80   25.2     0.0   180 ms

humanities  OPEN
  line      nobody waits
  lobby     120 for HIST0042, opens 10:00
  newcomer  enters at once
  inside    3
  rate      no limit; 0/s enter
  backend  health   sessions  in flight  req/s  fail/s      p95
  hum-1    up              3          -      -       -        -
"""


@pytest.fixture(autouse=True)
def _in_liege(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Times of day are those of the terminal's zone."""
    monkeypatch.setenv("TZ", "Europe/Brussels")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(what: Answer, width: int = 80, *, colour: bool = False) -> str:
    console = Console(width=width, highlight=False, force_terminal=colour, no_color=not colour)
    with console.capture() as capture:
        console.print(pools_shown(what, width))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def test_a_busy_morning_on_one_screen() -> None:
    """Line by lane, the last in line, sessions against their limit, rate, backends; in 80 columns."""
    assert shown(answer(pool(), quiet())) == BUSY


@pytest.mark.parametrize("width", [80, 120])
def test_trouble_is_told_in_words(width: int) -> None:
    """Held by whom and why, what is set and how it is undone, who is down since when; nothing is cut off."""
    text = shown(answer(trouble(), missing=["arts"]), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for word in (
        "the store says nothing of: arts",
        "sciences HELD",
        "last in not before the hold ends",
        "undo: waitroom open sciences",
        'backends.sci-1.max_sessions 400 -> 300 by dean until 09:20 "db slow"; undo: waitroom limit sciences',
        "310/300 80/80 +14 25.2 2.5 180 ms",
        "down 2m3s",
        "draining",
        "said Nous cherchons la panne.",
    ):
        assert word in words, word


@pytest.mark.parametrize("width", [40, 50, 60, 70])
def test_a_telephone_shows_who_is_up_and_who_is_in(width: int) -> None:
    """On a narrow terminal numbers go, least important first; names of states and sessions are whole."""
    text = shown(answer(trouble()), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    table = lines[next(n for n, line in enumerate(lines) if line.startswith("  backend")) :]
    assert table[0].split()[:3] == ["backend", "health", "sessions"]
    assert "…" not in " ".join(table[:3])
    assert any("up" in line and "310/300" in line for line in table)
    assert "350/400" in text
    assert "down" in text
    assert ("p95" in text) == (width >= 56)


def test_colour_says_nothing_by_itself() -> None:
    """The same words with and without it."""
    colours = shown(answer(trouble()), colour=True)
    assert "\x1b[" in colours
    assert re.sub(r"\x1b\[[0-9;]*m", "", colours).split() == shown(answer(trouble())).split()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (wait(0, 0), "enters at once"),
        (wait(5, 40), "enters in 5s to 40s (about 09:05)"),
        (wait(540, 545), "enters in 9m (about 09:14)"),
        (wait(3_700, 7_300), "enters in 1h2m to 2h2m (about 10:06 to 11:06)"),
        (wait(None, None, "no_flow"), "nobody can tell: nobody leaves now"),
        (wait(None, None, "no_data"), "nobody can tell yet"),
    ],
)
def test_a_wait_is_a_range_or_a_reason(found: Answer, said: str) -> None:
    """Never a number that nobody knows."""
    assert wait_said(found) == said


def test_limits_are_told_where_there_are_some() -> None:
    """A backend without max_sessions shows who is in; nobody new at a drained one."""
    text = shown(answer(pool(backends=[backend("a", 5, None), backend("b", 5, 0)], sessions_limit=None)))
    assert re.search(r"a +up +5 +40/80", text)
    assert re.search(r"b +up +5/0 +40/80", text)
    assert "  inside    700\n" in text


async def _watching(product: Product, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "waitroom", "status", "--admin", product.admin, "--watch", "--every", "0.5", *words,
        cwd=product.data_dir.parent, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def test_a_running_service_is_looked_at(tmp_path: Path) -> None:
    """Once, as JSON, one pool, a pool that is not there; and again and again, through an outage, until Ctrl-C."""

    async def main() -> None:
        async with (
            counting_backend() as exam,
            serving(tmp_path, "--backend", exam.url, "--max-sessions", "1") as product,
            Student(product.public, "inside") as inside,
            Student(product.public, "waiting") as waiting,
        ):
            await inside.page()
            await inside.page()
            await waiting.page()
            flags = ("--admin", product.admin)
            async with staying(waiting):
                code, out, err = await product.command("status", *flags)
            assert (code, err) == (0, "")
            assert "main  OPEN" in out
            assert re.search(r"line +1 waiting \(1 standard\)", out)
            assert re.search(r"main-1 +up +1/1", out)
            code, out, _ = await product.command("status", "main", "--json", *flags)
            assert (code, [each["pool"] for each in json.loads(out)["pools"]]) == (0, ["main"])
            code, _, err = await product.command("status", "mian", *flags)
            assert (code, err) == (1, "waitroom: There is no such pool. The pools are: main.\n")
            watch = ("status", "--watch", "--every", "0.5", *flags)
            code, screen = await asyncio.to_thread(
                watched_on_terminal, *watch, cwd=product.data_dir.parent, until="main-1"
            )
            assert code == 0
            assert screen.startswith("\x1b[?1049h"), "a screen of its own"
            assert screen.rstrip().endswith("\x1b[?1049l"), "and the old one back"
            assert "Traceback" not in screen
            plain = await asyncio.to_thread(
                on_terminal, "status", *flags, cwd=product.data_dir.parent, env={"NO_COLOR": "1"}
            )
            assert "main  OPEN" in plain
            assert "\x1b" not in plain
            watching = await _watching(product, "--json")
            assert watching.stdout is not None
            first, second = [json.loads(await watching.stdout.readline()) for _ in range(2)]
            assert second["now_ms"] > first["now_ms"]
            await product.stop()
            while "error" not in (seen := json.loads(await watching.stdout.readline())):
                continue
            assert "does not answer" in seen["error"]
            watching.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(watching.wait(), START_S) == 0

    run(main())


def test_nobody_there(tmp_path: Path) -> None:
    """Exit code 2, in one line."""

    async def main() -> None:
        product = Product(None, "", f"http://127.0.0.1:{free_port()}", tmp_path / "var", tmp_path / "log")  # type: ignore[arg-type] # no process
        code, out, err = await product.command("status", "--admin", product.admin)
        assert (code, out) == (2, "")
        assert err.startswith(f"waitroom: {product.admin} does not answer")
        assert len(err.splitlines()) == 1

    run(main())


def test_the_sample_is_an_answer_of_the_api() -> None:
    """What the tests above show is what the API gives."""
    from waitroom.admin.shapes import Pools  # noqa: PLC0415 - only here

    for each in (answer(pool(), quiet()), answer(trouble(), missing=["arts"])):
        assert Pools.model_validate(each).now_ms == NOW_MS
