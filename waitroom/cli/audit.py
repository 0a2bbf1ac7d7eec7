"""`waitroom audit`: who changed what while it ran, when, why, from what to what.

Law: exit code 0: told; 1: refused; 2: the service was not reached. The latest stands last, where the eye is.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.spans import clock_time, json_option
from waitroom.cli.telling import coloured, printable


@click.command()
@click.argument("pool", required=False)
@click.option("--last", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many entries.")
@json_option
@operator_options
def audit(
    pool: str | None,
    last: int,
    *,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Show the last changes, of POOL or of all pools."""
    query = urlencode({"limit": last} | ({"pool": pool} if pool else {}))
    answer = Operator.of(config, admin, token_file, data_dir).call("GET", f"/api/v1/audit?{query}")
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if not answer["entries"]:
        click.echo("Nothing has been changed.")
        return
    for entry in reversed(answer["entries"]):
        for line in _lines(entry):
            click.echo(line, color=coloured())


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    """When, who, what and why; below it each change on a line of its own."""
    at = clock_time(entry["at_ms"])
    what = " ".join(filter(None, (entry["what"], entry["target"], entry["pool"] or "all pools")))
    until = f" until {clock_time(entry['until_ms'])}" if entry["until_ms"] else ""
    why = f"  {click.style(printable(entry['why']), dim=True)}" if entry["why"] else ""
    yield f"{at}  {printable(entry['who']) or '-'}  {click.style(printable(what) + until, bold=True)}{why}"
    for each in entry["changes"]:
        yield f"{'':{len(at)}}  " + printable(f"{each['key']} {each['old'] or 'none'} -> {each['new'] or 'none'}")
