"""What a service manager is told, and what it hands over."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.load import one_request
from tests.support.manager import managing
from tests.support.product import START_S, Product, serving, until
from waitroom import clock
from waitroom.server.notify import notify, signs_of_life, watchdog_s
from waitroom.server.passed import Passed, adopted, passed_sockets
from waitroom.server.sockets import ListenError, open_door, open_doors
from waitroom.settings.model import PublicListen

AT_ONCE_S = 25
"""Less than what is in flight is given (timeouts.drain)."""

NOBODY = ("--backend", "http://127.0.0.1:9", "--max-sessions", "1")


def test_a_service_manager_hears_of_start_reload_and_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 when students can come, signs of life, RELOADING=1 at a time that counts, STOPPING=1 with how long."""
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            async with serving(tmp_path, *NOBODY) as product:
                assert "STATUS=settings 1 in force" in await manager.hears("READY=1")
                for _ in range(3):
                    await manager.hears("WATCHDOG=1")
                asked_us = clock.monotonic_us()
                product.process.send_signal(signal.SIGHUP)
                reloading = (await manager.hears("RELOADING=1")).splitlines()[1]
                assert int(reloading.removeprefix("MONOTONIC_USEC=")) >= asked_us
                assert "STATUS=settings 2 in force" in await manager.hears("READY=1")
                assert await product.stop() == 0
                extended = (await manager.hears("STOPPING=1")).splitlines()[1]
                assert int(extended.removeprefix("EXTEND_TIMEOUT_USEC=")) >= 60_000_000  # timeouts.tunnel_drain

    run(main())


def test_a_refused_reload_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bad file the service is ready as before, and says that the old settings are in force."""
    config = "pools: {main: {backends: {main-1: {url: 'http://127.0.0.1:9', max_sessions: 1}}}}"

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            async with serving(tmp_path, config=config) as product:
                await manager.hears("READY=1")
                (tmp_path / "waitroom.yaml").write_text("pools: nonsense", encoding="utf-8")
                product.process.send_signal(signal.SIGHUP)
                assert "settings 1 in force; the last reload was refused" in await manager.hears("READY=1")

    run(main())


def test_a_service_manager_that_is_gone_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, or nobody is named: the service goes on."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_signs_of_life_are_for_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a time, or with another process's, nothing is sent."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    run(signs_of_life())
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    run(signs_of_life())
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_s() == 1.0


def test_a_passed_socket_waits_for_the_next_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes between two services is answered by the second; the admin listener's socket can be passed too."""

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            public = manager.bind()
            async with counting_backend() as backend:
                flags = ("--backend", backend.url, "--max-sessions", "9", "--workers", "2")
                async with serving(tmp_path, *flags, public=public, manager=manager.launch) as product:
                    assert await one_request(product.public) == 200
                    assert await product.stop() == 0
                between = asyncio.ensure_future(one_request(f"http://127.0.0.1:{public}"))
                async with serving(tmp_path, *flags, public=public, manager=manager.launch) as product:
                    assert await asyncio.wait_for(between, START_S) == 200
                    assert await one_request(product.public) == 200

    run(main())


async def slow_request(product: Product, backend: CountingBackend) -> asyncio.Future[int]:
    """A request that has reached the backend, which answers when the test says so."""
    asked = b"GET /slow HTTP/1.1\r\nHost: exam\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    slow = asyncio.ensure_future(one_request(product.public, asked))

    async def arrived() -> bool:
        return "/slow" in backend.paths

    await until(arrived, what="the slow request")
    return slow


