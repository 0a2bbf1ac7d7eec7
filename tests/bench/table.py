"""What a run says: one table for a person, one document for a program, from the same lines."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from tests.bench.bars import Row
from tests.bench.contestants import OTHERS, OURS, YARDSTICK

VERDICTS = {True: "[green]met[/]", False: "[red]missed[/]"}


def table(rows: Sequence[Row]) -> Table:
    """What a person reads; the notes stand below, by number."""
    names = [name for name in (YARDSTICK, OURS, *OTHERS) if any(name in row.turns for row in rows)]
    drawn = Table(
        title=f"beside nginx proxy_pass, one worker each, on {os.cpu_count()} cores; ours runs on Python "
        f"{platform.python_version()} ({sys.base_prefix})", title_justify="left",
        caption="\n".join(_notes(rows)), caption_justify="left",
    )  # fmt: skip
    for heading in ("what", "unit", *names, "to nginx", "bar", ""):
        drawn.add_column(heading, justify="left" if heading in ("what", "unit", "") else "right", no_wrap=True)
    noted = 0
    for row in rows:
        noted += bool(row.note)
        numbers = [_number(row.numbers[name]) if name in row.numbers else "" for name in names]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x"
        verdict = "no room" if row.bar and not row.tried else VERDICTS.get(bool(row.good), "") if row.bar else ""
        what = f"{row.what} [dim]({noted})[/]" if row.note else row.what
        drawn.add_row(what, row.unit, *numbers, ratio, str(row.bar or ""), verdict)
    return drawn


def report(rows: Sequence[Row], rounds: int, seconds: float, neighbours: float) -> dict[str, object]:
    """What a program reads."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "prefix": sys.base_prefix,
        },
        "neighbours_cores": neighbours,
        "rounds": rounds,
        "seconds": seconds,
        "rows": [
            asdict(row)
            | {
                "numbers": row.numbers,
                "ratio": row.ratio,
                "bar": asdict(row.bar) if row.bar else None,
                "good": row.good,
            }
            for row in rows
        ],
    }


def _notes(rows: Sequence[Row]) -> list[str]:
    return [f"({at}) {note}" for at, note in enumerate((row.note for row in rows if row.note), start=1)]


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 1_000 else f"{value:,.0f}"
