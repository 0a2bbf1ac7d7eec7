"""Notices that a file of the settings has changed: the file itself, and every file that it names.

Law: what counts is what a path leads to, so an edit, a rename over it and a symlink that is swapped somewhere on the
way (Kubernetes: `..data`) are all seen. A change counts once it has settled, so that nothing half written is read, and
counts once: settings that were taken are not taken again.
"""

from collections.abc import Iterable
from pathlib import Path

from waitroom.settings.model import Settings

LOOK_S = 0.5
"""From one look to the next; a change is taken up when two looks in a row see the same."""

Print = tuple[int, int, int, int] | None
"""What a path leads to: device, inode, time of change in ns, size; None: nothing."""


def files_of(settings: Settings, file: Path | None) -> list[Path]:
    """The settings file, if there is one, and what it names."""
    found: list[Path | None] = [file, settings.secrets.file]
    pages = settings.pages
    found += [pages.logo, pages.style, pages.template, pages.texts]
    if pages.texts is not None:
        found += sorted(pages.texts.glob("*.po"))
    found += [settings.identity.jwt.key_file] if settings.identity and settings.identity.jwt else []
    for listen in settings.listen.public:
        found += [listen.tls.cert, listen.tls.key] if listen.tls else []
    for pool in settings.pools.values():
        found += [pool.priority.roster, *(backend.ca for backend in pool.backends.values())]
    return [path for path in dict.fromkeys(found) if path is not None]


def prints(files: Iterable[Path]) -> dict[Path, Print]:
    """What each path leads to now."""
    return {path: _print(path) for path in files}


class Changes:
    """What the settings in force were read from, and whether that is still there."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._taken = self._last = prints(files)

    def reading(self) -> dict[Path, Print]:
        """To be called before files are read; the answer goes to `taken` when what they say is in force or refused."""
        return prints(self._taken)

    def taken(self, before: dict[Path, Print], files: Iterable[Path]) -> None:
        """These files count from now on; what was seen before the reading counts as read."""
        self._taken = self._last = prints(files) | {path: before[path] for path in files if path in before}

    def settled(self) -> list[Path]:
        """The files that have changed since they were taken, once two looks in a row have seen the same."""
        now, last = prints(self._taken), self._last
        self._last = now
        return [path for path in now if now[path] != self._taken[path]] if now == last else []


def _print(path: Path) -> Print:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
