"""Time, chance and processes that a seed decides: an event loop without waiting, clocks per process, drawn randomness.

Law: nothing here knows the product. Inside `reigning` a run has no other source of time or chance than its seed, so the
same seed gives the same run to the last byte. A process that is dead never runs again, not even its `finally`: what it
had not told anybody is lost, as after kill -9.
"""

import asyncio
import os
import secrets
import selectors
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

import structlog
from structlog.typing import EventDict

from waitroom import clock
from waitroom.gate import line

T0_MS = 1_780_000_000_000
"""Where virtual time starts: a morning in 2026."""


@dataclass(slots=True, eq=False)
class Process:
    """A process of the product: everything that is started in its context belongs to it."""

    name: str
    offset_ms: int = 0
    """How far its machine's clock is from the true time."""
    dead: bool = False
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.context = copy_context()
        self.context.run(_process.set, self)

    def run(self, work: Callable[..., Any], *args: object) -> Any:
        """Call something in this process."""
        return self.context.copy().run(work, *args)


_process: ContextVar[Process | None] = ContextVar("process", default=None)


def current_name() -> str:
    """The name of the process that runs now."""
    process = _process.get()
    return process.name if process else ""


class _Instant(selectors.SelectSelector):
    """Waiting takes no time: the clock moves instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time whose only connections are those that `connect` makes."""

    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)
        self.connect: Callable[[Callable[[], asyncio.Protocol]], Any] | None = None
        self.over = False
        """Everybody may end what they began, also the dead: nobody watches any more."""
        self.broken: list[BaseException] = []
        """What nobody expected, in the product or in this world."""

    def time(self) -> float:
        """Seconds since the run began."""
        return self._instant.now_s

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As ever, but for the dead."""
        return super().call_soon(*self._of_living(callback, args, context), context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        """As ever, but for the dead."""
        return super().call_at(when, *self._of_living(callback, args, context), context=context)

    async def create_unix_connection(self, protocol_factory: Any, *_args: Any, **_kwargs: Any) -> Any:
        """The one way out: to the store."""
        assert self.connect is not None
        return await self.connect(protocol_factory)

    async def create_server(self, *_args: Any, **_kwargs: Any) -> Any:
        """Nobody connects: requests are handed to workers as values."""
        return _NoServer()

    def _of_living(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> tuple[Any, ...]:
        process = _process.get() if context is None else context.get(_process)
        return (callback, *args) if process is None else (self._unless_dead, process, callback, args)

    def _unless_dead(self, process: Process, callback: Any, args: tuple[Any, ...]) -> None:
        if not process.dead or self.over:
            callback(*args)


class _NoServer:
    def close(self) -> None:
        """There is nothing to close."""


@contextmanager
def reigning(seed: str, hear: Callable[[str, EventDict], None]) -> Iterator[VirtualLoop]:
    """A loop with everything else that a run needs; `hear` gets what processes log, with their names."""
    loop, chance = VirtualLoop(), Random(f"{seed}/system")
    loop.set_exception_handler(_tell_of_living)

    def now_us() -> int:
        process = _process.get()
        return T0_MS * 1000 + round(loop.time() * 1_000_000) + (process.offset_ms * 1000 if process else 0)

    def heard(_logger: object, _level: str, event: EventDict) -> EventDict:
        process = _process.get()
        if process is not None and not process.dead and not loop.over:
            hear(process.name, event)
        raise structlog.DropEvent

    with ExitStack() as stack:
        for place, name, mine in (
            (clock, "now_us", now_us),
            (clock, "now_ms", lambda: now_us() // 1000),
            (clock, "monotonic_ms", lambda: round(loop.time() * 1000)),
            (line, "urandom", chance.randbytes),
            (os, "urandom", chance.randbytes),
            (secrets, "randbelow", chance.randrange),
            (secrets, "token_hex", lambda size: chance.randbytes(size).hex()),
        ):
            stack.enter_context(patch.object(place, name, mine))
        stack.callback(structlog.configure, **structlog.get_config())
        structlog.configure(processors=[structlog.processors.add_log_level, heard])
        try:
            yield loop
            if loop.broken:
                raise loop.broken[0]
        finally:
            _bury(loop)


def _tell_of_living(loop: VirtualLoop, context: dict[str, Any]) -> None:
    process = _process.get()
    if process is None or not process.dead:
        loop.default_exception_handler(context)
        if "exception" in context and not loop.over:
            loop.broken.append(context["exception"])


def _bury(loop: VirtualLoop) -> None:
    """End all that still runs."""
    loop.over = True
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
