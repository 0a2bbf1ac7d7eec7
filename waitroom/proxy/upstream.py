"""A connection to a backend and the responses that come over it.

Laws. A connection has at most one asker; without one, any byte ends it. It is used again only after a response that was
complete, announced nothing else, left no byte over, and answered a request that was sent whole. It is for the same
client alone if more may be left on it: a server that has not read a request's body takes it for the next request, one
that sends what HEAD or 304 leave out sends it as the next answer, and one that was signed on to by NTLM takes all that
comes for the same user's. A response that stops early is told as `truncated`, never as an end; what came of it before
is passed on.
"""

import asyncio
from typing import Protocol, cast

import httptools
import structlog

from waitroom.errors import BackendError
from waitroom.proxy.bodies import Body, ChunkedBody, LengthBody
from waitroom.proxy.fields import END_OF_HEAD, Mark
from waitroom.proxy.responsehead import NO_HEAD, ResponseHead, ResponseReader
from waitroom.proxy.rules import BUFFER_BYTES
from waitroom.proxy.ticker import Ticker
from waitroom.proxy.transports import SecondLook

log = structlog.get_logger(__name__)


Owner = tuple[object, tuple[str | bytes, ...]]
"""A client's connection, and who speaks over it where that is a proxy with many behind it."""

PROVISIONALS = 100
"""1xx responses to one request: a 102 every ten seconds (RFC 2518) for a quarter of an hour."""


class Asker(Protocol):
    """The exchange as its backend connection sees it."""

    head_only: bool

    @property
    def mark(self) -> Mark:
        """What the request leaves on the connection."""

    @property
    def owner(self) -> Owner:
        """Who alone may use the connection then."""

    @property
    def stranger(self) -> bool:
        """Whether nobody knows who that is."""

    @property
    def sent_whole(self) -> bool:
        """Whether the request has been sent to its end."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx response."""

    def respond(self, head: ResponseHead) -> bytes:
        """The final response has begun; gives the head for the client, to be passed to `write`."""

    def write(self, data: bytes) -> None:
        """Bytes for the client."""

    def payload(self, data: bytes, *, last: bool) -> None:
        """Body for the client, framed as the client needs it."""

    def answered(self) -> None:
        """The response is complete."""

    def lost(self, error: BackendError, *, silent: bool) -> None:
        """The connection is gone before the response was complete. `silent`: not a byte of it had come."""

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """The backend has changed the protocol; `rest` is of the new one. The connection is the asker's now."""

    def backend_full(self, *, full: bool) -> None:
        """The backend takes no more bytes, or does again."""


class Home(Protocol):
    """The pool as its connections see it."""

    def give_back(self, connection: "BackendConnection") -> None:
        """Take a connection that can be used again."""

    def forget(self, connection: "BackendConnection") -> None:
        """A connection is gone."""


