"""What the docs name is there: links, pictures, files, tests; and a screen that they show is what is shown."""

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.samples import answer, trouble
from tests.docs.blocks import blocks
from tests.docs.morning import ROOT
from tests.docs.test_commands import FILES
from waitroom.cli.picture import pools_shown
from waitroom.settings.load import from_mapping
from waitroom.settings.yaml12 import load_yaml

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:waitroom|tests|static|docs|config|deploy)/[^`\s:]+)(?:::(\w+))?`")


def _anchors(file: Path) -> set[str]:
    """Of each heading, as code hosts make them."""
    heads = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    """To a file of the repository, and to a heading that it has."""
    broken = []
    for target in LINK.findall(file.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        there = (file.parent / path) if path else file
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_named_is_there(file: Path) -> None:
    """Files of ours, and the tests in them."""
    missing = []
    for path, test in NAMED.findall(file.read_text("utf-8")):
        found = list(ROOT.glob(path.rstrip("/"))) or list(ROOT.glob(f"{path}.py"))
        if not found or (test and not re.search(rf"^(async )?def {test}\(", found[0].read_text("utf-8"), re.MULTILINE)):
            missing.append(f"{path}::{test}" if test else path)
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "docs/handbook.md"])
def test_settings_that_are_shown_whole_are_good(name: str) -> None:
    """Who copies them has a file that serves."""
    found = [load_yaml(block.text.encode()).data for block in blocks(ROOT / name) if block.language == "yaml"]
    assert [len(from_mapping(each).pools) for each in found if isinstance(each, dict)] == [1]


def test_the_screen_of_the_handbook_is_what_status_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line."""
    monkeypatch.setenv("TZ", "Europe/Brussels")
    time.tzset()
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(pools_shown(answer(trouble())))
    monkeypatch.undo()
    time.tzset()
    assert isinstance(console.file, io.StringIO)
    shown = "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
    assert shown in [block.text for block in blocks(ROOT / "docs/handbook.md")]
