"""The live table and its one-line form say what was seen."""

import io
from collections import Counter

import pytest
from rich.console import Console

from tests.support.aio import run
from waitroom.demo.board import BAR, Scene, draw, line
from waitroom.demo.crowd import State, Tally
from waitroom.demo.watch import Death, Room, Server, Watch, watcher


def tally(**states: int) -> Tally:
    counted = Counter({State[name]: number for name, number in states.items()})
    return Tally(counted, 0, 0, 0, None, None, 0, 0)


def seen(server: Server, room: Room | None = None) -> Watch:
    async def main() -> Watch:
        watch = watcher("http://127.0.0.1:1", None)
        await watch.client.close()
        return watch

    watch = run(main())
    watch.server, watch.room = server, room or Room()
    return watch


UP = Server(up=True, sessions=40, running=6, queued=3, workers=12, backlog=60, memory_mib=700, ram_mib=1024)


def drawn(scene: Scene) -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(draw(scene))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_everybody_is_in_the_bar() -> None:
    """The bar is as long for one student as for a thousand, and every number stands beside its word."""
    for scale in (1, 7, 1_000):
        text = drawn(Scene("x", 65, seen(UP), tally(SUBMITTED=scale, WAITING=2 * scale), 40))
        assert text.count("█") == BAR
        assert f"waiting {2 * scale}" in text
    assert "1:05" in text


def test_a_dead_server_is_called_dead() -> None:
    """Its last numbers are not shown as if they were current."""
    down = Server(up=False, sessions=0, deaths=(Death(3.0, "choked on its backlog", 71),))
    scene = Scene("x", 9, seen(down), tally(RELOADING=3), None)
    assert "DOWN" in drawn(scene)
    assert "choked on its backlog, with 71 sessions" in drawn(scene)
    assert line(scene) == "0:09 | pressing reload 3 | exam server: DOWN, deaths 1"


def test_one_line_without_a_terminal() -> None:
    """Crowd, waiting room and server in one line."""
    scene = Scene("x", 61, seen(UP, Room(waiting=7, sessions=40, limit=40)), tally(INSIDE=40, WAITING=7), 40)
    assert line(scene) == (
        "1:01 | in the exam 40, waiting 7 | waiting room: 40/40 sessions, 7 in line"
        " | exam server: 40 sessions, 3 queued, deaths 0"
    )


@pytest.mark.parametrize("load", [0.0, 0.5, 1.0, None])
def test_history_takes_any_load(load: float | None) -> None:
    """One character a look, dead or alive."""
    watch = seen(UP)
    watch.history = [load] * 200
    assert drawn(Scene("x", 1, watch, None, None)).count("✗") == (BAR if load is None else 0)
