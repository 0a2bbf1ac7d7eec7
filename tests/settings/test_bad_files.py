"""A folder of files with one fault each, and the exact message that each must bring."""

from pathlib import Path

import pytest

from waitroom.server.inspection import inspect
from waitroom.settings.load import examine, load
from waitroom.settings.problems import BadSettingsError

FOLDER = Path(__file__).parent / "bad"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_one_fault_is_named_exactly(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault, one line: its place, its key, what is wrong, what is allowed, what may be meant."""
    monkeypatch.chdir(FOLDER)
    with pytest.raises(BadSettingsError) as caught:
        load(file.name)
    assert f"{caught.value}\n" == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert len(caught.value.problems) == 1, "one fault is one problem"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_fault_hides_no_warning_and_breaks_no_look(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks for warnings meets settings whose references are broken; the fault is named in the same words."""
    monkeypatch.chdir(FOLDER)
    found = examine(file.name, inspect=inspect)
    assert file.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n") in map(str, found.problems)


def test_every_bad_file_has_its_message_and_every_message_its_file() -> None:
    """No stray files: the folder is its own index."""
    assert {file.stem for file in FILES} == {file.stem for file in FOLDER.glob("*.txt")}
    assert len(FILES) >= 100


def test_no_message_repeats_what_may_be_a_secret() -> None:
    """Passwords in URLs and tokens pasted in place of their hash do not end up in a terminal's scrollback."""
    messages = "".join(file.read_text(encoding="utf-8") for file in FOLDER.glob("*.txt"))
    for secret in ("hunter2", "me:secret", '"secret"'):
        assert secret not in messages
