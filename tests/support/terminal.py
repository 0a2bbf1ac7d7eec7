"""A command on a terminal of a given width, as an operator sees it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from io import FileIO
from pathlib import Path
from threading import Timer

PATIENCE_S = 120.0
"""For a command to say what it is waited for, and to end when it is told."""


def watched_on_terminal(*words: str, cwd: Path, columns: int = 80, until: str) -> tuple[int, str]:
    """The same for a command that goes on: Ctrl-C once `until` has been written. Its exit code, and all it wrote."""
    ours, process = _started(words, cwd, columns, {})
    written, patience = b"", Timer(PATIENCE_S, process.kill)  # no test's time-out reaches the thread that waits here
    patience.start()
    with process, os.fdopen(ours, "rb", buffering=0) as file:
        while until.encode() not in written:
            written += file.read(65_536)
        process.send_signal(signal.SIGINT)
        written += _rest(file)
        code = process.wait()
    patience.cancel()
    return code, written.decode().replace("\r\n", "\n")


def on_terminal(*words: str, cwd: Path, columns: int = 80, env: dict[str, str] | None = None) -> str:
    """What `waitroom WORDS` writes there, with its escapes; it is waited for."""
    ours, process = _started(words, cwd, columns, env or {})
    with process, os.fdopen(ours, "rb", buffering=0) as file:
        return _rest(file).decode().replace("\r\n", "\n")


def _started(
    words: tuple[str, ...], cwd: Path, columns: int, env: dict[str, str]
) -> tuple[int, "subprocess.Popen[bytes]"]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    environment = inherited | {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm-256color"} | env
    command = [sys.executable, "-m", "waitroom", *words]
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    return ours, process


def _rest(file: FileIO) -> bytes:
    """Everything until the last writer is gone, which Linux tells by an error (EIO)."""
    pieces = []
    while True:
        try:
            piece = file.read(65_536)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)
