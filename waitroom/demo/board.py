"""The live table of the demonstration, and its one-line form where there is no terminal.

Law: a drawing of what `Watch` and `Tally` say, nothing else. Every colour has a word beside it.
"""

from dataclasses import dataclass

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from waitroom.demo.crowd import State, Tally
from waitroom.demo.watch import Room, Server, Watch

STYLES: dict[State, str] = {
    State.SUBMITTED: "green",
    State.INSIDE: "blue",
    State.WAITING: "yellow",
    State.RELOADING: "magenta",
    State.FAILED: "red",
    State.COMING: "bright_black",
}
WIDTH = 77
"""Fits into 80 columns, with room for the ^C that a terminal echoes behind it."""

BAR = 58
"""Characters of the crowd's bar and of the history."""

GAUGE = 16
_HEIGHTS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be drawn."""

    title: str
    seconds: float
    watch: Watch
    tally: Tally | None
    max_sessions: int | None
    """None without a waiting room."""


def draw(scene: Scene) -> RenderableType:
    """The whole board."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True, min_width=12)
    grid.add_column()
    if scene.tally is not None:
        grid.add_row("Students", _crowd_bar(scene.tally))
        grid.add_row("", _legend(scene.tally))
        grid.add_row()
    if scene.max_sessions is not None:
        grid.add_row("Waiting room", _room(scene.watch.room))
        grid.add_row()
    grid.add_row("Exam server", _server(scene.watch.server))
    grid.add_row("", _memory(scene.watch.server))
    grid.add_row("", _pace(scene.watch.server))
    grid.add_row("load", _history(scene.watch.history))
    if scene.watch.server.deaths:
        grid.add_row("deaths", _deaths(scene.watch.server))
    return Panel(
        grid,
        title=f"[bold]{scene.title}[/]",
        subtitle=_clock(scene.seconds),
        title_align="left",
        subtitle_align="right",
        padding=(1, 1),
        width=WIDTH,
    )


def line(scene: Scene) -> str:
    """The same in one line."""
    server, room = scene.watch.server, scene.watch.room
    parts = [_clock(scene.seconds)]
    if scene.tally is not None:
        parts.append(", ".join(f"{state} {scene.tally.states[state]}" for state in STYLES if scene.tally.states[state]))
    if scene.max_sessions is not None:
        parts.append(f"waiting room: {room.sessions}/{room.limit} sessions, {room.waiting} in line")
    state = f"{server.sessions} sessions, {server.queued} queued" if server.up else "DOWN"
    parts.append(f"exam server: {state}, deaths {len(server.deaths)}")
    return " | ".join(parts)


def _crowd_bar(tally: Tally) -> Text:
    """One character for each equal part of the crowd; rounding never hides anybody's fate at the ends."""
    total, drawn, counted, bar = max(1, tally.states.total()), 0, 0, Text()
    for state, style in STYLES.items():
        counted += tally.states[state]
        upto = round(counted / total * BAR)
        bar.append("█" * (upto - drawn), style)
        drawn = upto
    return bar


def _legend(tally: Tally) -> Text:
    """Two lines of three: it fits into 80 columns."""
    legend = Text()
    for index, (state, style) in enumerate(STYLES.items()):
        legend.append("\n" if index == 3 else "   " if index else "")
        legend.append("■ ", style)
        legend.append(f"{state} ")
        legend.append(f"{tally.states[state]}", "bold" if tally.states[state] else "dim")
    return legend


def _room(room: Room) -> Text:
    text = _gauge(room.sessions / room.limit if room.limit else 0.0, "blue")
    text.append(f" {room.sessions} of {room.limit} places, ")
    text.append(f"{room.waiting} in line", "yellow" if room.waiting else "")
    text.append(f", {room.admitted} let in")
    return text


def _server(server: Server) -> Text:
    if not server.up:
        text = Text("▚▚▚ DOWN ▚▚▚", "bold white on red")
        text.append("  restarting", "red")
        return text
    text = _gauge(server.load, _alarm(server.load))
    text.append(f" {server.running} of {server.workers} workers, backlog {server.queued} of {server.backlog}")
    return text


def _memory(server: Server) -> Text:
    share = server.memory_mib / server.ram_mib if server.up else 0.0
    text = _gauge(min(1.0, share), _alarm(share))
    text.append(f" memory {server.memory_mib if server.up else 0} of {server.ram_mib} MiB")
    return text


def _pace(server: Server) -> Text:
    text = Text(f"{server.sessions} sessions")
    if server.up:
        text.append(f", answers {server.slowness:.1f} times slower", "red" if server.slowness >= 4 else "")
    return text


def _history(history: list[float | None]) -> Text:
    text = Text()
    for load in history[-BAR:]:
        if load is None:
            text.append("✗", "bold red")
        else:
            text.append(_HEIGHTS[min(len(_HEIGHTS) - 1, int(load * len(_HEIGHTS)))], _alarm(load))
    return text


def _deaths(server: Server) -> Text:
    last = server.deaths[-1]
    text = Text(f"{len(server.deaths)}", "bold red")
    text.append(f"   the last one: {last.cause}, with {last.sessions} sessions")
    return text


def _gauge(share: float, style: str) -> Text:
    filled = round(min(1.0, share) * GAUGE)
    text = Text("━" * filled, style)
    text.append("━" * (GAUGE - filled), "bright_black")
    return text


def _alarm(share: float) -> str:
    return "green" if share < 0.6 else "yellow" if share < 0.95 else "red"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
