"""What we say on stderr: one JSON object a line, for events and, if wanted, for each request.

Law: no personal data. No address, cookie, query or visitor ever gets into a line: the keys that could carry one are
dropped here, tracebacks show no values, and a library's message that names its peer is kept without its arguments. The
access log never makes a request wait: lines are gathered and written by a thread, and what a full pipe cannot take is
counted as lost.
"""

import asyncio
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

FORBIDDEN = frozenset({"client", "ip", "address", "peer", "cookie", "cookies", "query", "visitor", "headers", "body"})
"""Keys that could carry personal data."""

FLUSH_S = 0.1
"""An access line is written this long after its request at the latest, unless the pipe is full."""

MAX_LINES = 10_000
"""Access lines that wait for a slow reader of stderr: some seconds of a busy worker, about 2 MB."""

INFO = 6
PRIORITIES = {"debug": 7, "warning": 4, "error": 3, "exception": 3, "critical": 2}
"""syslog's number of a level; INFO of any other, and of what has no number in front, as lines of requests."""

Clock = Callable[[], int]

_quoted = json.encoder.encode_basestring_ascii
"""A JSON string; the names of pools and backends need none of its care (settings)."""


@dataclass(frozen=True, slots=True)
class LogStyle:
    """How and what to log. `process` names the writer; `human` is for a terminal."""

    process: str
    level: str = "info"
    human: bool = False


def configure(style: LogStyle, now_ms: Clock, stream: TextIO | None = None) -> None:
    """Send events and the messages of libraries to stderr. May be called again, after a reload."""
    level = logging.getLevelNamesMapping()[style.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _stamp(style.process, now_ms),
            _anonymous,
            *_rendering(human=style.human),
            *([_for_the_journal] if in_journal(stream or sys.stderr) else []),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[_FromLibraries()], level=max(level, logging.INFO), force=True)


def in_journal(stream: TextIO) -> bool:
    """Whether systemd's journal reads this stream: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def request_ids() -> Callable[[], str]:
    """A source of request ids: a prefix of this process and a count, so that two processes never give the same."""
    prefix, counter = secrets.token_hex(4), count(1)
    return lambda: f"{prefix}-{next(counter):x}"


class AccessLog:
    """One line a request."""

    def __init__(self, now_ms: Clock, fd: int | None = None) -> None:
        self._now_ms = now_ms
        self._fd = sys.stderr.fileno() if fd is None else fd
        self._lines: list[str] = []
        self._lost = 0
        self._writing = False
        self._second = -1
        self._stem = ""

    def note(
        self,
        request: str,
        method: str,
        path: str,
        *,
        status: int,
        duration_ms: int,
        sent_bytes: int,
        pool: str = "",
        backend: str = "",
    ) -> None:
        """Write a request's line soon. `path` is without its query; `backend` is empty for an answer of our own.

        `status` is 499 for a client that left before its answer was complete.
        """
        if len(self._lines) >= MAX_LINES:
            self._lost += 1
            return
        self._lines.append(
            f'{{"event": "request", "log": "access", "time": "{self._time()}", "request": "{request}", '
            f'"method": {_quoted(method)}, "path": {_quoted(path)}, "status": {status}, "duration_ms": {duration_ms}, '
            f'"sent_bytes": {sent_bytes}, "pool": "{pool}", "backend": "{backend}"}}\n'
        )
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def close(self) -> None:
        """Write what is left, now."""
        while batch := self._take():
            _write(self._fd, batch)

    def _flush(self) -> None:
        batch = self._take()
        if not batch:
            self._writing = False
            return
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, _write, self._fd, batch).add_done_callback(lambda _: self._flush())

    def _time(self) -> str:
        """The time, of which all but the milliseconds is kept for the next call."""
        second, ms = divmod(self._now_ms(), 1_000)
        if second != self._second:
            self._second, self._stem = second, _utc(second * 1_000)[:-4]
        return f"{self._stem}{ms:03}Z"

    def _take(self) -> bytes:
        lines, self._lines = self._lines, []
        if self._lost:
            fields = {"event": "access_lines_lost", "log": "access", "time": self._time(), "lines": self._lost}
            lines.append(json.dumps(fields) + "\n")
            self._lost = 0
        return "".join(lines).encode()


def _write(fd: int, batch: bytes) -> None:
    """A reader of stderr that went away takes the log with it, not the service."""
    try:
        while batch:
            batch = batch[os.write(fd, batch) :]
    except OSError:
        return


def _utc(now_ms: int) -> str:
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _stamp(process: str, now_ms: Clock) -> Processor:
    def stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {"event": event.pop("event"), "time": _utc(now_ms()), "process": process, **event}

    return stamp


def _anonymous(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if key not in FORBIDDEN}


def _rendering(*, human: bool) -> list[Processor]:
    if human:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _for_the_journal(_logger: object, method: str, line: Any) -> str:  # noqa: ANN401 - structlog has no type for it
    """The priority in front, which the journal takes off again (sd-daemon(3)): for `journalctl -p warning`."""
    return f"<{PRIORITIES.get(method, INFO)}>{line}"


class _FromLibraries(logging.Handler):
    """Turns a record of asyncio, aiohttp or redis into an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. aiohttp names its peer in the arguments, so of its messages only the template is kept."""
        message = record.msg if record.name.startswith("aiohttp") else record.getMessage()
        log = structlog.get_logger(record.name)
        log.log(record.levelno, "library_message", library=record.name, message=message, exc_info=record.exc_info)
