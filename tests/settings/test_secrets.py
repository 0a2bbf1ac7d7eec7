"""Keys: made once, read by their owner only, rotated without losing a ticket, and never told."""

import os
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from waitroom.settings.secrets import (
    ENVIRONMENT,
    KEY_BYTES,
    MAX_KEYS,
    Key,
    Secrets,
    SecretsError,
    load_secrets,
    rotate,
    write_key,
)

STARTERS = 6
START = """
import sys
from pathlib import Path
from waitroom.settings.secrets import load_secrets, write_key
print("ready", flush=True)
sys.stdin.readline()
print(write_key(load_secrets(Path(sys.argv[1]), {}).keys[0]))
"""


def _entry(key_id: str, fill: bytes = b"k", length: int = KEY_BYTES) -> str:
    return f"{key_id}:{b64encode(fill * length).decode()}"


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "secrets"
    file.write_text(text, encoding="ascii")
    file.chmod(mode)
    return file


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_first_start_makes_the_file(tmp_path: Path) -> None:
    """Folder included; one key of 32 random bytes; mode 0600; nothing else is left behind."""
    file = tmp_path / "var" / "secrets"
    made = load_secrets(file, {})
    assert len(made.keys) == 1
    assert len(made.keys[0].key) == KEY_BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700, "the store's folder too, as a rule"
    assert file.read_text(encoding="ascii") == write_key(made.keys[0]) + "\n"
    assert load_secrets(file, {}) == made, "the next start finds it"
    assert _names(file.parent) == ["secrets"]


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    """Whatever shell it was started from."""
    before = os.umask(0)
    try:
        load_secrets(tmp_path / "secrets", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o600


def test_starters_at_once_agree_on_one_key(tmp_path: Path) -> None:
    """Processes that all found no file and all made one end up with the same."""
    file = tmp_path / "secrets"
    command = [sys.executable, "-c", START, str(file)]
    starters = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(STARTERS)
    ]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()
    keys = {starter.communicate(timeout=120)[0] for starter in starters}
    assert keys == {file.read_text(encoding="ascii")}
    assert _names(tmp_path) == ["secrets"]


def test_the_environment_replaces_the_file(tmp_path: Path) -> None:
    """Commas, blanks or line ends between entries; the file is not even made."""
    given = f" {_entry('new', b'n')},{_entry('old')}\n{_entry('older', b'o')}\n"
    found = load_secrets(tmp_path / "secrets", {ENVIRONMENT: given})
    assert found == Secrets((Key("new", b"n" * 32), Key("old", b"k" * 32), Key("older", b"o" * 32)))
    assert _names(tmp_path) == []


def test_rotation_puts_a_new_key_first_and_keeps_the_old(tmp_path: Path) -> None:
    """What was signed before still verifies."""
    file = tmp_path / "secrets"
    old = load_secrets(file, {}).keys
    rotated = rotate(file)
    assert rotated.keys[1:] == old
    assert rotated.keys[0].id != old[0].id
    assert load_secrets(file, {}) == rotated
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert _names(tmp_path) == ["secrets"]


def test_rotation_keeps_mode_owner_and_comments(tmp_path: Path) -> None:
    """Root rotates, the service still reads."""
    file = _file(tmp_path, f"# since June\n{_entry('a')}\n", 0o640)
    if os.geteuid() == 0:
        os.chown(file, 12_345, 23_456)
    before = file.stat()
    rotate(file)
    after = file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert file.read_text(encoding="ascii").splitlines()[1:] == ["# since June", _entry("a")]


def test_rotation_is_bounded(tmp_path: Path) -> None:
    """A cron job that rotates for ever is told to clean up."""
    file = _file(tmp_path, "\n".join(_entry(f"k{index}") for index in range(MAX_KEYS)))
    with pytest.raises(SecretsError, match="16 keys; allowed: 16; remedy: delete its last lines"):
        rotate(file)
    assert len(load_secrets(file, {}).keys) == MAX_KEYS


def test_comments_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    """An operator may note which key is which."""
    file = _file(tmp_path, f"# since June\n\n  {_entry('a')}  \n# before\n{_entry('b')}\n")
    assert [key.id for key in load_secrets(file, {}).keys] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{file}:1: no key; allowed: 1 to 16 of id:base64; remedy: remove it, and a start makes a file with one"),
        ("# nothing\n", "{file}:1: no key"),
        (_entry("a") + "\n" + _entry("a", b"x"), "{file}:2: key id a comes twice; allowed: each id once"),
        (_entry("a", length=16), "{file}:1: the key a has 16 bytes; allowed: 32 to 64 bytes; remedy: openssl rand"),
        (_entry("a", length=65), "{file}:1: the key a has 65 bytes"),
        ("a:not base64 at all!", "{file}:1: the key a is not base64"),
        (_entry("a")[:-3], "{file}:1: the key a is not base64"),
        (b64encode(b"k" * 32).decode(), "{file}:1: does not begin with an id; allowed: id:base64, the id 1 to 8 of"),
        (_entry("KEY"), "{file}:1: does not begin with an id"),
        (_entry("ninechars"), "{file}:1: does not begin with an id"),
        ("\n".join(_entry(f"k{index}") for index in range(MAX_KEYS + 1)), "{file}:1: 17 keys; allowed: 1 to 16"),
        ("#" * 70_000, "{file}: is not a file of keys"),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong and what to do, without a word of the key."""
    file = _file(tmp_path, text)
    with pytest.raises(SecretsError) as caught:
        load_secrets(file, {})
    assert str(caught.value).startswith(message.format(file=file))
    assert b64encode(b"k" * 9).decode() not in str(caught.value)


@pytest.mark.parametrize("text", ["", "nonsense", _entry("a", length=8)])
def test_a_bad_environment_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """An empty variable is a mistake too: it never falls back to a file in silence."""
    with pytest.raises(SecretsError, match=f"^{ENVIRONMENT}, entry 1: "):
        load_secrets(tmp_path / "secrets", {ENVIRONMENT: text})


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o660, 0o666])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever reads the keys can make passes; the remedy is in the message."""
    file = _file(tmp_path, _entry("a"), mode)
    with pytest.raises(SecretsError) as caught:
        load_secrets(file, {})
    assert str(caught.value) == (
        f"{file}: mode {mode:04o} lets others at the keys; allowed: 0600 or 0640; remedy: chmod 600 {file}"
    )


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_for_the_owner_or_its_group_is_read(tmp_path: Path, mode: int) -> None:
    """Mounted secrets come read-only, to a group."""
    assert load_secrets(_file(tmp_path, _entry("a"), mode), {}).keys[0].id == "a"


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe that would never be read to its end, or a path through a file."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretsError, match=r": is not a file; allowed: a regular file$"):
            load_secrets(path, {})
    (tmp_path / "file").touch()
    with pytest.raises(SecretsError, match=r"(not a directory|file exists); allowed: "):
        load_secrets(tmp_path / "file" / "secrets", {})


def test_keys_stand_in_no_representation() -> None:
    """A stray log line tells nothing."""
    assert repr(Secrets((Key("a", b"k" * 32),))) == "Secrets(keys=(Key(id='a'),))"
