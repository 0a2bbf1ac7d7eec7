"""Tab in real shells: bash, zsh and fish on a terminal, with the script that `waitroom completion` prints for each.

Law: keys are typed as a person types them, and what the shell then runs is what it completed.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select

import pytest

from tests.cli.test_commands import waitroom

ROOT = Path(__file__).parents[2]
TAB, ENTER = "\t", "\r"
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?>=]*[ -/]*[@-~]|\][^\a\x1b]*(?:\a|\x1b\\)|[()][A-Z0-9]|[=>78])")
ASKS = r"> \s*$"
"""A prompt with nothing behind it."""

PATIENCE_S = 120.0

SHELLS = {
    "bash": ("bash", "--noprofile", "--rcfile", "rc", "-i"),
    "zsh": ("zsh", "-i"),
    "fish": ("fish", "--interactive"),
}
STARTS = {
    "bash": ("rc", "bind 'set show-all-if-ambiguous on'; PS1='> '; . ./script"),
    "zsh": (".zshrc", "fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -d $PWD/dump; PS1='> '"),
    "fish": (".config/fish/config.fish", "function fish_prompt; echo -n '> '; end; function fish_greeting; end"),
}
PLACES = {"bash": "script", "zsh": "functions/_waitroom", "fish": ".config/fish/completions/waitroom.fish"}
"""Where the help of `waitroom completion` says that each script goes, seen from a home."""

PROGRAM = """\
#!/bin/sh
[ -n "$_WAITROOM_COMPLETE" ] && exec {python} -m waitroom "$@"
for word; do printf '%s\\n' "$word"; done > typed.new
mv typed.new typed
"""
"""Completes as the product does, and notes what it is run with."""


class Terminal:
    """A shell on a terminal, and what it has written so far."""

    def __init__(self, keys: int, folder: Path) -> None:
        self._keys = keys
        self._typed = folder / "typed"
        self.written = ""

    def type(self, keys: str) -> None:
        """Press these keys once the shell asks for some; what was on the screen before is forgotten."""
        self.shows(ASKS)
        self.written = ""
        os.write(self._keys, keys.encode())

    def shows(self, pattern: str) -> str:
        """Wait until this is on the screen, without its colours; gives all that is there."""
        return self._until(lambda: self.written if re.search(pattern, self.written) else "", pattern)

    def ran(self) -> list[str]:
        """Wait until the program has been run; gives the words it was given."""
        text = self._until(lambda: self._typed.read_text() if self._typed.exists() else "", "a run of the program")
        self._typed.unlink()
        return text.splitlines()

    def _until(self, look: Callable[[], str], what: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what} did not come; the screen says: {self.written!r}"
            if select([self._keys], [], [], 0.05)[0]:
                self._read()
        return found

    def _read(self) -> None:
        raw = os.read(self._keys, 65_536).decode("utf-8", "replace")
        if "\x1b[c" in raw or "\x1b[0c" in raw:
            os.write(self._keys, b"\x1b[?1;2c")  # who are you? a VT100; later versions of fish wait for that
        self.written += ESCAPES.sub("", raw)


@contextmanager
def shell(name: str, folder: Path) -> Iterator[Terminal]:
    """An interactive shell whose home is the folder, with the completion where it belongs."""
    assert shutil.which(name), f"{name} is not on this machine: bash .ci/system {name}"
    program, (start, commands) = folder / "waitroom", STARTS[name]
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    for file, text in ((start, commands), (PLACES[name], waitroom("completion", name, cwd=folder).stdout)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"{text}\n")
    environment = {
        "HOME": str(folder), "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TERM": "xterm",
        "COLUMNS": "120", "LINES": "40", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    ours, theirs = pty.openpty()
    command = ("setsid", "--ctty", *SHELLS[name])  # the terminal is the shell's own, as it is a person's
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield Terminal(ours, folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


@pytest.mark.parametrize("name", list(SHELLS))
def test_tab_completes(name: str, tmp_path: Path) -> None:
    """Commands, commands of commands, options, the values of a choice and files, by their first letters; each time."""
    (tmp_path / "settings.yaml").write_text("")
    with shell(name, tmp_path) as terminal:
        for typed, meant in (
            ("lim", ["limit"]),
            ("config pri", ["config", "print"]),
            ("config print --eff", ["config", "print", "--effective"]),
            ("check --form", ["check", "--format"]),
            ("check --format gi", ["check", "--format", "github"]),
            ("status --wat", ["status", "--watch"]),
            ("check sett", ["check", "settings.yaml"]),
        ):
            terminal.type(f"waitroom {typed}{TAB}{ENTER}")
            assert terminal.ran() == meant


@pytest.mark.parametrize("name", list(SHELLS))
def test_tab_shows_what_there_is(name: str, tmp_path: Path) -> None:
    """All commands; where the shell can show that, what each is for."""
    with shell(name, tmp_path) as terminal:
        terminal.type(f"waitroom {TAB}{TAB}")
        screen = terminal.shows(r"(?s)serve.*waits.*hold.*ticket" if name == "bash" else r"Let nobody enter a pool")
        assert "Traceback" not in screen
