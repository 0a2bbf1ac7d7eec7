"""How a look at settings is told: to a person, to a program, to GitHub.

Law: the first line of each complaint is `file:line:col: key: ...` and stands alone in a pipe, so that editors and grep
find it; on a terminal it is laid out for reading. Colour only there, and not where NO_COLOR is set.
"""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from waitroom.cli.excerpts import Excerpt, excerpt
from waitroom.settings.load import Examined
from waitroom.settings.model import Settings
from waitroom.settings.problems import Problem

PIPE_COLUMNS = 100
"""Width of an excerpt where there is no terminal."""

MAX_COLUMNS = 120
"""Longer lines are not easier to read."""


FILE = click.Path(path_type=Path, readable=False)
"""A file that a command is given. Whether it can be read is said by us, not by click as a misuse of the command."""


def coloured(stream: TextIO | None = None) -> bool:
    """Whether a stream (None: stdout) may be coloured (no-color.org)."""
    return (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO | None = None) -> int:
    """Of the terminal, or of a pipe."""
    return min(shutil.get_terminal_size().columns, MAX_COLUMNS) if (stream or sys.stdout).isatty() else PIPE_COLUMNS


def printable(text: str) -> str:
    """The text without anything that a terminal obeys."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def say_what_is_wrong(file: Path | None, found: Examined) -> None:
    """On stderr, for commands that cannot go on with such settings."""
    text = as_text(file, found, terminal=sys.stderr.isatty(), width=columns(sys.stderr))
    click.echo(text, err=True, color=coloured(sys.stderr))


def as_text(file: Path | str | None, found: Examined, *, terminal: bool = False, width: int = PIPE_COLUMNS) -> str:
    """Every complaint with its line, and what it comes to; with the escapes of colour, which `click.echo` can drop."""
    if not found.readable:
        return str(found.problems[0])
    ours = found.origin.source
    shown = [
        _shown(each, excerpt(each, found.text, width - 8) if each.source == ours else None, width if terminal else 0)
        for each in _all(found)
    ]
    apart = "\n\n" if terminal else "\n"
    said = [_total(file, found)] if file is not None else []
    return apart.join(["\n".join(lines) for lines in shown] + said)


def as_json(file: Path, found: Examined) -> str:
    """The same for a program."""
    settings = found.settings
    answer = {
        "file": str(file),
        "ok": settings is not None,
        "readable": found.readable,
        "problems": [_fields(each) for each in found.problems],
        "warnings": [_fields(each) for each in found.warnings],
        **(_counts(settings) if settings else {}),
    }
    return json.dumps(answer, indent=2, ensure_ascii=False)


def as_github(file: Path, found: Examined) -> str:
    """Workflow commands, which GitHub shows beside the lines of the file."""
    return "\n".join(_annotation(file, each) for each in _all(found))


def _all(found: Examined) -> list[Problem]:
    """Problems and warnings in the order of the file."""
    both = [*found.problems, *found.warnings]
    return sorted(both, key=lambda each: (each.source if each.line else "", each.line, each.col))


def _shown(problem: Problem, where: Excerpt | None, width: int) -> Iterator[str]:
    colour = "yellow" if problem.warning else "red"
    if not width:
        yield str(problem)
    else:
        place = click.style(problem.place, bold=True)
        yield f"{place}{click.style(problem.what, fg=colour, bold=True)}"
    gutter = " " * 5
    if where is not None:
        meant = f" did you mean {problem.suggestion}?" if problem.suggestion and width else ""
        yield f"{click.style(f'{where.number:>5} |', fg='blue')} {where.line}".rstrip()
        carets = click.style(f"{'^' * where.span}{meant}", fg=colour, bold=True)
        yield f"{click.style(f'{gutter} |', fg='blue')} {' ' * where.at}{carets}"
    elif width and problem.suggestion:
        yield f"{gutter} did you mean {problem.suggestion}?"
    if width and problem.allowed:
        yield from textwrap.wrap(
            f"{problem.word}: {problem.allowed}",
            width - 1,
            initial_indent=f"{gutter} = ",
            subsequent_indent=f"{gutter}   {' ' * (len(problem.word) + 2)}",
            break_on_hyphens=False,
        )


def _total(file: Path | str, found: Examined) -> str:
    settings = found.settings
    warned = _number(len(found.warnings), "warning") if found.warnings else ""
    if settings is None:
        counts = ", ".join(filter(None, [_number(len(found.problems), "problem"), warned]))
        return f"{file}: {click.style(counts, fg='red', bold=True)}"
    held = ", ".join(_number(number, noun[:-1]) for noun, number in _counts(settings).items())
    after = f"; {click.style(warned, fg='yellow', bold=True)}" if warned else ""
    return f"{file}: {click.style('OK', fg='green', bold=True)}: {held}{after}"


def _fields(problem: Problem) -> dict[str, Any]:
    return {
        "severity": "warning" if problem.warning else "problem",
        "file": problem.source or None,
        "line": problem.line or None,
        "column": problem.col or None,
        "key": problem.key if problem.line else None,
        "wrong": problem.wrong,
        "allowed": problem.allowed or None,
        "suggestion": problem.suggestion or None,
        "message": str(problem),
    }


def _annotation(file: Path, problem: Problem) -> str:
    """A workflow command; its values are escaped as actions/toolkit does (command.ts)."""
    where = {"file": problem.source or str(file)}
    if problem.line:
        where |= {"line": str(problem.line), "col": str(problem.col), "title": problem.key}
    stated = ",".join(f"{name}={_escaped(value, ',:')}" for name, value in where.items() if value)
    said = str(problem).removeprefix(problem.place).removeprefix("warning: ")
    return f"::{'warning' if problem.warning else 'error'} {stated}::{_escaped(said)}"


def _escaped(value: str, more: str = "") -> str:
    for char in f"%\r\n{more}":
        value = value.replace(char, f"%{ord(char):02X}")
    return value


def _counts(settings: Settings) -> dict[str, int]:
    backends = sum(len(pool.backends) for pool in settings.pools.values())
    return {"pools": len(settings.pools), "backends": backends, "exams": len(settings.exams)}


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
