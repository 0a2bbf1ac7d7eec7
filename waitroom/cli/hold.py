"""`waitroom hold` and `waitroom open`: staff stop admissions or take a backend out for a while, and let it go on.

Law: exit code 0: it is so; 1: refused, with what is allowed; 2: the service was not reached.
"""

import json
from pathlib import Path
from urllib.parse import quote, urlencode

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.spans import for_option, json_option, until, why_option


def _path(pool: str, backend: str | None) -> str:
    part = f"/backends/{quote(backend, safe='')}" if backend else ""
    return f"/api/v1/pools/{quote(pool, safe='')}{part}/hold"


@click.command()
@click.argument("pool")
@click.option("--backend", metavar="NAME", help="Only this backend: its students wait too, with their places kept.")
@click.option("--drain", is_flag=True, help="With --backend: nobody new, and who is in finishes there.")
@for_option(until="until `waitroom open`")
@why_option
@json_option
@operator_options
def hold(
    pool: str,
    backend: str | None,
    for_s: int,
    why: str,
    *,
    drain: bool,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Let nobody enter POOL until `waitroom open`. The line stays, and whoever is in goes on.

    \b
    waitroom hold sciences --for 10m --why "database is slow"
    waitroom hold sciences --backend sci-1           # a restart: its students wait, and come back at a ramp
    waitroom hold sciences --backend sci-1 --drain   # maintenance later: no newcomers, sessions finish
    """
    if drain and not backend:
        raise click.UsageError("--drain is for a backend: name it with --backend.")
    asked = {"why": why, "drain": drain, "for_s": for_s}
    answer = Operator.of(config, admin, token_file, data_dir).call("PUT", _path(pool, backend), asked)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if backend is None:
        said = "nobody enters; whoever is in goes on"
    else:
        said = "nobody new comes; who is in finishes there" if drain else "its students wait; their places are kept"
    limit = f", {until(answer)}" if answer["until_ms"] else ""
    click.echo(f"{f'{pool}/{backend}' if backend else pool}: {said}{limit}. End it with: {answer['undo']}")


@click.command(name="open")
@click.argument("pool")
@click.option("--backend", metavar="NAME", help="The backend that was held or drained.")
@why_option
@json_option
@operator_options
def open_(
    pool: str,
    backend: str | None,
    why: str,
    *,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """End a hold: those who waited come in at the recovery ramp, not all at once."""
    query = f"?{urlencode({'why': why})}" if why else ""
    Operator.of(config, admin, token_file, data_dir).call("DELETE", _path(pool, backend) + query)
    again = f"waitroom hold {pool}{f' --backend {backend}' if backend else ''}"
    if as_json:
        click.echo(json.dumps({"pool": pool, "backend": backend, "hold": None, "why": why, "undo": again}))
        return
    where = f"{pool}/{backend}" if backend else pool
    click.echo(f"{where}: open; who waited comes in at the recovery ramp. Hold it again with: {again}")
