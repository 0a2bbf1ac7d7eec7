"""The keys that sign tickets: made on first start in a file that only its owner reads, or given by the environment.

Law: the first key signs, all verify. A key never appears in a message or a log. The file appears whole or not at all,
and of several starters at once one wins and all use its key.

The file has one `id:base64` a line, the first line signs; lines that begin with # are comments.
"""

import hmac
import os
import re
import secrets as chance
import stat
import tempfile
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path

from waitroom.errors import SettingsError

ENVIRONMENT = "WAITROOM_SECRETS"
"""Variable that replaces the file: the same `id:base64`, separated by commas, blanks or line ends."""

KEY_BYTES = 32
"""Length of the keys that are made here: as long as the MAC (RFC 2104 section 3)."""

MIN_KEY_BYTES, MAX_KEY_BYTES = 32, 64
"""A longer key than SHA-256's block of 64 bytes would only be hashed down."""

MAX_KEYS = 16
"""Keys in use at a time; a rotation needs two."""

MAX_FILE_BYTES = 64 * 1024

_ID = re.compile(r"[a-z0-9]{1,8}", re.ASCII)
_PRIVATE = stat.S_IRUSR | stat.S_IWUSR
_TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""What a key file's mode may not have. A group may read: mounted secrets come as 0440 to a service's own group."""


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key; its id stands in every ticket that it signs."""

    id: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys in use. The first signs, all verify."""

    keys: tuple[Key, ...]

    @property
    def local_token(self) -> str:
        """The admin API's token of whoever can read these keys: an operator at the machine needs no other."""
        return hmac.digest(self.keys[0].key, b"waitroom local operator", "sha256").hex()


class SecretsError(SettingsError):
    """The keys cannot be had; the message says where, what is wrong and what to do."""


def load_secrets(path: Path, environment: Mapping[str, str] | None = None) -> Secrets:
    """The keys of the environment if it has them, else of the file, which is made if it is not there.

    Raises SecretsError for anything that is not right; nothing is ever repaired in silence.
    """
    given = (os.environ if environment is None else environment).get(ENVIRONMENT)
    if given is not None:
        return Secrets(_parse(re.split(r"[,\s]+", given.strip()), lambda entry: f"{ENVIRONMENT}, entry {entry}"))
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise SecretsError(f"{path}: {_reason(error)}; allowed: a file that this user can make and read") from None


def rotate(path: Path) -> Secrets:
    """Put a new key first and keep the old ones, so that tickets out there stay good. Raises SecretsError.

    Signing goes over to it at the next reload; an old line may be deleted once its tickets are a day old. With more
    than one machine, bring the file to all of them before any is reloaded.
    """
    try:
        with _locked(path):
            old = _read(path).keys
            if len(old) >= MAX_KEYS:
                raise SecretsError(f"{path}: {len(old)} keys; allowed: {MAX_KEYS}; remedy: delete its last lines")
            new = _new_key({key.id for key in old})
            _put(path, f"{write_key(new)}\n{path.read_text(encoding='ascii')}", os.replace, like=path.stat())
    except OSError as error:
        raise SecretsError(f"{path}: {_reason(error)}; allowed: a file that this user can read and replace") from None
    return Secrets((new, *old))


def write_key(key: Key) -> str:
    """The key as a line of the file."""
    return f"{key.id}:{b64encode(key.key).decode()}"


def _make(path: Path) -> None:
    """Make the file with a first key, unless somebody else has made it meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _put(path, f"{write_key(_new_key(set()))}\n", os.link)
    except FileExistsError:
        return


def _put(path: Path, text: str, place: Callable[[str, Path], None], *, like: os.stat_result | None = None) -> None:
    """Write a temporary file beside `path`, bring it to disk, then `place` it: link (never over another) or replace.

    `like` is the file it replaces: its owner and mode stay, or a rotation by root would lock the service out.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), _PRIVATE if like is None else stat.S_IMODE(like.st_mode))
            os.fsync(file.fileno())
        place(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to disk too (open(2), fsync(2): a file's fsync does not cover its directory entry)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One rotation at a time: a lock on the folder, which `os.replace` does not swap away as it does the file."""
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> Secrets:
    if path.exists() and not path.is_file():
        raise SecretsError(f"{path}: is not a file; allowed: a regular file")
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if found.st_mode & _TOO_OPEN:
            mode = stat.S_IMODE(found.st_mode)
            raise SecretsError(
                f"{path}: mode {mode:04o} lets others at the keys; allowed: 0600 or 0640; remedy: chmod 600 {path}"
            )
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES or not raw.isascii():
        raise SecretsError(f"{path}: is not a file of keys; allowed: lines of id:base64")
    lines = raw.decode("ascii").splitlines()
    entries = ["" if line.lstrip().startswith("#") else line.strip() for line in lines]
    return Secrets(_parse(entries, lambda line: f"{path}:{line}"))


def _parse(entries: list[str], where: Callable[[int], str]) -> tuple[Key, ...]:
    keys: dict[str, Key] = {}
    for number, entry in enumerate(entries, start=1):
        if not entry:
            continue
        key = _parse_key(entry, where(number))
        if key.id in keys:
            raise SecretsError(f"{where(number)}: key id {key.id} comes twice; allowed: each id once")
        keys[key.id] = key
    if not keys:
        remedy = "remedy: remove it, and a start makes a file with one"
        raise SecretsError(f"{where(1)}: no key; allowed: 1 to {MAX_KEYS} of id:base64; {remedy}")
    if len(keys) > MAX_KEYS:
        raise SecretsError(f"{where(1)}: {len(keys)} keys; allowed: 1 to {MAX_KEYS}")
    return tuple(keys.values())


def _parse_key(entry: str, where: str) -> Key:
    """One `id:base64`. What stands there is never repeated in a message: it may be a key."""
    key_id, colon, encoded = entry.partition(":")
    if not colon or not _ID.fullmatch(key_id):
        raise SecretsError(f"{where}: does not begin with an id; allowed: id:base64, the id 1 to 8 of a-z 0-9")
    try:
        key = b64decode(encoded.strip(), validate=True)
    except (Base64Error, ValueError):
        raise SecretsError(
            f"{where}: the key {key_id} is not base64; allowed: id:base64 (RFC 4648 section 4)"
        ) from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        allowed = f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes; remedy: openssl rand -base64 {KEY_BYTES}"
        raise SecretsError(f"{where}: the key {key_id} has {len(key)} bytes; allowed: {allowed}")
    return Key(key_id, key)


def _new_key(taken: set[str]) -> Key:
    while (key_id := chance.token_hex(3)) in taken:
        continue
    return Key(key_id, chance.token_bytes(KEY_BYTES))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
