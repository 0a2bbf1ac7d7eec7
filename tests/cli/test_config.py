"""`waitroom config`: what is in force, what differs; exit codes for scripts."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tests.support.terminal import on_terminal
from waitroom.cli.config import config

ONE = 'pools: {main: {backends: {a: {url: "http://10.0.0.1", max_sessions: 5}}}}\n'


def _run(*words: str | Path) -> Result:
    return CliRunner().invoke(config, [str(word) for word in words])


def _file(folder: Path, name: str, more: str = "") -> Path:
    file = folder / name
    file.write_text(ONE + more, encoding="utf-8")
    return file


def test_print_says_what_is_in_force(tmp_path: Path) -> None:
    """With every default, or only what the file says; for a program too."""
    file = _file(tmp_path, "w.yaml", "queue_status: 503\n")
    said, effective = _run("print", file), _run("print", file, "--effective")
    assert (said.exit_code, effective.exit_code) == (0, 0)
    assert "queue_status: 503" in said.output
    assert "idle_timeout" not in said.output
    assert "      idle_timeout: 30m  " in effective.output
    assert json.loads(_run("print", file, "--effective", "--json").output)["timeouts"]["idle"] == "1m15s"


def test_diff_says_what_differs(tmp_path: Path) -> None:
    """Exit code 1 where something does."""
    old, same, new = (_file(tmp_path, name) for name in ("old.yaml", "same.yaml", "new.yaml"))
    new.write_text(f"{ONE}queue_status: 503\n", encoding="utf-8")
    assert (_run("diff", old, same).exit_code, _run("diff", old, same).output) == (0, "")
    result = _run("diff", old, new)
    assert (result.exit_code, result.output) == (1, "queue_status: 429 -> 503\n")
    as_json = _run("diff", old, new, "--json")
    assert json.loads(as_json.output) == [{"key": "queue_status", "old": "429", "new": "503"}]


def test_a_file_that_is_wrong_is_another_matter(tmp_path: Path) -> None:
    """Exit code 2, and what `check` says of it."""
    good, bad = _file(tmp_path, "good.yaml"), _file(tmp_path, "bad.yaml", "queu_status: 1\n")
    for words in (("print", bad), ("diff", good, bad), ("diff", tmp_path / "none.yaml", good)):
        result = _run(*words)
        assert result.exit_code == 2
        assert "unknown key" in result.output or "cannot be read" in result.output


def test_on_a_terminal_sources_are_dimmed(tmp_path: Path) -> None:
    """And plain where NO_COLOR is set."""
    _file(tmp_path, "w.yaml")
    assert "\x1b[2m  # line 1" in on_terminal("config", "print", "w.yaml", cwd=tmp_path)
    assert "\x1b" not in on_terminal("config", "print", "w.yaml", cwd=tmp_path, env={"NO_COLOR": "1"})
