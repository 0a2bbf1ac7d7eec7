"""Tab in a shell: commands and options, in a real bash, without loading a command that is not meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.test_commands import LIMIT_S, waitroom
from waitroom.cli.main import COMMANDS, SECTIONS, main

WIDEST = 110
"""Of a line of help: an example stands on one, so that it can be copied."""

ROOT = Path(__file__).parents[2]


def complete(folder: Path, *words: str) -> list[str]:
    """What bash offers behind these words."""
    program = folder / "waitroom"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m waitroom "$@"\n')
    program.chmod(0o755)
    script = waitroom("completion", "bash", cwd=folder).stdout
    typed = " ".join(f'"{word}"' for word in ("waitroom", *words))
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _waitroom_completion waitroom"
    show = 'printf "%s\\n" "${COMPREPLY[@]}"'
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}\n{show}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return done.stdout.split()


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    """By their first letters; the values of a choice too."""
    assert complete(tmp_path, "li") == ["limit"]
    assert complete(tmp_path, "check", "--fo") == ["--format"]
    assert complete(tmp_path, "check", "--format", "") == ["text", "json", "github"]
    assert complete(tmp_path, "config", "") == ["diff", "print"]


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o nosort"), ("zsh", "#compdef waitroom"), ("fish", "complete --no-files")]
)
def test_each_shell_has_its_script(shell: str, word: str, tmp_path: Path) -> None:
    """It names the program and its variable."""
    done = waitroom("completion", shell, cwd=tmp_path)
    assert done.returncode == 0
    assert word in done.stdout
    assert "_WAITROOM_COMPLETE=" in done.stdout


def test_completing_a_command_loads_none() -> None:
    """Tab does not wait for a web server."""
    code = (
        "import sys; from click.shell_completion import BashComplete; from waitroom.cli.main import main; "
        "found = BashComplete(main, {}, 'waitroom', 'X').get_completions([], ''); "
        "assert len(found) >= 15; "
        "assert not any(name.startswith('waitroom.cli.') and name != 'waitroom.cli.main' for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command_once(tmp_path: Path) -> None:
    """Under a heading that says when it is needed, with examples that begin with the program's name."""
    text = waitroom("--help", cwd=tmp_path).stdout
    for name in COMMANDS:
        assert sum(line.startswith(f"  {name} ") for line in text.splitlines()) == 1, name
    assert {name for names in SECTIONS.values() for name in names} <= set(COMMANDS)
    assert "  waitroom status --watch\n" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    """In sentences, each line of which fits, under its own name."""
    result = CliRunner().invoke(main, [name, "--help"], prog_name="waitroom")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: waitroom {name} ")
    said = result.output.split("\n\n")[1].strip()
    assert said[0].isupper()
    assert said.endswith((".", "!"))
    assert max(map(len, result.output.splitlines())) <= WIDEST
