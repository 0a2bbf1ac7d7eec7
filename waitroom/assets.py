"""Where the files that are not Python lie: inside the installed package, or in the checkout beside it."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def static_dir() -> Path:
    """The folder of page templates, styles, scripts and catalogues."""
    installed = _PACKAGE / "static"
    return installed if installed.is_dir() else _PACKAGE.parent / "static"
