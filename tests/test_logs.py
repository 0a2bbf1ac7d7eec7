"""Log lines: whole, stamped, and about nobody."""

import asyncio
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.support.aio import run
from waitroom.logs import FORBIDDEN, MAX_LINES, AccessLog, LogStyle, configure, request_ids

NOW_MS = 1_589_785_500_123


@pytest.fixture
def lines() -> Iterator[Any]:
    """What was logged so far, parsed."""
    stream = io.StringIO()
    configure(LogStyle("worker-1"), lambda: NOW_MS, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def test_event_line(lines: Any) -> None:
    """An event is one JSON object with the time in UTC milliseconds, its level and who wrote it."""
    structlog.get_logger().warning("store_away", pool="main")
    assert lines() == [
        {
            "event": "store_away",
            "time": "2020-05-18T07:05:00.123Z",
            "process": "worker-1",
            "level": "warning",
            "pool": "main",
        }
    ]


@pytest.mark.usefixtures("lines")
def test_priorities_for_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the journal reads along, a line has its priority in front; where another file does, it is plain JSON."""
    for name, journal in (("journal", True), ("elsewhere", False)):
        with (tmp_path / name).open("w+") as stream:
            found = os.fstat(stream.fileno())
            monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino + (not journal)}")
            configure(LogStyle("worker-1"), lambda: NOW_MS, stream)
            for level in ("info", "warning", "error"):
                structlog.get_logger().log(logging.getLevelNamesMapping()[level.upper()], "odd")
            stream.flush()
            starts = [line.partition("{")[0] for line in (tmp_path / name).read_text().splitlines()]
            assert starts == (["<6>", "<4>", "<3>"] if journal else ["", "", ""])


@pytest.mark.parametrize("key", sorted(FORBIDDEN))
def test_no_personal_data(lines: Any, key: str) -> None:
    """A key that could name a person is dropped, whoever logs it."""
    structlog.get_logger().info("odd", **{key: "203.0.113.9"})
    assert key not in lines()[0]


def test_traceback_shows_no_values(lines: Any) -> None:
    """A traceback is in the line, the values of its variables are not."""
    visitor = "V-" + "SECRET"
    try:
        int(visitor[:2])
    except ValueError:
        structlog.get_logger().exception("broken")
    assert "ValueError" in lines()[0]["exception"]
    assert "V-SECRET" not in json.dumps(lines())


def test_libraries_and_warnings_come_through(lines: Any) -> None:
    """Messages of libraries and warnings become lines; aiohttp's lose the peer they name."""
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "203.0.113.9")
    logging.getLogger("asyncio").warning("Executing %s took long", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    text = json.dumps(lines())
    assert [line["library"] for line in lines()] == ["aiohttp.server", "asyncio", "py.warnings"]
    assert "203.0.113.9" not in text
    assert "Executing x took long" in text
    assert "old thing" in text


def test_level(lines: Any) -> None:
    """What is below the level is not written, and a reload may change the level."""
    log = structlog.get_logger()
    log.debug("detail")
    assert lines() == []
    stream = io.StringIO()
    configure(LogStyle("worker-1", level="debug"), lambda: NOW_MS, stream)
    log.debug("detail")
    assert "detail" in stream.getvalue()


def test_access_lines_are_gathered_and_written() -> None:
    """A request's line is written soon after it, by itself, and only with what it may hold."""

    async def main() -> None:
        read, write = os.pipe()
        log = AccessLog(lambda: NOW_MS, write)
        log.note(
            "r-1",
            "GET",
            "/mod/quiz/view.php",
            status=200,
            duration_ms=12,
            sent_bytes=280,
            pool="main",
            backend="main-1",
        )
        loop = asyncio.get_running_loop()
        line = await loop.run_in_executor(None, os.read, read, 4_096)
        assert json.loads(line) == {
            "event": "request", "log": "access", "time": "2020-05-18T07:05:00.123Z", "request": "r-1", "method": "GET",
            "path": "/mod/quiz/view.php", "status": 200, "duration_ms": 12, "sent_bytes": 280, "pool": "main",
            "backend": "main-1",
        }  # fmt: skip
        os.close(read)
        os.close(write)

    run(main())


def test_access_log_never_waits_for_its_reader() -> None:
    """Lines beyond the bound are counted as lost, and the loss is said."""

    async def main() -> None:
        fd = os.memfd_create("log")
        log = AccessLog(lambda: NOW_MS, fd)
        for _ in range(MAX_LINES + 3):
            log.note("r", "GET", "/", status=200, duration_ms=1, sent_bytes=1)
        log.close()
        written = os.pread(fd, os.fstat(fd).st_size, 0).splitlines()
        os.close(fd)
        assert len(written) == MAX_LINES + 1
        assert json.loads(written[-1])["lines"] == 3

    run(main())


def test_request_ids_differ() -> None:
    """Two processes never give the same id to two requests."""
    here, there = request_ids(), request_ids()
    assert len({here(), here(), there(), there()}) == 4
