"""A real Prometheus beside a real waiting room: it scrapes, and understands every rule and every panel."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.deploy.test_monitoring import MONITORING, exported, panels
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import serving, until
from tests.support.student import Student, staying
from waitroom.metrics.catalogue import PREFIX

EVERY = "1s"
"""Rules, so that a test need not wait a quarter of a minute for them, and scrapes, which may take as long."""

OPENS = "2060-06-01T09:00:00+02:00"


def config(backend: str) -> str:
    """Settings in which every metric has something to say (JSON is YAML)."""
    pools = {"main": {"backends": {"main-1": {"url": backend, "max_sessions": 1, "max_inflight": 9}}}}
    exams = {"MATH": {"title": "Maths", "pool": "main", "match": [{"path": "/maths"}], "opens": OPENS}}
    pace = [{"name": "start", "match": {"path": "/start"}, "rate": "25/s"}]
    return json.dumps({"pools": pools, "exams": exams, "pace": pace, "workers": 1})


class Prometheus:
    """One that runs."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self._url, self._client = url, client

    async def ask(self, path: str, **query: str) -> Any:
        """What its API answers; an error of a query fails the test."""
        async with self._client.get(f"{self._url}/api/v1/{path}", params=query) as answer:
            said = await answer.json()
        assert said["status"] == "success", (query, said)
        return said["data"]

    async def up(self) -> bool:
        """Whether the waiting room has been scraped well."""
        with contextlib.suppress(aiohttp.ClientError):
            targets = (await self.ask("targets"))["activeTargets"]
            return [each["health"] for each in targets] == ["up"]
        return False

    async def names(self) -> set[str]:
        """Of all series that it holds."""
        return set(await self.ask("label/__name__/values"))

    async def rules(self) -> list[dict[str, Any]]:
        """All, if each has been evaluated."""
        found = [rule for group in (await self.ask("rules"))["groups"] for rule in group["rules"]]
        return [] if any(rule["health"] == "unknown" for rule in found) else found


@contextlib.asynccontextmanager
async def prometheus(tmp_path: Path, target: str) -> AsyncIterator[Prometheus]:
    """A Prometheus with the shipped rules, which scrapes `target` as the job `waitroom`."""
    rules = []
    for name in ("recording.yml", "alerts.yml"):
        text = (MONITORING / name).read_text().replace("interval: 15s", f"interval: {EVERY}")
        (tmp_path / name).write_text(text)
        rules.append(str(tmp_path / name))
    (tmp_path / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": rules,
        "scrape_configs": [{"job_name": "waitroom", "static_configs": [{"targets": [target]}]}],
    }))  # fmt: skip
    port = free_port()
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as client:
            yield Prometheus(f"http://127.0.0.1:{port}", client)
    finally:
        process.terminate()
        await process.wait()


def asked(query: str) -> str:
    """A panel's query as Grafana sends it."""
    return query.replace("$__rate_interval", "1m").replace("$job", "waitroom").replace("$instance", ".+")


@contextlib.asynccontextmanager
async def visited(public: str) -> AsyncIterator[None]:
    """One who enters and starts an attempt; one who waits, and stays; one who is early."""
    async with Student(public, "in") as inside, Student(public, "out") as waiting, Student(public, "early") as early:
        assert (await inside.page()).state is None
        assert (await inside.page("/start")).state is None
        assert (await waiting.page()).state == "waiting"
        assert (await early.page("/maths")).state == "lobby"
        async with staying(waiting), staying(early):
            yield


def test_prometheus_understands_all_of_it(tmp_path: Path) -> None:
    """The target is up; every family is there; every rule and every panel is evaluated without an error."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=config(backend.url)) as product,
            prometheus(tmp_path, product.admin.removeprefix("http://")) as seen,
            visited(product.public),
        ):
            await until(seen.up, what="a scrape")

            async def complete() -> bool:
                return exported() <= await seen.names()

            try:
                await until(complete, what="every family")
            except AssertionError:
                assert exported() - {n for n in await seen.names() if n.startswith(PREFIX)} == set()
                raise
            rules = await until(seen.rules, what="every rule")
            assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
            firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
            assert firing == set()
            for panel in panels():
                for target in panel["targets"]:
                    await seen.ask("query", query=asked(target["expr"]))
            waiting = asked(panels()[0]["targets"][0]["expr"])

            async def one_waits() -> bool:  # a scrape that took too long leaves a gap
                found = (await seen.ask("query", query=waiting))["result"]
                return [sample["value"][1] for sample in found] == ["1"]

            await until(one_waits, what="the one who waits")

    run(main())
