"""What a service manager is told."""

import socket
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.product import serving
from waitroom.server.notify import notify


def test_a_service_manager_hears_of_start_and_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 when students can come, STOPPING=1 when the drain begins (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(30)
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        async def main() -> None:
            async with serving(tmp_path, "--backend", "http://127.0.0.1:9", "--max-sessions", "1") as product:
                assert manager.recv(100) == b"READY=1"
                assert await product.stop() == 0
                assert manager.recv(100) == b"STOPPING=1"

        run(main())


def test_a_service_manager_that_is_gone_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, or nobody is named: the service goes on."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
