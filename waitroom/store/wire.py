"""One connection to a Redis or Valkey: commands out, replies in, in order.

Law: one owner, one question at a time. A wire on which anything went wrong is closed and never used again, so a reply
can never reach somebody who did not ask for it. The protocol is RESP2, spoken by hiredis.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from waitroom.errors import StoreAwayError
from waitroom.store.keys import Argument

Reply: TypeAlias = Any
"""What a server may say in RESP2: a number, bytes, None, an error, or an array of these."""

CONNECT_S = 2.0
"""Time for connecting, TLS and log-in."""

READ_S = 0.05
"""How long what is late may still be read: where this process was not given the processor for seconds, the answer has
come, and its time-out is looked at first."""

AWAY = {
    "LOADING": "loading",
    "BUSY": "busy",
    "READONLY": "readonly",
    "OOM": "full",
    "MISCONF": "full",
    "MOVED": "moved",
    "ASK": "moved",
    "TRYAGAIN": "moved",
    "CLUSTERDOWN": "unready",
    "MASTERDOWN": "unready",
    "NOREPLICAS": "unready",
    "NOAUTH": "denied",
    "WRONGPASS": "denied",
    "NOPERM": "denied",
}
"""First words of errors by which a store says that it cannot work now, with the kind of failure that each is. None is
the asker's fault, and each goes away: by itself, or when an operator repairs what is wrong."""

CROWDED = "ERR max number of clients reached"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is and how to log in, from its URL."""

    host: str = ""
    port: int = 6379
    path: str = ""
    tls: ssl.SSLContext | None = None
    username: str = ""
    password: str = ""
    database: int = 0


def parse_url(url: str) -> Address:
    """The address in a `redis://`, `rediss://` or `unix://` URL; `?ssl_ca_certs=FILE` names the authority to trust."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix":
        database = int(query.get("db", "0"))
        return Address(path=unquote(parts.path), username=username, password=password, database=database)
    tls = ssl.create_default_context(cafile=query.get("ssl_ca_certs")) if parts.scheme == "rediss" else None
    database = int(parts.path.strip("/") or query.get("db", "0"))
    host, port = parts.hostname or "localhost", parts.port or 6379
    return Address(host, port, tls=tls, username=username, password=password, database=database)


def _pack(command: tuple[Argument, ...]) -> bytes:
    """A command as the store reads it. The cast: hiredis's stub says "a tuple of one", but it takes any."""
    packed: bytes = hiredis.pack_command(cast("tuple[Argument]", command))
    return packed


def away(reply: Reply) -> StoreAwayError | None:
    """What a reply says if it says that the store cannot work now."""
    if not isinstance(reply, hiredis.ReplyError):
        return None
    text = str(reply)
    kind = AWAY.get(text.partition(" ")[0]) or ("full" if text.startswith(CROWDED) else "")
    return StoreAwayError(f"the store cannot work now: {text}", kind) if kind else None


Answer = list[Reply] | StoreAwayError
"""The replies to what was asked, in order (an error reply is a value); or why there are none."""


class Wire(asyncio.Protocol):
    """An open connection. Use `Wire.open`."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._done: Callable[[Answer], None] | None = None
        """Who waits for the replies; one at a time."""
        self._due = 0
        self._replies: list[Reply] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed: StoreAwayError | None = None

    @classmethod
    async def open(cls, address: Address, within_s: float = CONNECT_S) -> "Wire":
        """Connect and log in; raises StoreAwayError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s):
                if address.path:
                    _, wire = await loop.create_unix_connection(cls, address.path)
                else:
                    _, wire = await loop.create_connection(cls, address.host, address.port, ssl=address.tls)
                await wire.log_in(address)
                return wire
        except TimeoutError as error:
            raise StoreAwayError(f"cannot connect to the store within {within_s:g} s", "connect_timeout") from error
        except OSError as error:
            kind = "tls" if isinstance(error, ssl.SSLError) else "unreachable"
            raise StoreAwayError(f"cannot connect to the store: {error}", kind) from error

    async def log_in(self, address: Address) -> None:
        """Say who we are and which database is meant; StoreAwayError if that is refused."""
        commands: list[Sequence[Argument]] = []
        if address.password:
            name = (address.username,) if address.username else ()
            commands.append(("AUTH", *name, address.password))
        if address.database:
            commands.append(("SELECT", address.database))
        if not commands:
            return
        for reply in await self.exchange(commands, CONNECT_S):
            if isinstance(reply, hiredis.ReplyError):
                self.close()
                raise StoreAwayError(f"the store refused the log-in: {reply}", "denied")

    def ask(self, commands: Sequence[Sequence[Argument]], timeout_s: float, done: Callable[[Answer], None]) -> None:
        """Send commands; `done` is called once, never from within this call. A failure closes the wire."""
        assert self._done is None
        if self._closed is not None:
            self._loop.call_soon(done, self._closed)
            return
        self._done, self._due, self._replies = done, len(commands), []
        self._timer = self._loop.call_later(timeout_s, self._late, timeout_s)
        self._transport.write(b"".join([_pack(tuple(command)) for command in commands]))

    async def exchange(self, commands: Sequence[Sequence[Argument]], timeout_s: float) -> list[Reply]:
        """The replies to `commands`, for those who can wait. StoreAwayError closes the wire; so does giving up."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.ask(commands, timeout_s, lambda answer: None if future.done() else future.set_result(answer))
        try:
            answer = await future
        except asyncio.CancelledError:  # what is still to come belongs to nobody
            self.close()
            raise
        if isinstance(answer, StoreAwayError):
            raise answer
        return answer

    def close(self) -> None:
        """Drop the connection at once; whoever waits is told."""
        self._fail(StoreAwayError("the connection to the store was closed here", "left"))

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance

    def data_received(self, data: bytes) -> None:
        """Replies, or a part of them."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._replies.append(reply)
        except hiredis.ProtocolError as error:
            self._fail(StoreAwayError(f"lost the store: {error}", "misread"))
            return
        if cannot := next(filter(None, map(away, self._replies)), None):
            self._fail(cannot)
        elif self._done is None or len(self._replies) > self._due:
            self._fail(StoreAwayError("the store spoke unasked", "misread"))
        elif len(self._replies) >= self._due:
            self._finish(self._replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """The store is gone."""
        self._fail(StoreAwayError(f"lost the store: {exc or 'it closed the connection'}"))

    def _late(self, timeout_s: float) -> None:
        self._timer = self._loop.call_later(READ_S, self._silent, timeout_s)

    def _silent(self, timeout_s: float) -> None:
        self._fail(StoreAwayError(f"the store did not answer within {timeout_s:g} s", "silent"))

    def _fail(self, error: StoreAwayError) -> None:
        if self._closed is None:
            self._closed = error
            self._transport.abort()
        self._finish(error)

    def _finish(self, answer: Answer) -> None:
        done, self._done = self._done, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if done is not None:
            done(answer)
