"""The `waitroom` command: finds the command that was named and loads nothing else.

Law: a command's module is imported when it is used, so that `waitroom check` in a pre-commit hook does not wait for a
web server.
"""

from importlib import import_module
from importlib.metadata import version

import click

COMMANDS = {
    "serve": "Run the waiting room in front of a web server.",
    "check": "List every problem of a settings file.",
    "limit": "More or fewer at a time, faster or slower, while it runs.",
    "hold": "Let nobody enter a pool, or take a backend out for a while.",
    "open": "End a hold.",
    "announce": "Say something on the pages of everyone who waits.",
    "release": "End a student's session, or give up their place.",
    "audit": "Show who changed what, when and why.",
    "waits": "Write how long everyone waited for an exam, as CSV.",
    "ticket": "Look a student up by their code, move them, check the record of a wait or a draw.",
    "demo": "Show what it does: a server that collapses, the waiting room, a crowd.",
}
"""Name and one line of help. The command `x` is the function `x` in `waitroom/cli/x.py`, but for `ELSEWHERE`."""

ELSEWHERE = {"open": ("hold", "open_")}
"""Module and function of a command whose name is taken in Python, or that shares a module."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, function = ELSEWHERE.get(cmd_name, (cmd_name, cmd_name))
        command = getattr(import_module(f"waitroom.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("waitroom"), message="waitroom %(version)s")
def main() -> None:
    """A waiting room in front of an exam server."""
