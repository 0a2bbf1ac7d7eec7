"""`waitroom config`: settings as they are in force, and what differs between two of them.

Law: secrets are never shown. Exit code of `diff`: 0 the same, 1 different, 2 one of them cannot be had.
"""

import json
import sys
from pathlib import Path

import click

from waitroom.cli.operator import NoAnswerError, Operator, operator_options
from waitroom.cli.telling import FILE, coloured, say_what_is_wrong
from waitroom.settings.differences import Difference, differences, tree_differences
from waitroom.settings.effective import Tree, masked, tree, write
from waitroom.settings.load import Examined, examine

SAME, DIFFERENT, BAD = 0, 1, 2


@click.group()
def config() -> None:
    """Show settings as they are in force, or what differs between two files."""


@config.command(name="print", short_help="What a file says, or all that is in force.")
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


@config.command(short_help="What differs between two files, or from what runs.")
@click.argument("file", type=FILE)
@click.argument("new", type=FILE, required=False)
@click.option("--json", "as_json", is_flag=True, help="In JSON.")
@operator_options
def diff(
    file: Path,
    new: Path | None,
    *,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Tell what differs between FILE and NEW, key by key: what is in force, not how it is written.

    Without NEW: between the running service and FILE, so what a reload would change. Secrets are then not compared.

    \b
    waitroom config diff yesterday.yaml waitroom.yaml
    waitroom config diff waitroom.yaml       # the service at its listen.admin
    \b
    Exit code: 0 the same, 1 different, 2 a file is wrong or cannot be read,
    or the service does not answer.
    """
    found = _found(file).whole()
    if new is not None:
        differs = differences(found, _found(new).whole())
    else:
        differs = tree_differences(_in_force(config or file, admin, token_file, data_dir), tree(found))
    if as_json:
        click.echo(json.dumps([_fields(each) for each in differs], indent=2, ensure_ascii=False))
    else:
        for each in differs:
            click.echo(_told(each), color=coloured())
    sys.exit(DIFFERENT if differs else SAME)


def _in_force(config: Path, admin: str | None, token_file: Path | None, data_dir: Path | None) -> Tree:
    """What the running service works by; ends the command if it does not say."""
    try:
        settings: Tree = Operator.of(config, admin, token_file, data_dir).ask("GET", "/api/v1/settings")["settings"]
    except NoAnswerError as error:
        click.echo(f"waitroom: {error}", err=True)
        sys.exit(BAD)
    return settings


def _found(file: Path) -> Examined:
    """The file's settings; ends the command if they are wrong."""
    found = examine(file)
    if found.settings is None:
        say_what_is_wrong(file, found)
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
