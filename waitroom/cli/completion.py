"""`waitroom completion`: a shell's script that completes commands, options and their values.

Law: it goes to stdout and nowhere else; where it belongs is the operator's to say.
"""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_WAITROOM_COMPLETE"
"""By which click is asked for completions; from the program's name, as click makes it."""

_ZSH_FIRST = '    _waitroom_completion "$@"'
_ZSH_LATER = "    compdef _waitroom_completion waitroom"
"""Click's script for zsh completes once as a file of `fpath`, and at the second Tab only registers itself."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of SHELL.

    \b
    waitroom completion bash > /etc/bash_completion.d/waitroom    # bash 4.4
    waitroom completion zsh  > "${fpath[1]}/_waitroom"
    waitroom completion fish > ~/.config/fish/completions/waitroom.fish
    eval "$(waitroom completion bash)"                            # only here
    """
    from waitroom.cli.main import main  # noqa: PLC0415 - main names this command

    maker = get_completion_class(shell)
    assert maker is not None
    click.echo(_source(maker(main, {}, "waitroom", VARIABLE)))


def _source(maker: click.shell_completion.ShellComplete) -> str:
    """The script itself; click's own way asks this machine's bash for its version, and another may use the script."""
    script = maker.source_template % maker.source_vars()
    return script.replace(_ZSH_FIRST, f"{_ZSH_LATER}\n{_ZSH_FIRST}") if maker.name == "zsh" else script
