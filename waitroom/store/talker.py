"""The task that owns the connection: connects for ever, sends what there is to do, and judges replies.

Law: one round trip at a time, each bounded by `CALL_S`; a wire that failed is dropped and all of its round is answered.
A round takes what was gathered; what comes meanwhile gathers for the next. Nobody is served on a new connection before
the store has the library and was shown what it said before (`greetings`): one that can only be read, is full, or has
forgotten something is found out first. What a store that lost everything needs (library, rules) is given back to it
without the askers noticing.
"""

import asyncio
import secrets
from collections.abc import Callable

import hiredis
import structlog

from waitroom.errors import LibraryError, StoreAwayError, StoreError
from waitroom.store import codec, library
from waitroom.store.keys import pool_key
from waitroom.store.places import Place
from waitroom.store.wire import Answer, Reply, Wire
from waitroom.store.work import Work

log = structlog.get_logger(__name__)

CALL_S = 2.0
"""A store that does not answer within this is away: five times what one takes that is 200 ms off."""

PROMPT_S = 0.25
"""A store whose last answer took longer, or whose next has not come for longer, is not waited for by who may go on
without it. In health a round takes a few ms."""

BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 1.0

REPORT_S = 30.0
"""How often an outage that lasts is logged again."""

RETRIES = 4
"""A call that was told to name more, to write rules or to load the library is sent again so often."""


