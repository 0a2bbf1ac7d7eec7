"""What a restart with other settings leaves behind: an entry of the audit, as a reload does, and no secret on disk."""

import json
import stat
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving, until
from waitroom.server.remembered import NAME, Note, recall, remember
from waitroom.settings.differences import Difference
from waitroom.settings.load import from_mapping
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Key, Secrets

KEYS = Secrets((Key("k1", b"1" * 32),))
ROTATED = Secrets((Key("k2", b"2" * 32), *KEYS.keys))
OTHERS = Secrets((Key("k1", b"9" * 32),))
HUNTER, HASH = "hunter2", "ab" * 32


def settings(rate: str = "20/s", password: str = HUNTER, token: str = HASH, **more: Any) -> Settings:
    """Some with all kinds of secrets in them."""
    return from_mapping({
        "pools": {"main": {
            "backends": {"main-1": {"url": "http://10.0.0.1", "max_sessions": 5}}, "admission": {"rate": rate},
        }},
        "store": {"url": f"redis://:{password}@127.0.0.1:6379/0"},
        "admin": {"tokens": [{"name": "dean", "sha256": token, "scopes": ["read"]}]},
        **more,
    })  # fmt: skip


def rule(path: str) -> dict[str, Any]:
    """An exam."""
    return {"pool": "main", "match": [{"path": path}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a note of the usual settings."""
    remember(tmp_path, Note.of(settings(), KEYS, "1.0"))
    return tmp_path


def changes(folder: Path, now: Settings, keys: Secrets = KEYS, version: str = "1.0") -> list[Difference]:
    """What a start with these settings would tell."""
    note = recall(folder)
    assert note is not None
    return note.changes_to(now, keys, version)


def test_the_same_settings_are_no_news(folder: Path) -> None:
    """However often it is started."""
    assert changes(folder, settings()) == []


def test_what_differs_is_told_key_by_key(folder: Path) -> None:
    """Values old -> new, the version too; a part that is new without all its defaults."""
    told = changes(folder, settings("10/s", exams={"M": rule("/m")}), version="1.1")
    assert told == [
        Difference("pools.main.admission.rate", "20/s", "10/s"),
        Difference("pools.main.admission.burst", "40", "20"),
        Difference("exams.M", "(none)", "{pool: main, match: [{path: /m}]}"),
        Difference("version", "1.0", "1.1"),
    ]


def test_the_order_of_exams_is_told(tmp_path: Path) -> None:
    """The first that matches wins."""
    remember(tmp_path, Note.of(settings(exams={"A": rule("/a*"), "B": rule("/*b")}), KEYS, "1.0"))
    now = settings(exams={"B": rule("/*b"), "A": rule("/a*")})
    assert changes(tmp_path, now) == [Difference("exams", "in the order A, B", "B, A")]


@pytest.mark.parametrize(
    ("now", "key"),
    [
        (settings(password="changed"), "store.url"),
        (settings(token="cd" * 32), "admin.tokens[0].sha256"),
        (settings().with_files({"logo": "<svg/>"}), None),
    ],
)
def test_what_is_hidden_is_told_and_not_shown(folder: Path, now: Settings, key: str | None) -> None:
    """That a password or a token is another; a file that was not named before is told by its own key."""
    assert changes(folder, now) == ([Difference(key, "***", "*** (another)")] if key else [])


def test_contents_of_files_are_told(tmp_path: Path) -> None:
    """A roster, a logo under the same name."""
    remember(tmp_path, Note.of(settings().with_files({"logo": "<svg/>"}), KEYS, "1.0"))
    told = changes(tmp_path, settings().with_files({"logo": "<svg></svg>"}))
    assert told == [Difference("pages.logo", "***", "*** (another)")]


def test_keys_that_were_rotated_or_replaced(folder: Path) -> None:
    """Told by their ids; hidden values count as the same where nobody can say."""
    assert changes(folder, settings(), ROTATED) == [Difference("secrets", "k1", "k2, k1")]
    assert changes(folder, settings(password="changed"), OTHERS) == [Difference("secrets", "k1", "k1 (another)")]


def test_nothing_secret_is_on_disk(folder: Path) -> None:
    """Nor readable by others what is there."""
    file = folder / NAME
    text = file.read_text("utf-8")
    assert not any(secret in text for secret in (HUNTER, HASH, "1" * 32))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [NAME]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', "null", "\xff"])
def test_a_note_that_is_broken_is_none(text: str, folder: Path) -> None:
    """It costs an entry and not the start."""
    (folder / NAME).write_text(text, encoding="latin-1")
    assert recall(folder) is None


def test_no_folder_is_made(tmp_path: Path) -> None:
    """A service whose store and keys are elsewhere may have none; one that cannot be written costs the note alone."""
    remember(tmp_path / "none", Note.of(settings(), KEYS, "1.0"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / NAME).mkdir()
    remember(tmp_path, Note.of(settings(), KEYS, "1.0"))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


async def entries(product: Product) -> list[dict[str, Any]]:
    """The audit, latest first."""
    code, out, err = await product.command("audit", "--json", "--admin", product.admin)
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)["entries"]
    return found


def test_a_restart_is_in_the_audit(tmp_path: Path) -> None:
    """The first start is not; a restart with another file is, with each change, for all pools; it is in the log too."""

    async def main() -> None:
        async with counting_backend() as backend:
            pools = {"main": {"backends": {"main-1": {"url": backend.url, "max_sessions": 5}}}}
            async with serving(tmp_path, config=json.dumps({"pools": pools, "workers": 1})) as product:
                assert await entries(product) == []
            changed = json.dumps({"pools": pools, "workers": 1, "queue_status": 503})
            async with serving(tmp_path, config=changed) as product:
                (entry,) = await until(lambda: entries(product), what="the entry")
            assert (entry["what"], entry["pool"], entry["who"]) == (
                "restart",
                None,
                f"settings file on {gethostname()}",
            )
            told = {each["key"]: (each["old"], each["new"]) for each in entry["changes"]}
            assert told.pop("queue_status") == ("429", "503")
            assert set(told) == {"listen.public", "listen.admin"}, "the ports of this test"
            logged = [json.loads(line) for line in product.log.read_text().splitlines() if line.endswith("}")]
            lines = [(each["key"], each["new"]) for each in logged if each["event"] == "config_changed"]
            assert ("queue_status", "503") in lines

    run(main())
