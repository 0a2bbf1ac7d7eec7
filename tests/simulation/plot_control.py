"""Pictures of the control laws: the adaptive rate, the limit of requests in flight, and the ramp after an outage.

Law: what is drawn is what the tests of the same mornings measure (test_control.py, test_comeback.py), and every number
in a text is counted from the morning that is drawn.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.simulation.backends import Shape
from tests.simulation.comeback import KILLED_MS, Morning
from tests.simulation.control import BEST_PER_S, CROWDS, morning, p95_ms, per_s, rush, uncontrolled
from tests.simulation.plot_liege import BLUE, GREEN, INK, MUTED, PAPER, RED
from tests.store.driver import Server
from waitroom.demo.model import Capacity

ORANGE = "#d98324"
SEED = 1
WORKERS = 2
SETTLED_S = 1_500
RUSHED_S = 900
CROWD = 1_400
RETURN_S = 300
BLINK_MS = 1_000
SERVER = Capacity(cores=8, workers=40, backlog=80, ram_mib=32_768, swap_mib=1_024)
"""That of test_comeback.py: it carries them all once they are in, but not their signing in at once."""

NAMES = {
    Shape.CPU: "CPU: two cores that all share",
    Shape.POOL: "Pool: five workers and a backlog",
    Shape.LOCKS: "Locks: a database that chokes",
    Shape.MEMORY: "Memory: dies of too many sessions",
}


def draw(folder: Path) -> list[Path]:
    """One picture for each law."""
    return [
        _rates(folder / "control-rate.png"),
        _limits(folder / "control-limit.png"),
        _returns(folder / "control-return.png"),
    ]


def _rates(path: Path) -> Path:
    """Four servers of unknown capacity, each with a crowd of several times that."""
    title, under = (
        "The admission rate finds what a server carries",
        "A crowd comes within a minute; nobody has said how many may be in. The rate moves between 1/min and 20/s.",
    )
    return _sheet(path, title, under, lambda shape, axes: _rate(axes, shape))


def _rate(axes: Axes, shape: Shape) -> None:
    seen, wild = morning(shape, SEED), uncontrolled(shape, SEED)
    minutes = [second.at_s / 60 for second in seen.history]
    axes.fill_between(minutes, [second.sessions for second in seen.history], color=BLUE, linewidth=0)
    axes.set_ylim(0, max(second.sessions for second in seen.history) * 1.3)
    rates = _beside(axes, "newcomers/s", ORANGE)
    rates.plot(minutes, _smooth([second.rate_milli / 1_000 for second in seen.history], 60), color=ORANGE, linewidth=2)
    rates.set_ylim(0, max(_smooth([second.rate_milli / 1_000 for second in seen.history], 60)) * 1.5)
    axes.set_ylabel("sessions", color=MUTED)
    _clock(axes, minutes)
    failed = sum(second.traffic.failed for second in seen.history)
    deaths = len(seen.backend.deaths)
    wild_s = p95_ms(wild, 120) / 1_000
    _heading(
        axes,
        f"{NAMES[shape]}, {CROWDS[shape]:,} students",
        f"{_times(deaths, 'death')}, {_times(failed, 'failed request')}, 95 of 100 answers within "
        f"{p95_ms(seen, SETTLED_S) / 1_000:.1f} s",
        f"without: a third of them, {_times(len(wild.backend.deaths), 'death')} in four minutes, "
        f"95 of 100 answers within {wild_s:.0f} s",
    )


def _limits(path: Path) -> Path:
    """More students than the server carries, all in; two workers find how many requests it may have at a time."""
    title, under = (
        "The limit of requests in flight finds where most gets done",
        "Two workers, which learn from answer times alone; more students are in than the server carries.",
    )
    return _sheet(path, title, under, lambda shape, axes: _limit(axes, shape))


def _limit(axes: Axes, shape: Shape) -> None:
    seen = rush(shape, SEED, WORKERS)
    minutes = [second.at_s / 60 for second in seen.history]
    done = [100 * second.traffic.answered / BEST_PER_S[shape] for second in seen.history]
    axes.fill_between(minutes, _smooth(done, 20), color=GREEN, alpha=0.55, linewidth=0)
    axes.axhline(100, color=INK, linewidth=1, linestyle=(0, (4, 4)))
    axes.set_ylim(0, 150)
    axes.set_yticks([0, 50, 100])
    axes.set_ylabel("% of the most it can do", color=MUTED)
    limits = [sum(second.limits) for second in seen.history]
    beside = _beside(axes, "requests in flight, at most", ORANGE)
    beside.plot(minutes, _smooth(limits, 20), color=ORANGE, linewidth=2)
    beside.set_ylim(0, max(_smooth(limits, 20)) * 1.6)
    beside.yaxis.get_major_locator().set_params(integer=True)
    _clock(axes, minutes)
    share = 100 * per_s(seen, RUSHED_S) / BEST_PER_S[shape]
    settled = limits[RUSHED_S:]
    _heading(
        axes,
        NAMES[shape],
        f"{_times(len(seen.backend.deaths), 'death')}; in the last five minutes {share:.0f} % of the most it can do, "
        f"with {min(settled)} to {max(settled)} at a time",
    )


def _returns(path: Path) -> Path:
    """A server that died, and its crowd: straight back, and through the ramp; after a long outage and a short one."""
    server = Server()
    try:
        days = [
            [Morning(server, CROWD, SERVER, SEED, paced=paced).run(RETURN_S * 1_000) for paced in (False, True)],
            [
                Morning(server, CROWD, SERVER, SEED, paced=paced).blink(RETURN_S * 1_000, BLINK_MS)
                for paced in (False, True)
            ],
        ]
    finally:
        server.stop()
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.color": INK}):
        figure, rows = plt.subplots(2, 2, figsize=(15, 8.8), facecolor=PAPER)
        _frame(
            figure,
            "A server that has died is not killed again by those who want back",
            f"{CROWD:,} students who all reload. The ramp grows while the server is well, and halves when it is not.",
        )
        names = (
            f"dead of their start, restarted in {SERVER.restart_ms / 1_000:.0f} s",
            f"killed at work, back within {BLINK_MS / 1_000:.0f} s",
        )
        for row, name, (straight, paced) in zip(rows, names, days, strict=True):
            _return(row[0], straight, name, "Straight back")
            _return(row[1], paced, name, "Through the waiting room")
        figure.savefig(path, dpi=150)
        plt.close(figure)
    return path


def _return(axes: Axes, day: Morning, name: str, way: str) -> None:
    seen = [*day.seen, *([day.back] * (RETURN_S - len(day.seen)))][:RETURN_S]
    axes.stackplot(
        range(RETURN_S),
        [seen, [CROWD - back for back in seen]],
        colors=(GREEN, BLUE if day.paced else RED),
        linewidth=0,
    )
    axes.set_ylim(0, CROWD)
    axes.set_xlim(0, RETURN_S)
    axes.set_yticks([0, CROWD])
    axes.set_xticks(range(60, RETURN_S + 1, 60), [f"{second // 60} min" for second in range(60, RETURN_S + 1, 60)])
    axes.set_ylabel("students at work", color=MUTED, labelpad=-14)
    _bare(axes)
    deaths_s = [died.at_ms / 1_000 for died in day.machine.deaths if died.at_ms <= RETURN_S * 1_000]
    for death_s in deaths_s:
        axes.plot([death_s] * 2, [CROWD, CROWD * 1.045], color=INK, linewidth=2, clip_on=False)
    white = {"color": "white", "fontsize": 13, "weight": "bold", "va": "center"}
    if day.paced:
        axes.text(RETURN_S * 0.08, CROWD * 0.87, "on the waiting page, place kept", **white)
        axes.text(RETURN_S * 0.80, CROWD * 0.09, "at work", **white)
        beside = _beside(axes, "back per second", INK)
        begins = [at_ms / 1_000 for at_ms, _ in day.rates]
        rates = [rate / 1_000 for _, rate in day.rates]
        end_s = day._now_ms / 1_000
        beside.step([*begins, end_s], [*rates, rates[-1]], where="post", color=INK, linewidth=1.8)
        beside.set_ylim(0, max(rates) * 1.4)
        begun_s = deaths_s[0] if deaths_s else KILLED_MS / 1_000
        said = f"{_times(len(deaths_s), 'death')}; all are at work again {end_s - begun_s:.0f} s after it"
    else:
        axes.text(RETURN_S / 2, CROWD / 2, "an error page, or nothing", **white, ha="center")
        said = f"{_times(len(deaths_s), 'death')} in {RETURN_S // 60} minutes; at work in the end: {seen[-1]:,}"
    _heading(axes, f"{way}: {name}", said)


# The look


def _sheet(path: Path, title: str, under: str, panel: Callable[[Shape, Axes], None]) -> Path:
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.color": INK}):
        figure, rows = plt.subplots(2, 2, figsize=(15, 9.4), facecolor=PAPER)
        _frame(figure, title, under)
        for shape, axes in zip(Shape, [axes for row in rows for axes in row], strict=True):
            panel(shape, axes)
        figure.savefig(path, dpi=150)
        plt.close(figure)
    return path


def _frame(figure: Figure, title: str, under: str) -> None:
    figure.subplots_adjust(left=0.06, right=0.94, top=0.775, bottom=0.06, hspace=0.50, wspace=0.30)
    figure.text(0.06, 0.965, title, fontsize=23, weight="bold", va="top")
    figure.text(0.06, 0.912, under, fontsize=12.5, color=MUTED, va="top")


def _heading(axes: Axes, name: str, *lines: str) -> None:
    """What a panel shows, and what was counted in it."""
    axes.text(0, 1.075 + 0.075 * len(lines), name, transform=axes.transAxes, fontsize=13.5, weight="bold")
    for number, line in enumerate(reversed(lines)):
        axes.text(0, 1.075 + 0.075 * number, line, transform=axes.transAxes, fontsize=10.5, color=MUTED)


def _clock(axes: Axes, minutes: Sequence[float]) -> None:
    axes.set_xlim(0, minutes[-1])
    step = 5 if minutes[-1] < 30 else 15
    ticks = range(step, int(minutes[-1]) + 2, step)
    axes.set_xticks(ticks, [f"{at} min" for at in ticks])
    _bare(axes)


def _beside(axes: Axes, label: str, colour: str) -> Axes:
    """A second scale, on the right."""
    other: Axes = axes.twinx()  # type: ignore[assignment]  # matplotlib's own word for it is wider
    other.set_ylabel(label, color=colour)
    _bare(other)
    other.tick_params(axis="y", colors=colour)
    return other


def _bare(axes: Axes) -> None:
    axes.tick_params(colors=MUTED, labelsize=10, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _smooth(values: Sequence[float], over: int) -> list[float]:
    """Means of the last so many."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return [(sums[at] - sums[max(0, at - over)]) / min(at, over) for at in range(1, len(sums))]


def _times(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
