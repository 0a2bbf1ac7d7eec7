"""`waitroom config`: settings as they are in force, and what differs between two of them.

Law: secrets are never shown. Exit code of `diff`: 0 the same, 1 different, 2 one of them is wrong or cannot be read.
"""

import json
import sys
from pathlib import Path

import click

from waitroom.cli.telling import as_text, coloured
from waitroom.settings.differences import Difference, differences
from waitroom.settings.effective import masked, tree, write
from waitroom.settings.load import Examined, examine

SAME, DIFFERENT, BAD = 0, 1, 2

FILE = click.Path(path_type=Path)


@click.group()
def config() -> None:
    """Show settings as they are in force, or what differs between two files."""


@config.command(name="print")
@click.argument("file", type=FILE)
@click.option("--effective", is_flag=True, help="With every default, each value with where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="In JSON.")
def print_(file: Path, *, effective: bool, as_json: bool) -> None:
    """Print what FILE says in its plainest spelling, or with --effective all that is in force.

    \b
    waitroom config print waitroom.yaml --effective
    waitroom config print waitroom.yaml --effective | grep -v '# default'
    Log-ins and hashes of tokens are stars.
    """
    found = _found(file)
    settings = found.whole()
    if as_json:
        click.echo(json.dumps(masked((), tree(settings, said_only=not effective)), indent=2, ensure_ascii=False))
        return
    text = write(settings, found.origin, said_only=not effective)
    if coloured():
        text = "\n".join(_dimmed(line) for line in text.splitlines()) + "\n"
    click.echo(text, nl=False)


@config.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="In JSON.")
def diff(old: Path, new: Path, *, as_json: bool) -> None:
    """Tell what differs between the settings OLD and NEW, key by key: what is in force, not how it is written.

    \b
    waitroom config diff yesterday.yaml waitroom.yaml
    Exit code: 0 the same, 1 different, 2 one of them is wrong or cannot be read.
    """
    found = differences(_found(old).whole(), _found(new).whole())
    if as_json:
        click.echo(json.dumps([_fields(each) for each in found], indent=2, ensure_ascii=False))
    else:
        for each in found:
            click.echo(_told(each), color=coloured())
    sys.exit(DIFFERENT if found else SAME)


def _found(file: Path) -> Examined:
    """The file's settings; ends the command if they are wrong."""
    found = examine(file)
    if found.settings is None:
        click.echo(as_text(file, found), err=True)
        sys.exit(BAD)
    return found


def _fields(each: Difference) -> dict[str, str]:
    return {"key": each.key, "old": each.old, "new": each.new}


def _told(each: Difference) -> str:
    return (
        f"{click.style(each.key, bold=True)}: {click.style(each.old, fg='red')} -> {click.style(each.new, fg='green')}"
    )


def _dimmed(line: str) -> str:
    """Where a value comes from is read second."""
    value, mark, source = line.rpartition("  # ")
    return f"{value}{click.style(mark + source, dim=True)}" if mark else line
