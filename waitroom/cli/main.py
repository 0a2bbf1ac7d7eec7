"""The `waitroom` command: finds the command that was named and loads nothing else.

Law: a command's module is imported when it is used, so that `waitroom check` in a pre-commit hook does not wait for a
web server, and Tab in a shell for none of them.
"""

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version

import click
from click.shell_completion import CompletionItem

COMMANDS = {
    "serve": "Run the waiting room in front of a web server.",
    "demo": "Show what it does: a server that collapses, the waiting room, a crowd.",
    "check": "List every problem of a settings file, and what is probably not meant.",
    "doctor": "Look at machine, store and backends before an exam does.",
    "config": "Show settings as they are in force, or what differs between two files.",
    "status": "Show every pool and backend: who waits, who is in, how fast.",
    "limit": "More or fewer at a time, faster or slower, while it runs.",
    "hold": "Let nobody enter a pool, or take a backend out for a while.",
    "open": "End a hold.",
    "announce": "Say something on the pages of everyone who waits.",
    "release": "End a student's session, or give up their place.",
    "audit": "Show who changed what, when and why.",
    "waits": "Write how long everyone waited for an exam, as CSV.",
    "ticket": "Look a student up by their code, move them, check the record of a wait or a draw.",
    "completion": "Print what makes Tab complete commands and options in a shell.",
}
"""Name and one line of help. The command `x` is the function `x` in `waitroom/cli/x.py`, but for `ELSEWHERE`."""

ELSEWHERE = {"open": ("hold", "open_")}
"""Module and function of a command whose name is taken in Python, or that shares a module."""

SECTIONS = {
    "Run it": ("serve", "demo"),
    "Before an exam": ("check", "doctor", "config"),
    "During an exam": ("status", "limit", "hold", "open", "announce", "ticket", "release"),
    "Afterwards": ("waits", "audit"),
}
"""Headings of the help; what stands in none comes under the last, "More"."""

EXAMPLES = """\
waitroom demo --students 200          # what it does, in two minutes
waitroom serve --backend http://10.0.0.11 --max-sessions 400
waitroom check waitroom.yaml && waitroom doctor waitroom.yaml
waitroom status --watch
waitroom limit sciences --rate 10/s --for 20m --why "database is slow"
"""


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was typed, or the one that was probably meant in the complaint."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = get_close_matches(args[0].lower(), COMMANDS, n=1)
            ctx.fail(f"There is no command {args[0]}." + (f" Did you mean {meant[0]}?" if meant else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands by their names, without importing any; then the options."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands by when they are needed, without importing any."""
        del ctx
        named = {name for names in SECTIONS.values() for name in names}
        more = tuple(name for name in COMMANDS if name not in named)
        width = max(map(len, COMMANDS))
        for heading, names in (SECTIONS | {"More": more}).items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), COMMANDS[name]) for name in names])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples as they are typed."""
        del ctx
        with formatter.section("Examples"):
            for line in EXAMPLES.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("waitroom"), message="waitroom %(version)s")
def main() -> None:
    """A waiting room in front of an exam server. Each command has a --help with examples."""
