"""`waitroom limit`: more or fewer at a time, faster or slower, while it runs; and as in the file again.

Law: exit code 0: it is so; 1: refused, with what is allowed; 2: the service was not reached. With --dry-run nothing is
changed.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.spans import for_option, json_option, until, why_option

FILE = "file"
"""The word for "as in the file again"."""

HOLD = " To let nobody in: waitroom hold."


@click.command()
@click.argument("pool")
@click.option("--backend", metavar="NAME", help="Only this backend.  [default: --max-sessions is for each of the pool]")
@click.option("--max-sessions", metavar="N", help="Most sessions of a backend; file: as in the file again.")
@click.option("--rate", metavar="RATE", help="Most admissions of the pool: 10/s, 90/min; file: as in the file again.")
@for_option(until="until --undo")
@why_option
@click.option("--undo", is_flag=True, help="All limits of the pool, or of the backend, are the file's again.")
@click.option("--dry-run", is_flag=True, help="Say what it would do to those who wait, and do nothing.")
@json_option
@operator_options
def limit(
    pool: str,
    backend: str | None,
    max_sessions: str | None,
    rate: str | None,
    *,
    for_s: int,
    why: str,
    undo: bool,
    dry_run: bool,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Set limits of POOL over the file's, on all workers and machines within 2 s. Nobody who is in is thrown out.

    \b
    waitroom limit sciences --max-sessions 300 --rate 10/s --for 20m --why "db slow"
    waitroom limit sciences --backend sci-1 --max-sessions 500 --dry-run
    waitroom limit sciences --undo
    """
    asked = _asked(backend, max_sessions, rate)
    if undo == bool(asked):
        raise click.UsageError("Either limits (--max-sessions, --rate) or --undo.")
    if backend and max_sessions is None and not undo:
        raise click.UsageError("--backend goes with --max-sessions: the rate is the pool's.")
    operator, path = Operator.of(config, admin, token_file, data_dir), f"/api/v1/pools/{quote(pool, safe='')}"
    if undo and dry_run:
        asked = _undoing(operator, path, backend)
    if dry_run:
        answer = operator.call("POST", f"{path}/preview", asked) if asked else _nothing_set(pool)
    elif undo:
        query = urlencode({name: value for name, value in (("backend", backend), ("why", why)) if value})
        answer = operator.call("DELETE", f"{path}/limits{f'?{query}' if query else ''}")
    else:
        answer = operator.call("PATCH", path, asked | {"for_s": for_s, "why": why})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for line in _told(pool, answer, dry_run=dry_run):
        click.echo(line)


def _asked(backend: str | None, max_sessions: str | None, rate: str | None) -> dict[str, Any]:
    """The body of a change."""
    found: dict[str, Any] = {}
    if max_sessions is not None:
        if max_sessions != FILE and not (max_sessions.isdecimal() and int(max_sessions)):
            raise click.UsageError(f"--max-sessions {max_sessions}: a whole number from 1, or file.{HOLD}")
        found["max_sessions"] = None if max_sessions == FILE else int(max_sessions)
    if rate is not None:
        found["rate"] = None if rate == FILE else rate
    if backend and found:
        found["backend"] = backend
    return found


def _undoing(operator: Operator, path: str, backend: str | None) -> dict[str, Any]:
    """What --undo would set, for a preview of it."""
    seen = operator.call("GET", path)
    found: dict[str, Any] = {}
    if any(each["sessions"]["set"] for each in seen["backends"] if backend in (None, each["backend"])):
        found["max_sessions"] = None
    if backend is None and seen["rate"]["set"]:
        found["rate"] = None
    return found | ({"backend": backend} if backend and found else {})


def _nothing_set(pool: str) -> dict[str, Any]:
    return {"pool": pool, "changes": [], "text": ""}


def _told(pool: str, answer: dict[str, Any], *, dry_run: bool) -> list[str]:
    """What has changed, what that does, and the way back."""
    ordered = sorted(answer["changes"], key=lambda each: str(each["key"]))
    changes = [f"{each['key']} {each['old'] or 'none'} -> {each['new'] or 'none'}" for each in ordered]
    if not changes:
        return [f"{pool}: nothing is set over the file's limits."]
    if dry_run:
        return [f"{pool}: {', '.join(changes)}: not done (--dry-run).", answer["text"]]
    if answer["undo"] is None:
        return [f"{pool}: {', '.join(changes)}: as in the file again."]
    return [f"{pool}: {', '.join(changes)} {until(answer)}.", f"Undo it with: {answer['undo']}"]
