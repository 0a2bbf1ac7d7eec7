"""An operator at 08:55: limits set from the terminal are in force at once, outlive everything, end in time."""

import os
import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.store.driver import Server
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving, until
from tests.support.student import Student

CONFIG = """
workers: 2
admin: {open_on_loopback: true}
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 2}
      main-2: {url: "OTHER", max_sessions: 2}
    admission: {rate: 20/s}
"""


async def told(product: Product, *words: str) -> str:
    """What a command says that must succeed."""
    code, out, err = await product.command(*words, "--admin", product.admin)
    assert code == 0, err
    return out


async def get(product: Product, path: str) -> Any:
    """What the admin API says."""
    async with aiohttp.ClientSession() as client, client.get(f"{product.admin}/api/v1/{path}") as answer:
        assert answer.status in (200, 503), await answer.text()
        return await answer.json(content_type=None)


async def drift(product: Product) -> dict[str, tuple[str, str]]:
    """What the file says and what is in force, where they differ."""
    seen = await get(product, "pools/main")
    return {each["key"].removeprefix("main."): (each["file"], each["in_force"]) for each in seen.get("drift", ())}


async def drifts(product: Product, key: str, file: str, in_force: str) -> bool:
    """Whether this is so now."""
    return (await drift(product)).get(key) == (file, in_force)


async def newcomer(product: Product, name: str) -> int:
    """The status of a first page."""
    async with Student(product.public, name) as student:
        return (await student.page()).status


def test_set_in_force_undone(tmp_path: Path) -> None:
    """Lower: nobody new, and nobody is thrown out; higher than the file: they enter; undone in the command it says."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            counting_backend() as other,
            serving(tmp_path, config=CONFIG.replace("URL", backend.url).replace("OTHER", other.url)) as product,
            Student(product.public, "inside") as inside,
        ):
            for _ in range(2):  # by the second page the pass is confirmed
                assert (await inside.page()).status == 200
            words = ("limit", "main", "--max-sessions", "1", "--rate", "10/s", "--for", "20m", "--why", "db slow")
            assert "not done (--dry-run)" in await told(product, *words, "--dry-run")
            said = await told(product, *words)
            assert "backends.main-1.max_sessions 2 -> 1" in said
            assert "Undo it with: waitroom limit main --undo\n" in said
            assert [await newcomer(product, f"n{n}") for n in range(3)] == [200, 429, 429]
            assert (await inside.page()).status == 200
            metrics = await product.metrics()
            assert metrics['waitroom_sessions_limit{backend="main-1",pool="main"}'] == 1
            await told(product, "limit", "main", "--backend", "main-1", "--max-sessions", "5")
            assert await drift(product) == {
                "backends.main-1.max_sessions": ("2", "5"),
                "backends.main-2.max_sessions": ("2", "1"),
                "admission.rate": ("20/s", "10/s"),
            }
            assert "as in the file again" in await told(product, "limit", "main", "--undo", "--why", "well again")
            assert await drift(product) == {}
            table = await told(product, "audit")
            assert [table.index(word) for word in ("db slow", "main-1", "well again")] == sorted(
                table.index(word) for word in ("db slow", "main-1", "well again")
            )
            assert "cli on loopback" in table
            log = product.log.read_text()
            assert '"why": "db slow"' in log

    run(main())


def test_it_outlives_everything(tmp_path: Path) -> None:
    """kill -9 of the store, of the workers, of the whole product; a reload of the file that says otherwise."""

    async def main() -> None:
        async with counting_backend() as backend, counting_backend() as other:
            config = CONFIG.replace("URL", backend.url).replace("OTHER", other.url)
            async with serving(tmp_path, config=config) as product:
                await told(product, "limit", "main", "--max-sessions", "1", "--why", "db slow")
                await told(product, "hold", "main", "--for", "2h", "--why", "restart")
                for pid in (*product.children("valkey"), *product.children("worker")):
                    os.kill(pid, signal.SIGKILL)

                one = ("backends.main-2.max_sessions", "2", "1")
                await until(lambda: drifts(product, *one), what="the limit after kill -9")
                os.kill(product.process.pid, signal.SIGKILL)
                await product.process.wait()
            config = config.replace("max_sessions: 2}", "max_sessions: 9}")
            async with serving(tmp_path, config=config) as product:

                async def as_before() -> bool:
                    status = await newcomer(product, "held")
                    assert status in (429, 503), "nobody enters, whether the store has been heard yet or not"
                    return len(await drift(product)) == 3 and status == 503

                await until(as_before, what="the limits and the hold of before")

                async def restarted() -> bool:
                    found = (await get(product, "audit"))["entries"]
                    return [each["what"] for each in found] == ["restart", "hold", "limit"]

                await until(restarted, what="the restart with another file in the audit")
                file = tmp_path / "waitroom.yaml"
                file.write_text(file.read_text().replace("max_sessions: 9}", "max_sessions: 8}"))
                product.process.send_signal(signal.SIGHUP)

                one = ("backends.main-2.max_sessions", "8", "1")
                await until(lambda: drifts(product, *one), what="the reload")

                async def audited() -> bool:
                    last = (await get(product, "audit?limit=1"))["entries"][0]
                    changes = [tuple(each.values()) for each in last["changes"]]
                    keys = [f"pools.main.backends.main-{n}.max_sessions" for n in (1, 2)]
                    return last["pool"] is None and changes == [(key, "9", "8") for key in keys]

                await until(audited, what="the reload in the audit")
                await told(product, "open", "main", "--why", "is back")
                assert [await newcomer(product, f"n{n}") for n in range(4)].count(200) <= 2

    run(main())


def test_two_machines(tmp_path: Path) -> None:
    """Set by the admin listener of one, in force at the other within 2 s; and over by the store's clock at both."""

    async def main() -> None:
        server = Server()
        try:
            async with counting_backend() as backend, counting_backend() as other:
                config = (
                    CONFIG.replace("URL", backend.url).replace("OTHER", other.url).replace("workers: 2", "workers: 1")
                )
                for name in ("a", "b"):
                    (tmp_path / name).mkdir()
                store = ("--store", f"unix://{server.path}")
                async with (
                    serving(tmp_path / "a", *store, config=config) as a,
                    serving(tmp_path / "b", *store, config=config) as b,
                ):
                    await told(a, "hold", "main", "--for", "1h")
                    async with Student(b.public, "held") as student:
                        page = await student.page()
                        assert page.status == 503
                        await told(a, "hold", "main", "--for", "2s")

                        async def enters() -> bool:
                            return (await student.page()).status == 200

                        await until(enters, what="the end of the hold at the other machine")

                    async def audited() -> bool:
                        found = (await get(b, "audit"))["entries"]
                        return [each["what"] for each in reversed(found)] == ["hold", "hold", "expired"]

                    await until(audited, what="the end of the hold in the audit")
                    await told(a, "hold", "main", "--for", "2h")
                    until_ms = (await get(b, "pools/main"))["hold_set"]["until_ms"]

                    async def says_when() -> bool:
                        async with Student(b.public, "waits") as student:
                            page = await student.page()
                        return page.status == 503 and f'data-ms="{until_ms}"' in page.body.decode()

                    await until(says_when, what="the time of the hold's end on the page")
                    await told(a, "open", "main")
                    await told(a, "limit", "main", "--max-sessions", "1", "--for", "1h")
                    assert [await newcomer(b, f"n{n}") for n in range(3)].count(200) <= 1
        finally:
            server.stop()

    run(main())