class BackendConnection(asyncio.Protocol):
    """One connection to a backend."""

    __slots__ = (
        "_asker", "_body", "_buffer", "_head", "_header_bytes", "_home", "_known", "_provisionals", "_reader",
        "_reading", "_second_look", "_ticker", "_unsent", "full", "heard_s", "owner", "reused", "signed_on", "stranger",
        "transport",
    )  # fmt: skip

    def __init__(self, home: Home, reader: ResponseReader, ticker: Ticker, header_bytes: int) -> None:
        self._home = home
        self._reader = reader
        self._ticker = ticker
        self._header_bytes = header_bytes
        self._asker: Asker | None = None
        self.owner: Owner | None = None
        """Who alone may use it again."""
        self.signed_on = False
        """Somebody has signed on to it."""
        self.stranger = False
        """Its owner is a stranger."""
        self._buffer = b""
        self._known = NO_HEAD
        """The last head read: servers repeat themselves."""
        self._head: ResponseHead | None = None
        """Set while the body is read."""
        self._body: Body | None = None
        """None: up to the end of the connection."""
        self._reading = True
        self._provisionals = 0
        self._second_look: SecondLook | None = None
        """The same connection once more, to be read when writing to it has failed; it is the transport then."""
        self._unsent = 0
        self.full = False
        """Whether the backend takes no more of a request for now."""
        self.reused = False
        self.heard_s = 0.0
        """When something last happened here (coarse)."""
        self.transport: asyncio.Transport

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        transport.set_write_buffer_limits(BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Bytes from the backend."""
        try:
            self._received(data)
        except BackendError as error:
            self._fail(error)
        except httptools.HttpParserError as error:
            if isinstance(self._body, ChunkedBody) and self._asker is not None:
                self._asker.payload(self._body.salvaged, last=False)
            self._fail(BackendError(str(error), kind="protocol"))
        except Exception:  # a defect of ours ends this connection, not the worker
            log.exception("backend_connection_broke")
            self._fail(BackendError("broken here", kind="protocol"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by either side's doing."""
        self._home.forget(self)
        if self._second_look is not None:
            self._look_again(self._second_look, exc)
            return
        asker, self._asker = self._asker, None
        if asker is None:
            return
        try:
            if self._head is not None and self._body is None and exc is None:
                asker.payload(b"", last=True)
                asker.answered()
            elif self._head is None and not self._buffer and not self._provisionals:
                asker.lost(BackendError(str(exc or "closed before it answered"), kind="reset"), silent=True)
            else:
                asker.lost(BackendError(str(exc or "closed within its answer"), kind="truncated"), silent=False)
        except Exception:  # as above
            log.exception("backend_connection_broke")

    def pause_writing(self) -> None:
        """The backend reads more slowly than the client sends."""
        self.full = True
        if self._asker is not None:
            self._asker.backend_full(full=True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self.full = False
        if self._asker is not None:
            self._asker.backend_full(full=False)

    # the exchange's side

    def ask(self, asker: Asker, request: bytes) -> None:
        """Send a request's head; the asker is told what comes back."""
        self._asker = asker
        self._provisionals = 0
        self.heard_s = self._ticker.now_s
        if not self.transport.is_closing():  # else `connection_lost` is on its way, and uvloop raises
            self.transport.write(request)

    def send(self, data: bytes) -> None:
        """Send a part of the request's body."""
        self.heard_s = self._ticker.now_s
        if not self.transport.is_closing():
            self.transport.write(data)

    def expect_interruption(self) -> None:
        """A long body begins. A backend may refuse it and close while it comes, and its close makes our next write fail
        with its answer unread (RFC 9112 section 9.6 asks it not to; direct clients get the answer all the same).
        """
        if self._second_look is None:
            self._second_look = SecondLook(self.transport)

    def read(self, *, on: bool) -> None:
        """Go on reading, or stop while the client has enough to read."""
        if on is not self._reading and (isinstance(self.transport, SecondLook) or not self.transport.is_closing()):
            self._reading = on
            if on:
                self.heard_s = self._ticker.now_s
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def silent_for(self, now_s: float) -> float:
        """Seconds since something last moved here, either way."""
        unsent = self.transport.get_write_buffer_size() if self.full else 0
        if unsent != self._unsent:
            self._unsent, self.heard_s = unsent, now_s
        return now_s - self.heard_s

    def discard(self) -> None:
        """End the connection; whoever asked is told nothing."""
        self._asker = None
        self._look_no_more()
        self._home.forget(self)
        self.transport.abort()

    # responses

    def _received(self, data: bytes) -> None:
        asker = self._asker
        if asker is None:
            self.discard()
            return
        self.heard_s = self._ticker.now_s
        if self._head is not None:
            self._more(asker, data)
            return
        if self._buffer:
            data = self._buffer + data
        head = self._known
        if head.raw and data.startswith(head.raw):  # very often: the head of the response before
            rest = data[len(head.raw) :]
        else:
            end = data.find(END_OF_HEAD) + 4
            if end < 4:
                self._keep(data)
                return
            rest = data[end:]
            head = self._known = self._read_head(data[:end])
        if head.status < 200:
            self._provisional(asker, head, rest)
            return
        self._buffer = b""
        length = 0 if asker.head_only else head.length
        if length == len(rest):  # nearly always: the whole response in one read
            asker.write(asker.respond(head) + rest)
            self._done(asker, head, b"")
        else:
            self._begin(asker, head, length, rest)

    def _provisional(self, asker: Asker, head: ResponseHead, rest: bytes) -> None:
        """A 1xx: the final response is still to come, and may be in `rest`."""
        self._buffer = b""
        if head.status == 101:
            self._asker = None
            self._look_no_more()
            self._home.forget(self)
            asker.switched(head, rest)
            return
        self._provisionals += 1
        if self._provisionals > PROVISIONALS:
            raise BackendError("it does not come to an answer", kind="protocol")
        asker.interim(head)
        if rest and self._asker is asker:
            self._received(rest)

    def _read_head(self, raw: bytes) -> ResponseHead:
        if len(raw) > self._header_bytes:
            raise BackendError("its head is too large", kind="protocol")
        return self._reader.read(raw)

    def _keep(self, data: bytes) -> None:
        """Wait for the rest of a head."""
        if len(data) > self._header_bytes:
            raise BackendError("its head is too large", kind="protocol")
        self._buffer = data

    def _begin(self, asker: Asker, head: ResponseHead, length: int | None, rest: bytes) -> None:
        """A response of which only a part is here, or more than that."""
        self._head = head
        if length is not None:
            self._body = LengthBody(length)
        else:
            self._body = ChunkedBody() if head.chunked else None
        asker.write(asker.respond(head))
        self._more(asker, rest)

    def _more(self, asker: Asker, data: bytes) -> None:
        body = self._body
        if body is None:
            asker.payload(data, last=False)
            return
        payload, rest = body.take(data)
        if body.done:
            head = self._head
            assert head is not None
            asker.payload(payload, last=True)
            self._done(asker, head, rest)
        else:
            asker.payload(payload, last=False)

    def _look_again(self, look: SecondLook, error: Exception | None) -> None:
        """The connection is gone, but what it said last may be here; `connection_lost` follows."""
        self.transport, self._second_look = look, None
        if self.full:
            self.resume_writing()  # what it has not taken is nobody's
        look.read_on(self, error, paused=not self._reading)

    def _look_no_more(self) -> None:
        if self._second_look is not None:
            self._second_look.abort()
            self._second_look = None

    def _done(self, asker: Asker, head: ResponseHead, rest: bytes) -> None:
        self._asker = self._head = self._body = None
        self._look_no_more()
        if head.persistent and not rest and asker.sent_whole and not self.transport.is_closing():
            self.read(on=True)
            if asker.mark or head.mark or (asker.head_only and head.length != 0):
                self.owner, self.stranger = asker.owner, asker.stranger
                self.signed_on = self.signed_on or Mark.USER in (asker.mark, head.mark)
            self._home.give_back(self)
        else:
            self.discard()
        asker.answered()

    def _fail(self, error: BackendError) -> None:
        asker = self._asker
        self.discard()
        if asker is not None:
            asker.lost(error, silent=False)
