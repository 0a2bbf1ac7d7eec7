"""The task that owns the connection: connects for ever, sends what there is to do, and judges replies.

Law: one round trip at a time, each bounded by `CALL_S`; a wire that failed is dropped and all of its round is answered.
What a store that lost everything needs (library, rules) is given back to it without the askers noticing.
"""

import asyncio
import secrets
from collections.abc import Callable

import hiredis
import structlog

from waitroom.admission.line import Rules
from waitroom.errors import LibraryError, StoreAwayError, StoreError
from waitroom.store import codec, library
from waitroom.store.keys import Argument, call
from waitroom.store.wire import Address, Reply, Wire
from waitroom.store.work import Scope, Work

log = structlog.get_logger(__name__)

CALL_S = 1.0
"""A store that does not answer within this is away."""

BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 1.0

RETRIES = 4
"""A call that was told to name more, to write rules or to load the library is sent again so often."""


class Talker:
    """Runs rounds of work against one store."""

    def __init__(
        self,
        address: Address,
        *,
        take: Callable[[], list[Work]],
        rules_of: Callable[[str], Rules | None],
        on_up: Callable[[bool], None],
        observe_call: Callable[[float], None],
    ) -> None:
        self._address = address
        self._take = take
        self._rules_of = rules_of
        self._on_up = on_up
        self._observe_call = observe_call
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._came_up = asyncio.Event()
        self._backoff_s = BACKOFF_MIN_S
        self._spoke = False
        self._ping = False
        self.up = False

    def wake(self) -> None:
        """There is work."""
        self._idle.clear()
        self._wake.set()

    def tick(self) -> None:
        """A second has passed: make sure that a silent store is still there."""
        self._ping = not self._spoke
        self._spoke = False
        self.wake()

    async def came_up(self) -> None:
        """Wait until the store has answered for the first time."""
        await self._came_up.wait()

    async def idle(self) -> None:
        """Wait until nothing is left to do or under way."""
        await self._idle.wait()

    async def run(self) -> None:
        """Keep a connection, for ever."""
        while True:
            try:
                await self._connection()
            except StoreError as error:
                if self.up or self._backoff_s >= BACKOFF_MAX_S:
                    log.warning("store_away", error=str(error))
            finally:
                self._set_up(up=False)
            await asyncio.sleep(self._backoff_s * (0.5 + secrets.randbelow(1000) / 1000))
            self._backoff_s = min(BACKOFF_MAX_S, self._backoff_s * 2)

    async def _connection(self) -> None:
        wire = await Wire.open(self._address)
        try:
            await library.ensure(wire)
            self._set_up(up=True)
            while True:
                await self._wake.wait()
                self._wake.clear()
                while works := self._take():
                    await self._round(wire, works)
                if self._ping:
                    self._ping = False
                    await wire.exchange([("PING",)], CALL_S)
                    self._backoff_s = BACKOFF_MIN_S
                if not self._wake.is_set():
                    self._idle.set()
        finally:
            wire.close()

    def _set_up(self, *, up: bool) -> None:
        if up == self.up:
            return
        self.up = up
        if up:
            self._came_up.set()
            self.wake()
        self._on_up(up)

    async def _round(self, wire: Wire, works: list[Work]) -> None:
        """Send everything at once, then settle each; nobody is left without an answer."""
        settled = 0
        error: StoreError = StoreAwayError("the worker is going")
        try:
            started = self._loop.time()
            replies = await wire.exchange([work.command() for work in works], CALL_S)
            self._observe_call(self._loop.time() - started)
            self._spoke, self._backoff_s = True, BACKOFF_MIN_S
            for work, reply in zip(works, replies, strict=True):
                await self._settle(wire, work, reply)
                settled += 1
        except StoreError as failure:
            error = failure
            raise
        finally:
            for work in works[settled:]:
                work.fail(error)

    async def _settle(self, wire: Wire, work: Work, reply: Reply) -> None:
        for _ in range(RETRIES):
            if library.is_unknown_function(reply):
                await library.ensure(wire)
            elif isinstance(reply, hiredis.ReplyError):
                log.error("store_call_failed", error=str(reply))
                work.fail(LibraryError(str(reply)))
                return
            elif isinstance(reply, list) and reply[0] == codec.NO_RULES:
                rules = self._rules_of(work.scope.pool)
                if rules is None:
                    work.fail(LibraryError(f"nobody has written rules for pool {work.scope.pool}"))
                    return
                await wire.exchange([rules_command(work.scope, rules)], CALL_S)
            elif isinstance(reply, list) and reply[0] == codec.NAME_THESE:
                work.scope.learn(codec.names(reply[1]), codec.names(reply[2]))
            else:
                _finish(work, reply)
                return
            reply = (await wire.exchange([work.command()], CALL_S))[0]
        work.fail(LibraryError(f"the store does not settle: {reply}"))


def rules_command(scope: Scope, rules: Rules) -> list[Argument]:
    """The command that writes rules."""
    return call(scope.pool, "wr_rules", scope.keys.backends, (), codec.rules_arguments(rules))


def _finish(work: Work, reply: Reply) -> None:
    try:
        work.reply(reply)
    except (IndexError, ValueError, TypeError, AssertionError) as error:
        log.exception("store_reply_unreadable")
        work.fail(LibraryError(f"the library said what nobody understands: {error!r}"))
