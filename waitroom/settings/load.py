"""From a file, flags or both to settings: all of them right, or every problem at once.

Law: flags win over the file, the file over the defaults. Relative paths, the file's own included, are relative to the
working directory. Nothing is applied in part, and nothing is refused for a warning.
"""

import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from pydantic import ValidationError

from waitroom.settings.certificates import enclose_certificates
from waitroom.settings.crosscheck import cross_check
from waitroom.settings.identity import enclose_names
from waitroom.settings.look import enclose
from waitroom.settings.model import Settings
from waitroom.settings.problems import (
    BadSettingsError,
    Finding,
    Origin,
    Problem,
    UnreadableSettingsError,
    findings,
    in_order,
)
from waitroom.settings.yaml12 import MAX_BYTES, Path, load_yaml
from waitroom.settings.yamlfaults import YamlFaultError

FLAG_POOL, FLAG_BACKEND = "main", "main-1"
"""What the one pool and its one backend are called where there is no file."""

Inspect = Callable[[Settings], Iterable[Finding | Problem]]
"""Looks at settings that are whole and says what is wrong with what they enclose; floors above know more of it."""

_PASSWORD = re.compile(r"://[^/?#@]*:[^/?#@]+@|password=", re.IGNORECASE)

_FLAG_PATHS: dict[str, Path] = {
    "listen": ("listen", "public"),
    "admin": ("listen", "admin"),
    "data_dir": ("store", "data_dir"),
    "store": ("store", "url"),
    "workers": ("workers",),
}


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said; None is nothing."""

    backend: str | None = None
    max_sessions: int | None = None
    listen: str | None = None
    admin: str | None = None
    data_dir: str | None = None
    store: str | None = None
    workers: int | str | None = None


def _uninspected(_settings: Settings) -> tuple[()]:
    return ()


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at a file and flags found: settings, or why there are none."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    origin: Origin = field(default_factory=Origin)
    text: str = field(default="", repr=False)
    """The file as it was read; it may hold secrets."""
    readable: bool = True

    def whole(self) -> Settings:
        """The settings. Raises BadSettingsError, UnreadableSettingsError."""
        if self.settings is None:
            raise (BadSettingsError if self.readable else UnreadableSettingsError)(self.problems)
        return self.settings


def load(path: FilePath | str | None, flags: Flags | None = None, inspect: Inspect = _uninspected) -> Settings:
    """The settings of a file (None: no file) under the flags. Raises BadSettingsError, UnreadableSettingsError."""
    return examine(path, flags, inspect).whole()


def examine(path: FilePath | str | None, flags: Flags | None = None, inspect: Inspect = _uninspected) -> Examined:
    """All that can be said of a file (None: no file) under the flags; raises nothing for what is wrong there."""
    flags = flags or Flags()
    if path is None:
        return _settle({}, Origin(), flags, inspect=inspect)
    source, text = str(path), ""
    try:
        raw = _read(FilePath(path))
        text = raw.decode("utf-8-sig", "replace")
        document = load_yaml(raw)
    except OSError as error:
        wrong = f"cannot be read: {(error.strerror or str(error)).lower()}"
        return Examined(None, (Problem("", 0, 0, source, wrong),), readable=False)
    except YamlFaultError as fault:
        return Examined(None, (Origin(source).fault(fault),), origin=Origin(source), text=text)
    origin = Origin(source, document)
    data = {} if document.data is None else document.data
    found = _settle(data, origin, flags, tuple(origin.fault(fault) for fault in document.faults), inspect)
    open_file = _open_to_others(FilePath(path), origin, found.settings)
    return replace(found, text=text, warnings=in_order([*found.warnings, *open_file]))


def _open_to_others(path: FilePath, origin: Origin, settings: Settings | None) -> list[Problem]:
    """A password in a file that everybody on this machine may read."""
    url = settings.store.url if settings else None
    if url is None or not _PASSWORD.search(url):
        return []
    try:
        if not path.stat().st_mode & stat.S_IROTH:
            return []
    except OSError:  # gone since it was read
        return []
    wrong = f"has a password, and everyone on this machine may read {path}"
    return [origin.problem(Finding(("store", "url"), wrong, f"chmod o= {path}", warning=True))]


def from_flags(
    base: Settings | None = None,
    *,
    backend: str | None = None,
    max_sessions: int | None = None,
    listen: str | None = None,
    admin: str | None = None,
    data_dir: str | None = None,
    store: str | None = None,
    workers: int | str | None = None,
) -> Settings:
    """`base`, or nothing, under the flags. Raises BadSettingsError with the flags' names."""
    data = base.model_dump(mode="json", by_alias=True, exclude_unset=True) if base else {}
    return _settle(data, Origin(), Flags(backend, max_sessions, listen, admin, data_dir, store, workers)).whole()


