"""One request and its answer: from the decision to the last byte.

Laws. An exchange ends once, by `_end`, and only there are `Relay.finished` and the observer told; its place at the
backend is for stay.py. A request goes to a backend a second time only if that cannot do twice what was asked once (RFC
9110 section 9.2.2): an idempotent method without a body, on a reused connection that died without a byte. Once a
response's head is on its way, a failure can only be shown by an answer that stays incomplete (leaving.py).
"""

from typing import assert_never

from waitroom.errors import BackendError, BackendTimeoutError, RequestError
from waitroom.proxy.bodies import chunk
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Respond
from waitroom.proxy.origin import Spoken
from waitroom.proxy.own import CONTINUE, about_connection, problem, serialise
from waitroom.proxy.pool import BackendPool
from waitroom.proxy.requesthead import Block
from waitroom.proxy.responsehead import ResponseHead
from waitroom.proxy.rules import CLIENT_LEFT
from waitroom.proxy.sides import ClientSide, Surroundings
from waitroom.proxy.stay import Staying
from waitroom.proxy.upstream import BackendConnection


class Exchange(Staying):
    """One request and its answer. To the handler it is the `Request`."""

    __slots__ = (
        "_chunks", "_collecting", "_continued", "_opening", "_retried", "_started", "_upstream", "head_only",
        "http11", "keep_alive", "sent_bytes", "status", "streams_events",
    )  # fmt: skip

    status: int
    """Of the final response whose head was sent."""
    streams_events: bool
    """Its answer is a stream of events (text/event-stream), and may be silent for long."""
    _chunks: bool
    """The answer's body goes out in chunks."""
    _continued: bool
    """Somebody has asked for the body that the client offers, or it came unasked."""

    def __init__(  # noqa: PLR0917 - made in one place, at each request
        self,
        around: Surroundings,
        side: ClientSide,
        method: bytes,
        target: bytes,
        opening: bytes,
        block: Block,
        spoken: Spoken,
        *,
        http11: bool,
    ) -> None:
        self.method = method
        self.target = target
        self.client = spoken.client
        self.scheme = spoken.scheme
        self.http11 = http11
        self.head_only = method == b"HEAD"
        self.keep_alive = not block.close if http11 else block.keep_alive
        """Whether the client wants its connection kept; False once we have said that it is not."""
        self._spoken = spoken
        self._opening = opening
        """The request line for the backend."""
        self._around = around
        self._side = side
        self._block = block
        self._started = around.time()
        self._over = self._waits = self._turn = self._continued = False
        self._uploaded = self._failing = self._streaming = self._retried = self._chunks = self.streams_events = False
        self.status = self.sent_bytes = 0
        self._streams_since_s = self._asked_s = 0.0
        self._relay: Relay | None = None
        self._upstream: BackendConnection | None = None
        self._collecting: Collect | None = None
        self._pool = self._wait = self._strangers = None
        self._collected, self._id = b"", ""

    def perform(self, decision: Decision) -> None:
        """Do what was decided."""
        match decision:
            case Relay():
                self._forward(decision)
            case Respond():
                self._respond(decision)
            case Later():
                self._waits, self._turn = True, decision.queued
                decision.start(self._resume)
            case Collect():
                self._collect(decision)
            case _:
                assert_never(decision)

    def _resume(self, decision: Decision) -> None:
        """The answer to a Later. It may come when nobody waits any more; a second one is ignored."""
        if not self._waits:
            return
        self._waits = False
        if not self._over:
            self._around.gather_writes()
            self._side.guarded(self.perform, decision)
        elif isinstance(decision, Relay) and decision.finished is not None:
            decision.finished(0)

    def _respond(self, answer: Respond) -> None:
        self.status = answer.status
        if answer.close or self._around.draining or not self._side.skip_body():
            self.keep_alive = False
        connection = about_connection(kept=self.keep_alive, http11=self.http11)
        data = serialise(answer, self._around.ticker.date, head_only=self.head_only, connection=connection)
        self.sent_bytes += len(data)
        self._side.write(data)
        self._end(answer.status)

    def _collect(self, collect: Collect) -> None:
        if self._block.length > collect.limit:
            self.perform(collect.then(None))
            return
        self._collecting = collect
        if self._side.received_whole:
            self._gathered()
            return
        if self._block.expects:
            self._continued = True
            self._side.write(CONTINUE)
        self._side.pull()

    def _gathered(self) -> None:
        collect, self._collecting = self._collecting, None
        assert collect is not None
        self.perform(collect.then(self._collected))

    # the request's way to the backend

    @property
    def wants_body(self) -> bool:
        """Whether the body has somewhere to go."""
        return self._upstream is not None or self._collecting is not None or self._keeps_body

    @property
    def may_expect_body(self) -> bool:
        """Whether it is the client's turn: it was asked for the body, or does not wait to be (RFC 9110 10.1.1)."""
        return self.wants_body and (self._continued or not self._block.expects)

    @property
    def sent_whole(self) -> bool:
        """Whether the request has been sent to its end."""
        return self._side.received_whole

    def upload(self, payload: bytes, *, last: bool) -> None:
        """A part of the request's body."""
        self._continued = True
        collecting = self._collecting
        if collecting is not None:
            self._collected += payload
            if len(self._collected) > collecting.limit:
                self._collecting = None
                self.perform(collecting.then(None))
            elif last:
                self._gathered()
        elif self._upstream is None:
            self._collected += payload
        else:
            if not (last or self._uploaded):
                self._upstream.expect_interruption()
            self._uploaded = True
            self._upstream.send(chunk(payload, last=last) if self._block.chunked else payload)
            if last:
                self._uploaded_whole(self._around.time())

    def _enter(self, pool: BackendPool) -> None:
        self._pool, self._wait = pool, None
        connection = pool.take(self, repeatable=self.repeatable)
        if connection is None:
            pool.connect(self)
        else:
            self._ask(connection)

    def connected(self, connection: BackendConnection) -> bool:
        """The connection that was waited for."""
        if self._over:
            return False
        self._side.guarded(self._ask, connection)
        return True

    def not_connected(self, error: BackendError) -> None:
        """There is none to be had."""
        if not self._over:
            self._side.guarded(self._failed, error)

    def _ask(self, connection: BackendConnection) -> None:
        block, pool, opening = self._block, self._pool, self._opening
        assert pool is not None
        if block.host is None:  # HTTP/1.0
            opening += b"Host: %b\r\n" % pool.authority
        self._upstream = connection
        if self._side.congested:
            connection.read(on=False)
        connection.ask(self, opening + block.forward + self._spoken.lines)
        if pool.guard.limiter is not None:
            self._asked_s = self._around.time()
        if self._collected:
            kept, self._collected = self._collected, b""
            self.upload(kept, last=self._side.received_whole)
        elif block.chunked and self._side.received_whole:
            connection.send(chunk(b"", last=True))
        self._side.pull()

    # the response's way to the client

    def interim(self, head: ResponseHead) -> None:
        """A 1xx response (RFC 9110 section 15.2: not for a HTTP/1.0 client)."""
        self._continued = self._continued or head.status == 100
        if self.http11:
            self.write(head.ready)

    def respond(self, head: ResponseHead) -> bytes:
        """The final response has begun; gives the head for the client."""
        self.status = head.status
        if head.events:
            self.streams_events = True
            self._stream()
        relay = self._relay
        assert relay is not None
        if not (self._side.received_whole and not self._around.draining):
            self.keep_alive = False
        if self.keep_alive and head.framed and relay.cookie is None and self.http11:
            return head.ready
        return self._dressed(head, relay)

    def _dressed(self, head: ResponseHead, relay: Relay) -> bytes:
        """The head with what is about this connection, and with our cookie."""
        parts = [head.lines]
        if relay.cookie is not None and head.status < relay.cookie_below:
            parts.append(b"Set-Cookie: %b\r\n" % relay.cookie)
        if not head.framed and not self.head_only:
            if self.http11:
                self._chunks = True
                parts.append(b"Transfer-Encoding: chunked\r\n")
            else:
                self.keep_alive = False
        parts += (about_connection(kept=self.keep_alive, http11=self.http11), b"\r\n")
        return b"".join(parts)

    def write(self, data: bytes) -> None:
        """Bytes for the client."""
        self.sent_bytes += len(data)
        self._side.write(data)

    def payload(self, data: bytes, *, last: bool) -> None:
        """Body for the client."""
        if self._chunks:
            data = chunk(data, last=last)
        if data:
            self.write(data)

    def answered(self) -> None:
        """The response is complete, and the backend's connection is no longer ours."""
        self._upstream = None
        self._end(self.status)

    def backend_full(self, *, full: bool) -> None:
        """The backend takes no more of the body, or does again."""
        self._side.hold_upload(on=full)

    def client_full(self, *, full: bool) -> None:
        """The client takes no more of the response, or does again."""
        if self._upstream is not None:
            self._upstream.read(on=not full)

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """101: from here on the bytes are none of our business (RFC 9110 section 7.8)."""
        connection, self._upstream = self._upstream, None
        assert connection is not None
        if self._block.upgrade is None:
            connection.transport.abort()
            self._failed(BackendError("it changed the protocol unasked", kind="protocol"))
            return
        self.status = head.status
        self.write(head.ready)
        self._stream()
        self._side.hand_over(connection, rest, self._tunnel_over)

    # ends

    def lost(self, error: BackendError, *, silent: bool) -> None:
        """The backend's connection is gone too early."""
        connection, self._upstream = self._upstream, None
        if self._over:
            return
        again = silent and connection is not None and connection.reused and (self.repeatable or self._body_is_here)
        if again and not self._retried and self._pool is not None:
            self._retried = True
            self._pool.connect(self)
        else:
            self._failed(error)

    def _failed(self, error: BackendError) -> None:
        relay, self._wait = self._relay, None
        assert relay is not None
        self._around.observer.backend_failed(relay.target, error.kind, relay.stranger)
        if self.status:
            self._end(error.status, complete=False)
            return
        self._failing = True
        self.perform(self._around.handler.backend_failed(self, relay, error))

    def refuse(self, error: RequestError) -> None:
        """The rest of the request is not wanted: say so if nothing has been said yet."""
        self._failing = True
        self._drop_backend()
        if self.status:
            self._end(error.status, complete=False)
            return
        self._respond(problem(error.status, str(error)))

    def client_gone(self) -> None:
        """The client's connection is gone."""
        if not self._over:
            self._drop_backend()
            self._end(CLIENT_LEFT, complete=False)

    def _tunnel_over(self, sent_bytes: int) -> None:
        """The tunnel has ended."""
        self.sent_bytes += sent_bytes
        self._end(self.status)

    def _drop_backend(self) -> None:
        connection, self._upstream = self._upstream, None
        if connection is not None:
            connection.discard()

    def overdue(self, now_s: float, *, held: bool) -> None:
        """Look at the clock. `held`: the backend waits for the client, not we for it."""
        connection = self._upstream
        if self.status or (self._uploaded and not self._side.received_whole):
            self._look_whether_streaming(now_s)
        patience_s = self._around.rules.response_ms / 1000
        if connection is None:
            if self._waits and now_s - self._started > patience_s:
                self._respond(problem(503, "no decision about this request was made in time"))
        elif held:
            connection.heard_s = now_s
        elif connection.silent_for(now_s) > patience_s:
            kind = "send_timeout" if connection.full else "body_timeout" if self.status else "response_timeout"
            self._drop_backend()
            self._failed(BackendTimeoutError("nothing moved in time", kind=kind))

    def _end(self, status: int, *, complete: bool = True) -> None:
        """The one end."""
        if self._over:
            return
        self._over = True
        around, relay, pool = self._around, self._relay, self._pool
        now_s, observer = around.time(), around.observer
        seconds = now_s - self._started
        if self._wait is not None:
            self._wait.give_up()
            self._wait = None
        if relay is None or pool is None:
            observer.own_done(status)
        else:
            self._depart(pool.guard, status, now_s, complete=complete)
            observer.request_done(relay.target, status, seconds, relay.stranger)
        self._forget_strangers()
        if relay is not None and relay.finished is not None:
            relay.finished(status if complete and not self._failing else 0)
        if observer.access is not None:
            observer.access(self, status, self.sent_bytes, seconds, relay.target if relay else None)
        if complete:
            self._side.exchange_over()
        else:
            self._side.break_off(framed=self.http11)  # all others have a length or chunks (`_dressed`)
