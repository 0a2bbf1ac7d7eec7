"""How an operator's command reaches the admin API: the token goes to the URL that was given, and nowhere else."""

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from tests.support.ports import free_port
from waitroom.cli.main import main as cli
from waitroom.cli.operator import NOT_REACHED, REFUSED, Operator
from waitroom.settings.secrets import load_secrets


@contextlib.contextmanager
def listening(
    status: int, location: str = "", *, body: bytes = b"", waitroom: str = "", refuse: bool = False
) -> Iterator[tuple[str, list[str | None]]]:
    """A server that answers everything with `status`: its URL, and the tokens that came to it.

    `refuse`: any token is a wrong one.
    """
    seen: list[str | None] = []

    class Answer(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(401 if refuse and seen[-1] else status)
            if location:
                self.send_header("Location", location)
            if waitroom:
                self.send_header("X-Waitroom", waitroom)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = do_POST = _answer  # noqa: N815 - their names

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_a_proxy_of_the_environment_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of a campus has http_proxy set; the admin listener is asked directly all the same."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with listening(502) as (proxy, seen_by_proxy), listening(204) as (admin, seen):
        monkeypatch.setenv("http_proxy", proxy)
        assert Operator(admin, "secret").call("PUT", "/api", {}) is None
    assert (seen, seen_by_proxy) == (["Bearer secret"], [])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_redirect_is_not_followed(method: str) -> None:
    """Whatever answers at the URL cannot have the token carried elsewhere."""
    with listening(200) as (elsewhere, seen_elsewhere), listening(302, elsewhere) as (admin, seen):
        with pytest.raises(SystemExit) as ended:
            Operator(admin, "secret").call(method, "/api")
        assert ended.value.code == NOT_REACHED
    assert (seen, seen_elsewhere) == (["Bearer secret"], [])


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own exit code, and what to do."""
    with pytest.raises(SystemExit) as ended:
        Operator(f"http://127.0.0.1:{free_port()}", "").call("GET", "/api")
    assert ended.value.code == NOT_REACHED
    assert "--config or --admin say where it is" in capsys.readouterr().err


def test_a_host_and_a_port_will_do() -> None:
    """As `serve --admin` takes it; what is neither is said to be none."""
    assert Operator.of(None, "127.0.0.1:9090", None).url == "http://127.0.0.1:9090"
    assert Operator.of(None, "https://exam.example", None).url == "https://exam.example"
    with pytest.raises(SystemExit) as ended:
        Operator.of(None, "ftp://exam.example", None)
    assert ended.value.code == REFUSED


def test_the_environment_says_where_it_is(tmp_path: Path) -> None:
    """`WAITROOM_CONFIG` names the settings file, whose admin listener is asked; `WAITROOM_ADMIN` wins over it."""
    file = tmp_path / "waitroom.yaml"
    pools = 'pools: {main: {backends: {b: {url: "http://10.0.0.1", max_sessions: 1}}}}'
    with listening(204) as (admin, seen), listening(204) as (other, seen_by_other):
        file.write_text(f"listen: {{admin: '{admin.removeprefix('http://')}'}}\n{pools}\n")
        environment = {"WAITROOM_CONFIG": str(file), "WAITROOM_TOKEN": "secret"}
        for more in ({}, {"WAITROOM_ADMIN": other}):
            assert CliRunner().invoke(cli, ["open", "main"], env=environment | more).exit_code == 0
    assert (seen, seen_by_other) == (["Bearer secret"], ["Bearer secret"])


@pytest.mark.parametrize("url", ["http://a b", "http://[::1", "http://h:99999", "http://", "http://u@h", "http://h\n"])
def test_what_is_no_url_is_said_to_be_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody is asked, and in one line."""
    with pytest.raises(SystemExit) as ended:
        Operator.of(None, url, None)
    assert ended.value.code == REFUSED
    assert "not a URL such as http://127.0.0.1:9090" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "hunter2\nhunter2", "hunter2 hunter2", "h\u00fcnter2", "\u00ff\u00fehunter2"])