def from_mapping(data: Mapping[str, object]) -> Settings:
    """Settings from data in the file's own spelling. Raises BadSettingsError."""
    return _settle(data, Origin(), Flags()).whole()


def _read(path: FilePath) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _settle(
    data: object,
    origin: Origin,
    flags: Flags,
    problems: tuple[Problem, ...] = (),
    inspect: Inspect = _uninspected,
) -> Examined:
    """The settings that the data and the flags make, or every problem of theirs."""
    found: list[Finding | Problem] = []
    settings: Settings | None = None
    if isinstance(data, Mapping):
        data, flagged, amiss = _overlaid(data, flags, alone=origin.document is None)
        found.extend(amiss)
        origin = Origin(origin.source, origin.document, flagged)
        found.extend(cross_check(data))
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        found = [*findings(error, Settings), *found]
    else:
        pages, unreadable = enclose(settings.pages)
        names, unknown = enclose_names(
            settings.identity, {name: pool.priority.roster for name, pool in settings.pools.items()}
        )
        certificates, too_large = enclose_certificates(each.tls for each in settings.listen.public)
        settings = settings.with_files(pages | names | certificates)
        found.extend([*unreadable, *unknown, *too_large] or inspect(settings))
    placed = in_order([*problems, *(each if isinstance(each, Problem) else origin.problem(each) for each in found)])
    bad, doubtful = (tuple(each for each in placed if each.warning is warning) for warning in (False, True))
    return Examined(None if bad else settings, bad, doubtful, origin)


def _overlaid(
    data: Mapping[str, object], flags: Flags, *, alone: bool
) -> tuple[dict[str, object], dict[Path, str], list[Finding]]:
    """The data with the flags in it, which paths are theirs, and what does not go together."""
    merged, flagged = dict(data), dict[Path, str]()
    for name, path in _FLAG_PATHS.items():
        value = getattr(flags, name)
        if value is not None and _put(merged, path, _number(value) if name == "workers" else value):
            flagged[path] = f"--{name.replace('_', '-')}"
    found = list(_overlay_backend(merged, flags, flagged, alone=alone))
    return merged, flagged, found


def _overlay_backend(
    merged: dict[str, object], flags: Flags, flagged: dict[Path, str], *, alone: bool
) -> list[Finding]:
    """--backend and --max-sessions speak of the only backend there is, or make it."""
    given = (("--backend", "url", flags.backend), ("--max-sessions", "max_sessions", flags.max_sessions))
    said = [name for name, _, value in given if value is not None]
    if not said and not alone:
        return []
    path: Path | None = ("pools", FLAG_POOL, "backends", FLAG_BACKEND)
    made = "pools" not in merged
    if not made:
        path = _only_backend(merged["pools"])
    if path is None:
        flagged.update({(name,): name for name in said})
        return [Finding((name,), "the file has several backends", "a file with one backend, or none") for name in said]
    if made:
        _put(merged, path, {})
    for name, key, value in given:
        if made or (value is not None and _put(merged, (*path, key), value)):
            flagged[(*path, key)] = name
        if made and value is not None:
            _put(merged, (*path, key), value)
    return []


def _only_backend(pools: object) -> Path | None:
    """The path of the only backend, or None where there are several. Nonsense counts as none to change."""
    if not isinstance(pools, Mapping) or len(pools) != 1:
        return None
    name, pool = next(iter(pools.items()))
    backends = pool.get("backends") if isinstance(pool, Mapping) else None
    if not isinstance(backends, Mapping) or len(backends) != 1:
        return None
    return ("pools", name, "backends", next(iter(backends)))


def _put(data: dict[str, object], path: Path, value: object) -> bool:
    """Set the value at a path, copying what is on the way; False where something else than a mapping is."""
    head, *rest = path
    assert isinstance(head, str)
    if not rest:
        data[head] = value
        return True
    below = data.get(head)
    if below is not None and not isinstance(below, Mapping):
        return False
    inside = dict(below or {})
    data[head] = inside
    return _put(inside, tuple(rest), value)


def _number(value: int | str) -> int | str:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
