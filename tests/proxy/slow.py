"""A backend that answers when the test says so, and knows how many requests it has at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.proxy.wire import OK, TARGET, Call, Client, Stage, stage, until
from waitroom.proxy.rules import ProxyRules

ONE = ProxyRules(max_inflight={TARGET: 1})
"""One request at a time."""


@dataclass(eq=False)
class Slow:
    """Its script, and what it was asked, by target in the order of arrival."""

    answer: bytes = OK
    asked: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    _done: dict[str, asyncio.Event] = field(default_factory=dict)

    async def script(self, call: Call) -> None:
        while head := await call.head():
            target = head.split()[1].decode()
            done = self._done[target] = asyncio.Event()
            self.asked.append(target)
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await call.body(head)
                await done.wait()
            finally:
                self.now -= 1
            await call.say(self.answer)

    def let_go(self, target: str) -> None:
        """Answer this one."""
        self._done.pop(target).set()

    def let_all_go(self) -> None:
        """Answer all that are there."""
        for target in list(self._done):
            self.let_go(target)

    async def has(self, target: str) -> None:
        """Until this was asked."""
        await until(lambda: target in self.asked)


@asynccontextmanager
async def slow_stage(rules: ProxyRules = ONE) -> AsyncIterator[tuple[Stage, Slow]]:
    """A listener before such a backend."""
    slow = Slow()
    async with stage(slow.script, rules=rules) as s:
        try:
            yield s, slow
        finally:
            slow.let_all_go()


def get(target: str, *fields: str) -> bytes:
    """A page load, or what the fields make of it."""
    lines = [f"GET {target} HTTP/1.1", "Host: h", *(fields or ("Sec-Fetch-Mode: navigate",)), "", ""]
    return "\r\n".join(lines).encode()


def post(target: str, body: bytes = b"a=1", *fields: str) -> bytes:
    """A form."""
    lines = [
        *(f"POST {target} HTTP/1.1", "Host: h", "Sec-Fetch-Mode: navigate", f"Content-Length: {len(body)}"),
        *("Content-Type: application/x-www-form-urlencoded", *fields, "", ""),
    ]
    return "\r\n".join(lines).encode() + body


def waiting(s: Stage) -> int:
    """Requests that wait for a place."""
    pool = s.listener.pools.get(TARGET)
    assert pool is not None
    return pool.guard.waiting


async def parked(s: Stage, request: bytes) -> Client:
    """A new client whose request waits for a place."""
    before = waiting(s)
    client = await s.connect()
    await client.send(request)
    await until(lambda: waiting(s) == before + 1)
    return client


async def first(s: Stage, slow: Slow) -> Client:
    """A client whose request takes the one place there is: `/first`."""
    client = await s.connect()
    await client.send(get("/first"))
    await slow.has("/first")
    return client


def time_passes(s: Stage, seconds: float) -> None:
    """So much later."""
    ticker = s.listener.ticker
    ticker.tick(ticker.now_s + seconds)
