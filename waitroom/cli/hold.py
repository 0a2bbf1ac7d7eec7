"""`waitroom hold` and `waitroom open`: staff stop admissions or take a backend out for a while, and let it go on.

Law: exit code 0: it is so; 1: refused, with what is allowed; 2: the service was not reached.
"""

import json
from pathlib import Path
from urllib.parse import quote

import click

from waitroom.cli.operator import Operator, operator_options


def _path(pool: str, backend: str | None) -> str:
    part = f"/backends/{quote(backend, safe='')}" if backend else ""
    return f"/api/v1/pools/{quote(pool, safe='')}{part}/hold"


@click.command()
@click.argument("pool")
@click.option("--backend", metavar="NAME", help="Only this backend: its students wait too, with their places kept.")
@click.option("--drain", is_flag=True, help="With --backend: nobody new, and who is in finishes there.")
@click.option("--why", default="", metavar="TEXT", help="Stands in the log.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@operator_options
def hold(
    pool: str,
    backend: str | None,
    *,
    drain: bool,
    why: str,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
) -> None:
    """Let nobody enter POOL until `waitroom open`. The line stays, and whoever is in goes on.

    \b
    waitroom hold sciences --why "database is slow"
    waitroom hold sciences --backend sci-1           # a restart: its students wait, and come back at a ramp
    waitroom hold sciences --backend sci-1 --drain   # maintenance later: no newcomers, sessions finish
    """
    if drain and not backend:
        raise click.UsageError("--drain is for a backend: name it with --backend.")
    answer = Operator.of(config, admin, token_file).call("PUT", _path(pool, backend), {"why": why, "drain": drain})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if backend is None:
        said = "nobody enters; whoever is in goes on"
    else:
        said = "nobody new comes; who is in finishes there" if drain else "its students wait; their places are kept"
    click.echo(f"{f'{pool}/{backend}' if backend else pool}: {said}. End it with: waitroom open {pool}{_flag(backend)}")


@click.command(name="open")
@click.argument("pool")
@click.option("--backend", metavar="NAME", help="The backend that was held or drained.")
@operator_options
def open_(pool: str, backend: str | None, *, config: Path | None, admin: str | None, token_file: Path | None) -> None:
    """End a hold: those who waited come in at the recovery ramp, not all at once."""
    Operator.of(config, admin, token_file).call("DELETE", _path(pool, backend))
    click.echo(f"{f'{pool}/{backend}' if backend else pool}: open; who waited comes in at the recovery ramp.")


def _flag(backend: str | None) -> str:
    return f" --backend {backend}" if backend else ""
