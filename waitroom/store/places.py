"""Where the store is now: a fixed address, the primary that sentinels name, or the node of a cluster that has a pool.

Law: a place is asked anew before every connection, and nothing it said is trusted for longer: a connection that fails,
or a server that says that it is none for writing, leads to the next question, put to another sentinel or node than
before. Each question is bounded. Our own wire asks (redis-py's discovery gives up by cancelling, which has handed a
reply to the wrong caller: #2624, #2665).
"""

import re
from binascii import crc_hqx
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import parse_qs, unquote

import hiredis

from waitroom.errors import StoreAwayError
from waitroom.store.wire import Address, Reply, Wire, away, parse_url

ASK_S = 0.5
"""For connecting to a sentinel or node that is asked, and again for its answer. With two of three gone a question takes
at most 2 s."""

SENTINEL_PORT = 26379
SLOTS = 16_384
NODES_REMEMBERED = 1_000
ASKED = 5
"""Of all who can be asked so many are, one after another, before the next attempt."""


class Place(Protocol):
    """A server that has to be found before each connection."""

    async def find(self) -> Address:
        """Where it is now. Raises StoreAwayError."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """An address that never changes."""

    address: Address

    async def find(self) -> Address:
        """What the settings say."""
        return self.address


@dataclass(slots=True)
class Known:
    """Those who can be asked, and whose turn it is."""

    addresses: list[Address]
    turn: int = 0

    async def ask(self, *command: str, read: Callable[[Address, Reply], Address | None]) -> Address:
        """The first answer that names an address; each question begins with another of those known."""
        self.turn += 1
        problem = ""
        count = len(self.addresses)
        asked = [self.addresses[(self.turn + at) % count] for at in range(min(ASKED, count))]
        for address in asked:
            try:
                found = read(address, await _answer(address, command))
            except StoreAwayError as error:
                problem = str(error)
                continue
            if found is not None:
                return found
            problem = f"{address.host}:{address.port} does not know"
        raise StoreAwayError(f"nobody says where the store is ({len(asked)} asked): {problem}", "unfound")

    def meet(self, addresses: Sequence[Address]) -> None:
        """Others who can be asked, too."""
        fresh = [each for each in addresses if each not in self.addresses]
        self.addresses.extend(fresh[: max(0, NODES_REMEMBERED - len(self.addresses))])


async def _answer(address: Address, command: Sequence[str]) -> Reply:
    wire = await Wire.open(address, ASK_S)
    try:
        reply = (await wire.exchange([command], ASK_S))[0]
    finally:
        wire.close()
    if isinstance(reply, hiredis.ReplyError):
        raise away(reply) or StoreAwayError(f"{command[0]} was refused: {reply}", "denied")
    return reply


@dataclass(slots=True)
class Watched:
    """The primary of this name, as sentinels say; `server` says how to log in there."""

    sentinels: Known
    name: str
    server: Address

    async def find(self) -> Address:
        """The primary now."""
        return await self.sentinels.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name, read=self._read)

    def _read(self, _sentinel: Address, reply: Reply) -> Address | None:
        return replace(self.server, host=reply[0].decode(), port=int(reply[1])) if isinstance(reply, list) else None


@dataclass(slots=True)
class Node:
    """The node of a cluster that has the slot of a pool."""

    nodes: Known
    slot: int

    async def find(self) -> Address:
        """The node that answers for the slot now."""
        return await self.nodes.ask("CLUSTER", "SLOTS", read=self._read)

    def _read(self, asked: Address, reply: Reply) -> Address | None:
        found: Address | None = None
        for first, last, *servers in reply:
            addresses = [_reached(asked, server) for server in servers]
            self.nodes.meet(addresses)
            if first <= self.slot <= last and addresses:
                found = addresses[0]  # the primary stands first
        return found


def _reached(asked: Address, server: Reply) -> Address:
    """A node that names no host is reached where the node that spoke of it is."""
    host = server[0].decode() if server[0] else ""
    return replace(asked, host=host if host not in ("", "?") else asked.host, port=int(server[1]))


def slot_of(tag: str) -> int:
    """The slot of all keys with this hash tag (CRC16-XMODEM, as the cluster's specification says)."""
    return crc_hqx(tag.encode(), 0) % SLOTS


@dataclass(slots=True)
class Places:
    """All places that a store's URL names."""

    url: str
    apart: bool = field(init=False)
    """Whether each pool has a place of its own."""
    _of: Callable[[str], Place] = field(init=False)

    def __post_init__(self) -> None:
        kind, self.apart = _parts(self.url)[0].partition("+")[2], False
        if kind == "sentinel":
            watched = _watched(self.url)
            self._of = lambda _tag: watched
        elif kind == "cluster":
            nodes, self.apart = Known(_seeds(self.url, 6379)), True
            self._of = lambda tag: Node(nodes, slot_of(tag))
        else:
            fixed = Fixed(parse_url(self.url))
            self._of = lambda _tag: fixed

    def of(self, tag: str) -> Place:
        """The place of the keys with this hash tag."""
        return self._of(tag)


_PARTS = re.compile(r"([a-z+]+)://([^/?#]*)([^?#]*)\??([^#]*)")


def _parts(url: str) -> tuple[str, str, str, str]:
    """Scheme, hosts with the log-in, path and query (RFC 3986 appendix B).

    Python's own urlsplit refuses, in some versions, several hosts where one has brackets.
    """
    found = _PARTS.match(url)
    assert found is not None, "the settings have looked at it"
    scheme, hosts, path, query = found.groups()
    return scheme, hosts, path, query


def _seeds(url: str, port: int) -> list[Address]:
    """The addresses of a URL with several: each as if it stood there alone."""
    kind, several, _, query = _parts(url)
    login, _, hosts = several.rpartition("@")
    scheme = kind.partition("+")[0]
    at = f"{login}@" if login else ""
    each = [host if re.search(r":\d+$", host) else f"{host}:{port}" for host in hosts.split(",")]
    return [parse_url(f"{scheme}://{at}{host}?{query}") for host in each]


def _watched(url: str) -> Watched:
    """The log-in and the database are the server's; sentinels have `?sentinel_username=` and `?sentinel_password=`."""
    _, _, path, asked = _parts(url)
    query = {name: values[-1] for name, values in parse_qs(asked).items()}
    name, _, database = unquote(path).strip("/").partition("/")
    sentinels = [
        replace(
            each,
            username=query.get("sentinel_username", ""),
            password=query.get("sentinel_password", ""),
            database=0,
        )
        for each in _seeds(url, SENTINEL_PORT)
    ]
    server = replace(_seeds(url, SENTINEL_PORT)[0], database=int(database or query.get("db", "0")))
    return Watched(Known(sentinels), name, server)
