"""`waitroom check`: every problem of a settings file at once, or that there is none.

Law: exit code 0 clean (warnings are allowed unless --strict), 1 problems, 2 cannot read. It opens nothing but the file
and those that it names, and changes nothing.
"""

import json
import sys
from pathlib import Path
from typing import Literal

import click

from waitroom.cli.telling import FILE, as_github, as_json, as_text, coloured, columns
from waitroom.server.inspection import inspect
from waitroom.settings.load import examine
from waitroom.settings.schema import json_schema

CLEAN, PROBLEMS, UNREADABLE = 0, 1, 2

Format = Literal["text", "json", "github"]


@click.command()
@click.argument("file", required=False, type=FILE)
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to answer.",
    show_default=True,
)  # fmt: skip
@click.option("--json", "as_json_", is_flag=True, help="The same as --format json.")
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file, for editors, and stop.")
def check(file: Path | None, *, form: Format, as_json_: bool, strict: bool, schema: bool) -> None:
    """Check a settings FILE: all that is wrong in it, and what works but is probably not meant.

    \b
    waitroom check waitroom.yaml
    waitroom check --strict --format github FILE     # warnings fail a workflow too
    waitroom check --schema > waitroom.schema.json   # for editors; first line then:
    # yaml-language-server: $schema=waitroom.schema.json
    \b
    Exit code: 0 no problem, 1 problems (with --strict also warnings),
    2 the file cannot be read.
    """
    if schema:
        click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if file is None:
        raise click.UsageError("Which file? For example: waitroom check waitroom.yaml")
    found = examine(file, inspect=inspect)
    match "json" if as_json_ else form:
        case "json":
            click.echo(as_json(file, found))
        case "github":
            click.echo(as_github(file, found), nl=bool(found.problems or found.warnings))
        case _:
            click.echo(as_text(file, found, terminal=sys.stdout.isatty(), width=columns()), color=coloured())
    if not found.readable:
        sys.exit(UNREADABLE)
    sys.exit(PROBLEMS if found.problems or (strict and found.warnings) else CLEAN)
