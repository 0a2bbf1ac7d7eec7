"""What is looked for in the docs is found: blocks, their marks, what cannot be true."""

from pathlib import Path

import pytest

from tests.docs.blocks import blocks, spans
from tests.docs.test_commands import fault

PAGE = """\
Words, `waitroom status` and `waitroom
limit POOL --undo`.

<!-- not run: it needs a moon -->
```sh
waitroom serve
```
<!-- exit 1: it is wrong -->
```console
$ waitroom check a.yaml
a.yaml: 1 problem
$ waitroom check b.yaml
```

- in a list

  ```sh
  # only a comment
  waitroom audit \\
    --last 3  # of all
  ```
```
who knows
```
"""


def test_blocks_and_their_marks(tmp_path: Path) -> None:
    """Language, place, mark, commands and what they print."""
    file = tmp_path / "page.md"
    file.write_text(PAGE)
    moon, wrong, listed, unknown = blocks(file)
    assert (moon.place, moon.language, moon.not_run, moon.code) == ("page.md:6", "sh", True, 0)
    assert (wrong.not_run, wrong.code) == (False, 1)
    assert [*wrong.commands()] == [
        ("waitroom check a.yaml", "a.yaml: 1 problem\n"),
        ("waitroom check b.yaml", ""),
    ]
    assert [" ".join(command.split()) for command, _ in listed.commands()] == ["waitroom audit --last 3 # of all"]
    assert (listed.not_run, unknown.language) == (False, "")
    assert [*spans(file)] == [(1, "waitroom status"), (1, "waitroom limit POOL --undo")]


def test_a_mark_without_a_reason_is_none(tmp_path: Path) -> None:
    """So the block is run."""
    file = tmp_path / "page.md"
    file.write_text("<!-- not run -->\n```sh\ntrue\n```\n<!-- not run: -->\n```sh\ntrue\n```\n")
    assert [block.not_run for block in blocks(file)] == [False, False]


def test_a_block_that_does_not_end(tmp_path: Path) -> None:
    """Would hide all that follows."""
    file = tmp_path / "page.md"
    file.write_text("```sh\ntrue\n")
    with pytest.raises(ValueError, match=r"page\.md:2"):
        list(blocks(file))


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("waitroom limit sciences --undo", ""),
        ("waitroom ticket K7QF-2M9D", ""),
        ("waitroom ticket draw SEED CODE...", ""),
        ("waitroom limit sciences --ado", "no option --ado"),
        ("waitroom plan", "no command plan"),
        ("waitroom config show FILE", "no command show"),
        ("waitroom status --json | grep --count x", ""),
    ],
)
def test_a_command_in_a_sentence(said: str, wrong: str) -> None:
    """Commands and options that are not there are told."""
    assert fault(said) == wrong
