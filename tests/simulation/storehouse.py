"""The store's machine in a simulated world: a real Valkey that is reached, lost, wiped and put back in virtual time.

Law: what is asked reaches the real library unchanged but for the clock, which is this machine's own, and the reply goes
back unchanged. A connection that the faults break gives no reply, whether its question was done or not: nobody can tell
which from the other end. Everything that was done is shown to whoever watches, whether its reply arrived or not.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, NamedTuple

import hiredis

from tests.simulation.virtual import T0_MS, VirtualLoop, current_name

LATENCY_S = 0.0003

_OWN_CLOCK = (b"wr_lease", b"wr_version", b"wr_keep", b"wr_kept")
"""Functions without a `now_ms`."""


class Asked(NamedTuple):
    """One call of the library and its reply."""

    at_s: float
    now_ms: int
    function: str
    args: list[bytes]
    """Behind the keys and `now_ms`."""
    reply: Any


@dataclass(slots=True)
class Troubles:
    """What goes wrong on the way to the store and back; each a chance for every round of calls."""

    call_lost: float = 0.0
    reply_lost: float = 0.0


class Server:
    """A blocking connection to the real Valkey, for whoever needs a reply now."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = hiredis.Reader()

    def ask(self, *command: bytes | str | int) -> Any:
        """The reply to one command."""
        return self.ask_all([command])[0]

    def ask_all(self, commands: Iterable[tuple[bytes | str | int, ...]]) -> list[Any]:
        """The replies to many, sent at once."""
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]  # takes any tuple
        self._socket.sendall(b"".join(packed))
        replies: list[Any] = []
        while len(replies) < len(packed):
            reply = self._reader.gets()
            if reply is False:
                self._reader.feed(self._socket.recv(1 << 20))
            else:
                replies.append(reply)
        return replies

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass(slots=True)
class Store:
    """The store's machine."""

    server: Server
    loop: VirtualLoop
    chance: Random
    troubles: Troubles = field(default_factory=Troubles)
    watch: Callable[[Asked], None] = lambda _asked: None
    offset_ms: int = 0
    latency_s: float = LATENCY_S
    up: bool = True
    silent: bool = False
    """It takes questions and says nothing, as behind a cut cable."""
    deaf: dict[str, float] = field(default_factory=dict)
    """Until when a worker hears nothing of it."""
    broken_s: float = -inf
    """When a connection broke last."""
    _pipes: set["_Pipe"] = field(default_factory=set)
    _leases: dict[bytes, float] = field(default_factory=dict)

    def begin(self) -> None:
        """An empty store, which workers can reach."""
        self.wipe()
        self.loop.connect = self._connect

    @property
    def now_ms(self) -> int:
        """This machine's clock."""
        return T0_MS + int(self.loop.time() * 1000 + 1e-6) + self.offset_ms

    def hang_up(self) -> None:
        """Every connection breaks, as when the server's process ends."""
        for pipe in list(self._pipes):
            pipe.lose(ConnectionResetError("the store is gone"))

    def wipe(self) -> None:
        """All is lost, the library too: another empty server under the same address."""
        self.hang_up()
        self._leases.clear()
        self.server.ask_all([("FLUSHALL",), ("FUNCTION", "FLUSH")])

    def copy(self) -> list[tuple[bytes, bytes]]:
        """What a replica holds that has not heard of what follows."""
        keys = sorted(self.server.ask("KEYS", "*"))
        return list(zip(keys, self.server.ask_all([("DUMP", key) for key in keys]), strict=True)) if keys else []

    def put_back(self, copied: list[tuple[bytes, bytes]]) -> None:
        """That replica is the store from now on."""
        self.hang_up()
        self.server.ask("FLUSHALL")
        if copied:
            self.server.ask_all([("RESTORE", key, 0, text) for key, text in copied])

    def do(self, command: list[bytes]) -> Any:
        """What the server does with a question that has reached it."""
        name = command[1] if command[0].upper().startswith(b"FCALL") else b""
        if name and name not in _OWN_CLOCK:
            at = 3 + int(command[2])
            now_ms = self.now_ms
            command[at] = b"%d" % now_ms
            reply = self.server.ask(*command)
            self.watch(Asked(self.loop.time(), now_ms, name.decode(), command[at + 1 :], reply))
            return reply
        if name == b"wr_lease":
            return self._lease(command, command[3], command[5])
        if command[0] == b"SET" and command[-2] == b"PX":
            return self._lease(command, command[1], command[-1])
        return self.server.ask(*command)

    def _lease(self, command: list[bytes], key: bytes, ttl_ms: bytes) -> Any:
        """A key that runs out does so in virtual time."""
        if self._leases.get(key, 0.0) <= self.loop.time():
            self.server.ask("DEL", key)
        reply, _ = self.server.ask_all([tuple(command), ("PERSIST", key)])  # at once: real time counts nothing here
        if reply not in (0, None):
            self._leases[key] = self.loop.time() + int(ttl_ms) / 1000
        return reply

    async def _connect(self, factory: Callable[[], asyncio.Protocol]) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if not self.up:
            raise ConnectionRefusedError("the store is away")
        protocol = factory()
        pipe = _Pipe(self, protocol)
        self._pipes.add(pipe)
        protocol.connection_made(pipe)
        return pipe, protocol

    def forget(self, pipe: "_Pipe") -> None:
        """A connection is closed."""
        self._pipes.discard(pipe)


