"""Where Chromium is and how it is started."""

from pathlib import Path

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox"]


def need_chromium() -> None:
    """Fail with the remedy where there is no browser."""
    assert Path(CHROMIUM).exists(), "these tests need Debian's browser: apt-get install -y chromium"
