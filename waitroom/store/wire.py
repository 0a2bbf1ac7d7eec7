"""One connection to a Redis or Valkey: commands out, replies in, in order.

Law: one task owns a wire. A wire on which anything went wrong is closed and never used again, so a reply can never
reach somebody who did not ask for it. The protocol is RESP2, spoken by hiredis.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from waitroom.errors import StoreAwayError
from waitroom.store.keys import Argument

Reply: TypeAlias = Any
"""What a server may say in RESP2: a number, bytes, None, an error, or an array of these."""

READ_BYTES = 256 * 1024
"""Read at once: the reply to a full batch is about 20 KiB."""

CONNECT_S = 2.0
"""Time for connecting, TLS and log-in."""

AWAY = ("LOADING", "MASTERDOWN", "READONLY", "MISCONF", "OOM", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN")
"""Errors by which a store says that it cannot work now (and by which a former primary says that it is one no more)."""


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


class Wire:
    """An open connection. Use `Wire.open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._replies = hiredis.Reader()

    @classmethod
    async def open(cls, address: Address) -> "Wire":
        """Connect and log in; raises StoreAwayError."""
        try:
            async with asyncio.timeout(CONNECT_S):
                if address.path:
                    streams = await asyncio.open_unix_connection(address.path)
                else:
                    streams = await asyncio.open_connection(address.host, address.port, ssl=address.tls)
                wire = cls(*streams)
                await wire._log_in(address)
                return wire
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise StoreAwayError(f"cannot connect to the store: {error or 'no answer'}") from error

    async def _log_in(self, address: Address) -> None:
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
                raise StoreAwayError(f"the store refused the log-in: {reply}")

    async def exchange(self, commands: Sequence[Sequence[Argument]], timeout_s: float) -> list[Reply]:
        """The replies to `commands`, in order; an error reply is a value. StoreAwayError closes the wire."""
        whole = False
        try:
            async with asyncio.timeout(timeout_s):
                packed = [_pack(tuple(command)) for command in commands]
                self._writer.write(b"".join(packed))
                replies = [await self._reply() for _ in commands]
            whole = True
        except TimeoutError as error:
            raise StoreAwayError(f"the store did not answer within {timeout_s:g} s") from error
        except (OSError, hiredis.ProtocolError) as error:
            raise StoreAwayError(f"lost the store: {error}") from error
        finally:
            if not whole:  # whatever it was: what is still to come belongs to nobody
                self.close()
        return replies

    async def _reply(self) -> Reply:
        while (reply := self._replies.gets()) is False:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._replies.feed(data)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith(AWAY):
            raise ConnectionRefusedError(str(reply))
        return reply

    def close(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()