class Talker:
    """Runs rounds of work against one store.

    A round needs no task: it begins in the timer that gathered its work and ends in the callback of its last reply.
    What is out of the ordinary (connecting, names or rules that the store asks for) is the task's.
    """

    def __init__(
        self,
        place: Place,
        *,
        take: Callable[[], list[Work]],
        greetings: Callable[[str], list[Work]],
        on_up: Callable[[bool], None],
        on_failure: Callable[[str], None],
        observe_call: Callable[[float], None],
        serves: str = "",
    ) -> None:
        """`greetings`: for the pool of this name, or for all (""). `serves`: the one pool or lease; "": all."""
        self._place = place
        self._take = take
        self._greetings = greetings
        self._on_up = on_up
        self._on_failure = on_failure
        self._lock = pool_key(serves, "library") if serves else library.LOCK
        self._log = log.bind(pool=serves) if serves else log
        self._observe_call = observe_call
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._busy = False
        """A round is under way, or the task has the wire."""
        self._again = False
        """There was more to do when a round was under way."""
        self._unsettled: list[tuple[Work, Reply]] = []
        self._broken: StoreError | None = None
        self._attention = asyncio.Event()
        self._idle = asyncio.Event()
        self._came_up = asyncio.Event()
        self._backoff_s = BACKOFF_MIN_S
        self._reported = ("", 0.0)
        self._spoke = False
        self._began_s = self._took_s = 0.0
        self._away_since_s = self._loop.time()
        self.up = False

    @property
    def away_s(self) -> float:
        """For how long the store has been away; 0 if it is there."""
        return 0.0 if self.up else self._loop.time() - self._away_since_s

    def prompt(self) -> bool:
        """Whether an answer may be expected within moments."""
        under_way_s = self._loop.time() - self._began_s if self._busy else 0.0
        return self.up and max(self._took_s, under_way_s) < PROMPT_S

    def wake(self) -> None:
        """There is work."""
        self._idle.clear()
        if self._busy or self._wire is None:
            self._again = True
        else:
            self._begin(self._wire)

    def tick(self) -> None:
        """A second has passed: make sure that a silent store is still there."""
        if not self._spoke and self._wire is not None and not self._busy:
            self._busy = True
            self._began_s = self._loop.time()
            self._wire.ask([("PING",)], CALL_S, lambda answer: self._answered([], answer))
        else:
            self.wake()
        self._spoke = False

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
                kind = error.kind if isinstance(error, StoreAwayError) else "misread"
                self._on_failure(kind)
                self._report(kind, str(error))
            finally:
                self._set_up(up=False)
            await asyncio.sleep(self._backoff_s * (0.5 + secrets.randbelow(1000) / 1000))
            self._backoff_s = min(BACKOFF_MAX_S, self._backoff_s * 2)

    def _report(self, kind: str, error: str) -> None:
        """Log what is new, and from time to time that it is still so."""
        now_s = self._loop.time()
        if self.up or kind != self._reported[0] or now_s - self._reported[1] >= REPORT_S:
            self._reported = (kind, now_s)
            self._log.warning("store_away", error=error, cause=kind, away_s=round(self.away_s, 1))

    async def _connection(self) -> None:
        wire = await Wire.open(await self._place.find())
        try:
            await library.ensure(wire, lock=self._lock)
            await self._greet(wire, "")
            self._wire, self._busy, self._broken = wire, False, None
            self._set_up(up=True)
            while True:
                await self._attention.wait()
                self._attention.clear()
                if self._broken is not None:
                    raise self._broken
                await self._settle_all(wire)
        finally:
            self._wire = None
            wire.close()
            unsettled, self._unsettled = self._unsettled, []
            for work, _ in unsettled:
                work.fail(StoreAwayError("the store is away"))

    async def _greet(self, wire: Wire, pool: str) -> None:
        works = self._greetings(pool)
        replies = await wire.exchange([work.command() for work in works], CALL_S) if works else ()
        for work, reply in zip(works, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                log.error("store_call_failed", error=str(reply))
            else:
                _finish(work, reply)

    def _set_up(self, *, up: bool) -> None:
        if up == self.up:
            return
        if up:
            self._log.info("store_up", away_s=round(self.away_s, 1))
        self.up, self._took_s = up, 0.0
        if up:
            self._came_up.set()
            self.wake()
        else:
            self._away_since_s = self._loop.time()
        self._on_up(up)

    def _begin(self, wire: Wire) -> None:
        """Send everything there is to do at once."""
        self._again = False
        works = self._take()
        if not works:
            self._idle.set()
            return
        self._busy = True
        self._began_s = self._loop.time()
        wire.ask([work.command() for work in works], CALL_S, lambda answer: self._answered(works, answer))

    def _answered(self, works: list[Work], answer: Answer) -> None:
        """Settle each; nobody is left without an answer."""
        if isinstance(answer, StoreError):
            for work in works:
                work.fail(answer)
            self._broken = answer
            self._attention.set()
            return
        self._took_s = self._loop.time() - self._began_s
        if works:
            self._observe_call(self._took_s)
        self._spoke, self._backoff_s = True, BACKOFF_MIN_S
        for work, reply in zip(works, answer, strict=bool(works)):
            if isinstance(reply, list) and reply[0] == codec.OK:
                _finish(work, reply)
            else:
                self._unsettled.append((work, reply))
        if self._unsettled:
            self._attention.set()
        else:
            self._free()

    def _free(self) -> None:
        """The wire is free: go on, or be idle."""
        self._busy = False
        if self._wire is not None and self._again:
            self._begin(self._wire)
        else:
            self._idle.set()

    async def _settle_all(self, wire: Wire) -> None:
        while self._unsettled:
            work, reply = self._unsettled[0]
            await self._settle(wire, work, reply)
            self._unsettled.pop(0)
        self._free()

    async def _settle(self, wire: Wire, work: Work, reply: Reply) -> None:
        for _ in range(RETRIES):
            if library.is_unknown_function(reply):
                await library.ensure(wire, lock=self._lock)
            elif isinstance(reply, hiredis.ReplyError):
                log.error("store_call_failed", error=str(reply))
                work.fail(LibraryError(str(reply)))
                return
            elif isinstance(reply, list) and reply[0] == codec.NO_RULES:
                if work.scope.rules is None:
                    work.fail(LibraryError(f"nobody has written rules for pool {work.scope.pool}"))
                    return
                await self._greet(wire, work.scope.pool)
            elif isinstance(reply, list) and reply[0] == codec.NAME_THESE:
                work.scope.learn(codec.names(reply[1]), codec.names(reply[2]))
            else:
                _finish(work, reply)
                return
            reply = (await wire.exchange([work.command()], CALL_S))[0]
        work.fail(LibraryError(f"the store does not settle: {reply}"))


def _finish(work: Work, reply: Reply) -> None:
    try:
        work.reply(reply)
    except (IndexError, ValueError, TypeError, AssertionError, StopIteration) as error:
        log.exception("store_reply_unreadable")
        work.fail(LibraryError(f"the library said what nobody understands: {error!r}"))
