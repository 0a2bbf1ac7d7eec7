"""A file that changes is taken again by itself: edits, renames and swapped symlinks, whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.server.test_reload import config, outcomes
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving, until
from waitroom.server.changes import Changes, files_of
from waitroom.settings.load import from_mapping


def test_a_change_counts_once_it_has_settled_and_once(tmp_path: Path) -> None:
    """Two looks in a row see the same; what was taken does not count again."""
    file = tmp_path / "f"
    file.write_text("a")
    changes = Changes([file])
    assert changes.settled() == []
    file.write_text("half of")
    assert changes.settled() == []
    file.write_text("half of it and the rest")
    assert changes.settled() == []
    assert changes.settled() == [file]
    before = changes.reading()
    changes.taken(before, [file])
    assert (changes.settled(), changes.settled()) == ([], [])


def test_what_changes_while_it_is_read_counts_again(tmp_path: Path) -> None:
    """The prints are those of before the reading."""
    file = tmp_path / "f"
    file.write_text("a")
    changes = Changes([file])
    before = changes.reading()
    file.write_text("written after it was read")
    changes.taken(before, [file])
    assert [changes.settled(), changes.settled()][-1] == [file]


def test_a_swapped_symlink_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: waitroom.yaml -> ..data/waitroom.yaml, ..data -> a folder of the version."""
    mounted = ConfigMap(tmp_path)
    mounted.put("a")
    changes = Changes([mounted.file])
    mounted.put("b")
    assert [changes.settled(), changes.settled()][-1] == [mounted.file]
    mounted.file.unlink()
    assert [changes.settled(), changes.settled()][-1] == [mounted.file], "that it is gone is one too"


def test_every_file_that_is_named_is_watched(tmp_path: Path) -> None:
    """And each catalogue in the folder of words, which a new one changes too."""
    (tmp_path / "words").mkdir()
    named = [tmp_path / name for name in ("c.pem", "c.key", "ca.pem", "roster", "sso", "own.css", "words/fr.po")]
    for path in named:
        path.write_text("x" * 32)
    cert, key, authority, roster, sso, style, words = map(str, named)
    settings = from_mapping(
        {
            "listen": {"public": {"address": "0.0.0.0:8443", "tls": {"cert": cert, "key": key}}},
            "pools": {
                "main": {
                    "backends": {"a": {"url": "https://10.0.0.1", "max_sessions": 5, "ca": authority}},
                    "priority": {"roster": roster},
                }
            },
            "identity": {"jwt": {"cookie": "t", "key_file": sso, "algorithm": "HS256"}},
            "pages": {"texts": str(Path(words).parent), "style": style},
        }
    )
    files = files_of(settings, tmp_path / "w.yaml")
    assert {*named, tmp_path / "w.yaml", tmp_path / "words", settings.secrets.file} == {*files}


class ConfigMap:
    """A folder as the kubelet keeps it (AtomicWriter)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mounted"
        self.folder.mkdir()
        self.file = self.folder / "waitroom.yaml"
        self.file.symlink_to("..data/waitroom.yaml")
        self._version = 0

    def put(self, text: str) -> None:
        """The next version, all at once."""
        self._version += 1
        version = self.folder / f"..v{self._version}"
        version.mkdir()
        (version / "waitroom.yaml").write_text(text, encoding="utf-8")
        (self.folder / "..tmp").symlink_to(version.name)
        (self.folder / "..tmp").rename(self.folder / "..data")


async def _next(product: Product, change: Callable[[], object]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make a change and wait for what comes of it: the outcome, and the changes that were told since the one before."""
    before = len(outcomes(product))
    change()

    async def look() -> bool:
        return len(outcomes(product)) > before

    await until(look, what="the outcome of a changed file")
    lines = [json.loads(line) for line in product.log.read_text().splitlines() if line.endswith("}")]
    since = [at for at, line in enumerate(lines) if line["event"].startswith("config_re")][-2:]
    return outcomes(product)[-1], [
        line for line in lines[since[0] if len(since) > 1 else 0 :] if line["event"] == "config_changed"
    ]


def _write(file: Path, said: dict[str, Any]) -> None:
    file.write_text(json.dumps(said), encoding="utf-8")


async def _compared_with_a_file(product: Product, file: Path, text: str) -> None:
    """`config diff FILE` says what a reload would change; the flags that the service was started with are in force."""
    port = product.admin.rpartition(":")[2]
    said = json.loads(text) | {
        "listen": {"public": f"127.0.0.1:{product.public.rpartition(':')[2]}", "admin": f"127.0.0.1:{port}"},
        "store": {"data_dir": str(product.data_dir)},
    }
    _write(file, said)
    code, out, err = await product.command("config", "diff", str(file))
    assert (code, out, err) == (0, "", "")
    _write(file, said | {"queue_status": 503})
    assert (await product.command("config", "diff", str(file)))[:2] == (1, "queue_status: 500 -> 503\n")
    code, out, err = await product.command("config", "diff", str(file), "--admin", "http://127.0.0.1:1")
    assert (code, out) == (2, "")
    assert "does not answer" in err


def test_a_running_service_takes_a_changed_file(tmp_path: Path) -> None:
    """No signal is sent. A bad file and one that needs a restart keep the old one; a file that it names counts too."""
    mounted, roster = ConfigMap(tmp_path), tmp_path / "roster"
    roster.write_text("alice\n")

    async def main() -> None:
        async with counting_backend() as backend:

            def text(**more: object) -> str:
                settings = json.loads(config(backend.url, **more))
                settings["pools"]["main"]["priority"] = {"roster": str(roster)}
                return json.dumps(settings | {"identity": {"cookie": "name"}})

            mounted.put(text())
            async with serving(tmp_path, str(mounted.file)) as product:
                token = {"name": "ops", "sha256": "ab" * 32}
                good, told = await _next(
                    product, lambda: mounted.put(text(queue_status=503, admin={"tokens": [token]}))
                )
                assert good["event"] == "config_reloaded"
                assert [(each["key"], each["old"], each["new"]) for each in told] == [
                    ("queue_status", "429", "503"),
                    ("admin.tokens", "[]", '[{name: ops, sha256: "***"}]'),
                ]
                assert (await product.metrics())["waitroom_config_reload_success"] == 1
                bad, told = await _next(product, lambda: mounted.put("queue_status: ["))
                assert (bad["event"], told) == ("config_reload_refused", [])
                assert (await product.metrics())["waitroom_config_reload_success"] == 0
                moved, _ = await _next(product, lambda: mounted.put(text(workers=3)))
                assert moved["problem"].endswith("nothing was applied (workers: 2 -> 3)")
                mended, told = await _next(product, lambda: mounted.put(text(queue_status=500)))
                assert (mended["event"], told[0]["old"], told[0]["new"]) == ("config_reloaded", "503", "500")
                named, told = await _next(product, lambda: roster.write_text("bob\n"))
                assert (named["event"], [each["key"] for each in told]) == (
                    "config_reloaded",
                    ["pools.main.priority.roster"],
                )
                assert "abab" not in product.log.read_text()
                await _compared_with_a_file(product, tmp_path / "next.yaml", text(queue_status=500))

    run(main())
