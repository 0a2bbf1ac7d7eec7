"""The admin listener in front of a real store, for tests of what operators do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import aiohttp

from tests.admin.test_admin import House, listener
from tests.admin.test_announcements import DEAN, ask
from tests.store.driver import Server, rules
from tests.support.product import START_S
from waitroom.admission.line import BackendRules, Presence, Rules, Standing
from waitroom.settings.model import Settings
from waitroom.store import talker
from waitroom.store.keys import PoolKeys
from waitroom.store.operators import OperatorStore

POOLS = {
    "main": {
        "backends": {
            "b1": {"url": "http://127.0.0.1:1", "max_sessions": 4},
            "b2": {"url": "http://127.0.0.1:2", "max_sessions": 4},
        },
        "admission": {"rate": "20/s", "burst": 40},
    },
    "spare": {"backends": {"s1": {"url": "http://127.0.0.1:3"}}, "admission": {"rate": "90/min"}},
}


def settings_of(house: House, **more: Any) -> Settings:
    """Two pools, with the tokens of the house."""
    said = {"pools": POOLS, "default_pool": "main", "exams": {"MATH0001": {"pool": "main", "match": [{"path": "/x"}]}}}
    settings = Settings.model_validate(said | more)
    return settings.model_copy(update={"admin": house.settings.admin})


@dataclass(slots=True)
class Desk:
    """What an operator has before them, and the line behind it."""

    client: aiohttp.ClientSession
    store: OperatorStore
    house: House

    async def ask(self, method: str, path: str, body: object = None, headers: Any = DEAN) -> tuple[int, Any]:
        """Status and JSON."""
        more = {} if body is None else {"json": body}
        status, answer, _ = await ask(self.client, method, f"/api/v1/{path}", headers=headers, **more)
        return status, answer

    async def done(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of what must succeed."""
        status, answer = await self.ask(method, path, body)
        assert status in (200, 204), answer
        return answer

    async def comes(self, visitor: str, **more: Any) -> Standing:
        """A visitor shows up."""
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.store.present("main", Presence(visitor, **more), told.set_result)
        answer = await told
        assert isinstance(answer, Standing), answer
        return answer

    async def crowd(self, count: int) -> list[Standing]:
        """So many come, and poll once."""
        told = [await self.comes(f"visitor{n:09}") for n in range(count)]
        return [await self.again(one) for one in told]

    async def again(self, told: Standing) -> Standing:
        """The browser polls with the ticket that it was given."""
        return await self.comes(told.visitor, arrival_us=told.arrival_us, confirmed=True)


@contextlib.asynccontextmanager
async def stored(house: House) -> AsyncIterator[OperatorStore]:
    """A store of its own, rules as workers would have written them. Its process may get no time for seconds."""
    server = await asyncio.to_thread(Server)
    keys = {name: PoolKeys(tuple(pool.backends)) for name, pool in house.settings.pools.items()}
    store = OperatorStore(f"unix://{server.path}", keys)
    try:
        with patch.object(talker, "CALL_S", START_S):
            assert await store.start(START_S)
            for name, pool in house.settings.pools.items():
                await store.write_rules(name, _rules(pool))
            yield store
    finally:
        await store.close()
        await asyncio.to_thread(server.stop)


@contextlib.asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """The same with a listener on a free port."""
    house = House()
    house.settings = settings_of(house)
    async with stored(house) as store, listener(house, store) as client:
        yield Desk(client, store, house)


def _rules(pool: Any) -> Rules:
    backends = tuple(BackendRules(name, each.max_sessions or 1_000) for name, each in pool.backends.items())
    return replace(rules(rate_milli=pool.admission.rate_milli, burst=pool.admission.burst), backends=backends)
