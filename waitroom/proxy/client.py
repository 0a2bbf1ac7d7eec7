"""A client's connection: requests in, one after the other, answers out in the same order.

Laws. One exchange at a time; what comes behind its request waits unread, or in `_buffer` (at most one read and a head).
One that is answered at once ends this connection's turn of the loop: a read may hold thousands of them, and all others
would wait. A request's body is decoded only when it has somewhere to go. Nothing a client sends makes a callback raise.
How a connection ends, and what becomes of what the client sends meanwhile: leaving.py.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

import httptools
import structlog

from waitroom.errors import RequestError
from waitroom.proxy.backlog import Backlog
from waitroom.proxy.decisions import Respond
from waitroom.proxy.exchange import Exchange
from waitroom.proxy.fields import END_OF_HEAD
from waitroom.proxy.leaving import lingers, pass_over
from waitroom.proxy.origin import Origin
from waitroom.proxy.own import CLOSE, problem, serialise
from waitroom.proxy.preface import Peer
from waitroom.proxy.requesthead import (
    NO_BLOCK,
    REQUEST_LINE,
    aim,
    check_beginning,
    leading_empty_lines,
    too_large,
    without_empty_lines,
)
from waitroom.proxy.rules import BUFFER_BYTES, DRAIN_IDLE_S
from waitroom.proxy.sides import Home
from waitroom.proxy.transports import reset
from waitroom.proxy.upload import Upload
from waitroom.proxy.upstream import BackendConnection

T = TypeVar("T")

log = structlog.get_logger(__name__)

HOLD_BUFFER, HOLD_UPLOAD, HOLD_TURN = 1, 2, 4
"""Why a client is not read: what it sent must wait; its backend takes no more; others have their turn (libuv reads one
up to 32 times in a row)."""


class ClientConnection(asyncio.Protocol):
    """One connection of a client."""

    __slots__ = (
        "_advancing", "_backlog", "_block", "_body", "_buffer", "_congested", "_drained_bytes", "_eof", "_exchange",
        "_heading", "_holds", "_home", "_leaving", "_origin", "_peer", "_served", "_since_s", "_transport", "_yields",
    )  # fmt: skip

    _transport: asyncio.Transport
    _origin: Origin

    def __init__(self, home: Home, peer: Peer | None = None) -> None:
        self._home = home
        self._peer = peer
        """Whose connection it is, where a load balancer made it."""
        self._exchange: Exchange | None = None
        self._block = NO_BLOCK
        """The last header block read."""
        self._buffer = b""
        """Received and not yet digested."""
        self._body: Upload | None = None
        """What is still to come of the request's body."""
        self._holds = 0
        self._advancing = False
        self._congested = False
        self._leaving = False
        """Nothing more is answered here."""
        self._drained_bytes = 0
        self._eof = False
        self._heading = False
        """A head has begun."""
        self._served = False
        self._yields = False
        """The next request is here, and waits for the loop's next turn."""
        self._backlog = Backlog()
        self._since_s = 0.0
        """When the present phase began (coarse): idle, head, leaving."""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        self._since_s = self._home.ticker.now_s
        transport.set_write_buffer_limits(BUFFER_BYTES)
        scheme, rules = b"https" if transport.get_extra_info("sslcontext") else b"http", self._home.rules
        peer = self._peer or transport.get_extra_info("peername")
        self._origin = Origin.of_peer(peer, scheme, rules.trusted_proxies, rules.forward_as, rules.signed_on)
        if not self._home.admit(self):
            self._refuse(problem(503, "this server has as many connections as it can carry", (b"Retry-After", b"5")))

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._leaving:
            self._drained_bytes = pass_over(data, self._drained_bytes, self._body, self._transport)
            self._hold(HOLD_TURN, on=True)
            self._home.soon(self._next_turn)
            return
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()

    def eof_received(self) -> bool:
        """The client sends no more. It may still be reading (half-close), unless TLS forbids or it queues."""
        self._home.send_gathered()  # before the loop closes what nobody is busy with
        self._eof, exchange = True, self._exchange
        if exchange is not None and exchange.status and (self._body or (exchange.streams_events and not self._buffer)):
            self._give_up()  # half an answer must not look like a whole one; and nobody half-closes a stream of events
        busy = bool(self._buffer) and (self._congested or self._yields)
        busy = busy or (self._exchange is not None and not self._exchange.queued)
        return busy and self._body is None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection is gone, by either side's doing."""
        self._home.leave(self)
        self._leaving = True
        self._buffer = b""
        exchange, self._exchange = self._exchange, None
        self._home.pools.leave(self)
        if exchange is not None:
            try:
                exchange.client_gone()
            except Exception:  # a defect of ours ends this connection, not the worker
                log.exception("client_connection_broke")

    def pause_writing(self) -> None:
        """The client reads too slowly: stop what feeds it."""
        self._congested = True
        if self._exchange is not None:
            self._exchange.client_full(full=True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._congested = False
        if self._exchange is not None:
            self._exchange.client_full(full=False)
        self._go_on()

    # requests

    def _go_on(self) -> None:
        """Turn to the next request, or close if there will be none."""
        if self._buffer or self._holds:
            self._advance()
        if self._eof and self._exchange is None and not (self._leaving or self._advancing or self._yields):
            self._depart(linger=False)

    def _advance(self) -> None:
        """Digest what has been received, as far as that is possible now."""
        if self._advancing or self._yields:
            return
        self._advancing = True
        try:
            while self._buffer and not self._leaving:
                exchange = self._exchange
                if exchange is None:
                    if self._congested or not self._next_request():
                        break
                    if self._exchange is None and self._buffer:
                        self._yields = True
                        self._home.soon(self._next_turn)
                        break
                elif self._body is not None and exchange.wants_body:
                    self._upload(exchange, self._body)
                else:
                    break
        except (RequestError, httptools.HttpParserError) as error:
            self._wrong(error if isinstance(error, RequestError) else RequestError(str(error)))
        except Exception:  # as above
            log.exception("client_connection_broke")
            self._give_up()
        finally:
            self._advancing = False
        if self._buffer or self._holds:
            waits = self._exchange is not None or self._congested or self._yields
            self._hold(HOLD_BUFFER, on=bool(self._buffer) and waits)

    def _next_turn(self) -> None:
        """The others have had theirs."""
        self._yields = False
        if self._leaving:
            self._hold(HOLD_TURN, on=False)
        else:
            self._go_on()

    def _next_request(self) -> bool:
        """Start the exchange of the next request; False if its head is not here yet."""
        data = self._buffer
        line = REQUEST_LINE.match(data)
        if line is None:
            if END_OF_HEAD in data:
                self._buffer = without_empty_lines(data)
                return True
            self._await_head(data)
            return False
        method, target, minor = line.groups()
        begin, block = line.end(), self._block
        if minor == b"1" and block.raw and data.startswith(block.raw, begin):
            end = begin + len(block.raw)  # nearly always: the fields of the request before
        else:
            end = data.find(END_OF_HEAD, begin - 2) + 4
            if end < 4:
                self._await_head(data)
                return False
            block = self._home.reader.read(data[begin:end], http10=minor == b"0", target=target)
            self._block = block if minor == b"1" else NO_BLOCK
        if end > self._home.rules.header_bytes:
            raise too_large(data, self._home.rules.header_bytes)
        self._buffer = data[end:]
        self._heading, self._served = False, True
        opening, http11 = data[:begin], minor == b"1"
        if not http11 or method == b"CONNECT" or not target.startswith(b"/"):
            target = aim(method, target, block, self._origin)
            opening = b"%b %b HTTP/1.1\r\n" % (method, target)
        spoken = block.spoken_by(self._origin)
        self._exchange = exchange = Exchange(self._home, self, method, target, opening, block, spoken, http11=http11)
        if block.length or block.chunked:
            self._body = Upload(block.length, chunked=block.chunked, rules=self._home.rules)
        exchange.perform(self._home.handler.decide(exchange))
        return True

    def _await_head(self, data: bytes) -> None:
        """A head is incomplete: is it still going to be one?"""
        if not self._heading:
            data = self._buffer = data[leading_empty_lines(data) :]
            if data in (b"", b"\r"):
                return
            self._heading, self._since_s = True, self._home.ticker.now_s
        check_beginning(data, self._home.rules.header_bytes)

    def _upload(self, exchange: Exchange, body: Upload) -> None:
        """Pass on what is here of a request's body."""
        data, self._buffer = self._buffer, b""
        payload, self._buffer = body.take(data)
        if body.done:
            self._body = None
        exchange.upload(payload, last=body.done)

    def _hold(self, reason: int, *, on: bool) -> None:
        """Stop reading the client for a reason, or go on once there is none."""
        before = self._holds
        after = self._holds = before | reason if on else before & ~reason
        if bool(before) is bool(after) or self._transport.is_closing():
            return
        if after:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # the exchange's side

    @property
    def received_whole(self) -> bool:
        """Whether the request has been received to its end."""
        return self._body is None

    @property
    def congested(self) -> bool:
        """Whether the client reads more slowly than it is sent to."""
        return self._congested

    def skip_body(self) -> bool:
        """Pass over a body that nobody wants, if all of it is here. Gives whether the request is at its end."""
        if self._body is not None and self._buffer:
            self._buffer, over = self._body.pass_over(self._buffer)
            self._body = None if over else self._body
        return self._body is None

    def write(self, data: bytes) -> None:
        """Bytes for the client, unless it has just gone (uvloop raises then; `connection_lost` follows)."""
        if (outbox := self._home.outbox) is not None:
            outbox.append((self._transport, data))
        elif not self._transport.is_closing():
            self._transport.write(data)

    def pull(self) -> None:
        """The exchange takes the request's body now."""
        if self._buffer:
            self._advance()

    def guarded(self, step: Callable[[T], None], given: T) -> None:
        """Do what did not begin with bytes of this connection; if it breaks, the connection does."""
        try:
            step(given)
        except Exception:  # as above
            log.exception("client_connection_broke")
            self._give_up()

    def hold_upload(self, *, on: bool) -> None:
        """Stop reading the request's body, or go on."""
        self._hold(HOLD_UPLOAD, on=on)

    def exchange_over(self) -> None:
        """The answer is complete: next request, or close."""
        exchange, self._exchange = self._exchange, None
        if self._leaving or exchange is None:
            return
        if self._holds & HOLD_UPLOAD:
            self._hold(HOLD_UPLOAD, on=False)
        if not exchange.keep_alive or self._body is not None or self._home.draining:
            self._depart(linger=self._body is not None or bool(self._buffer))
            return
        self._since_s = self._home.ticker.now_s
        if self._buffer or self._holds or self._eof:
            self._go_on()

    def break_off(self, *, framed: bool) -> None:
        """The answer stays incomplete, which the client sees by itself where it is `framed`."""
        if framed and not self._leaving:
            self._exchange = None
            self._depart(linger=True)
        else:
            self.cut()

    def cut(self) -> None:
        """End the connection at once, so that the client cannot take it for the answer's end."""
        self._exchange, self._leaving = None, True
        reset(self._transport)

    def hand_over(self, backend: BackendConnection, rest: bytes, over: Callable[[int], None]) -> None:
        """Begin a tunnel: this connection speaks no HTTP any more."""
        self._exchange, self._leaving = None, True
        self._home.send_gathered()
        tunnel = self._home.dig(self._transport, backend.transport, over)
        self._home.leave(self)
        tunnel.begin(self._buffer, rest)
        self._buffer = b""

    def _depart(self, *, linger: bool) -> None:
        """Close after what has been written; `linger`: the client may be sending still."""
        self._leaving, self._since_s = True, self._home.ticker.now_s
        rest, self._buffer = self._buffer, b""
        self._home.send_gathered()
        body, stays = self._body, linger and not self._eof and not self._transport.is_closing()
        offered = self._block.expects and body is not None and not body.taken_bytes  # and refused: it is not read
        if stays and self._transport.can_write_eof():
            self._hold(HOLD_BUFFER if offered else self._holds, on=offered)
            self._transport.write_eof()
        elif stays and body is not None and not offered:
            self._hold(self._holds, on=False)
            self._drained_bytes = pass_over(rest, 0, body, self._transport)
        else:
            self._transport.close()

    def _refuse(self, answer: Respond) -> None:
        """Answer what is no request."""
        self.write(serialise(answer, self._home.ticker.date, head_only=False, connection=CLOSE))
        self._home.observer.own_done(answer.status)
        self._depart(linger=True)

    def _wrong(self, error: RequestError) -> None:
        """The client has sent what may not be sent."""
        if self._exchange is not None:
            self._exchange.refuse(error)
        else:
            self._refuse(problem(error.status, str(error)))

    # the clock's side

    def tick(self, now_s: float) -> None:
        """End what has taken too long."""
        rules, exchange, waited_s = self._home.rules, self._exchange, now_s - self._since_s
        if self._backlog.overdue(self._transport, self._home.ticker.elapsed_s, rules.reading_credit, self._leaving):
            self._give_up()
        elif exchange is not None:
            self._watch(exchange, now_s)
        elif self._backlog:
            self._since_s = now_s  # the last answer is still on its way
        elif self._leaving:
            if not lingers(waited_s, self._drained_bytes):
                self._transport.abort()
        elif self._heading:
            if waited_s > rules.head_ms / 1000:
                self._refuse(problem(408, "the request did not come in time"))
        elif waited_s > (rules.idle_ms if self._served else rules.head_ms) / 1000 or (
            self._home.draining and waited_s > DRAIN_IDLE_S
        ):
            self._depart(linger=False)

    def _watch(self, exchange: Exchange, now_s: float) -> None:
        """Somebody is waited for: the client for its body, or the backend."""
        body = self._body if not self._holds and exchange.may_expect_body else None
        if body is not None and body.credit.spend(self._home.ticker.elapsed_s):
            exchange.refuse(RequestError("the body did not come in time", status=408))
        else:
            exchange.overdue(now_s, held=body is not None or self._congested)

    def _give_up(self) -> None:
        """Cut off a client that does not read its answer, or whose connection broke here."""
        exchange = self._exchange
        self.cut()
        if exchange is not None:
            exchange.client_gone()
