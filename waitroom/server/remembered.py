"""What this machine's service last worked by, so that a restart with other settings is in the audit as a reload is.

Law: nothing secret is written down: what is shown as stars, and what stands in the files that settings name, is there
as a digest that says nothing without the signing keys. A note that cannot be read or written costs an entry of the
audit and not the start.
"""

import hmac
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from waitroom.settings.differences import Difference, Side, concealed, side_differences
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Key, Secrets

log = structlog.get_logger(__name__)

NAME = "last-settings.json"
"""In `store.data_dir`, where that is a folder already; mode 0600."""

MAX_BYTES = 16 << 20
"""A file of settings has 1 MiB at most, and every default besides."""

SEAL = "waitroom settings"


@dataclass(frozen=True, slots=True)
class Note:
    """Settings as they may be written down. `seal` says by which key the digests were made."""

    version: str
    whole: dict[str, Any]
    said: dict[str, Any]
    keys: list[str]
    seal: str
    digests: dict[str, str]

    @classmethod
    def of(cls, settings: Settings, secrets: Secrets, version: str) -> Self:
        """Of these settings, sealed by the first key."""
        return cls._sealed(settings, secrets, version, secrets.keys[0])

    @classmethod
    def _sealed(cls, settings: Settings, secrets: Secrets, version: str, key: Key) -> Self:
        side = Side.masked(settings)
        digests = {name: _digest(key, f"{name}\0{value}") for name, value in concealed(settings).items()}
        ids = [each.id for each in secrets.keys]
        return cls(version, side.whole, side.said, ids, _digest(key, SEAL), digests)

    def changes_to(self, settings: Settings, secrets: Secrets, version: str) -> list[Difference]:
        """What differs in these settings; of what was hidden, if the key of that time is still there."""
        key = next((each for each in secrets.keys if hmac.compare_digest(_digest(each, SEAL), self.seal)), None)
        now = self._sealed(settings, secrets, version, key or secrets.keys[0])
        changes = side_differences(Side(self.whole, self.said), Side(now.whole, now.said))
        named = {each.key for each in changes}
        if key is not None:
            changes += [
                Difference(name, "***", "*** (another)")
                for name, digest in now.digests.items()
                if name not in named and self.digests.get(name, digest) != digest
            ]
        if (self.keys, self.seal) != (now.keys, now.seal) or key is None:
            before, after = ", ".join(self.keys), ", ".join(now.keys)
            changes.append(Difference("secrets", before, after if before != after else f"{after} (another)"))
        if self.version != version:
            changes.append(Difference("version", self.version, version))
        return changes


def recall(folder: Path) -> Note | None:
    """The note of before; None where there is none that can be read."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            return Note(**json.loads(file.read(MAX_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("last_settings_not_read", file=str(path), problem=str(error))
        return None


def remember(folder: Path, note: Note) -> None:
    """Write the note down, whole or not at all, where the folder is there."""
    if not folder.is_dir():
        return
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{NAME}.", dir=folder)  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                parts = {name: getattr(note, name) for name in Note.__slots__}
                json.dump(parts, file, ensure_ascii=False, separators=(",", ":"))
            Path(temporary).replace(folder / NAME)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        log.warning("last_settings_not_written", file=str(folder / NAME), problem=str(error))


def _digest(key: Key, text: str) -> str:
    return hmac.digest(key.key, text.encode(), "sha256").hex()
