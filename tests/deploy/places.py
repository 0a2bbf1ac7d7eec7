"""Where the files of `deploy` are, and how other people's programs are asked about them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
"""With the programs that come as packages, also where no virtual environment is active."""

LIMIT_S = 240.0
"""For a program to say what it has to; some bring what they need from PyPI."""


def told(*command: str | Path, expect: int = 0) -> str:
    """All that a program says, which ends with this code."""
    found = os.environ | {"PATH": PATH}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=found)
    said = done.stdout + done.stderr
    assert done.returncode == expect, f"{command} ended with {done.returncode}:\n{said}"
    return said