def test_newcomers_are_served_while_one_of_before_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop with a passed socket goes on accepting until the last request of before is answered."""

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            public = manager.bind()
            async with counting_backend() as backend:
                flags = ("--backend", backend.url, "--max-sessions", "9", "--workers", "2")
                async with serving(tmp_path, *flags, public=public, manager=manager.launch) as product:
                    slow = await slow_request(product, backend)
                    product.process.send_signal(signal.SIGTERM)
                    await manager.hears("STOPPING=1")
                    for _ in range(8):
                        assert await one_request(product.public) == 200
                    assert not slow.done()
                    backend.slow.set()
                    assert await slow == 200
                    assert await asyncio.wait_for(product.process.wait(), START_S) == 0

    run(main())


def test_asked_twice_ends_at_once_with_a_passed_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second signal does not wait for what is in flight, and no worker is started again."""

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            public = manager.bind()
            async with counting_backend() as backend:
                flags = ("--backend", backend.url, "--max-sessions", "9", "--workers", "1")
                async with serving(tmp_path, *flags, public=public, manager=manager.launch) as product:
                    slow = await slow_request(product, backend)
                    product.process.send_signal(signal.SIGTERM)
                    await manager.hears("STOPPING=1")
                    product.process.send_signal(signal.SIGTERM)
                    assert await asyncio.wait_for(product.process.wait(), AT_ONCE_S) == 0
                    (outcome,) = await asyncio.gather(slow, return_exceptions=True)
                    assert isinstance(outcome, OSError | EOFError)

    run(main())


def bound(port: int = 0, *, shared: bool = False) -> socket.socket:
    """A listening socket of somebody's."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    door.bind(("127.0.0.1", port))
    door.listen()
    return door


def listens(*ports: int) -> list[PublicListen]:
    """Public addresses."""
    return [PublicListen.model_validate(f"127.0.0.1:{port}") for port in ports]


def test_workers_share_or_have_one_each() -> None:
    """One passed socket serves every worker; as many as workers are one each; more than workers are refused."""
    first = bound(shared=True)
    port = first.getsockname()[1]
    doors = open_doors(listens(port), 2, adopted([first.detach()]))
    assert doors.kept
    assert len({row[0].fileno() for row in doors.slots}) == 2
    doors.close()
    pair = [bound(shared=True)]
    port = pair[0].getsockname()[1]
    pair.append(bound(port, shared=True))
    doors = open_doors(listens(port), 2, adopted([each.detach() for each in pair]))
    assert doors.addresses == (f"127.0.0.1:{port}",)
    doors.close()
    three = [bound(shared=True)]
    port = three[0].getsockname()[1]
    three += [bound(port, shared=True) for _ in range(2)]
    passed = adopted([each.detach() for each in three])
    with pytest.raises(ListenError, match=r"passes 3 sockets for 127.0.0.1:\d+, more than there are workers \(2\)"):
        open_doors(listens(port), 2, passed)
    passed.close()


def test_some_addresses_passed_and_others_not() -> None:
    """Half of the public addresses cannot be kept: it is said which is missing."""
    door = bound()
    passed = adopted([door.detach()])
    with pytest.raises(ListenError, match=r"cannot listen on 127.0.0.1:1: the service manager passes the other"):
        open_doors(listens(*(int(name.rpartition(":")[2]) for name in passed.names()), 1), 1, passed)
    passed.close()


def test_the_admin_socket_can_be_passed() -> None:
    """It is found by its address; another is bound as ever."""
    door = bound()
    port = door.getsockname()[1]
    passed = adopted([door.detach()])
    mine, address = open_door("127.0.0.1", port, passed)
    assert address == f"127.0.0.1:{port}"
    assert passed.names() == []
    mine.close()


def test_a_socket_that_no_setting_names_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit and a file that disagree end the start in one line that names the socket."""

    async def main() -> None:
        with managing(tmp_path, monkeypatch) as manager:
            port = manager.bind()
            with pytest.raises(AssertionError, match=rf"passes 127.0.0.1:{port}, which `listen` does not name"):
                async with serving(tmp_path, *NOBODY, manager=manager.launch):
                    raise LookupError("it started")

    run(main())


def test_sockets_for_another_process_are_not_taken() -> None:
    """LISTEN_PID of somebody else, or nonsense: nothing is passed; in any case no child reads the variables."""
    for pid, count in ((os.getpid() + 1, "1"), (os.getpid(), "x"), (os.getpid(), "")):
        said = {"LISTEN_PID": str(pid), "LISTEN_FDS": count, "LISTEN_FDNAMES": "a", "HOME": "/"}
        assert passed_sockets(said).names() == Passed().names()
        assert said == {"HOME": "/"}
