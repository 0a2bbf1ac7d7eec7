"""Numbers of the system, judged."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from waitroom.server.doctor.finding import Found
from waitroom.server.doctor.machine import (
    clock_state,
    file_limit,
    file_system,
    kernel_number,
    look_at_clock,
    look_at_file_system,
    look_at_files,
    look_at_folder,
    look_at_kernel,
    look_at_processors,
)
from waitroom.server.doctor.whole import expected
from waitroom.settings.load import from_mapping
from waitroom.settings.model import Settings


def settings(backend: dict[str, object] | None = None, **more: object) -> Settings:
    pools = {"main": {"backends": {"a": {"url": "http://h", "max_sessions": 400} | (backend or {})}}}
    return from_mapping({"pools": pools, "workers": 2, **more})


def levels(found: Iterable[Found]) -> list[str]:
    """And each that is not well says what to do."""
    seen = [*found]
    assert all(bool(each.remedy) is (each.level != "ok") for each in seen)
    assert all("\n" not in each.says + each.remedy for each in seen)
    return [each.level for each in seen]


@pytest.mark.parametrize(("limit", "level"), [(400, "problem"), (1_024, "warning"), (40_192, "ok"), (1 << 62, "ok")])
def test_open_files(limit: int, level: str) -> None:
    """A worker's share of those expected must fit; what limits.connections allows should."""
    said = settings()
    assert levels(look_at_files(said, limit, expected(said))) == [level]


def test_expected_students_are_those_of_exams_or_of_slots() -> None:
    """Whichever are more."""
    exam = {"pool": "main", "match": [{"path": "/e"}]}
    assert expected(settings()) == 400
    assert expected(settings(exams={"E": exam | {"expected": 1_400}})) == 1_400


def test_workers_and_cores() -> None:
    """Far more workers than cores, and fewer places at a backend than workers of `auto`."""
    cores = len(os.sched_getaffinity(0))
    assert levels(look_at_processors(settings(workers=cores))) == ["ok"]
    assert levels(look_at_processors(settings(workers=2 * cores + 1))) == ["warning"]
    if cores > 1:
        assert levels(look_at_processors(settings({"max_inflight": 1}, workers="auto"))) == ["ok", "warning"]


def test_kernel() -> None:
    """The backlog, and memory for the store's rewrites; what cannot be read is not judged."""
    assert levels(look_at_kernel(4_096, 0, embedded=True)) == ["ok"]
    assert levels(look_at_kernel(128, 2, embedded=True)) == ["warning", "warning"]
    assert levels(look_at_kernel(None, 2, embedded=False)) == []
    assert kernel_number("net/core/somaxconn") == int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert kernel_number("no/such/number") is None


def test_clock() -> None:
    """What adjtimex(2) says: 5 is an error; none where it says nothing."""
    assert levels(look_at_clock(0)) == ["ok"]
    assert levels(look_at_clock(5)) == ["warning"]
    assert levels(look_at_clock(None)) == ["warning"]
    assert clock_state() in {None, *range(6)}


def test_folder(tmp_path: Path) -> None:
    """One that is to be made, one that is there, one that others may enter, one that is a file."""
    assert levels(look_at_folder(tmp_path / "to" / "be" / "made")) == ["ok"]
    there = tmp_path / "there"
    there.mkdir(mode=0o700)
    assert levels(look_at_folder(there)) == ["ok"]
    there.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IROTH)
    assert levels(look_at_folder(there)) == ["warning", "ok"]
    (tmp_path / "file").write_text("")
    assert levels(look_at_folder(tmp_path / "file")) == ["problem"]
    assert levels(look_at_folder(tmp_path / "file" / "below")) == ["problem"]


MOUNTS = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 21 0:22 / /tmp rw - tmpfs tmpfs rw
31 21 0:23 / /srv/exam\\040data rw master:1 - nfs4 server:/x rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "level"),
    [
        ("/var/lib/waitroom", "ext4", []),
        ("/tmp/waitroom", "tmpfs", ["warning"]),
        ("/tmpx", "ext4", []),
        ("/srv/exam data/var", "nfs4", ["warning"]),
    ],
)
def test_where_the_folder_lies(folder: str, kind: str, level: list[str]) -> None:
    """The mount that is nearest above it."""
    assert file_system(Path(folder), MOUNTS) == kind
    assert levels(look_at_file_system(Path(folder), kind)) == level
    assert levels(look_at_file_system(Path(folder), "overlay")) == ["warning"]


def test_this_machine_says_where_a_folder_lies(tmp_path: Path) -> None:
    """Read from /proc."""
    assert file_system(tmp_path)


def test_the_limit_of_a_running_process_is_its_own() -> None:
    """Read from /proc; the same as ours for ourselves."""
    assert file_limit(os.getpid()) == file_limit(None)
