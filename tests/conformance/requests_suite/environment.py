"""The folder in which requests' own tests can run: a virtual environment with their pins, and the tests themselves.

Law: made once in `out`, and anew whenever the requirements or the Python change.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
HOME = Path(__file__).parents[3] / "out" / "requests-suite"
PYTHON = HOME / "venv" / "bin" / "python"
SUITE = HOME / "suite"
PIP = (PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check")
CERTIFICATE, KEY, AUTHORITY = "server.pem", "server.key", "client.pem"
"""Files of pytest-httpbin's HTTPS server; the last is what its clients trust."""


def prepare() -> None:
    """Make the folder, unless it is there."""
    made_from = f"{sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    stamp = HOME / "made-from"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    _must(sys.executable, "-m", "venv", HOME / "venv")
    _must(*PIP, "install", "-r", REQUIREMENTS)
    source = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation")
    _must(*PIP, "download", *source, "--dest", HOME, "--constraint", REQUIREMENTS, "requests")
    (archive,) = HOME.glob("requests-*.tar.gz")
    _must("tar", "--extract", "--file", archive, "--directory", HOME)
    (HOME / archive.name.removesuffix(".tar.gz")).rename(SUITE)
    stamp.write_text(made_from, encoding="utf-8")


def certificate(name: str) -> Path:
    """One of pytest-httpbin's files."""
    (found,) = HOME.glob(f"venv/lib/python*/site-packages/pytest_httpbin/certs/{name}")
    return found


def _must(*command: Any) -> None:
    made = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert made.returncode == 0, f"requests' tests need PyPI once; {' '.join(map(str, command))} said:\n{made.stdout}"
