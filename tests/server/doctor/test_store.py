"""Stores that would fail an exam: judged by their own words, and asked for real."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.stores import cluster, valkey
from waitroom.server.doctor.store import judge, look_at_store, read_info
from waitroom.settings.load import from_mapping

GOOD = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "role": "master", "aof_enabled": "1"}


def judged(skew_ms: int = 0, took_ms: int = 1, *, clear: bool = False, **info: str) -> list[tuple[str, str]]:
    """Level and words of what is not well."""
    found = [*judge(GOOD | info, "it", skew_ms, took_ms, clear=clear)]
    assert all(each.remedy for each in found if each.level != "ok")
    return [(each.level, each.says) for each in found if each.level != "ok"]


def test_a_good_one_brings_no_word() -> None:
    """Redis 7 or Valkey, keeping what it is told."""
    assert judged() == []
    assert judged(valkey_version="9.1.0", redis_version="7.2.4") == []
    assert judged(connected_slaves="1", min_slaves_good_slaves="1") == []


@pytest.mark.parametrize(
    ("info", "level", "word"),
    [
        ({"redis_version": "6.2.1"}, "problem", "Redis 6.2.1 has no functions"),
        ({"maxmemory_policy": "allkeys-lru"}, "problem", "throws students out"),
        ({"maxmemory": "1000", "used_memory": "900"}, "warning", "90 % of its maxmemory"),
        ({"role": "slave"}, "problem", "is a replica"),
        ({"connected_slaves": "1"}, "warning", "cut off from them"),
        ({"aof_enabled": "0"}, "warning", "no append-only file"),
        ({"aof_last_write_status": "err"}, "problem", "could not write"),
    ],
)
def test_what_it_says_of_itself(info: dict[str, str], level: str, word: str) -> None:
    """Each fault by itself."""
    ((found, said),) = judged(**info)
    assert found == level
    assert word in said


@pytest.mark.parametrize(("skew_ms", "level"), [(400, None), (-2_000, "warning"), (9_000, "problem")])
def test_clocks_apart(skew_ms: int, level: str | None) -> None:
    """Exams open by the store's clock."""
    found = judged(skew_ms)
    assert [each for each, _ in found] == ([level] if level else [])


def test_far_away_and_in_the_clear() -> None:
    """Slow for every newcomer; a password that others can read."""
    assert [level for level, _ in judged(took_ms=80)] == ["warning"]
    assert [level for level, _ in judged(clear=True)] == ["warning"]


def test_info_is_read() -> None:
    """Sections and values with colons."""
    assert read_info(b"# Server\r\nredis_version:7.2\r\n\r\nexecutable:/a:b\r\n") == {
        "redis_version": "7.2",
        "executable": "/a:b",
    }


def _settings(folder: Path, **store: Any) -> Any:
    pools = {"main": {"backends": {"a": {"url": "http://h", "max_sessions": 1}}}}
    return from_mapping({"pools": pools, "store": {"data_dir": str(folder / "var")} | store})


def test_each_server_of_a_cluster_is_asked(tmp_path: Path) -> None:
    """Those that have a pool of ours, once each."""

    async def main() -> None:
        async with cluster(tmp_path) as nodes:
            pools = {
                name: {"backends": {"a": {"url": f"http://{name}", "max_sessions": 1}}}
                for name in ("arts", "law", "sciences", "medicine", "letters")
            }
            url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
            found = await look_at_store(from_mapping({"pools": pools, "default_pool": "law", "store": {"url": url}}))
        asked = [each.says.partition(": ")[0] for each in found if "answers in" in each.says]
        assert len(asked) == len(set(asked)) > 1
        assert set(asked) <= {f"127.0.0.1:{node.port}" for node in nodes}

    run(main())


def test_a_real_one_is_asked(tmp_path: Path) -> None:
    """Its policy and persistence as it was started; nobody there; the embedded one before its start. No password."""

    async def main() -> None:
        options = ("--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
        async with valkey(tmp_path / "store", *options) as server:
            server.ask("CONFIG", "SET", "requirepass", "hunter2")
            url = f"redis://:hunter2@127.0.0.1:{server.port}"
            found = await look_at_store(_settings(tmp_path, url=url))
            denied = await look_at_store(_settings(tmp_path, url=url.replace("hunter2", "hunter3")))
        assert {(each.area, each.level) for each in found} == {
            ("store", "ok"), ("store", "problem"), ("store", "warning"), ("clock", "ok"),
        }  # fmt: skip
        away = await look_at_store(_settings(tmp_path, url=f"redis://:hunter2@127.0.0.1:{free_port()}/0"))
        assert [[each.level for each in each_] for each_ in (denied, away)] == [["problem"], ["problem"]]
        embedded = await look_at_store(_settings(tmp_path))
        assert [each.level for each in embedded] == ["ok"]
        assert "not running: it starts with the service" in embedded[0].says
        assert all(each.says.startswith(f"127.0.0.1:{server.port}: ") for each in found)
        assert away[0].says.startswith("redis://***@127.0.0.1:")
        everything = [*found, *denied, *away, *embedded]
        assert not any("hunter" in each.says + each.remedy for each in everything)

    run(main())
