"""SIGHUP: new settings are in force everywhere or nowhere."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.load import new_connections, one_request
from tests.support.product import Product, serving, until
from tests.support.student import Student
from waitroom.settings.secrets import rotate

SUCCESS, WHEN = "waitroom_config_reload_success", "waitroom_config_last_reload_timestamp_seconds"


def config(backend: str, **more: object) -> str:
    """A settings file (JSON is YAML)."""
    pools = {"main": {"backends": {"main-1": {"url": backend, "max_sessions": 100}}}}
    return json.dumps({"pools": pools, "workers": 2, "trusted_proxies": [], **more})


async def reloaded(product: Product, text: str) -> dict[str, float]:
    """Write the file, send SIGHUP, and wait until the log says what came of it."""
    before = len(outcomes(product))
    (product.log.parent / "waitroom.yaml").write_text(text, encoding="utf-8")
    product.process.send_signal(signal.SIGHUP)

    async def look() -> bool:
        return len(outcomes(product)) > before

    await until(look, what="the outcome of a reload")
    return await product.metrics()


def outcomes(product: Product) -> list[dict[str, Any]]:
    """The reloads in the log, oldest first."""
    lines = [json.loads(line) for line in product.log.read_text().splitlines() if line.endswith("}")]
    return [line for line in lines if line["event"] in {"config_reloaded", "config_reload_refused"}]


def test_reload_whole_or_not_at_all(tmp_path: Path) -> None:
    """A good file is taken, a bad one and one that needs a restart are refused with the reason."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, config=config(backend.url)) as product:
            start = await product.metrics()
            assert start[SUCCESS] == 1
            good = await reloaded(product, config(backend.url, queue_status=503))
            assert (good[SUCCESS], good["waitroom_workers"]) == (1, 2)
            assert good[WHEN] > start[WHEN]
            bad = await reloaded(product, config(backend.url, queue_status=200, hosts=["a b"]))
            assert (bad[SUCCESS], bad[WHEN]) == (0, good[WHEN])
            assert "queue_status" in outcomes(product)[-1]["problem"]
            assert "hosts" in outcomes(product)[-1]["problem"]
            moved = await reloaded(product, config(backend.url, workers=3))
            assert moved[SUCCESS] == 0
            assert "workers: changed, which needs a restart" in outcomes(product)[-1]["problem"]
            assert await one_request(product.public) == 200
            again = await reloaded(product, config(backend.url))
            assert again[SUCCESS] == 1
            assert again["waitroom_worker_restarts_total"] == 0

    run(main())


def test_a_reload_brings_new_series_and_keeps_old_totals(tmp_path: Path) -> None:
    """A pool that comes with a reload is counted; what was counted before stays, through worker deaths too."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, config=config(backend.url)) as product:
            for _ in range(5):
                await one_request(product.public)
            more = {"backends": {"more-1": {"url": "http://127.0.0.1:9", "max_sessions": 1}}}
            two = json.loads(config(backend.url, default_pool="main"))
            two["pools"]["more"] = more
            seen = await reloaded(product, json.dumps(two))
            assert seen[SUCCESS] == 1, outcomes(product)
            assert seen['waitroom_arrivals_total{pool="more"}'] == 0
            for pid in product.children("waitroom.server.worker"):
                os.kill(pid, signal.SIGKILL)

            async def whole() -> bool:
                now = await product.metrics()
                return now["waitroom_workers"] == 2 and now["waitroom_worker_restarts_total"] == 2

            await until(whole, what="two replacements")
            await one_request(product.public)
            assert (await product.metrics())['waitroom_arrivals_total{pool="main"}'] == 6

    run(main())


def test_reloads_under_load_lose_nothing(tmp_path: Path) -> None:
    """Reloads one after another while new connections come in: every request is answered."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, config=config(backend.url)) as product:
            async with new_connections(product.public, 4) as load:
                for status in (429, 503, 429, 503, 429):
                    seen = await reloaded(product, config(backend.url, queue_status=status))
                    assert seen[SUCCESS] == 1
            assert load.failures.total() == 0
            assert load.answers.total() > 20

    run(main())


def test_a_rotated_key_signs_after_a_reload(tmp_path: Path) -> None:
    """`rotate` puts a new key first; from the next SIGHUP on it signs, in every worker."""

    async def main() -> None:
        async with counting_backend() as backend, serving(tmp_path, config=config(backend.url)) as product:
            new = rotate(product.data_dir / "secrets").keys[0].id
            assert (await reloaded(product, config(backend.url)))[SUCCESS] == 1
            for number in range(8):
                async with Student(product.public, f"s{number}") as student:
                    await student.page()
                    (cookie,) = student.client.cookie_jar
                    assert cookie.value.startswith(f"v1.{new}.")

    run(main())
