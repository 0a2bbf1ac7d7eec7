"""A folder of files with one thing each that works and is probably not meant, and the exact warning it brings."""

import re
from pathlib import Path

import pytest

from waitroom.settings.advice import LONGEST_POLL_MS, about, advice
from waitroom.settings.load import examine
from waitroom.settings.model import Settings
from waitroom.settings.problems import Finding
from waitroom.settings.units import parse_duration, parse_instant

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "doubtful"
FILES = sorted(FOLDER.glob("*.yaml"))
NOW_MS = parse_instant("2026-05-01T08:30:00Z")


def _advice(settings: Settings) -> list[Finding]:
    return [*advice(settings, NOW_MS)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_probably_not_meant_is_named_exactly(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One doubt, one line: its place, its key, what will happen, what is better."""
    monkeypatch.chdir(FOLDER)
    assert examine(file.name).problems == (), "it works"
    found = examine(file.name, inspect=_advice)
    said = "".join(f"{each}\n" for each in (*found.problems, *found.warnings))
    assert said == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert len([*found.problems, *found.warnings]) == 1, "one doubt is one warning"


def test_every_doubtful_file_has_its_message() -> None:
    """No stray files: the folder is its own index."""
    assert {file.stem for file in FILES} == {file.stem for file in FOLDER.glob("*.txt")}
    assert len(FILES) >= 25


@pytest.mark.parametrize("file", sorted((ROOT / "config").glob("*.yaml")), ids=lambda file: file.name)
def test_samples_bring_no_warning(file: Path) -> None:
    """Whoever starts from one starts clean."""
    assert examine(file, inspect=_advice).warnings == ()


def test_the_longest_poll_is_the_librarys() -> None:
    """One number, two languages."""
    lua = (ROOT / "waitroom" / "store" / "library.lua").read_text(encoding="utf-8")
    assert re.search(rf"^local POLL_MAX_MS = {LONGEST_POLL_MS}$", lua, re.MULTILINE)


@pytest.mark.parametrize(
    ("given", "said"), [("59s", "59s"), ("23m18s", "23m18s"), ("92m", "1h32m"), ("90061s", "1d1h"), ("9d5h1s", "9d5h")]
)
def test_durations_are_said_roughly(given: str, said: str) -> None:
    """What is far away is not told to the second."""
    assert about(parse_duration(given)) == said
