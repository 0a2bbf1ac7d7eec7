"""A command on a terminal of a given width, as an operator sees it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path


def on_terminal(*words: str, cwd: Path, columns: int = 80, env: dict[str, str] | None = None) -> str:
    """What `waitroom WORDS` writes there, with its escapes; it is waited for."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    root = str(Path(__file__).parents[2])
    environment = inherited | {"PYTHONPATH": root, "TERM": "xterm-256color"} | (env or {})
    command = [sys.executable, "-m", "waitroom", *words]
    with subprocess.Popen(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        return _all_of(ours).decode().replace("\r\n", "\n")


def _all_of(terminal: int) -> bytes:
    """Everything until the last writer is gone, which Linux tells by an error (EIO)."""
    pieces = []
    with os.fdopen(terminal, "rb", buffering=0) as file:
        while True:
            try:
                piece = file.read(65_536)
            except OSError:
                break
            if not piece:
                break
            pieces.append(piece)
    return b"".join(pieces)
