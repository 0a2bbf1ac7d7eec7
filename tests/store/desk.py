"""A client of the line with what it reported, for tests that hurt the store behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from tests.store.driver import rules
from tests.support.product import START_S
from waitroom.admission.line import Presence, Standing, Touch, Touched
from waitroom.errors import StoreError
from waitroom.store.keys import PoolKeys
from waitroom.store.operators import OperatorStore

POOLS = {"p": PoolKeys(("b1", "b2"), ("x",)), "q": PoolKeys(("b1",))}


class Desk:
    """A client with what it reported."""

    def __init__(self, url: str, pools: Mapping[str, PoolKeys] = POOLS) -> None:
        self.heard: list[Touched] = []
        self.ups: list[bool] = []
        self.calls: list[float] = []
        self.failures: list[str] = []
        self.changed = asyncio.Event()
        self.store = OperatorStore(
            url,
            pools,
            on_touched=self._touched,
            on_up=self._up,
            observe_call=self.calls.append,
            on_failure=self._failed,
        )

    def _touched(self, _pool: str, touched: Touched) -> None:
        self.heard.append(touched)
        self.changed.set()

    def _up(self, up: bool) -> None:
        self.ups.append(up)
        self.changed.set()

    def _failed(self, cause: str) -> None:
        self.failures.append(cause)
        self.changed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(START_S):
            while not true():
                await self.changed.wait()
                self.changed.clear()

    def ask(self, pool: str, visitor: str, **more: Any) -> "asyncio.Future[Standing | StoreError]":
        future = asyncio.get_running_loop().create_future()
        self.store.present(pool, Presence(visitor, **more), future.set_result)
        return future

    async def one(self, visitor: str, *, pool: str = "p", **more: Any) -> Standing:
        answer = await self.ask(pool, visitor, **more)
        assert isinstance(answer, Standing), answer
        return answer

    async def again(self, told: Standing, *, pool: str = "p") -> Standing:
        """The browser polls with the ticket that it was given."""
        return await self.one(told.visitor, pool=pool, arrival_us=told.arrival_us, confirmed=True, stamped=True)

    async def check(self, standing: Standing, *, pool: str = "p") -> Touched | StoreError:
        future = asyncio.get_running_loop().create_future()
        self.store.check(pool, Touch(standing.visitor, standing.backend, standing.admitted_ms), future.set_result)
        return await future


@contextlib.asynccontextmanager
async def desk(url: str, *slots: int, pools: Mapping[str, PoolKeys] = POOLS) -> AsyncIterator[Desk]:
    """Connected, with rules for every pool: so many slots at `p`, one elsewhere."""
    it = Desk(url, pools)
    assert await it.store.start(START_S)
    try:
        for name in pools if slots else ():
            await it.store.write_rules(name, rules(*(slots if name == "p" else (1,))))
        yield it
    finally:
        await it.store.close()


async def answered(it: Desk, pool: str = "p") -> bool:
    """Whether the store answers a visitor."""
    return isinstance(await it.ask(pool, "looks"), Standing)
