"""The worker process: `python -m waitroom.server.worker`, started by the supervisor and by nobody else.

Law: a worker owns nothing that its death could lose. Its sockets are the supervisor's, its counters are in shared
memory, its line is in the store. It leaves when it is told to, when it gets SIGTERM, and at once when its supervisor
is gone.
"""

import argparse
import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
import uvloop

from waitroom import clock
from waitroom.errors import WaitroomError
from waitroom.logs import LogStyle, configure
from waitroom.metrics.counters import Counters, Memory
from waitroom.server.channel import Channel, Message
from waitroom.server.duty import Front, Grace, die_with
from waitroom.server.front import build
from waitroom.server.orders import Orders, read_orders
from waitroom.server.sockets import empty_backlog
from waitroom.tasks import spawn

log = structlog.get_logger(__name__)


GARBAGE_EVERY = 20_000
"""Objects that outlive each other before Python looks for cycles among the young ones. Its own 700 is less than a batch
of polls has under way, so that every batch was searched: a tenth of a poll's cost."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the supervisor hands down: file descriptors and the slot's number."""

    slot: int
    parent: int
    control: int
    counters: int
    doors: tuple[int, ...]


class Worker:
    """One worker's life: begin, reload as often as asked, leave."""

    def __init__(self, inheritance: Inheritance, channel: Channel) -> None:
        self._slot = inheritance.slot
        self._doors = [socket.socket(fileno=fd) for fd in inheritance.doors]
        self._memory = Memory(inheritance.counters)
        self._channel = channel
        self._front: Front | None = None
        self._grace = Grace(0, 0)
        self._prepared: tuple[int, Callable[[], None], Orders] | None = None
        self._leaving = False
        self._left = asyncio.Event()

    async def live(self) -> None:
        """Do as told until it is time to go."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # ^C reaches the whole group; the supervisor decides
        loop.add_signal_handler(signal.SIGTERM, self._leave)
        control = spawn(self._obey(), name="control")
        control.add_done_callback(_orphaned)
        await self._left.wait()
        control.remove_done_callback(_orphaned)
        if self._front is not None:
            await self._front.close()
        await self._channel.flush()

    async def _obey(self) -> None:
        while (message := await self._channel.receive()) is not None:
            match message["kind"]:
                case "begin":
                    await self._begin(message)
                case "prepare":
                    await self._prepare(message)
                case "commit":
                    self._commit(message)
                case "abort":
                    self._prepared = None
                case "ping":
                    self._channel.send("pong", re=message["id"])
                case "retire":
                    spawn(self._retire(message["id"]), name="retire")
                case "drain":
                    if message["kept"]:  # what waits in the backlog waits for the next service; tunnels had their grace
                        self._grace = Grace(self._grace.requests_ms, 0)
                    else:
                        await empty_backlog(self._doors if self._front else ())
                    self._leave()
                case other:
                    raise WaitroomError(f"no such message: {other}")

    async def _begin(self, message: Message) -> None:
        orders = read_orders(message)
        self._take(orders)
        counters = Counters(orders.layout, self._memory.cells)
        self._counters = counters
        try:
            self._front = build(orders.settings, orders.secrets, counters, orders.taken_ms)
            await self._front.start(self._doors)
        except Exception as error:  # the supervisor decides whether to try again
            if not isinstance(error, WaitroomError):
                log.exception("begin_failed")
            self._channel.send("failed", problem=str(error) or type(error).__name__)
            return
        _settle_memory()
        self._channel.send("ready")

    async def _prepare(self, message: Message) -> None:
        """First phase of a reload: say whether these settings can be had, change nothing."""
        problem = None
        try:
            orders = read_orders(message)
            self._counters.relayout(orders.layout)  # it only grew; see metrics/layout.py
            assert self._front is not None
            commit = await self._front.prepare(orders.settings, orders.secrets, orders.taken_ms)
            self._prepared = (message["generation"], commit, orders)
        except Exception as error:  # whatever it is, it must not end this worker: the old settings still serve
            log.exception("prepare_failed")
            problem = str(error) or type(error).__name__
        self._channel.send("prepared", re=message["id"], problem=problem)

    def _commit(self, message: Message) -> None:
        """Second phase: switch over."""
        prepared, self._prepared = self._prepared, None
        assert prepared is not None
        assert prepared[0] == message["generation"]
        _, commit, orders = prepared
        commit()
        self._take(orders)
        self._channel.send("committed", re=message["id"])

    def _take(self, orders: Orders) -> None:
        self._grace = Grace.of(orders.settings)
        style = LogStyle(f"worker-{self._slot}", orders.settings.logging.level, orders.human)
        configure(style, clock.now_ms)

    async def _retire(self, number: int) -> None:
        if self._front is not None:
            await self._front.retire(self._grace)
        self._channel.send("retired", re=number)

    def _leave(self) -> None:
        if self._leaving:
            return
        self._leaving = True
        self._channel.send("leaving")
        spawn(self._drain(), name="drain")

    async def _drain(self) -> None:
        try:
            if self._front is not None:
                await self._front.drain(self._grace)
        finally:
            self._left.set()


def _settle_memory() -> None:
    """What has been built by now stays: do not search it for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_EVERY)


def _orphaned(_control: object) -> None:
    """The supervisor is gone: nobody is there to do anything for."""
    os._exit(1)


def _inherited(arguments: Sequence[str] | None) -> Inheritance:
    parser = argparse.ArgumentParser(prog="waitroom.server.worker", description="Started by `waitroom serve`.")
    for name in ("slot", "parent", "control", "counters"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--doors", type=lambda text: tuple(int(fd) for fd in text.split(",")), required=True)
    return Inheritance(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the worker that the command line describes."""
    inheritance = _inherited(arguments)
    die_with(inheritance.parent)
    configure(LogStyle(f"worker-{inheritance.slot}"), clock.now_ms)

    async def live() -> None:
        channel = await Channel.over(socket.socket(fileno=inheritance.control))
        await Worker(inheritance, channel).live()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())


if __name__ == "__main__":
    main()
