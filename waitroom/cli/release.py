"""`waitroom release`: a student's session ends, or their place in line is given up.

Law: exit code 0: it has; 1: refused, with what is allowed; 2: the service was not reached. It cannot be undone, so it
is asked about first at a terminal.
"""

import json
import sys
from pathlib import Path
from urllib.parse import quote

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.spans import json_option, why_option


@click.command()
@click.argument("code")
@click.option("--pool", help="The pool where they are.  [default: every pool is looked through]")
@why_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@operator_options
def release(
    code: str,
    pool: str | None,
    why: str,
    *,
    yes: bool,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """End the session of the student whose page shows CODE, or their place if they wait. CODE may be a visitor's id.

    \b
    waitroom release K7QF-2M9D --why "sat down twice"
    They may come again, as newcomers behind all who wait.
    """
    operator = Operator.of(config, admin, token_file, data_dir)
    if not yes and not as_json and sys.stdin.isatty():
        click.confirm(f"End what {code} has? They come again as newcomers.", abort=True)
    where = f"?pool={quote(pool, safe='')}" if pool else ""
    answer = operator.call("POST", f"/api/v1/tickets/{quote(code, safe='')}/release{where}", {"why": why})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    what = f"session on {answer['backend']}" if answer["what"] == "session" else "place in line"
    click.echo(f"{answer['code']} in {answer['pool']}: {what} ended. It cannot be undone; they may come again.")
