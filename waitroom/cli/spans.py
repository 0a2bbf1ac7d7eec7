"""How an operator says for how long something is meant, and how instants are told to them.

Law: a span has its unit, as in the settings file. An instant is told in the time zone of the terminal.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from waitroom import clock
from waitroom.settings.spelling import duration
from waitroom.settings.units import BadValueError

Command = TypeVar("Command", bound=Callable[..., Any])


def for_option(*, until: str) -> Callable[[Command], Command]:
    """`--for TIME`; `until` says what holds without it."""
    text = f"Take it back after this: 20m, 2h; 7d at most.  [default: {until}]"
    return click.option("--for", "for_s", metavar="TIME", help=text, callback=_seconds, default="")


def why_option(command: Command) -> Command:
    """`--why TEXT`."""
    return click.option("--why", default="", metavar="TEXT", help="Stands in the audit and in the log.")(command)


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def clock_time(at_ms: int) -> str:
    """A time of day; with its day where that is another one."""
    at, now = (datetime.fromtimestamp(each / 1000).astimezone() for each in (at_ms, clock.now_ms()))
    return at.strftime("%H:%M:%S" if at.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def until(answer: dict[str, Any]) -> str:
    """How long what was set holds."""
    return f"until {clock_time(answer['until_ms'])}" if answer.get("until_ms") else "until it is undone"


def _seconds(_context: click.Context, _option: click.Parameter, text: str) -> int:
    if not text:
        return 0
    try:
        return int(str(duration("1s", "7d").read(text))) // 1000
    except BadValueError as error:
        raise click.UsageError(f"--for: {error.wrong}; allowed: {error.allowed}") from error
