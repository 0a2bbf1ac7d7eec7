"""Real Valkey servers as an operator runs them: alone, with a replica, watched by sentinels, as a cluster."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.support.ports import free_port
from tests.support.product import START_S, until
from waitroom.store.embedded import server_binary


@dataclass(slots=True)
class Valkey:
    """One server on a port of its own, with its folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    settings: Sequence[str] = ()
    sentinel: str = ""
    """The text of a sentinel's file; empty: a server."""
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """As `store.url` names it."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> "redis.Redis[bytes]":
        """A connection for one question, which is asked once."""
        once = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        return redis.Redis(port=self.port, single_connection_client=True, socket_timeout=START_S / 2, retry=once)

    def ask(self, *command: str | int) -> Any:
        """One command."""
        with contextlib.closing(self.client) as client:
            return client.execute_command(*command)

    async def start(self) -> None:
        """Run, and answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["--port", str(self.port), "--dir", str(self.folder), "--logfile", str(self.folder / "log")]
        if self.sentinel:
            file = self.folder / "sentinel.conf"
            file.write_text(self.sentinel)
            words = [str(file), "--sentinel", *words]
        else:
            words += ["--save", "", "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", *self.settings]
        self.process = await asyncio.create_subprocess_exec(
            str(server_binary()), *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await until(self._answers, what=f"the server on {self.port}")

    def send(self, number: int) -> None:
        """A signal to its process."""
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, (self.folder / "log").read_text()[-500:]
        try:
            return bool(self.ask("PING"))
        except redis.RedisError:
            return False


@contextlib.asynccontextmanager
async def valkey(folder: Path, *settings: str, port: int = 0) -> AsyncIterator[Valkey]:
    """A server alone."""
    server = Valkey(folder, port or free_port(), settings)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


async def follows(replica: Valkey) -> None:
    """Wait until a replica has all that its primary has."""

    async def linked() -> bool:
        with contextlib.suppress(redis.RedisError):  # busy with it
            return bool(replica.client.info("replication").get("master_link_status") == "up")
        return False

    await until(linked, what="the replica")


FAILOVER_S = 90.0
"""Takes three seconds; sentinels that get no time to run on a busy machine put it off, and try again."""

SENTINEL = """\
sentinel monitor exams 127.0.0.1 {port} 2
sentinel down-after-milliseconds exams 2000
sentinel failover-timeout exams 1500
"""


@dataclass(slots=True)
class Watched:
    """A primary, its replica, three sentinels."""

    primary: Valkey
    replica: Valkey
    sentinels: list[Valkey]

    @property
    def url(self) -> str:
        """As `store.url` names it."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in self.sentinels)}/exams"

    async def promoted(self) -> None:
        """Wait until the replica is the primary."""

        async def led() -> bool:
            with contextlib.suppress(redis.RedisError):  # a promotion cuts every client off, also who asks here
                return bool(self.replica.ask("ROLE")[0] == b"master")
            return False

        await until(led, within_s=FAILOVER_S, what="the failover")


@contextlib.asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    """A primary that sentinels replace within about three seconds of its death."""
    primary = Valkey(folder / "primary", settings=("--appendonly", "yes"))
    replica = Valkey(folder / "replica", settings=("--replicaof", "127.0.0.1", str(primary.port)))
    text = SENTINEL.format(port=primary.port)
    sentinels = [Valkey(folder / f"sentinel{n}", sentinel=text) for n in range(3)]
    everyone = [primary, replica, *sentinels]
    try:
        for each in everyone:
            await each.start()
        await follows(replica)

        async def agreed() -> bool:
            return all(_sees_all(each) for each in sentinels)

        await until(agreed, within_s=FAILOVER_S, what="the sentinels' agreement")
        yield Watched(primary, replica, sentinels)
    finally:
        for each in everyone:
            await each.kill()


def _sees_all(sentinel: Valkey) -> bool:
    seen = sentinel.client.sentinel_master("exams")
    in_tilt = sentinel.client.info("sentinel")["sentinel_tilt"] != 0  # for 30 s after the machine was too busy
    return bool(seen["num-slaves"] == 1 and seen["num-other-sentinels"] == 2) and not in_tilt


@contextlib.asynccontextmanager
async def cluster(folder: Path, nodes: int = 3) -> AsyncIterator[list[Valkey]]:
    """A cluster of primaries that share the slots out evenly."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no")
    buses = [free_port() for _ in range(nodes)]
    everyone = [Valkey(folder / f"node{n}", settings=(*options, "--cluster-port", str(buses[n]))) for n in range(nodes)]
    try:
        for at, each in enumerate(everyone):
            await each.start()
            each.ask("CLUSTER", "ADDSLOTSRANGE", at * 16384 // nodes, (at + 1) * 16384 // nodes - 1)
            each.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            each.ask("CLUSTER", "MEET", "127.0.0.1", everyone[0].port, buses[0])

        async def whole() -> bool:
            infos = [each.ask("CLUSTER", "INFO") for each in everyone]
            return all(b"state:ok" in info and f"known_nodes:{nodes}\r".encode() in info for info in infos)

        await until(whole, what="the cluster")
        yield everyone
    finally:
        for each in everyone:
            await each.kill()


def pause(pid: int) -> None:
    """SIGSTOP: there, and silent."""
    os.kill(pid, signal.SIGSTOP)


def resume(pid: int) -> None:
    """SIGCONT."""
    os.kill(pid, signal.SIGCONT)
