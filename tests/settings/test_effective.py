"""Settings written out: the same settings when read again, each value with its source, no secret."""

from pathlib import Path

import pytest

from waitroom.settings.effective import masked, tree, write
from waitroom.settings.load import Flags, examine, from_mapping, load
from waitroom.settings.yaml12 import load_yaml

CONFIG = Path(__file__).parents[2] / "config"
DOUBTFUL = Path(__file__).parent / "doubtful"
FILES = [*sorted(CONFIG.glob("*.yaml")), *sorted(DOUBTFUL.glob("*.yaml"))]
ONE = 'pools: {main: {backends: {a: {url: "http://10.0.0.1", max_sessions: 5}}}}\n'


@pytest.mark.parametrize("said_only", [False, True], ids=["effective", "said"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_written_reads_as_the_same(file: Path, tmp_path: Path, said_only: bool) -> None:
    """All samples, and every file that works in an unusual way; hashes of tokens are stars, so they are put back."""
    found = examine(file)
    text = write(found.whole(), found.origin, said_only=said_only)
    for token in found.whole().admin.tokens:
        text = text.replace('"***"', token.sha256, 1)
    again = tmp_path / "again.yaml"
    again.write_text(text, encoding="utf-8")
    assert load(again) == found.whole()


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    """A line of the file, a flag, or the default."""
    file = tmp_path / "w.yaml"
    file.write_text(f"{ONE}logging:\n  level: debug\nlisten: {{public: '0.0.0.0:81'}}\n", encoding="utf-8")
    found = examine(file, Flags(admin="127.0.0.1:1", max_sessions=7))
    sources = {
        line.partition("  # ")[0].strip(): line.partition("  # ")[2]
        for line in write(found.whole(), found.origin).splitlines()
        if "  # " in line
    }
    assert sources["level: debug"] == "line 3"
    assert sources["access: true"] == "default"
    assert sources["public: [0.0.0.0:81]"] == "line 4"
    assert sources["admin: 127.0.0.1:1"] == "--admin"
    assert sources["max_sessions: 7"] == "--max-sessions"
    assert sources["default_pool: main"] == "default"


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:hunter2@10.0.0.9:6379/0",
        "rediss://:hunter2@10.0.0.9/1",
        "unix://me:hunter2@/run/store.sock",
        "redis+sentinel://me:hunter2@s1:26379,s2:26379/exams?sentinel_username=x&sentinel_password=hunter2",
        "redis+cluster://:hunter2@n1:6379,n2:6379",
    ],
)
def test_no_secret_is_written(url: str) -> None:
    """Log-ins and hashes of tokens are stars; where the store is stays."""
    token = {"name": "ops", "sha256": "ab" * 32}
    pools = {"main": {"backends": {"a": {"url": "http://h", "max_sessions": 1}}}}
    settings = from_mapping({"pools": pools, "store": {"url": url}, "admin": {"tokens": [token]}})
    shown = str(masked((), tree(settings)))
    assert "hunter2" not in shown
    assert "abab" not in shown
    assert "***" in shown
    assert url.rpartition("@")[2].partition("?")[0] in shown


def test_comments_are_comments(tmp_path: Path) -> None:
    """Text with a hash sign in it is quoted."""
    file = tmp_path / "w.yaml"
    file.write_text(f'{ONE}help: {{text: "room #4  # now"}}\n', encoding="utf-8")
    found = examine(file)
    document = load_yaml(write(found.whole(), found.origin).encode())
    assert document.data["help"]["text"] == "room #4  # now"  # type: ignore[index] # a mapping
