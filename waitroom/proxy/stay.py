"""An exchange's place at its backend: taken, waited for, given back.

Laws. An exchange has at most one place, and gives it back once, at its end or when it begins to do nothing but stream
(guard.py). While it waits, little of its body is read and nothing is sent: whoever is turned away has asked for
nothing. A backend that is reached without a wait costs a comparison and a count. A stranger's exchange has a place
among strangers (strangers.py) first, and from then to its end.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from waitroom.errors import BackendError, BusyError, RequestError
from waitroom.proxy.decisions import Relay, Respond
from waitroom.proxy.guard import STREAM_S, End, Guard
from waitroom.proxy.incoming import Incoming
from waitroom.proxy.limiters import Limiter
from waitroom.proxy.own import counted_out
from waitroom.proxy.pool import BackendPool
from waitroom.proxy.rules import CLIENT_LEFT
from waitroom.proxy.sides import ClientSide, Surroundings
from waitroom.proxy.strangers import Strangers
from waitroom.proxy.upstream import Owner
from waitroom.proxy.urgency import urgency_of

KEPT_BYTES = 64 * 1024
"""Of a body, read while its request waits: a form or an autosave is there as a whole. One read more may come on top."""

PATIENCE_S = 1.0
"""A client that leaves before this has changed its mind; later, it may be tired of waiting."""


class Wait:
    """One exchange that waits for a place; what its guard knows of it."""

    __slots__ = (
        "_again", "_enter", "_fail", "_given_up", "_guard", "_pool", "_relay", "_side", "_since_s", "_time", "_waited",
    )  # fmt: skip

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        relay: Relay,
        pool: BackendPool,
        guard: Guard,
        around: Surroundings,
        side: ClientSide,
        enter: Callable[[BackendPool], None],
        fail: Callable[[BackendError], None],
        again: Callable[[Relay], None],
    ) -> None:
        self._relay = relay
        self._pool = pool
        self._guard = guard
        self._side = side
        self._enter = enter
        self._fail = fail
        self._again = again
        self._time = around.time
        self._waited = around.observer.waited
        self._since_s = around.time()
        self._given_up = False

    def come_in(self) -> None:
        """There is a place, and it is taken."""
        self._ended(End.SERVED)
        self._side.guarded(self._enter, self._pool)

    def turned_away(self, end: End) -> None:
        """There will be none."""
        if not self._given_up:
            self._ended(end)
            self._side.guarded(
                self._fail, BusyError("too many wait for it" if end is End.CROWDED else "no place in time")
            )

    def moved(self) -> None:
        """The backend is known no more under this address: another may be by its name."""
        self._side.guarded(self._again, self._relay)

    def give_up(self) -> None:
        """The client is gone, and so is this wait."""
        self._given_up = True
        self._ended(End.LEFT)
        self._guard.withdraw(self)

    def _ended(self, end: End) -> None:
        self._waited(self._pool.name, end, self._time() - self._since_s)


class Staying(Incoming, ABC):
    """The part of an exchange that knows its place, and what of its request has been sent there."""

    __slots__ = (
        "_around", "_asked_s", "_collected", "_failing", "_id", "_pool", "_relay", "_side", "_strangers", "_streaming",
        "_streams_since_s", "_uploaded", "_wait",
    )  # fmt: skip

    _around: Surroundings
    _side: ClientSide
    _relay: Relay | None
    _pool: BackendPool | None
    """Where it has a place, or had until it began to stream."""
    _strangers: Strangers | None
    """Among whom it is counted."""
    _wait: Wait | None
    _collected: bytes
    """Of the body, what came before it had somewhere to go."""
    _uploaded: bool
    """Something of the body has been sent to the backend."""
    _failing: bool
    """Its answer is ours, since the backend or the client did not do their part: to the handler it is none."""
    _streaming: bool
    """The place was given back early."""
    _streams_since_s: float
    _id: str
    _asked_s: float
    """When the backend had all of the request, where somebody learns from its times."""

    @property
    def _body_is_here(self) -> bool:
        """Whether there is a body and nobody has seen a byte of it: a request that was not whole was not acted upon."""
        return self.has_body and not self._uploaded

    @property
    def id(self) -> str:
        """A name for this request in logs."""
        if not self._id:
            self._id = self._around.next_id()
        return self._id

    @property
    def stranger(self) -> bool:
        """Whether nobody knows who that is."""
        return self._strangers is not None

    @property
    def owner(self) -> Owner:
        """Who alone may use a backend's connection that it has marked.

        A proxy in front of us sends many over one of its own: there it is for whoever has the same address and cookies,
        our signed one among them.
        """
        return self._side, (self.client, *self.every(b"cookie")) if self.trusted else ()

    @property
    def queued(self) -> bool:
        """Whether it waits for a place. A client that ends its half now has left: a browser's Stop or reload looks so,
        and who half-closes and reads on is no browser (HAProxy's abortonclose, for queues alone)."""
        return self._wait is not None or super().queued

    @property
    def _keeps_body(self) -> bool:
        """Whether more of the body is kept while its request waits. Unread, it would hide that its client leaves."""
        return self._wait is not None and len(self._collected) < KEPT_BYTES

    @abstractmethod
    def _enter(self, pool: BackendPool) -> None:
        """There is a place for it."""

    @abstractmethod
    def _respond(self, answer: Respond) -> None:
        """Answer it here."""

    @abstractmethod
    def _failed(self, error: BackendError) -> None:
        """The backend has failed, or has no place for it."""

    @abstractmethod
    def refuse(self, error: RequestError) -> None:
        """End it, and say why if nothing has been said yet."""

    def _forward(self, relay: Relay) -> None:
        """Take it to a backend, or have it wait for a place there."""
        pool = self._around.pools.get(relay.target)
        self._relay = relay
        if self._block.last_hop and self.counts_hops:
            self._respond(counted_out(self.method))
            return
        if pool is None:
            self._failed(BackendError(f"no backend {relay.target}", kind="unreachable"))
            return
        guard = pool.guard
        if relay.stranger and not self._is_among(pool.strangers):
            self._stand(relay, pool, pool.strangers.line, self._come_among)
        elif guard.held < guard.limit and not guard.waiting:
            guard.held += 1
            self._enter(pool)
        else:
            self._stand(relay, pool, guard, self._enter)

    def _stand(self, relay: Relay, pool: BackendPool, guard: Guard, enter: Callable[[BackendPool], None]) -> None:
        """Wait, and then enter."""
        self._wait = Wait(relay, pool, guard, self._around, self._side, enter, self._failed, self._forward)
        pool.park(self._wait, guard, urgency_of(self))
        self._side.pull()

    def _is_among(self, strangers: Strangers) -> bool:
        """Whether it has a place among a backend's strangers: it takes one if there is."""
        if self._strangers is strangers:
            return True
        self._forget_strangers()  # those of a backend that has moved
        line = strangers.line
        if line.held >= line.limit or line.waiting:
            return False
        line.held += 1
        self._strangers = strangers
        return True

    def _come_among(self, pool: BackendPool) -> None:
        """There is a place among the strangers; now one at the backend."""
        self._wait, self._strangers = None, pool.strangers
        assert self._relay is not None
        self._forward(self._relay)

    def _stream(self) -> None:
        """From here on it does nothing but stream."""
        if self._pool is not None and not self._streaming:
            self._streaming = True
            self._pool.guard.streams()
            if self._strangers is not None:
                self._strangers.streams(self, on=True)

    def _look_whether_streaming(self, now_s: float) -> None:
        """A second has passed, in which a body was on its way."""
        if not self._streams_since_s:
            self._streams_since_s = now_s
        elif now_s - self._streams_since_s >= STREAM_S:
            self._stream()

    def _uploaded_whole(self, now_s: float) -> None:
        """The backend has all of the request, and has to do something with it."""
        assert self._pool is not None
        guard = self._pool.guard
        self._streams_since_s = 0.0
        if self._streaming:
            self._streaming = False
            guard.comes_back()
            if self._strangers is not None:
                self._strangers.streams(self, on=False)
        if guard.limiter is not None:
            self._asked_s = now_s

    def make_room(self) -> None:
        """A stranger that only streams is not waited for by those who wait."""
        self._side.guarded(self.refuse, RequestError("it took long, and others wait", status=BusyError.status))

    def _forget_strangers(self) -> None:
        """It is no longer counted among them."""
        strangers, self._strangers = self._strangers, None
        if strangers is not None:
            strangers.streams(self, on=False)
            strangers.line.leave()

    def _depart(self, guard: Guard, status: int, now_s: float, *, complete: bool) -> None:
        """The end: the place is free."""
        if self._streaming:
            guard.streaming -= 1
            return
        if guard.limiter is not None and self._asked_s and not self.stranger:
            self._teach(guard, guard.limiter, status, now_s - self._asked_s, complete=complete)
        guard.leave()

    def _teach(self, guard: Guard, limiter: Limiter, status: int, seconds: float, *, complete: bool) -> None:
        """Say how long the backend took.

        Those whose clients lose patience count with the time until then: of an overloaded server only they would know.
        """
        left = status == CLIENT_LEFT
        if (left and seconds < PATIENCE_S) or (self._failing and status < 500):  # the client's doing
            return
        kind = guard.kinds.number(self.method, self.target)
        limiter.observe(kind, seconds, guard.held, left or (complete and status < 500))
