"""The store comes and goes; the processes around it do not."""

import os
import signal
from pathlib import Path

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import Product, serving, until

FLAGS = ("--backend", "http://127.0.0.1:9", "--max-sessions", "5", "--workers", "1")


def alive(pid: int) -> bool:
    """Whether the process is there."""
    return Path(f"/proc/{pid}").exists()


async def sees(product: Product, **wanted: float) -> dict[str, float]:
    """The first scrape in which these series have these values."""

    async def look() -> dict[str, float]:
        seen = await product.metrics()
        right = all(seen.get(f"waitroom_{name}") == value for name, value in wanted.items())
        return seen if right else {}

    return await until(look, what=f"{wanted} in /metrics")


def test_without_its_store_the_product_starts_and_tells(tmp_path: Path) -> None:
    """A store.url that nobody answers: ready all the same, and /metrics says that the store is away."""

    async def main() -> None:
        async with serving(tmp_path, *FLAGS, "--store", f"redis://127.0.0.1:{free_port()}/0") as product:
            seen = await sees(product, store_up=0, workers=1)
            assert 'waitroom_held{pool="main"}' not in seen
            assert 'waitroom_arrivals_total{pool="main"}' in seen
            assert product.children("valkey") == []

    run(main())


def test_embedded_store_is_started_again(tmp_path: Path) -> None:
    """kill -9 of the embedded store: another comes, counted, and the line is read again."""

    async def main() -> None:
        async with serving(tmp_path, *FLAGS) as product:
            before = await sees(product, store_up=1, store_restarts_total=0)
            assert "waitroom_store_call_seconds_count" in before
            (store,) = product.children("valkey")
            os.kill(store, signal.SIGKILL)
            await sees(product, store_up=1, store_restarts_total=1)
            assert product.children("valkey") != [store]

    run(main())


def test_store_goes_after_the_workers(tmp_path: Path) -> None:
    """A clean end leaves a store that was shut down cleanly, and nothing running."""

    async def main() -> None:
        async with serving(tmp_path, *FLAGS) as product:
            children = product.children()
            assert await product.stop() == 0
            assert not [pid for pid in children if alive(pid)]
        log = (product.data_dir / "store.log").read_text()
        assert "ready to exit, bye bye" in log

    run(main())