def test_what_is_no_token_is_not_repeated(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with two lines, with blanks, with other letters, or with nothing: one line that says what is wrong."""
    file = tmp_path / "token"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(SystemExit) as ended:
        Operator.of(None, None, file)
    assert ended.value.code == REFUSED
    said = capsys.readouterr().err
    assert f"{file}: holds no token; allowed: " in said
    assert "nter2" not in said


def test_a_token_may_end_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `echo` and editors leave it; in the environment too."""
    (tmp_path / "token").write_text("secret\n")
    assert Operator.of(None, None, tmp_path / "token").token == "secret"
    monkeypatch.setenv("WAITROOM_TOKEN", " secret\n")
    assert Operator.of(None, None, None).token == "secret"


@pytest.mark.parametrize(
    ("status", "word"), [(404, "answers 404 Not Found"), (200, "answers something that is no JSON")]
)
def test_somebody_else_listens_there(status: int, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Another server, or another port: it is said that this is no admin listener, and where to name the right one."""
    with listening(status, body=b"<html>") as (admin, _), pytest.raises(SystemExit) as ended:
        Operator(admin, "").call("GET", "/api")
    assert ended.value.code == NOT_REACHED
    said = capsys.readouterr().err
    assert word in said
    assert "no waiting room's admin listener; --config or --admin say where it is" in said


def test_where_students_come_is_not_where_operators_come(capsys: pytest.CaptureFixture[str]) -> None:
    """The port next to the right one."""
    with listening(429, waitroom="waiting") as (public, _), pytest.raises(SystemExit) as ended:
        Operator(public, "").call("GET", "/api")
    assert ended.value.code == NOT_REACHED
    assert f"{public} is where students come, not the admin listener" in capsys.readouterr().err


def test_keys_of_another_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left in the folder where the command is typed: whoever lets this machine in is asked without them, once."""
    monkeypatch.chdir(tmp_path)
    load_secrets(Path("var/secrets"))
    with listening(200, body=b'{"title": "yes"}', refuse=True) as (admin, seen):
        operator = Operator.of(None, admin, None)
        assert operator.call("GET", "/api") == {"title": "yes"}
    assert seen == [f"Bearer {operator.token}", None]


def test_keys_of_another_service_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where that does not help either; a token that somebody gave is not taken away from the request."""
    monkeypatch.chdir(tmp_path)
    load_secrets(Path("var/secrets"))
    with listening(401, body=b'{"title": "No"}') as (admin, seen):
        for operator, said in (
            (Operator.of(None, admin, None), "waitroom: var/secrets holds another service's keys. Give a token with "),
            (Operator(admin, "given"), "waitroom: No Give a token with --token-file or WAITROOM_TOKEN, "),
        ):
            with pytest.raises(SystemExit) as ended:
                operator.call("GET", "/api")
            assert ended.value.code == REFUSED
            assert capsys.readouterr().err.startswith(said)
    assert len(seen) == 3


def test_the_folder_of_the_keys_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `serve --data-dir` has it, with a settings file that says nothing of it and without one."""
    token = load_secrets(tmp_path / "state" / "secrets").local_token
    file = tmp_path / "waitroom.yaml"
    file.write_text('pools: {main: {backends: {b: {url: "http://10.0.0.1", max_sessions: 1}}}}\n')
    monkeypatch.chdir(tmp_path)
    assert Operator.of(file, None, None).token == ""
    assert Operator.of(file, None, None, tmp_path / "state").token == token
    assert Operator.of(None, None, None, tmp_path / "state").token == token
    with listening(204) as (admin, seen):
        environment = {"WAITROOM_ADMIN": admin, "WAITROOM_DATA_DIR": "state"}
        assert CliRunner().invoke(cli, ["open", "main"], env=environment).exit_code == 0
    assert seen == [f"Bearer {token}"]
