"""`waitroom check`: every problem of a settings file at once, or that there is none.

Law: exit code 0 clean, 1 problems, 2 cannot read. It opens nothing but the file and those that
`pages` names, and changes nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from waitroom.server.inspection import inspect
from waitroom.settings.load import load
from waitroom.settings.model import Settings
from waitroom.settings.problems import BadSettingsError, UnreadableSettingsError
from waitroom.settings.schema import json_schema

CLEAN, PROBLEMS, UNREADABLE = 0, 1, 2


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file, for editors, and stop.")
def check(file: Path | None, *, as_json: bool, schema: bool) -> None:
    """Check a settings FILE: list every problem as file:line:column: key: what is wrong.

    \b
    Exit code: 0 no problem, 1 problems, 2 the file cannot be read.
    Completion in an editor: waitroom check --schema > waitroom.schema.json, and in the file's first line
    # yaml-language-server: $schema=waitroom.schema.json
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if file is None:
        raise click.UsageError("Which file? For example: waitroom check waitroom.yaml")
    try:
        settings = load(file, inspect=inspect)
    except BadSettingsError as error:
        click.echo(_bad_json(file, error) if as_json else _bad_text(file, error))
        sys.exit(UNREADABLE if isinstance(error, UnreadableSettingsError) else PROBLEMS)
    click.echo(_good_json(file, settings) if as_json else _good_text(file, settings))


def _good_text(file: Path, settings: Settings) -> str:
    counts = ", ".join(f"{number} {noun if number != 1 else noun[:-1]}" for noun, number in _counts(settings).items())
    return "\n".join([f"{file}: OK: {counts}", *(f"{file}: notice: {notice}" for notice in settings.not_yet())])


def _bad_text(file: Path, error: BadSettingsError) -> str:
    if isinstance(error, UnreadableSettingsError):
        return str(error)
    number = len(error.problems)
    return f"{error}\n{file}: {number} problem{'s' if number != 1 else ''}"


def _good_json(file: Path, settings: Settings) -> str:
    return _json(
        {"file": str(file), "ok": True, "problems": [], "notices": list(settings.not_yet()), **_counts(settings)}
    )


def _bad_json(file: Path, error: BadSettingsError) -> str:
    problems = [
        {
            "line": problem.line or None,
            "column": problem.col or None,
            "key": problem.key if problem.line else None,
            "wrong": problem.wrong,
            "allowed": problem.allowed or None,
            "suggestion": problem.suggestion or None,
            "message": str(problem),
        }
        for problem in error.problems
    ]
    readable = not isinstance(error, UnreadableSettingsError)
    return _json({"file": str(file), "ok": False, "readable": readable, "problems": problems, "notices": []})


def _counts(settings: Settings) -> dict[str, int]:
    backends = sum(len(pool.backends) for pool in settings.pools.values())
    return {"pools": len(settings.pools), "backends": backends, "exams": len(settings.exams)}


def _json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, indent=2, ensure_ascii=False)
