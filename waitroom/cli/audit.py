"""`waitroom audit`: who changed what while it ran, when, why, from what to what.

Law: exit code 0: told; 1: refused; 2: the service was not reached. The latest stands last, where the eye is.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.spans import clock_time, json_option


@click.command()
@click.argument("pool", required=False)
@click.option("--last", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many entries.")
@json_option
@operator_options
def audit(
    pool: str | None, last: int, *, as_json: bool, config: Path | None, admin: str | None, token_file: Path | None
) -> None:
    """Show the last changes, of POOL or of all pools."""
    query = urlencode({"limit": last} | ({"pool": pool} if pool else {}))
    answer = Operator.of(config, admin, token_file).call("GET", f"/api/v1/audit?{query}")
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if not answer["entries"]:
        click.echo("Nothing has been changed.")
        return
    from rich.console import Console  # noqa: PLC0415 - `--json` does without it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("when", "who", "what", "pool", "changes", "why"):
        table.add_column(name, overflow="fold")
    for entry in reversed(answer["entries"]):
        table.add_row(*(Text(cell) for cell in _cells(entry)))
    Console(highlight=False).print(table)


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    what = f"{entry['what']} {entry['target']}".rstrip()
    changes = [f"{each['key']} {each['old'] or 'none'} -> {each['new'] or 'none'}" for each in entry["changes"]]
    until = f" until {clock_time(entry['until_ms'])}" if entry["until_ms"] else ""
    return (
        clock_time(entry["at_ms"]),
        entry["who"] or "-",
        what,
        entry["pool"] or "all",
        "\n".join(changes) + until,
        entry["why"],
    )
