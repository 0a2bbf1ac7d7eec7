"""Real processes: what dies is replaced, what is told to end ends well, and nothing stays behind."""

import asyncio
import os
import signal
from pathlib import Path

from tests.support.aio import run
from tests.support.backend import CountingBackend, counting_backend
from tests.support.load import new_connections, one_request
from tests.support.product import START_S, Product, serving, until

AT_ONCE_S = 25
"""Less than what is in flight is given (timeouts.drain)."""

WORKER = "waitroom.server.worker"
SLOW = b"GET /slow HTTP/1.1\r\nHost: exam\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
PLENTY = ("--max-sessions", "100000")


async def at_backend(backend: CountingBackend, path: str) -> None:
    """Wait until a request for `path` is at the backend."""

    async def arrived() -> bool:
        return path in backend.paths

    await until(arrived, what=f"{path} at the backend")


def alive(pid: int) -> bool:
    """Whether the process is there."""
    return Path(f"/proc/{pid}").exists()


def told(pid: int) -> bytes:
    """All that others can read of what a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


async def gone(pids: list[int]) -> None:
    """Wait until none of the processes is there."""

    async def look() -> bool:
        return not any(alive(pid) for pid in pids)

    await until(look, what=f"the end of {pids}")


async def restarts(product: Product) -> float:
    """Workers replaced so far."""
    return (await product.metrics())["waitroom_worker_restarts_total"]


async def replaced(product: Product, times: int) -> None:
    """Wait until so many workers have been replaced and all accept again."""

    async def look() -> bool:
        seen = await product.metrics()
        return seen["waitroom_worker_restarts_total"] >= times and seen["waitroom_workers"] == 2

    await until(look, what=f"replacement number {times}")


def test_killed_workers_refuse_nobody(tmp_path: Path) -> None:
    """kill -9 of each worker under load: no connection is refused, only what was inside the dead worker is cut."""
    clients, kills = 8, 4

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, *PLENTY, "--workers", "2") as product,
            new_connections(product.public, clients) as load,
        ):
            for kill in range(kills):
                before = load.done

                async def busy(before: int = before) -> bool:
                    return load.done > before + 50

                await until(busy, what="load")
                os.kill(product.children(WORKER)[kill % 2], signal.SIGKILL)
                await replaced(product, kill + 1)
        assert load.failures["ConnectionRefusedError"] == 0
        assert load.failures.total() <= clients * kills
        assert load.answers.total() > 50 * kills

    run(main())


def test_totals_survive_workers(tmp_path: Path) -> None:
    """A total does not go backwards when the worker that counted it is killed."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, *PLENTY, "--workers", "2") as product,
        ):
            for _ in range(20):
                await one_request(product.public)
            before = await product.metrics()
            for number, pid in enumerate(product.children(WORKER), start=1):
                os.kill(pid, signal.SIGKILL)
                await replaced(product, number)
            after = await product.metrics()
            totals = [name for name in before if "_total" in name or "_bucket" in name or "_count" in name]
            assert before['waitroom_arrivals_total{pool="main"}'] == 20
            assert [name for name in totals if after[name] < before[name]] == []

    run(main())


def test_a_worker_told_to_leave_finishes(tmp_path: Path) -> None:
    """SIGTERM to one worker: its request is answered in full, and its replacement accepts meanwhile."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, *PLENTY, "--workers", "1") as product,
        ):
            (old,) = product.children(WORKER)
            slow = asyncio.ensure_future(one_request(product.public, SLOW))
            await at_backend(backend, "/slow")
            os.kill(old, signal.SIGTERM)
            assert await one_request(product.public) == 200
            assert old in product.children(WORKER)
            backend.slow.set()
            assert await slow == 200
            await gone([old])

    run(main())


def test_stop_finishes_what_is_in_flight(tmp_path: Path) -> None:
    """SIGTERM: newcomers are refused at once, the request in flight is answered, and the exit code is 0."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, *PLENTY, "--workers", "2") as product,
        ):
            children = product.children()
            slow = asyncio.ensure_future(one_request(product.public, SLOW))
            await at_backend(backend, "/slow")
            product.process.send_signal(signal.SIGTERM)

            async def refused() -> bool:
                try:
                    await one_request(product.public)
                except (OSError, EOFError) as error:
                    return isinstance(error, ConnectionRefusedError)
                return False

            await until(refused, what="refusal of newcomers")
            assert product.process.returncode is None
            backend.slow.set()
            assert await slow == 200
            assert await asyncio.wait_for(product.process.wait(), START_S) == 0
            await gone(children)

    run(main())


def test_stop_under_load_resets_nobody(tmp_path: Path) -> None:
    """SIGTERM under load: who was in time is answered, backlog included; who was late is refused; nobody is reset."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--backend", backend.url, *PLENTY, "--workers", "2") as product,
            new_connections(product.public, 32) as load,
        ):

            async def busy() -> bool:
                return load.done > 200

            await until(busy, what="load")
            assert await product.stop() == 0
        assert set(load.failures) == {"ConnectionRefusedError"}
        assert load.answers.total() > 200

    run(main())


def test_asked_twice_ends_at_once(tmp_path: Path) -> None:
    """A second signal does not wait for the request in flight."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, "--backend", backend.url, *PLENTY) as product:
            children = product.children()
            slow = asyncio.ensure_future(one_request(product.public, SLOW))
            await at_backend(backend, "/slow")
            product.process.send_signal(signal.SIGTERM)

            async def stopping() -> bool:
                return '"stopping"' in product.log.read_text()

            await until(stopping, what="the stop")
            product.process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(product.process.wait(), AT_ONCE_S) == 0
            (outcome,) = await asyncio.gather(slow, return_exceptions=True)
            assert isinstance(outcome, OSError | EOFError)
            await gone(children)

    run(main())


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    """kill -9 of the supervisor takes every child with it."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, "--backend", backend.url, *PLENTY) as product:
            children = product.children()
            assert children
            product.process.kill()
            await product.process.wait()
            await gone(children)

    run(main())


def test_secrets_are_nowhere_to_be_read(tmp_path: Path) -> None:
    """No key is in any process's command line, in a worker's environment, or in the log."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, "--backend", backend.url, *PLENTY) as product:
            key = (product.data_dir / "secrets").read_bytes().strip().partition(b":")[2]
            assert len(key) > 40
            for pid in (product.process.pid, *product.children()):
                assert key not in told(pid)
            assert key not in product.log.read_bytes()

    run(main())
