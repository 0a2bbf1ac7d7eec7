"""The admin listener answers, whatever has happened to everything else."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import aiohttp
import pytest

from tests.support.aio import run
from tests.support.product import START_S
from waitroom.admin import scrape
from waitroom.admin.app import AdminListener
from waitroom.admission.line import Announced, Lane, Notice, Snapshot
from waitroom.errors import StoreAwayError
from waitroom.metrics.totals import Reading
from waitroom.server.sockets import open_door
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Key, Secrets
from waitroom.store.operators import Told

SNAPSHOT = Snapshot(
    now_ms=1, held=True, rate_milli=2_500, tokens_milli=0, waiting={Lane.RETURN: 1, Lane.STANDARD: 840}, absent=3,
    lobby={"MATH0001": 12}, sessions={"main-1": 5}, limits={"main-1": 400}, flow=(), arrivals_total=0,
    admissions_total={}, departures_total={},
)  # fmt: skip


TOKENS = {"helpdesk": "read-me", "dean": "operate-me"}
SETTINGS = Settings.model_validate(
    {
        "pools": {
            name: {"backends": {"b1": {"url": "http://127.0.0.1:1", "max_sessions": 1}}} for name in ("main", "spare")
        },
        "default_pool": "main",
        "exams": {
            "MATH0001": {"pool": "main", "match": [{"path": "/x"}]},
            "BIO": {"pool": "spare", "match": [{"path": "/y"}]},
        },
        "admin": {
            "tokens": [
                {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "scopes": list(scopes)}
                for (name, token), scopes in zip(TOKENS.items(), (("read",), ("read", "operate")), strict=True)
            ]
        },
    }
)
SECRETS = Secrets((Key("k1", b"x" * 32),))


@dataclass(slots=True)
class House:
    """A process with one counter and a mood."""

    why: str | None = None
    settings: Settings = field(default_factory=lambda: SETTINGS)
    secrets: Secrets = field(default_factory=lambda: SECRETS)

    def readings(self) -> list[Reading]:
        """One series."""
        return [Reading("workers", (), (2.0,))]

    def pools(self) -> list[str]:
        """Two pools."""
        return ["main", "spare"]

    def not_ready(self) -> str | None:
        """As set."""
        return self.why


@dataclass(slots=True)
class Store:
    """A store that answers, refuses or hangs."""

    refuses: bool = False
    hangs: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)
    said: dict[tuple[str, str], Announced] = field(default_factory=dict)
    said_for_ms: list[int] = field(default_factory=list)

    entries: list[str] = field(default_factory=list)

    async def announce(
        self, pool: str, exam: str, said: Announced | None, for_ms: int = 0, entry: str = ""
    ) -> Announced | None:
        """Remembered."""
        self.entries.append(entry)
        if self.refuses:
            raise StoreAwayError("away")
        before = self.said.pop((pool, exam), None)
        self.said_for_ms.append(for_ms)
        if said:
            self.said[pool, exam] = said
        return before

    async def traffic(self, _pool: str) -> list[Told]:
        """Nobody has told, so the pulse of the listener asks for nothing more."""
        raise StoreAwayError("away")

    async def kept(self, _pool: str, _record: str, _from_ms: int, _lines: int) -> list[tuple[int, str]]:
        """Nothing yet."""
        return []

    async def snapshot(self, pool: str, _ends: tuple[int, ...] = ()) -> Snapshot:
        """As set."""
        self.asked.append(pool)
        if self.hangs is not None:
            await self.hangs.wait()
        if self.refuses:
            raise StoreAwayError("away")
        notices = {exam: Notice(said.texts, 1) for (of, exam), said in self.said.items() if of == pool}
        return replace(SNAPSHOT, notices=notices)


@contextlib.asynccontextmanager
async def listener(house: House, store: Store) -> AsyncIterator[aiohttp.ClientSession]:
    """A listener on a free port, and a client of it."""
    door, address = open_door("127.0.0.1", 0)
    listener = AdminListener(house, store)
    await listener.start(door)
    try:
        async with aiohttp.ClientSession(f"http://{address}") as client:
            yield client
    finally:
        await listener.stop()


async def get(client: aiohttp.ClientSession, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and text."""
    async with client.request(method, path) as answer:
        return answer.status, answer.content_type, await answer.text()


def test_scrape_reads_the_line_from_the_store() -> None:
    """Every pool's gauges are what the store says at that moment."""

    async def main() -> None:
        store = Store()
        async with listener(House(), store) as client:
            status, kind, text = await get(client, "/metrics")
        assert (status, kind) == (200, "text/plain")
        assert sorted(store.asked) == ["main", "spare"]
        for line in (
            'waitroom_waiting{lane="standard",pool="main"} 840.0',
            'waitroom_waiting{lane="return",pool="spare"} 1.0',
            'waitroom_lobby{exam="MATH0001",pool="main"} 12.0',
            'waitroom_sessions{backend="main-1",pool="main"} 5.0',
            'waitroom_sessions_limit{backend="main-1",pool="main"} 400.0',
            'waitroom_admission_rate{pool="main"} 2.5',
            'waitroom_held{pool="main"} 1.0',
            "waitroom_store_up 1.0",
            "waitroom_workers 2.0",
        ):
            assert line in text.splitlines()

    run(main())


@pytest.mark.parametrize("store", [Store(refuses=True), Store(hangs=asyncio.Event())], ids=["refuses", "hangs"])
def test_scrape_without_a_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away or hangs costs its own gauges and nothing else, within a bound."""
    monkeypatch.setattr(scrape, "STORE_S", 0.05)

    async def main() -> None:
        async with listener(House(), store) as client:
            status, _, text = await asyncio.wait_for(get(client, "/metrics"), START_S)
        assert status == 200
        assert "waitroom_store_up 0.0" in text
        assert "waitroom_workers 2.0" in text
        assert "waitroom_waiting" not in text

    run(main())


def test_health_and_readiness() -> None:
    """Health is the process; readiness says why not, and asks no store."""

    async def main() -> None:
        store, house = Store(hangs=asyncio.Event()), House()
        async with listener(house, store) as client:
            assert await get(client, "/healthz") == (200, "text/plain", "ok\n")
            assert await get(client, "/readyz") == (200, "text/plain", "ready\n")
            house.why = "stopping"
            assert await get(client, "/readyz") == (503, "text/plain", "not ready: stopping\n")
            assert (await get(client, "/healthz"))[0] == 200
        assert store.asked == []

    run(main())


def test_page_says_what_is_here() -> None:
    """The page names every address and loads nothing."""

    async def main() -> None:
        async with listener(House(), Store()) as client:
            status, kind, text = await get(client, "/")
            for path in ("/metrics", "/healthz", "/readyz"):
                assert f'href="{path}"' in text
                assert (await get(client, path))[0] == 200
        assert (status, kind) == (200, "text/html")

    run(main())


@pytest.mark.parametrize(("path", "method", "status"), [("/no", "GET", 404), ("/metrics", "POST", 405)])
def test_anything_else_is_a_problem(path: str, method: str, status: int) -> None:
    """What is not here is told as a problem document (RFC 9457)."""

    async def main() -> None:
        async with listener(House(), Store()) as client, client.request(method, path) as answer:
            problem = await answer.json(content_type="application/problem+json")
            assert (answer.status, problem["status"]) == (status, status)
            assert answer.headers["Server"] == "waitroom"
            assert ("Allow" in answer.headers) == (status == 405)

    run(main())
