"""`waitroom doctor`: on a machine where the service runs, on one where it cannot, on a terminal; exit codes."""

import json
import re
import socket
from pathlib import Path

from tests.cli.test_commands import waitroom
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import serving
from tests.support.terminal import on_terminal


def _settings(folder: Path, public: int, admin: int, backend: str, more: str = "") -> None:
    (folder / "waitroom.yaml").write_text(
        f"listen: {{public: '127.0.0.1:{public}', admin: '127.0.0.1:{admin}'}}\n"
        f"store: {{data_dir: {folder / 'var'}}}\n"
        f"pools: {{main: {{backends: {{a: {{url: '{backend}', max_sessions: 5}}}}}}}}\n{more}"
    )


def _written(folder: Path) -> dict[Path, int]:
    """When each file was written, but for the store's own."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if "appendonly" not in str(path)}


def test_where_the_service_runs(tmp_path: Path) -> None:
    """Its addresses are ours, its store answers, its backend too; nothing is changed by looking."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, "--max-sessions", "5") as product,
        ):
            public, admin = (int(url.rpartition(":")[2]) for url in (product.public, product.admin))
            _settings(tmp_path, public, admin, backend.url)
            before = _written(tmp_path)
            code, out, err = await product.command("doctor", "waitroom.yaml", "--json")
            answer = json.loads(out)
            assert (code, err, answer["ok"]) == (0, "", True)
            said = [each["says"] for each in answer["findings"] if each["level"] == "ok"]
            assert f"listen.admin 127.0.0.1:{admin} is ours: a waiting room answers there" in said
            assert f"listen.public 127.0.0.1:{public} is ours: a waiting room answers there" in said
            assert any(each.startswith("the embedded store: Valkey ") for each in said)
            assert "the embedded store: never evicts (maxmemory-policy noeviction)" in said
            assert "the embedded store: keeps an append-only file" in said
            all_said = [each["says"] for each in answer["findings"]]  # a second for an answer is no longer all right
            assert any(each.startswith(f"main/a: {backend.url}/ answers 200") for each in all_said)
            after = _written(tmp_path)
            assert {path for path in after if before.get(path) != after[path]} <= {product.log}

    run(main())


def test_where_it_cannot_run(tmp_path: Path) -> None:
    """A port of somebody else, a backend that is not there, settings with a fault: exit code 1, each with a remedy."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        _settings(tmp_path, taken, free_port(), f"http://127.0.0.1:{free_port()}")
        done = waitroom("doctor", "waitroom.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"  problem  listen.public 127.0.0.1:{taken}: the address is in use\n" in done.stdout
    assert "           -> another program listens there; stop it or choose another port\n" in done.stdout
    assert "nobody listens at 127.0.0.1:" in done.stdout
    assert re.search(r"\d+ ok, \d+ warnings?, 2 problems\n$", done.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["waitroom.yaml"], "looking makes nothing"
    (tmp_path / "waitroom.yaml").write_text("pools: {}\nqueu_status: 1\n")
    bad = waitroom("doctor", "waitroom.yaml", cwd=tmp_path)
    assert bad.returncode == 1
    assert "problem  2 problems, the first: waitroom.yaml:1:8: pools: is empty" in bad.stdout
    assert "-> waitroom check waitroom.yaml" in bad.stdout


def test_on_a_terminal(tmp_path: Path) -> None:
    """Lines that fit, in colour; a bar while it looks, which is gone at the end; plain where NO_COLOR is set."""
    _settings(tmp_path, free_port(), free_port(), f"http://127.0.0.1:{free_port()}")
    shown = on_terminal("doctor", "waitroom.yaml", cwd=tmp_path, columns=80)
    assert "\x1b[31m\x1b[1mproblem" in shown
    assert "looking at" in shown
    end = shown[shown.index("settings\x1b[0m\n") :]
    assert "looking at" not in end
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)) for line in end.splitlines()) < 80
    plain = on_terminal("doctor", "waitroom.yaml", cwd=tmp_path, columns=80, env={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*m", plain.replace("\x1b[0m", "").replace("\x1b[2K", ""))
