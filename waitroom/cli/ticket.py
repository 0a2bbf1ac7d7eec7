"""`waitroom ticket`: what staff can do with a ticket.

A code alone tells where its student is, `lane` moves them. `verify` checks the record of a wait and `draw` a number
that was drawn; for these no service need run.

Law: exit code 0 genuine, 1 not, 2 it could not be looked at (no file, no keys, no record in it). Nothing is ever made:
not even the keys of a service that has none.
"""

import json
import os
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import click

from waitroom.admission.draw import Lot
from waitroom.admission.receipts import MAX_TEXT, Doubt, Notary, Receipt
from waitroom.admission.verdicts import GENUINE, WHY, sayings, verdict
from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.show_ticket import lines
from waitroom.cli.spans import json_option, why_option
from waitroom.cli.telling import FILE
from waitroom.errors import WaitroomError
from waitroom.settings.load import load
from waitroom.settings.secrets import ENVIRONMENT, load_secrets

GENUINE_CODE, DOUBTFUL, UNREADABLE = 0, 1, 2
DEFAULT_DATA_DIR = Path("var")


class _OrCode(click.Group):
    """A group in which what is no command is a code to look up."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """`waitroom ticket K7QF-2M9D` is `waitroom ticket show K7QF-2M9D`."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_OrCode)
def ticket() -> None:
    """Look up a student by the code on their page, move them to another lane, check the record of a wait or a draw.

    \b
    waitroom ticket K7QF-2M9D
    """


@ticket.command()
@click.argument("code")
@click.option("--pool", help="The pool where they are.  [default: every pool is looked through]")
@json_option
@operator_options
def show(
    code: str,
    pool: str | None,
    *,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Where the student is whose page shows CODE: state, place, turn, lane, backend.

    Exit code: 0 told, 1 nobody has it, 2 the service was not reached.
    """
    path = f"/api/v1/tickets/{quote(code, safe='')}" + (f"?pool={quote(pool, safe='')}" if pool else "")
    answer = Operator.of(config, admin, token_file, data_dir).call("GET", path)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for name, text in lines(answer):
        click.echo(f"{name:8} {text}")


@ticket.command()
@click.argument("code")
@click.argument("lane", type=click.Choice(["priority", "standard"]))
@click.option("--pool", help="The pool where they wait.  [default: every pool is looked through]")
@why_option
@json_option
@operator_options
def lane(
    code: str,
    lane: str,
    pool: str | None,
    why: str,
    *,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Move the student whose page shows CODE to LANE; they keep their order in it.

    \b
    waitroom ticket lane K7QF-2M9D priority --why "extra time"
    Exit code: 0 moved, 1 refused, 2 the service was not reached.
    """
    path = f"/api/v1/tickets/{quote(code, safe='')}/lane" + (f"?pool={quote(pool, safe='')}" if pool else "")
    answer = Operator.of(config, admin, token_file, data_dir).call("POST", path, {"lane": lane, "why": why})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        moved = f"{answer['before']} before, {answer['lane']} now. Undo it with: {answer['undo']}"
        click.echo(f"{answer['code']} in {answer['pool']}: {moved}")


@ticket.command()
@click.argument("seed")
@click.argument("codes", metavar="CODE...", nargs=-1)
@json_option
def draw(seed: str, codes: tuple[str, ...], *, as_json: bool) -> None:
    """The numbers that the tickets of these codes drew by SEED, and its fingerprint; the smallest number first.

    \b
    The seed is at https://.../_waitroom/draw?exam=NAME once the exam has opened.
    """
    lot = Lot(0, seed.strip())
    numbers = sorted((lot.number(code.strip().upper()), code.strip().upper()) for code in codes)
    if as_json:
        said = {"fingerprint": lot.fingerprint, "numbers": {code: number for number, code in numbers}}
        click.echo(json.dumps(said, indent=2))
        return
    click.echo(f"fingerprint {lot.fingerprint}")
    for number, code in numbers:
        click.echo(f"{code} {number}")


@ticket.command()
@click.argument("receipt", required=False, default="-")
@click.option("--config", type=FILE, metavar="FILE", help="Settings file of the service.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), metavar="DIR", help="Folder with its keys.  [default: var]"
)
@json_option
def verify(receipt: str, config: Path | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Check RECEIPT: the signed line itself, a file that has it, or - for what is typed or piped in.

    \b
    Blanks, line breaks and the quotation marks of a mail do no harm.
    Exit code: 0 genuine, 1 not genuine, 2 it could not be looked at.
    """
    text = _text(receipt)
    notary = _notary(config, data_dir)
    found = notary.look(text)
    if as_json:
        click.echo(json.dumps(verdict(found), indent=2))
    else:
        _show(found)
    if isinstance(found, Receipt):
        sys.exit(GENUINE_CODE)
    sys.exit(UNREADABLE if found is Doubt.NONE_THERE else DOUBTFUL)


def _text(given: str) -> str:
    """What is to be looked at; bounded, whatever the file."""
    if given == "-":
        return sys.stdin.buffer.read(MAX_TEXT).decode(errors="replace")
    path = Path(given)
    try:
        if len(given) > 255 or not path.exists():  # a signed line, which may be too long for a name
            return given
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_TEXT)
    except (OSError, ValueError) as error:
        _give_up(f"{given}: {getattr(error, 'strerror', None) or error}")


def _notary(config: Path | None, data_dir: Path | None) -> Notary:
    try:
        file = load(config).secrets.file if config else DEFAULT_DATA_DIR / "secrets"
        file = data_dir / "secrets" if data_dir else file
        if ENVIRONMENT not in os.environ and not file.exists():
            _give_up(f"{file}: no keys there; --config or --data-dir say where the service has them")
        keys = load_secrets(file).keys
    except WaitroomError as error:
        _give_up(str(error))
    return Notary([(key.id, key.key) for key in keys])


def _show(found: Receipt | Doubt) -> None:
    if isinstance(found, Doubt):
        click.echo(WHY[found], err=True)
        return
    from rich.console import Console  # noqa: PLC0415 - `--json` and every doubt do without it
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(show_header=False, title=GENUINE, title_style="bold green", title_justify="left")
    for each in sayings(found):
        table.add_row(each.name, each.text)
    Console(highlight=False).print(table)


def _give_up(what: str) -> NoReturn:
    click.echo(f"waitroom: {what}", err=True)
    sys.exit(UNREADABLE)
