"""What a full lobby costs: `python -m tests.bench.lobby [students] [seconds]`.

The product with two workers, an exam that opens tomorrow and draws lots, and that many students who poll when they are
told to. Prints the CPU that store and workers take a second, which is what is left to run an exam beside a lobby.
"""

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from tests.journey.test_draw import config
from tests.support.product import Product, look_again, serving
from tests.support.student import SCRIPT
from waitroom import clock
from waitroom.admission.tickets import VISITOR_BYTES, Seal, Ticket, visitor_id
from waitroom.settings.secrets import load_secrets

CONNECTIONS = 64
TICK_S = 0.05


def cpu_s(pids: list[int]) -> float:
    """CPU seconds that these processes have used."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


class Lobby:
    """Students with their tickets, each with the instant of their next poll."""

    def __init__(self, product: Product, count: int) -> None:
        keys = [(key.id, key.key) for key in load_secrets(product.data_dir / "secrets").keys]
        seal, now_us = Seal("main", keys), clock.now_us()
        self._cookies = [
            "wr_main=" + seal.sign(Ticket(visitor_id(secrets.token_bytes(VISITOR_BYTES)), "MATH", now_us + n))
            for n in range(count)
        ]
        self._due_ms = [clock.monotonic_ms()] * count
        self._url = f"{product.public}/_waitroom/status?pool=main"
        self.polls = 0

    async def gather(self, client: aiohttp.ClientSession) -> None:
        """Everybody comes."""
        for at in range(0, len(self._cookies), CONNECTIONS):
            await asyncio.gather(*(self._poll(client, n) for n in range(at, min(len(self._cookies), at + CONNECTIONS))))

    async def wait(self, client: aiohttp.ClientSession, seconds: int) -> None:
        """Everybody polls when it is time."""
        until_ms = clock.monotonic_ms() + seconds * 1000
        while (now_ms := clock.monotonic_ms()) < until_ms:
            due = [n for n, at_ms in enumerate(self._due_ms) if at_ms <= now_ms]
            for at in range(0, len(due), CONNECTIONS):
                await asyncio.gather(*(self._poll(client, n) for n in due[at : at + CONNECTIONS]))
            await look_again(TICK_S)

    async def _poll(self, client: aiohttp.ClientSession, n: int) -> None:
        async with client.get(self._url, headers={"Cookie": self._cookies[n]}) as answer:
            said = await answer.json()
        assert said["state"] == "lobby", said
        self.polls += 1
        self._due_ms[n] = clock.monotonic_ms() + said["next_poll_ms"]


async def measure(students: int, seconds: int, say: Callable[[str], None]) -> None:
    """Run it."""
    opens = datetime.now(UTC) + timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="wr-lobby-") as folder:
        text = config("http://127.0.0.1:9", opens, access=False)
        async with serving(Path(folder), config=text) as product:
            store, workers = product.children("valkey"), product.children("waitroom.server.worker")
            connector = aiohttp.TCPConnector(limit=CONNECTIONS)
            jar = aiohttp.DummyCookieJar()
            async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=SCRIPT) as client:
                lobby = Lobby(product, students)
                await lobby.gather(client)
                before, began_ms, polls = (cpu_s(store), cpu_s(workers)), clock.monotonic_ms(), lobby.polls
                await lobby.wait(client, seconds)
                took_s = (clock.monotonic_ms() - began_ms) / 1000
                theirs, ours = cpu_s(store) - before[0], cpu_s(workers) - before[1]
    say(
        f"{students:,} students in a lobby, {(lobby.polls - polls) / took_s:.0f} polls a second: "
        f"store {theirs / took_s:.1%} of a core, {len(workers)} workers together {ours / took_s:.1%}"
    )


if __name__ == "__main__":
    students, seconds = [*map(int, sys.argv[1:]), *(10_000, 30)[len(sys.argv) - 1 :]]
    asyncio.run(measure(students, seconds, print))
