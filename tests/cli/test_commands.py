"""The command line: what is wrong is said in plain lines, and nothing is loaded that is not needed."""

import os
import pty
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.product import START_S

BAD = "pools: {main: {backends: {main-1: {url: 'ftp://x', max_sesions: 5}}}}\nqueue_status: 200\n"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}

LIMIT_S = 120.0
"""For a command to end; those that ask nobody take a second of a processor, of which there may be a tenth."""


def waitroom(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "waitroom", *arguments],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


def test_serve_says_of_a_bad_file_what_check_says(tmp_path: Path) -> None:
    """Every problem at once, the same lines as `check`, exit code 1, no traceback and nothing started."""
    (tmp_path / "bad.yaml").write_text(BAD)
    checked, served = waitroom("check", "bad.yaml", cwd=tmp_path), waitroom("serve", "bad.yaml", cwd=tmp_path)
    assert (checked.returncode, served.returncode) == (1, 1)
    assert served.stderr == checked.stdout
    assert served.stderr.count("\n") >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_serve_without_anything_says_what_it_needs(tmp_path: Path) -> None:
    """Without a file or a backend there is nothing to stand in front of; that is said, not raised."""
    served = waitroom("serve", cwd=tmp_path)
    assert served.returncode == 1
    assert "Traceback" not in served.stderr
    assert "backend" in served.stderr


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """Said in our words by every command that is given it, for a program in JSON; not as a misuse of the command."""
    file = tmp_path / "secret.yaml"
    file.write_text(BAD)
    file.chmod(0)
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    said = "secret.yaml: cannot be read: permission denied"
    for words, code in (
        (("check", file.name), 2),
        (("check", file.name, "--json"), 2),
        (("check", file.name, "--format", "github"), 2),
        (("doctor", file.name), 1),
        (("serve", file.name), 1),
        (("config", "print", file.name), 2),
        (("status", "--config", file.name), 1),
        (("status", "--token-file", file.name), 1),
    ):
        done = subprocess.run(
            [*without, sys.executable, "-m", "waitroom", *words],
            cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert (done.returncode, said in done.stdout + done.stderr) == (code, True), (words, done)
        assert "Usage:" not in done.stderr


@pytest.mark.parametrize(("flag", "other"), [("--listen", "--admin"), ("--admin", "--listen")])
def test_serve_on_an_address_in_use(flag: str, other: str, tmp_path: Path) -> None:
    """One line that names the address and the remedy, exit code 1."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = f"127.0.0.1:{holder.getsockname()[1]}"
        backend = ("--backend", "http://127.0.0.1:9", "--max-sessions", "1")
        served = waitroom("serve", *backend, flag, taken, other, f"127.0.0.1:{free_port()}", cwd=tmp_path)
    assert served.returncode == 1
    why = "the address is in use: another program listens there; stop it or choose another port"
    assert served.stderr == f"waitroom: cannot listen on {taken}: {why}\n"


def test_serve_with_keys_that_others_can_read(tmp_path: Path) -> None:
    """Such keys are refused in one line."""
    keys = tmp_path / "var" / "secrets"
    keys.parent.mkdir()
    keys.write_text("k1:" + "A" * 43 + "=\n")
    keys.chmod(0o644)
    served = waitroom("serve", "--backend", "http://127.0.0.1:9", "--max-sessions", "1", cwd=tmp_path)
    assert served.returncode == 1
    assert served.stderr.startswith("secrets.file: var/secrets: mode 0644 lets others at the keys; allowed: ")
    assert len(served.stderr.splitlines()) == 1


def test_serve_with_a_bad_certificate(tmp_path: Path) -> None:
    """What a worker cannot begin with is told with its place, like any other fault of the settings, by `check` too."""
    (tmp_path / "cert.pem").write_text("nonsense")
    (tmp_path / "waitroom.yaml").write_text(
        f"listen: {{public: [{{address: '127.0.0.1:{free_port()}', tls: {{cert: cert.pem, key: cert.pem}}}}],\n"
        f"         admin: '127.0.0.1:{free_port()}'}}\n"
        "pools: {main: {backends: {main-1: {url: 'http://127.0.0.1:9', max_sessions: 1}}}}\n"
    )
    served, checked = (waitroom(command, "waitroom.yaml", cwd=tmp_path) for command in ("serve", "check"))
    assert (served.returncode, served.stderr) == (1, checked.stdout)
    assert ": listen.public[0].tls.cert: cert.pem: cannot be read (" in served.stderr
    assert "Traceback" not in served.stderr


def test_version_and_help(tmp_path: Path) -> None:
    """`--version` is the package's; the help lists every command; another word is a usage error."""
    assert waitroom("--version", cwd=tmp_path).stdout == f"waitroom {version('waitroom')}\n"
    listed = waitroom("--help", cwd=tmp_path).stdout
    assert all(command in listed for command in ("serve", "check", "demo"))
    assert waitroom("sevre", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("heavy", ["aiohttp", "uvloop", "redis", "prometheus_client", "rich", "jinja2"])
def test_check_does_not_wait_for_a_server(heavy: str, tmp_path: Path) -> None:
    """`waitroom check` loads nothing that only serving needs."""
    code = (
        "import sys; from waitroom.cli.main import main; main(['check', '--help'], standalone_mode=False); "
        f"assert {heavy!r} not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_on_a_terminal_serve_says_where_to_go(tmp_path: Path) -> None:
    """Somebody who types the command reads where students and operators go and what the limits are."""
    public, admin = free_port(), free_port()
    flags = ("--backend", "http://127.0.0.1:9", "--max-sessions", "5", "--workers", "1")
    addresses = ("--listen", f"127.0.0.1:{public}", "--admin", f"127.0.0.1:{admin}")
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "waitroom", "serve", *flags, *addresses]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(4)]
        process.terminate()
        assert process.wait(START_S) == 0
    os.close(theirs)
    os.close(terminal)
    assert lines == [
        f"Students:  http://127.0.0.1:{public}/",
        f"Operators: http://127.0.0.1:{admin}/  (Prometheus: /metrics)",
        "Pool main: http://127.0.0.1:9 (at most 5 sessions)",
        "Stop with Ctrl-C.",
    ]
