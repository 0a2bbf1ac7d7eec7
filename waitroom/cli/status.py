"""`waitroom status`: every pool and backend as they are now, once or for as long as somebody looks.

Law: reading changes nothing. Exit code 0 told, 1 refused, 2 the service was not reached. With --watch a service that
does not answer for a while is shown as such, and asked again.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

import click

from waitroom.cli.operator import NoAnswerError, Operator, operator_options

EVERY_S = 2.0
PIPE_COLUMNS = 100


@click.command()
@click.argument("pool", required=False)
@click.option("--watch", is_flag=True, help="Show it anew again and again, until Ctrl-C.")
@click.option("--every", type=click.FloatRange(0.5, 3_600), default=EVERY_S, metavar="SECONDS",
              help=f"With --watch: so often.  [default: {EVERY_S:g}]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="In JSON; with --watch one line each time.")
@operator_options
def status(
    pool: str | None,
    *,
    watch: bool,
    every: float,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Show all pools, or POOL: who waits in which lane, who is in, how fast, how each backend is, what staff have set.

    \b
    waitroom status
    waitroom status sciences --watch
    waitroom status --json | jq '.pools[] | {pool, waiting: .line.waiting}'
    """
    operator = Operator.of(config, admin, token_file, data_dir)
    if not watch:
        answer = _only(operator.call("GET", "/api/v1/pools"), pool, operator)
        _show(answer, as_json=as_json)
        return
    try:
        if as_json:
            for each in _again(operator, pool, every):
                click.echo(json.dumps(each, ensure_ascii=False))
        else:
            _watch(operator, pool, every)
    except KeyboardInterrupt:
        sys.exit(0)


def _only(answer: dict[str, Any], pool: str | None, operator: Operator) -> dict[str, Any]:
    """The pool that was asked for; ends the command as the API does where there is no such pool."""
    if pool is None:
        return answer
    found = [each for each in answer["pools"] if each["pool"] == pool]
    missing = [name for name in answer["missing"] if name == pool]
    if not found and not missing:
        operator.call("GET", f"/api/v1/pools/{quote(pool, safe='')}")
    return answer | {"pools": found, "missing": missing}


def _again(operator: Operator, pool: str | None, every: float) -> Iterator[dict[str, Any]]:
    pause = Event()
    while True:
        try:
            yield _only(operator.ask("GET", "/api/v1/pools"), pool, operator)
        except NoAnswerError as error:
            yield {"error": str(error)}
        pause.wait(every)


def _show(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    from rich.console import Console  # noqa: PLC0415 - `--json` does without it

    from waitroom.cli.picture import pools_shown  # noqa: PLC0415 - as above

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    with console.capture() as shown:
        console.print(pools_shown(answer, console.width))
    for line in shown.get().splitlines():
        click.echo(line.rstrip(), color=console.is_terminal)


def _watch(operator: Operator, pool: str | None, every: float) -> None:
    """On a screen of its own; what was on the terminal comes back afterwards."""
    from rich.console import Console, Group, RenderableType  # noqa: PLC0415 - as in `_show`
    from rich.live import Live  # noqa: PLC0415 - as in `_show`
    from rich.text import Text  # noqa: PLC0415 - as in `_show`

    from waitroom.cli.picture import pools_shown  # noqa: PLC0415 - as in `_show`

    console = Console(highlight=False)
    last: RenderableType = Text("")
    with Live(last, console=console, screen=console.is_terminal, auto_refresh=False, vertical_overflow="crop") as live:
        for each in _again(operator, pool, every):
            if "error" in each:
                shown: RenderableType = Group(Text(f"no answer: {each['error']}", style="bold red"), last)
            else:
                shown = last = pools_shown(each, console.width)
            live.update(shown, refresh=True)
