"""How a backend is reached: its name looked up, its addresses tried, its certificate verified.

Laws. A name is looked up again after `NAME_KEPT_S`, once for all who wait; while the name server is slow or away the
addresses known so far go on being used, since a running exam must not end with DNS. Every address gets its share of the
time, so that one that swallows packets does not hide the next; the one that answered last is tried first.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from waitroom.errors import BackendError, BackendTimeoutError
from waitroom.proxy.ticker import Ticker
from waitroom.settings.addresses import BackendUrl
from waitroom.tasks import spawn

NAME_KEPT_S = 5.0
"""How long a resolved name is believed: a backend that moves is followed within this."""

LOOK_UP_S = 1.0
"""How long a look-up is waited for where older addresses are known."""

ADDRESSES_TRIED = 4

LookUp = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, or OSError."""

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Dialler:
    """Makes connections to one backend."""

    def __init__(self, url: BackendUrl, ticker: Ticker, look_up: LookUp | None = None) -> None:
        self._url = url
        self._ticker = ticker
        self._ask_system = look_up or _ask_system
        self._tls = tls_context(url.ca_pem) if url.scheme == "https" else None
        self._addresses: list[str] = []
        self._looked_up_s = -NAME_KEPT_S
        self._looking_up: asyncio.Task[None] | None = None
        self._failure = BackendError("its name has no address", kind="unresolved")

    async def dial(self, new: Callable[[], P], within_s: float) -> P:
        """A connection to the first address that answers, or BackendError."""
        if self._url.unix:
            return await self._try("", new, within_s)
        time = asyncio.get_running_loop().time
        deadline_s = time() + within_s
        addresses = await self._known_addresses(within_s)
        failure = self._failure
        for number, address in enumerate(addresses):
            share_s = (deadline_s - time()) / (len(addresses) - number)
            try:
                connection = await self._try(address, new, share_s)
            except BackendError as error:
                failure = error
            else:
                if number:
                    self._prefer(address)
                return connection
        raise failure

    async def _try(self, address: str, new: Callable[[], P], within_s: float) -> P:
        loop, url = asyncio.get_running_loop(), self._url
        name = (url.server_name or url.host or "localhost") if self._tls else None
        try:
            async with asyncio.timeout(within_s):
                if url.unix:
                    _, protocol = await loop.create_unix_connection(new, url.unix, ssl=self._tls, server_hostname=name)
                else:
                    _, protocol = await loop.create_connection(
                        new, address, url.port, ssl=self._tls, server_hostname=name
                    )
        except TimeoutError:
            raise BackendTimeoutError("no connection in time", kind="connect_timeout") from None
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise BackendError(str(error), kind="refused") from None
        except ssl.SSLError as error:
            raise BackendError(str(error), kind="tls") from None
        except OSError as error:
            raise BackendError(
                str(error), kind="tls" if _broke_in_handshake(error, self._tls) else "unreachable"
            ) from None
        return protocol

    async def _known_addresses(self, within_s: float) -> list[str]:
        """Where the name points: as of now, or as of the last look-up that succeeded."""
        if self._ticker.now_s - self._looked_up_s >= NAME_KEPT_S:
            if self._looking_up is None:
                self._looking_up = spawn(self._look_up(), name=f"look up {self._url.host}")
            looking_up = self._looking_up
            await asyncio.wait([looking_up], timeout=LOOK_UP_S if self._addresses else within_s)
            if not self._addresses and not looking_up.done():
                raise BackendTimeoutError("its name was not looked up in time", kind="unresolved")
        return self._addresses

    async def _look_up(self) -> None:
        try:
            found = (await self._ask_system(self._url.host, self._url.port))[:ADDRESSES_TRIED]
        except OSError as error:
            self._failure = BackendError(str(error), kind="unresolved")
            found = []
        finally:
            self._looking_up = None
        if found:
            preferred = [each for each in self._addresses[:1] if each in found]
            self._addresses = list(dict.fromkeys(preferred + found))
        if self._addresses:
            self._looked_up_s = self._ticker.now_s

    def _prefer(self, address: str) -> None:
        """This one answered where others did not."""
        self._addresses = [address, *(each for each in self._addresses if each != address)]


async def _ask_system(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def tls_context(ca_pem: str) -> ssl.SSLContext:
    """Verifies a backend's certificate and name, against these certificates or the system's; ssl.SSLError if bad."""
    context = ssl.create_default_context(cadata=ca_pem or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _broke_in_handshake(error: OSError, tls: ssl.SSLContext | None) -> bool:
    """Connected and cut while TLS was being agreed upon: most often a server that speaks plain HTTP there."""
    return tls is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError)
