"""Files and flags to settings: everything at once, flags first, never in part."""

from pathlib import Path

import pytest

from waitroom.settings.addresses import BackendUrl, HostPort
from waitroom.settings.load import Flags, examine, from_flags, from_mapping, load
from waitroom.settings.model import Settings
from waitroom.settings.problems import BadSettingsError, UnreadableSettingsError

ONE = 'pools: {main: {backends: {a: {url: "http://10.0.0.1", max_sessions: 5}}}}\n'
TWO = (
    'pools: {main: {backends: {a: {url: "http://10.0.0.1", max_sessions: 5}, b: {url: "http://b", max_sessions: 1}}}}\n'
)

MANY_FAULTS = """\
workers: four
queu_status: 429
pools:
  main:
    backends:
      a: {url: "http://10.0.0.1/x", max_sessions: 5}
    session: {idle_timeout: 30}
exams:
  E1: {pool: mian, match: [{path: /quiz}], opens: 2026-06-01T09:00:00}
workers: 4
"""


def _file(folder: Path, text: str) -> Path:
    file = folder / "waitroom.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _messages(error: BadSettingsError) -> list[str]:
    return [str(problem) for problem in error.problems]


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Form, types, values and references: one run of `check` shows them all."""
    with pytest.raises(BadSettingsError) as caught:
        load(_file(tmp_path, MANY_FAULTS))
    found = [(problem.line, problem.col, problem.key) for problem in caught.value.problems]
    assert found == [
        (1, 10, "workers"),
        (2, 1, "queu_status"),
        (6, 16, "pools.main.backends.a.url"),
        (7, 29, "pools.main.session.idle_timeout"),
        (9, 14, "exams.E1.pool"),
        (9, 51, "exams.E1.opens"),
        (10, 1, "workers"),
    ]


def test_a_fault_in_an_alias_is_named_once_where_it_stands(tmp_path: Path) -> None:
    """The spot to mend is the anchor's; the key is the first that uses it."""
    text = """\
pools:
  a: {backends: {a-1: {url: "http://a", max_sessions: 1}}, session: &usual {idle_timeout: 30}}
  b: {backends: {b-1: {url: "http://b", max_sessions: 1}}, session: *usual}
default_pool: a
"""
    with pytest.raises(BadSettingsError) as caught:
        load(_file(tmp_path, text))
    found = [(problem.line, problem.col, problem.key) for problem in caught.value.problems]
    assert found == [(2, 91, "pools.a.session.idle_timeout")]


@pytest.mark.parametrize("kind", ["missing", "folder", "closed"])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, kind: str) -> None:
    """Apart from a file that is wrong: the exit code differs."""
    path = {"missing": tmp_path / "none.yaml", "folder": tmp_path, "closed": Path("/proc/self/mem")}[kind]
    with pytest.raises(UnreadableSettingsError, match=f"^{path}: cannot be read: "):
        load(path)


def test_a_file_larger_than_the_bound_is_refused(tmp_path: Path) -> None:
    """Nothing is parsed of it."""
    with pytest.raises(BadSettingsError, match="larger than 1 MiB"):
        load(_file(tmp_path, ONE + "#" * (1 << 20)))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """Editors of other systems write one."""
    file = tmp_path / "waitroom.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + ONE.encode())
    assert list(load(file).pools) == ["main"]


