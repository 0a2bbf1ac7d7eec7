"""`waitroom doctor`: looks at the machine, the store and the backends before an exam does.

Law: nothing is changed. Each finding is ok, a warning or a problem, with one line what it means and one line what to
do. Exit code 0 no problem, 1 problems.
"""

import asyncio
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import click

from waitroom.cli.telling import FILE, MAX_COLUMNS, coloured
from waitroom.server.doctor.finding import LEVELS, Examination, Found, Level, problem, warning
from waitroom.server.doctor.whole import examinations
from waitroom.server.inspection import inspect
from waitroom.settings.load import examine, from_mapping
from waitroom.settings.model import Settings

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
AT_ONCE = 32
"""Backends that are asked at the same time."""

LABEL = 9
ALONE = {"pools": {"main": {"backends": {"main-1": {"url": "http://backend.invalid", "max_sessions": 1}}}}}
"""Where there is no file: its machine, default ports and embedded store are looked at."""


class Progress(Protocol):
    """Somebody waits at a terminal."""

    def done(self, title: str) -> None:
        """One more part has been looked at."""


@click.command()
@click.argument("file", required=False, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def doctor(file: Path | None, *, as_json: bool) -> None:
    """Look at this machine, the store and the backends of FILE, and say what to do; without FILE at the machine alone.

    \b
    waitroom doctor waitroom.yaml            # before the exam, on each machine
    sudo -u waitroom waitroom doctor FILE    # with that user's rights and limits
    waitroom doctor FILE --json | jq '.findings[] | select(.level != "ok")'
    \b
    Exit code: 0 no problem (warnings are allowed), 1 problems.
    """
    found = [*_of_settings(file)]
    settings = examine(file).settings if file is not None else from_mapping(ALONE)
    if settings is not None:
        found += asyncio.run(_looked(settings, backends=file is not None))
    click.echo(_json(found) if as_json else _text(found), color=coloured())
    sys.exit(1 if _count(found, "problem") else 0)


def _of_settings(file: Path | None) -> Iterator[Found]:
    """What `check` would say, in short."""
    if file is None:
        return
    looked = examine(file, inspect=inspect)
    more = f"waitroom check {file}"
    if looked.problems:
        first = looked.problems[0]
        said = f"{len(looked.problems)} problem{'s' if len(looked.problems) > 1 else ''}, the first: {first}"
        yield problem("settings", said, more)
    if looked.warnings:
        count = len(looked.warnings)
        said = (
            f"{count} warning{'s' if count > 1 else ''}, the first: {looked.warnings[0].what.removeprefix('warning: ')}"
        )
        yield warning("settings", said, more)
    if looked.settings is not None and not looked.warnings:
        yield Found("ok", "settings", f"{file} is in order")


async def _looked(settings: Settings, *, backends: bool) -> list[Found]:
    """All parts at once, told in their order."""
    parts = [*examinations(settings, backends=backends)]
    gate = asyncio.Semaphore(AT_ONCE)
    with _progress(len(parts)) as progress:

        async def one(part: Examination) -> list[Found]:
            async with gate:
                found = await part.look()
            progress.done(part.title)
            return found

        return [each for found in await asyncio.gather(*map(one, parts)) for each in found]


class _Silent:
    def done(self, title: str) -> None:
        """Nobody waits."""


def _progress(total: int) -> AbstractContextManager[Progress]:
    """A bar on a terminal, which goes when all is done."""
    if not sys.stderr.isatty():
        return nullcontext(_Silent())
    from waitroom.cli.progress import Bar  # noqa: PLC0415 - a pipe does without it

    return Bar("looking at", total)


def _text(found: list[Found]) -> str:
    areas = list(dict.fromkeys(each.area for each in found))
    width = min(shutil.get_terminal_size().columns, MAX_COLUMNS) if sys.stdout.isatty() else 10_000
    lines = []
    for area in areas:
        lines.append(click.style(area, bold=True))
        for each in (each for each in found if each.area == area):
            lines += _lines(each, width)
    counts = ", ".join(_counted(found, level) for level in LEVELS if _count(found, level))
    return "\n".join([*lines, "", counts])


def _lines(each: Found, width: int) -> Iterator[str]:
    """The finding, and its remedy below."""
    label = click.style(f"{each.level:<{LABEL}}", fg=COLOURS[each.level], bold=each.level != "ok")
    indent = " " * (LABEL + 2)
    first, *rest = textwrap.wrap(each.says, max(20, width - len(indent) - 1), break_on_hyphens=False)
    yield f"  {label}{first}"
    yield from (f"{indent}{line}" for line in rest)
    if each.remedy:
        wrapped = textwrap.wrap(f"-> {each.remedy}", max(20, width - len(indent) - 1), break_on_hyphens=False)
        yield from (f"{indent}{'' if not at else '   '}{line}" for at, line in enumerate(wrapped))


def _counted(found: list[Found], level: Level) -> str:
    count = _count(found, level)
    noun = level if level == "ok" or count == 1 else f"{level}s"
    return click.style(f"{count} {noun}", fg=COLOURS[level])


def _count(found: list[Found], level: Level) -> int:
    return sum(each.level == level for each in found)


def _json(found: list[Found]) -> str:
    findings = [
        {"level": each.level, "area": each.area, "says": each.says, "remedy": each.remedy or None} for each in found
    ]
    counts = {level: _count(found, level) for level in LEVELS}
    return json.dumps({"ok": not counts["problem"], "counts": counts, "findings": findings}, indent=2)
