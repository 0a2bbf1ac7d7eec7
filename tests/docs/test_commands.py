"""Every command that README and the docs show is run, beside a real service; what cannot be run says why."""

import shlex
from pathlib import Path

import click
import pytest

from tests.docs.blocks import OTHER, SHELL, Block, blocks, spans
from tests.docs.morning import CODE, ROOT, Morning, morning
from tests.support.aio import run
from waitroom.cli.main import main

FILES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FALSE = (
    Block(Path("a.md"), 1, "sh", "waitroom limit sciences --rate 1000/s\n", ""),
    Block(Path("a.md"), 1, "sh", "waitroom audit | grep nothing\n", ""),
    Block(Path("a.md"), 1, "console", "$ waitroom open sciences\nsciences: nothing happened\n", ""),
)
"""Each is wrong in one thing: it is refused, it ends with another code, it prints something else."""


def test_every_block_says_what_it_is() -> None:
    """A block of another language, or of none, would be a command that nobody runs."""
    found = [each for file in FILES for each in blocks(file)]
    assert [each.place for each in found if each.language not in SHELL + OTHER] == []
    assert len([each for each in found if each.language in SHELL and not each.not_run]) > 10


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends as the page says, with code 0 unless said otherwise, and prints what is shown."""
    monkeypatch.chdir(tmp_path)
    shown = [each for file in FILES for each in blocks(file) if each.language in SHELL and not each.not_run]

    async def all_of_them() -> list[str]:
        async with morning(tmp_path) as service:
            monkeypatch.setenv("WAITROOM_ADMIN", service.admin)
            assert [len(await _faults(service, false)) for false in FALSE] == [1, 1, 1]
            return [fault for block in shown for fault in await _faults(service, block)]

    assert run(all_of_them()) == []


async def _faults(service: Morning, block: Block) -> list[str]:
    """What did not go as the block says."""
    found = []
    for command, printed in block.commands():
        ended = await service.run(await service.meant(command))
        if ended.code != block.code:
            found.append(f"{block.place}: {command}: code {ended.code}\n{ended.out[-500:]}{ended.err[-1_500:]}")
        elif printed is not None and printed != ended.out:
            found.append(f"{block.place}: {command}: prints\n{ended.out}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_commands_in_sentences_exist(file: Path) -> None:
    """Each span that begins with `waitroom` names a command and options that there are."""
    wrong = [f"{file.name}:{line}: {said}: {found}" for line, said in spans(file) if (found := fault(said))]
    assert wrong == []


def fault(said: str) -> str:
    """What is wrong with a command in a sentence."""
    words = shlex.split(said.partition(" | ")[0])
    command: click.Command = main
    for at, word in enumerate(words[1:], start=1):
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        if found is None:
            if at > 1 and (word in {"CODE", CODE} or word.startswith("--")):
                break
            choices = word.split("|")
            found = command.get_command(click.Context(command), choices[0]) if len(choices) > 1 else None
        if found is None:
            return f"no command {word}"
        command = found
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "--version"}
    return next((f"no option {word}" for word in words if word.startswith("--") and word not in options), "")
