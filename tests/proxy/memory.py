"""A listener without sockets: bytes are carried by hand, in steps that a test or a seed chooses.

Law: a transport behaves as uvloop's: no write after a close, nothing delivered while reading is paused, the end told
once and never from within a call. Nothing happens by itself: `World.settle` does what is due.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.proxy.reference import NotCanonicalError, first_request
from tests.proxy.wire import OK, TARGET, Brain, Watch
from waitroom.errors import BackendError
from waitroom.proxy.bodies import LAST_CHUNK
from waitroom.proxy.client import ClientConnection
from waitroom.proxy.decisions import Decision, Relay, Request
from waitroom.proxy.listener import Listener
from waitroom.proxy.pool import BackendPool, Caller
from waitroom.proxy.rules import BUFFER_BYTES, ProxyRules
from waitroom.proxy.upstream import BackendConnection
from waitroom.settings.addresses import BackendUrl

URL = BackendUrl("http", "backend", 80)
GONE = bytes(1)
"""In an answer: the backend ends its connection."""
VOUCHER = b"\r\nX-Forwarded-Proto: "
"""Only the product writes this."""


def bytewise(data: bytes) -> list[bytes]:
    """Each byte by itself."""
    return [data[at : at + 1] for at in range(len(data))]


_SILENT, _SILENT_TOO = socket.socketpair()
"""A connection on which nothing ever comes."""


class _Socket:
    """What is asked of a socket: to be reset, what has been taken of it, and whether there is news for it."""

    def setsockopt(self, *_option: object) -> None:
        """Taken."""

    def getsockopt(self, *_option: object) -> bytes:
        """Nothing is known."""
        return b""

    def fileno(self) -> int:
        """There is none."""
        return _SILENT.fileno()


class Pipe(asyncio.Transport):
    """The product's end of a connection; the test holds the other."""

    def __init__(self, world: "World", peername: object = ("127.0.0.1", 4711)) -> None:
        super().__init__({"peername": peername, "socket": _Socket()})
        self._world = world
        self.protocol: Any = None
        self.sent = bytearray()
        """What the product has written."""
        self.ended = False
        """It has said that it writes no more."""
        self.closing = False
        self.gone = False
        """`connection_lost` has been called."""
        self.aborted = False
        self.reset_by_peer = False
        self.full = False
        self.told: Callable[[bytes], None] | None = None
        """Who reads what the product writes."""
        self._paused = False
        self._unread: deque[bytes | None] = deque()

    # the product's side

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self.protocol
        return protocol

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        assert low is None

    def get_write_buffer_size(self) -> int:
        return BUFFER_BYTES + 1 if self.full else 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing, "written to a transport that is closing: uvloop raises"
        assert not self.ended, "written after write_eof"
        self.sent += data
        if self.told is not None:
            told, copy = self.told, bytes(data)
            self._world.due.append(lambda: told(copy))

    def write_eof(self) -> None:
        assert not self.closing
        self.ended = True

    def pause_reading(self) -> None:
        assert not self.closing
        self._paused = True

    def resume_reading(self) -> None:
        assert not self.closing
        self._paused = False
        self._world.due.append(self._deliver)

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self._world.due.append(lambda: self._lost(None))

    def abort(self) -> None:
        self.aborted = True
        self.close()

    # the test's side

    def feed(self, data: bytes) -> None:
        """The peer sends."""
        self._unread.append(data)
        self._deliver()

    def end(self) -> None:
        """The peer sends no more."""
        self._unread.append(None)
        self._deliver()

    def reset(self) -> None:
        """The peer is gone."""
        self.closing = self.reset_by_peer = True
        self._lost(ConnectionResetError("reset"))

    def fill(self, *, full: bool) -> None:
        """The peer reads no more, or does again."""
        if full is self.full or self.closing:
            return
        self.full = full
        if full:
            self.protocol.pause_writing()
        else:
            self.protocol.resume_writing()

    @property
    def unread_bytes(self) -> int:
        """What the product does not want to read yet."""
        return sum(len(each) for each in self._unread if each)

    def _deliver(self) -> None:
        while self._unread and not self._paused and not self.closing:
            data = self._unread.popleft()
            if data is not None:
                self.protocol.data_received(data)
            elif not self.protocol.eof_received():
                self.close()

    def _lost(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self._unread.clear()
            self.protocol.connection_lost(error)


@dataclass
class Peer:
    """A backend's end of a connection."""

    pipe: Pipe
    received: bytearray = field(default_factory=bytearray)
    answered: int = 0
    """Bytes of requests that were complete and have their answer."""
    heads: list[bytes] = field(default_factory=list)
    """Of complete requests."""
    spoke_early: bool = False
    """The request under way has its answer already."""


@dataclass
class World:
    """A listener, its clients and its backend. `answer` gives the response to a request, in the pieces it comes in."""

    rules: ProxyRules = field(default_factory=ProxyRules)
    choose: Callable[[Request], Decision] | None = None
    answer: Callable[[bytes], Sequence[bytes]] = lambda _request: (OK,)
    due: deque[Callable[[], None]] = field(default_factory=deque)
    peers: list[Peer] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    finished: list[int] = field(default_factory=list)
    unreachable: bool = False
    read_bodies: bool = True
    """Whether backends read requests to their end, by the (slow) reference; else they wait for a last chunk."""
    impatient: Callable[[bytes], Sequence[bytes]] = lambda _head: ()
    """What a backend answers to a head whose body is not here to its end; nothing: it waits."""

    def __post_init__(self) -> None:
        self.brain = Brain(self.choose or (lambda _request: Relay(TARGET, finished=self.finished.append)))
        self.listener = Listener(self.brain, {TARGET: URL}, self.rules, self.watch)
        self.listener.ticker.stop()
        self.listener.soon = self.due.append
        found = self.listener.pools.get(TARGET)
        assert found is not None
        self.pool: BackendPool = found
        self.pool.connect = self._connect  # type: ignore[method-assign] # no socket in this world

    def client(self, peername: object = ("127.0.0.1", 4711)) -> Pipe:
        """A new client, connected."""
        pipe = Pipe(self, peername)
        pipe.protocol = ClientConnection(self.listener)
        pipe.protocol.connection_made(pipe)
        return pipe

    def settle(self) -> None:
        """Do all that is due, and what follows from it."""
        turns = 0
        while self.due or self.listener.outbox is not None:
            self.due.popleft()() if self.due else self.listener.send_gathered()
            turns += 1
            assert turns < 100_000, "it does not come to rest"

    def say(self, *pieces: bytes) -> bytes:
        """Send pieces on a new connection and end; everything that comes back."""
        pipe = self.client()
        for piece in pieces:
            pipe.feed(piece)
            self.settle()
        pipe.end()
        self.settle()
        if not pipe.gone:  # it lingers, or waits for a backend that has not been asked a whole request
            pipe.reset()
            self.settle()
        return bytes(pipe.sent)

    def reached(self) -> bytes:
        """Every byte that backends were sent."""
        return b"".join(peer.received for peer in self.peers)

    def forget(self) -> None:
        """Begin with no connection to a backend."""
        for peer in self.peers:
            peer.pipe.reset()
        self.settle()
        self.peers.clear()
        self.brain.requests.clear()
        self.finished.clear()
        self.watch.own.clear()
        self.watch.done.clear()
        self.watch.failed.clear()

    def at_rest(self) -> None:
        """Assert that nothing is left of what was done."""
        self.settle()
        assert self.pool.inflight == 0
        assert (self.pool.strangers.line.held, self.pool.strangers.line.waiting) == (0, 0)
        assert self.listener.connections == 0
        assert self.pool.idle <= self.rules.backend_idle

    def _connect(self, caller: Caller) -> None:
        self.due.append(lambda: self._connected(caller))

    def _connected(self, caller: Caller) -> None:
        if self.unreachable:
            caller.not_connected(BackendError("refused", kind="refused"))
            return
        connection = self.pool._new()
        pipe = Pipe(self)
        pipe.protocol = connection
        peer = Peer(pipe)
        pipe.told = lambda data: self._asked(peer, data)
        self.peers.append(peer)
        connection.connection_made(pipe)
        if not caller.connected(connection):
            self.pool.give_back(connection)

    def _asked(self, peer: Peer, data: bytes) -> None:
        peer.received += data
        if not self.read_bodies:
            self._speak(peer, (OK,) if data.endswith(LAST_CHUNK) else ())
            return
        while not peer.pipe.closing and isinstance(peer.pipe.protocol, BackendConnection):
            request = bytes(peer.received[peer.answered :])
            read = first_request(request)
            if read is None:
                self._half(peer, request)
                return
            if VOUCHER in read.body:
                raise NotCanonicalError(f"a request within the body of another: {request!r}")
            peer.answered += read.size
            peer.heads.append(read.head)
            if peer.spoke_early:
                peer.spoke_early = False
            else:
                self._speak(peer, self.answer(request[: read.size]))

    def _half(self, peer: Peer, request: bytes) -> None:
        """A request is not here to its end: only its body may be missing."""
        head, gap, _ = request.partition(b"\r\n\r\n")
        if not gap and head:
            raise NotCanonicalError(f"half a head: {request!r}")
        pieces = self.impatient(head) if head and not peer.spoke_early else ()
        peer.spoke_early = peer.spoke_early or bool(pieces)
        self._speak(peer, pieces)

    def _speak(self, peer: Peer, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self.due.append(peer.pipe.end if piece is GONE else lambda piece=piece: peer.pipe.feed(piece))