class _Pipe(asyncio.Transport):
    """A worker's end of a connection."""

    def __init__(self, store: Store, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._store, self._protocol, self._open = store, protocol, True
        self._reader = hiredis.Reader()
        self._there, self._here = Context(), copy_context()
        """What is on its way there arrives even if its sender dies; what comes back is heard only by the living."""
        self._owner = current_name()

    def write(self, data: Any) -> None:
        """Questions set out."""
        self._store.loop.call_later(self._store.latency_s / 2, self._arrive, bytes(data), context=self._there)

    def abort(self) -> None:
        """Gone, at this end."""
        if self._open:
            self._open = False
            self._store.forget(self)
            self._store.loop.call_soon(self._protocol.connection_lost, None, context=self._here)

    close = abort

    def is_closing(self) -> bool:
        """Whether it is gone."""
        return not self._open

    def lose(self, error: Exception) -> None:
        """It breaks."""
        self._store.broken_s = self._store.loop.time()
        if self._open:
            self._open = False
            self._store.forget(self)
            self._store.loop.call_soon(self._protocol.connection_lost, error, context=self._here)

    def _arrive(self, data: bytes) -> None:
        store = self._store
        if not self._open or not store.up or store.silent:
            return
        if store.chance.random() < store.troubles.call_lost:
            self.lose(ConnectionResetError("lost on the way there"))
            return
        self._reader.feed(data)
        answers = b""
        while (command := self._reader.gets()) is not False:
            answers += _resp(store.do(command))
        if store.chance.random() < store.troubles.reply_lost:
            self.lose(ConnectionResetError("lost on the way back"))
            return
        store.loop.call_later(store.latency_s / 2, self._deliver, answers, context=self._here)

    def _deliver(self, data: bytes) -> None:
        deaf_s = self._store.deaf.get(self._owner, 0.0) - self._store.loop.time()
        if deaf_s > 0:
            self._store.loop.call_later(deaf_s, self._deliver, data, context=self._here)
        elif self._open and not self._store.silent:
            self._protocol.data_received(data)


def _resp(reply: Any) -> bytes:
    """A reply as a server writes it (RESP2)."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, hiredis.ReplyError):
        return b"-%s\r\n" % str(reply).encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(_resp, reply))
    return b"$%d\r\n%s\r\n" % (len(reply), reply)
