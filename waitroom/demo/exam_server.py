"""A sample exam server: `python -m waitroom.demo.exam_server --listen 127.0.0.1:8081 --console 127.0.0.1:8082`.

Law: it fails as its capacity model says and never on command. Dead means dead: the listener is closed, every connection
is reset, sessions are forgotten; after `--restart-s` it listens again, cold. The console is another listener that
survives, as a hypervisor's does, and serves `/server-status` about the machine, alive or dead. On a living machine the
same page is also at `/server-status`, outside the capacity.
"""

import asyncio
import contextlib
import dataclasses
import signal
import socket
import struct
import sys
from random import Random
from typing import Any

import click
import uvloop
from aiohttp import web

from waitroom.demo.engine import Engine
from waitroom.demo.exam import Records
from waitroom.demo.model import Back, Capacity, Died, Machine
from waitroom.demo.site import Site
from waitroom.server.duty import die_with
from waitroom.tasks import spawn, stop

BACKLOG = 1_024
"""Connections the kernel keeps for us. Large, so that the model's backlog decides and not the kernel's."""

HARD_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST, as the kernel of a dead process does to data nobody read."""


class ExamServer:
    """The machine, its pages, its listener."""

    def __init__(self, host: str, port: int, capacity: Capacity, seed: int, *, warm: bool = True) -> None:
        self._where = host, port
        self._loop = asyncio.get_running_loop()
        self._born_s = self._loop.time()
        machine = Machine(capacity, self._born_s * 1000, warm=warm)
        self._engine = Engine(machine, died=self._die, back=self._come_back)
        self._records = Records(Random(seed))
        application = Site(self._engine, self._records).application()
        application.router.add_get("/server-status", self.status)
        self._runner = web.AppRunner(application, access_log=None)
        self._listener: asyncio.Server | None = None
        self._return: asyncio.Task[None] | None = None

    @property
    def machine(self) -> Machine:
        """The machine that decides how it goes."""
        return self._engine.machine

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await self._listen()

    async def close(self) -> None:
        """Stop for good."""
        await stop(self._return)
        self._engine.stop()
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()

    async def status(self, _request: web.Request) -> web.Response:
        """What a monitor would show."""
        self._engine.catch_up()
        return web.json_response(self._status())

    def _status(self) -> dict[str, Any]:
        machine, records = self._engine.machine, self._records
        return {
            "up": machine.up and self._listener is not None,
            "sessions": machine.sessions,
            "running": machine.running,
            "queued": machine.queued,
            "memory_mib": machine.memory_mib,
            "slowness": round(machine.slowness, 2),
            "served": machine.served,
            "refused": machine.refused,
            "attempts": len(records.attempts),
            "submitted": records.submitted,
            "deaths": [
                {"after_s": round(died.at_ms / 1000 - self._born_s, 1), "cause": died.cause, "sessions": died.sessions}
                for died in machine.deaths
            ],
            "capacity": dataclasses.asdict(machine.capacity) | {"sessions": machine.capacity.sessions},
        }

    async def _listen(self) -> None:
        server = self._runner.server
        assert server is not None
        host, port = self._where
        self._listener = await self._loop.create_server(server, host, port, backlog=BACKLOG)

    def _die(self, died: Died) -> None:
        click.echo(f"died: {died.cause}, with {died.sessions} sessions", err=True)
        self._records.forget_sessions()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                _reset(connection.transport)

    def _come_back(self, _event: Back) -> None:
        click.echo("back, cold", err=True)
        self._return = spawn(self._listen(), name="listen")


def _reset(transport: asyncio.Transport) -> None:
    with contextlib.suppress(OSError):  # the client was faster
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD_CLOSE)
    transport.abort()


async def _console(host: str, port: int, server: ExamServer) -> web.AppRunner:
    application = web.Application()
    application.router.add_get("/server-status", server.status)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


async def _serve(
    listen: tuple[str, int], console: tuple[str, int] | None, capacity: Capacity, seed: int, *, warm: bool
) -> None:
    ended = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    server = ExamServer(*listen, capacity, seed, warm=warm)
    watch = await _console(*console, server) if console else None
    try:
        await server.start()
        await ended.wait()
    finally:
        await server.close()
        if watch is not None:
            await watch.cleanup()


def address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise click.BadParameter(f"{text!r} is no HOST:PORT, for example 127.0.0.1:8081")
    return host.strip("[]"), int(port)


@click.command()
@click.option("--listen", default="127.0.0.1:8081", show_default=True, help="Where students come.")
@click.option("--console", help="Where /server-status is served, dead or alive.")
@click.option("--restart-s", type=click.FloatRange(0.1), help="Time to come back.")
@click.option("--cores", type=click.IntRange(1), help="Of the machine.")
@click.option("--workers", type=click.IntRange(1), help="Requests worked on at a time.")
@click.option("--backlog", type=click.IntRange(1), help="Requests waiting for a worker.")
@click.option("--ram-mib", type=click.IntRange(1), help="Memory.")
@click.option("--cold", is_flag=True, help="Its caches are empty, as after a start.")
@click.option("--seed", default=1, show_default=True, help="Of the session cookies.")
@click.option("--parent", type=int, help="Die with this process.")
def main(  # noqa: PLR0917 - each is a flag
    listen: str,
    console: str | None,
    seed: int,
    parent: int | None,
    restart_s: float | None,
    cold: bool,
    **size: int | None,
) -> None:
    """Run the sample exam server until it is told to end."""
    if parent is not None:
        die_with(parent)
    given = {name: value for name, value in size.items() if value is not None}
    if restart_s is not None:
        given["restart_ms"] = int(restart_s * 1000)
    capacity = dataclasses.replace(Capacity(), **given)
    work = _serve(address(listen), address(console) if console else None, capacity, seed, warm=not cold)
    try:
        uvloop.run(work)
    except OSError as error:
        sys.exit(f"cannot listen: {error}")


if __name__ == "__main__":
    main()
