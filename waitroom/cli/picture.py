"""Pools as a terminal shows them: what `waitroom status` says, made of the API's answer.

Law: pure. Every state has a word, so that nothing is said by colour alone; what staff have set stands with the command
that undoes it. It fits 80 columns whole, and fewer without the numbers that say least.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from waitroom.settings.advice import about

Pool = dict[str, Any]

GOOD, BUSY, BAD, QUIET = "green", "yellow", "red", "dim"
STATES = {"open": GOOD, "held": BUSY, "closed": BUSY, "down": BAD}
PHASES = {"up": GOOD, "recovering": BUSY, "easing": BUSY, "down": BAD}
UNKNOWN = {
    "held": "not before the hold ends",
    "no_flow": "nobody can tell: nobody leaves now",
    "no_data": "nobody can tell yet",
}
FULL, NEARLY = 1.0, 0.9
NUMBERS = {"sessions": 9, "in flight": 9, "req/s": 5, "fail/s": 6, "p95": 7}
"""Columns that may not be cut, with the width of the numbers that an exam brings."""

NARROWER = ((76, "req/s"), (66, "fail/s"), (56, "p95"), (46, "in flight"))
"""In fewer columns than these, this number goes: health and sessions stay whole on a telephone."""

COLUMNS = 80

LANES = ("return", "priority", "standard")


def pools_shown(answer: dict[str, Any], columns: int = COLUMNS) -> RenderableType:
    """All pools, worst news first on each of them. `columns`: how wide the terminal is."""
    at = _clock(answer["now_ms"], "%H:%M:%S")
    head = Text.assemble(("waitroom ", "bold"), answer["version"], (f"  {at}", QUIET))
    parts: list[RenderableType] = [head]
    if answer["missing"]:
        parts.append(Text(f"the store says nothing of: {', '.join(answer['missing'])}", style=BAD))
    for pool in answer["pools"]:
        parts += [Text(""), *_pool(pool, columns)]
    return Group(*parts)


def _pool(pool: Pool, columns: int) -> Iterator[RenderableType]:
    title = Text.assemble((pool["pool"], "bold"), "  ", (pool["state"].upper(), f"bold {STATES[pool['state']]}"))
    if pool["exams"]:
        title.append(f"  {', '.join(pool['exams'][:4])}{' ...' if len(pool['exams']) > 4 else ''}", style=QUIET)
    title.truncate(min(columns, COLUMNS) - 2, overflow="ellipsis")
    yield title
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style=QUIET, width=8)
    facts.add_column()
    for name, text in _facts(pool):
        facts.add_row(name, text)
    yield Padding(facts, (0, 0, 0, 2))
    yield Padding(_backends(pool, columns), (0, 0, 0, 2))


def _facts(pool: Pool) -> Iterator[tuple[str, Text | str]]:
    line = pool["line"]
    yield "line", _line(line)
    for lobby in line["lobby"]:
        opens = f", opens {_moment(lobby['opens_ms'], pool['now_ms'])}" if lobby["opens_ms"] else ""
        yield "lobby", f"{lobby['tickets']} for {lobby['exam']}{opens}"
    yield ("last in", wait_said(line["last"])) if line["waiting"] else ("newcomer", wait_said(line["newcomer"]))
    most = pool["sessions_limit"]
    yield "inside", f"{pool['sessions']}{'' if most is None else f' of {most}'}"
    yield "rate", _rate(pool["rate"])
    if pool["hold_set"] is not None:
        yield "held", Text(_how(pool["hold_set"], pool["now_ms"]), style=BUSY)
    for each in pool["drift"]:
        if not each["key"].endswith(".hold"):
            key = each["key"].removeprefix(f"{pool['pool']}.")
            said = f"{key} {each['file'] or 'none'} -> {each['in_force'] or 'none'} {_how(each['set'], pool['now_ms'])}"
            yield "set", Text(said, style=BUSY)
    for each in pool["announcements"]:
        text = next(iter(each["text"].values()), "").partition("\n")[0]
        yield "said", f"{each['exam'] + ': ' if each['exam'] else ''}{text}"


def _line(line: dict[str, Any]) -> Text:
    lanes = ", ".join(f"{line['lanes'][lane]} {lane}" for lane in LANES if line["lanes"][lane])
    waiting = Text(f"{line['waiting']} waiting" if line["waiting"] else "nobody waits", style="bold")
    waiting.append(f" ({lanes})" if lanes else "", style="not bold")
    waiting.append(f", {line['absent']} absent" if line["absent"] else "", style="not bold dim")
    return waiting


def wait_said(wait: dict[str, Any]) -> str:
    """A wait from now, as a range of spans and of times of day; or why nobody can say."""
    if wait["unknown"] is not None:
        return UNKNOWN.get(wait["unknown"], "nobody can tell")
    low_s, high_s = wait["low_s"], wait["high_s"]
    if not high_s:
        return "enters at once"
    low, high = (about(_rounded(each) * 1_000) for each in (low_s, high_s))
    span = f"in {low} to {high}" if low != high else f"in {high}"
    clocks = [_clock(wait[key], "%H:%M") for key in ("low_at_ms", "high_at_ms")]
    return f"enters {span} (about {' to '.join(dict.fromkeys(clocks))})"


def _rounded(seconds: int) -> int:
    """To what a range is worth: seconds up to two minutes, then minutes."""
    return seconds if seconds < 120 else round(seconds / 60) * 60


def _rate(rate: dict[str, Any]) -> str:
    allowed = _per_s(rate["allowed_per_s"])
    below = f" of {_per_s(rate['ceiling_per_s'])}" if rate["allowed_per_s"] != rate["ceiling_per_s"] else ""
    return f"{allowed}{below}{', adaptive' if rate['adaptive'] else ''}; {rate['admitted_per_s']:.3g}/s enter"


def _per_s(value: float | None) -> str:
    return "no limit" if value is None else f"{value:g}/s"


def _backends(pool: Pool, columns: int) -> Table:
    gone = {name for least, name in NARROWER if columns < least}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("backend", no_wrap=True, max_width=18)
    table.add_column("health")
    for name, least in NUMBERS.items():
        if name not in gone:
            table.add_column(name, justify="right", no_wrap=True, min_width=least)
    for each in pool["backends"]:
        cells = dict(zip(("backend", "health", *NUMBERS), _backend(each, pool["now_ms"]), strict=True))
        table.add_row(*(cell for name, cell in cells.items() if name not in gone))
    return table


def _backend(each: dict[str, Any], now_ms: int) -> Iterator[Text | str]:
    yield each["backend"]
    yield _health(each, now_ms)
    yield _used(each["sessions"])
    load = each["load"]
    if load is None:
        yield from ("-",) * 4
        return
    yield _inflight(load)
    yield f"{load['requests_per_s']:.1f}"
    yield Text(f"{load['failed_per_s']:.1f}", style=BAD if load["failed_per_s"] else "")
    yield f"{load['p95_ms']} ms" if load["p95_ms"] is not None else "-"


def _health(each: dict[str, Any], now_ms: int) -> Text:
    phase = each["phase"]
    found = Text(phase, style=PHASES[phase])
    if phase != "up" and each["phase_since_ms"]:
        found.append(f" {about(max(0, now_ms - each['phase_since_ms']) // 1_000 * 1_000)}", style=QUIET)
    if each["hold"]:
        found = Text(each["hold"], style=BUSY) if phase == "up" else found.append(f", {each['hold']}", style=BUSY)
    if each["returning"]:
        found.append(f", {each['returning']} return", style=BUSY)
    return found


def _used(sessions: dict[str, Any]) -> Text:
    live, limit = sessions["live"], sessions["limit"]
    if limit is None:
        return Text(str(live))
    part = live / limit if limit else FULL
    style = BAD if live > limit else BUSY if part >= NEARLY else ""
    return Text(f"{live}/{limit}", style=style)


def _inflight(load: dict[str, Any]) -> Text:
    limit = f"/{load['inflight_limit']}" if load["inflight_limit"] else ""
    queued = f" +{load['inflight_waiting']}" if load["inflight_waiting"] else ""
    return Text(f"{load['inflight']}{limit}{queued}", style=BUSY if queued else "")


def _how(found: dict[str, Any], now_ms: int) -> str:
    """Who set it, until when, why, and the way back."""
    until = f" until {_moment(found['until_ms'], now_ms)}" if found["until_ms"] else ""
    why = f' "{found["why"]}"' if found["why"] else ""
    return f"by {found['who']}{until}{why}; undo: {found['undo']}"


def _moment(at_ms: int, now_ms: int) -> str:
    """A time of day, with its day where that is another one."""
    same = _clock(at_ms, "%Y-%m-%d") == _clock(now_ms, "%Y-%m-%d")
    return _clock(at_ms, "%H:%M" if same else "%Y-%m-%d %H:%M")


def _clock(at_ms: int, form: str) -> str:
    """In the time zone of the terminal."""
    return datetime.fromtimestamp(at_ms / 1_000).astimezone().strftime(form)
