"""One worker process as the supervisor sees it: started, asked, ended.

Law: a member is reaped exactly once, and in the same step what it counted is folded into the totals.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from itertools import count

import structlog

from waitroom import clock
from waitroom.errors import WaitroomError
from waitroom.metrics.counters import Memory
from waitroom.metrics.totals import Totals
from waitroom.server.channel import Channel, Message
from waitroom.server.orders import Orders, write_orders
from waitroom.settings.secrets import ENVIRONMENT
from waitroom.tasks import spawn

log = structlog.get_logger(__name__)

MODULE = "waitroom.server.worker"


class MemberError(WaitroomError):
    """A worker did not do what it was asked: it is gone, too slow, or said no."""


class Member:
    """One worker process. `generation` says which settings it was last given."""

    def __init__(self, slot: int, generation: int, totals: Totals) -> None:
        self.slot = slot
        self.generation = generation
        self.born_ms = clock.monotonic_ms()
        self.ready = False
        self.settled = asyncio.Event()
        """Set when it accepts, or never will."""
        self.leaving = asyncio.Event()
        """Set when it accepts no more: it said so, or it is dead."""
        self.dead = asyncio.Event()
        self.problem: str | None = None
        """Why it could not begin, if it said so."""
        self._totals = totals
        self._memory: Memory | None = None
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._numbers = count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._doomed = False

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def accepts(self) -> bool:
        """Whether it takes connections."""
        return self.ready and not self.leaving.is_set()

    @property
    def age_ms(self) -> int:
        """How long it has been there."""
        return clock.monotonic_ms() - self.born_ms

    async def start(self, doors: Sequence[socket.socket], orders: Orders) -> None:
        """Start the process and give it its orders; `ready` is set once it accepts. Must not be cancelled half way."""
        try:
            self._memory = self._totals.attach()
            self._channel = await self._launch(self._memory, [door.fileno() for door in doors])
        except OSError as error:  # no memory, no descriptors, no processes left: as good as dead at birth
            log.error("worker_not_started", worker=self.slot, problem=str(error))  # noqa: TRY400 - says it all
            self._end()
            return
        self._channel.send("begin", **write_orders(orders))
        spawn(self._listen(), name=f"worker-{self.slot} channel")
        spawn(self._reap(), name=f"worker-{self.slot} exit")
        if self._doomed:
            self.kill()

    async def _launch(self, memory: Memory, doors: list[int]) -> Channel:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            self._process = await asyncio.create_subprocess_exec(
                *_command(self.slot, theirs.fileno(), memory.fd, doors),
                pass_fds=(theirs.fileno(), memory.fd, *doors),
                stdin=asyncio.subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if name != ENVIRONMENT},
            )
            undo.pop_all()
        return await Channel.over(ours)

    async def ask(self, kind: str, within_s: float, **fields: object) -> Message:
        """Send a message and wait for its reply. Raises MemberError."""
        assert self._channel is not None
        number = next(self._numbers)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        self._channel.send(kind, id=number, **fields)
        try:
            async with asyncio.timeout(within_s):
                return await reply
        except TimeoutError:
            raise MemberError(f"worker {self.slot} did not answer within {within_s:g} s") from None
        finally:
            self._replies.pop(number, None)

    def dismiss(self, *, kept: bool = False) -> None:
        """Tell it to drain and leave; one that has not begun is ended. `kept`: others will see to the backlog."""
        if self._channel is None:
            self._doomed = True
        else:
            self._channel.send("drain", kept=kept)

    def kill(self) -> None:
        """End it now."""
        if self._process is None:
            self._doomed = True
        elif not self.dead.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    def tell(self, kind: str, **fields: object) -> None:
        """Send a message that has no reply."""
        assert self._channel is not None
        self._channel.send(kind, **fields)

    async def _listen(self) -> None:
        assert self._channel is not None
        while (message := await self._channel.receive()) is not None:
            match message["kind"]:
                case "ready":
                    self.ready = True
                    self.settled.set()
                case "failed":
                    self.problem = message["problem"]
                    self.kill()
                case "leaving":
                    self.leaving.set()
                case _:
                    self._answered(message)
        self._forsake()

    def _answered(self, message: Message) -> None:
        reply = self._replies.get(message["re"])
        if reply is not None and not reply.done():
            reply.set_result(message)

    def _forsake(self) -> None:
        """Nobody will answer any more."""
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(MemberError(f"worker {self.slot} is gone"))

    async def _reap(self) -> None:
        assert self._process is not None
        code = await self._process.wait()
        self._end()
        log.info("worker_ended", worker=self.slot, pid=self._process.pid, code=code, age_ms=self.age_ms)

    def _end(self) -> None:
        """It is dead: keep what it counted, answer whoever waits for it."""
        if self._memory is not None:
            self._totals.fold(self._memory)
        if self._channel is not None:
            self._channel.close()
        self._forsake()
        self.settled.set()
        self.leaving.set()
        self.dead.set()


def _command(slot: int, control: int, counters: int, doors: Sequence[int]) -> tuple[str, ...]:
    """-P: a module of the same name in the working directory must not stand in for ours."""
    numbers = {"--slot": slot, "--parent": os.getpid(), "--control": control, "--counters": counters}
    flags = [part for name, number in numbers.items() for part in (name, str(number))]
    return (sys.executable, "-P", "-m", MODULE, *flags, "--doors", ",".join(map(str, doors)))