def test_flags_alone_make_a_pool_called_main() -> None:
    """`serve --backend URL --max-sessions N` needs no file."""
    settings = from_flags(backend="http://127.0.0.1:8000", max_sessions=5)
    assert settings == load(None, Flags(backend="http://127.0.0.1:8000", max_sessions=5))
    backend = settings.pools["main"].backends["main-1"]
    assert (backend.url, backend.max_sessions) == (BackendUrl("http", "127.0.0.1", 8000), 5)
    assert settings.default_pool == "main"


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """Each of them, and nothing else changes."""
    flags = Flags(
        backend="http://b:81",
        max_sessions=9,
        listen="[::1]:81",
        admin="127.0.0.1:91",
        data_dir="/srv/wr",
        store="redis://r",
        workers="3",
    )
    file = _file(tmp_path, ONE + "workers: 2\nlisten: {public: '0.0.0.0:80'}\nqueue_status: 503\n")
    settings = load(file, flags)
    assert settings == from_flags(
        load(file),
        backend="http://b:81",
        max_sessions=9,
        listen="[::1]:81",
        admin="127.0.0.1:91",
        data_dir="/srv/wr",
        store="redis://r",
        workers=3,
    )
    assert (settings.workers, settings.queue_status) == (3, 503)
    assert (settings.store.url, settings.store.data_dir) == ("redis://r", Path("/srv/wr"))
    assert settings.secrets.file == Path("/srv/wr/secrets"), "the keys move with the data"
    assert (settings.listen.public[0].host, settings.listen.public[0].port) == ("::1", 81)
    assert settings.listen.admin == HostPort("127.0.0.1", 91)
    assert list(settings.pools["main"].backends) == ["a"], "the file's names stay"
    assert settings.pools["main"].backends["a"].max_sessions == 9


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (Flags(), "--backend: missing: address of the exam server"),
        (Flags(backend="http://x"), "--max-sessions: missing: without it"),
        (Flags(max_sessions=5), "--backend: missing: address of the exam server"),
        (Flags(backend="x:80", max_sessions=5), '--backend: "x:80" has no scheme'),
        (Flags(backend="http://x", max_sessions=0), "--max-sessions: 0 is out of range"),
        (Flags(backend="http://x", max_sessions=5, listen="80"), '--listen: "80" is not an address'),
        (Flags(backend="http://x", max_sessions=5, admin="[::]"), '--admin: "[::]" is not an address'),
        (Flags(backend="http://x", max_sessions=5, workers="two"), '--workers: "two" is not a whole number'),
        (Flags(backend="http://x", max_sessions=5, store="x"), "--store: not the URL of a store"),
        (Flags(backend="http://x", max_sessions=5, data_dir=""), "--data-dir: is empty"),
    ],
)
def test_problems_of_flags_bear_their_names(flags: Flags, message: str) -> None:
    """No line of a file is blamed for what was typed."""
    with pytest.raises(BadSettingsError) as caught:
        load(None, flags)
    assert any(line.startswith(message) for line in _messages(caught.value)), caught.value


def test_a_backend_flag_beside_several_backends_is_refused(tmp_path: Path) -> None:
    """Which of them would it mean?"""
    with pytest.raises(BadSettingsError) as caught:
        load(_file(tmp_path, TWO), Flags(backend="http://x", max_sessions=3))
    wrong = "the file has several backends; allowed: a file with one backend, or none"
    assert _messages(caught.value) == [f"--backend: {wrong}", f"--max-sessions: {wrong}"]


def test_a_flag_mends_what_the_file_has_wrong(tmp_path: Path) -> None:
    """The value that counts is the one that is judged."""
    assert load(_file(tmp_path, ONE + "workers: many\n"), Flags(workers="2")).workers == 2


def test_settings_cross_a_pipe_unchanged() -> None:
    """`to_json` and `from_json` are inverse."""
    sample = Path(__file__).parents[2] / "config" / "waitroom.yaml"
    settings = load(sample)
    again = Settings.from_json(settings.to_json())
    assert again == settings
    assert again.to_json() == settings.to_json()


def test_an_address_put_in_by_the_supervisor_crosses_too() -> None:
    """The embedded store's socket stands in no file; workers are told all the same."""
    settings = from_flags(backend="http://127.0.0.1:8000", max_sessions=5)
    store = settings.store.model_copy(update={"url": "unix:///tmp/a%20folder/valkey.sock"})
    told = Settings.from_json(settings.model_copy(update={"store": store}).to_json())
    assert told.store.url == "unix:///tmp/a%20folder/valkey.sock"
    assert told.pools == settings.pools


def test_settings_do_not_change_and_do_not_tell() -> None:
    """Frozen, and the store's password is in no representation."""
    settings = from_mapping(
        {"pools": {"a": {"backends": {"b": {"url": "http://x", "max_sessions": 1}}}}, "store": {"url": "redis://:pw@h"}}
    )
    with pytest.raises(ValueError, match="frozen"):
        settings.workers = 3  # type: ignore[misc]  # that it is refused is the point
    assert "pw" not in repr(settings)


def test_a_password_in_an_open_file_brings_a_warning(tmp_path: Path) -> None:
    """Whoever has an account on the machine could log in to the store; a URL without one may be read by all."""
    file = _file(tmp_path, ONE + 'store: {url: "redis://:hunter2@10.0.0.9"}\n')
    file.chmod(0o644)
    (warning,) = examine(file).warnings
    assert (warning.line, warning.key) == (2, "store.url")
    assert "hunter2" not in str(warning)
    file.chmod(0o640)
    assert examine(file).warnings == ()
    file.write_text(ONE + 'store: {url: "redis://10.0.0.9"}\n', encoding="utf-8")
    file.chmod(0o644)
    assert examine(file).warnings == ()
