"""Where requests of a connection come from, and what a backend is told about it.

Law: nobody speaks for somebody else unless trusted. From an untrusted peer every field that names a client, scheme or
host is dropped and ours is put in its place; a trusted proxy's are kept and its own address is appended. The client
is the rightmost address that is not a trusted proxy. A backend hears it in one form, `X-Forwarded-*` or `Forwarded`
(RFC 7239), never in both, since two forms are two readings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple, Protocol

from waitroom.proxy.decisions import Header
from waitroom.proxy.rules import ForwardAs, Network

FORWARDING = frozenset({
    b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
    b"x-forwarded-server", b"x-forwarded-scheme", b"x-forwarded-ssl", b"x-forwarded-prefix", b"x-real-ip",
})  # fmt: skip
"""Fields by which proxies speak for a client, and all others that begin with X-Forwarded."""

_WRITTEN_ANEW = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"})

HOPS = 32
"""Addresses of one chain that are looked at and passed on, from the right."""

ORIGINS_REMEMBERED = 4_096
"""Peers whose origin is kept: a campus has one address, the internet has many."""

HOSTS_REMEMBERED = 16
"""Hosts whose introduction a peer's origin keeps."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110 section 5.6.2, no password
_PAIR = re.compile(rf'\s*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*+"))?\s*(;|,|$)')  # RFC 7239 section 4


class Said(Protocol):
    """What a request says of itself."""

    by_name: dict[bytes, list[bytes]]
    host: bytes | None

    @property
    def headers(self) -> tuple[Header, ...]:
        """All fields, as they came."""


class Spoken(NamedTuple):
    """Who asks, and the lines by which a backend is told; they end a header block."""

    client: str
    scheme: bytes
    lines: bytes
    trusted: bool = False
    """Whether who came to us may speak for others."""


class _Hop(NamedTuple):
    """One element of a chain: who came to that proxy, and by which scheme where it says so."""

    node: str
    scheme: bytes


def is_forwarding(key: bytes) -> bool:
    """Whether a field (lower-case name) speaks for a client."""
    return key in FORWARDING or key.startswith(b"x-forwarded-")


def _is_kept(key: bytes) -> bool:
    """Whether what a trusted proxy says in this field goes on as it is."""
    return is_forwarding(key) and key not in _WRITTEN_ANEW


@dataclass(frozen=True, slots=True)
class Origin:
    """One peer. `address` is empty for a unix socket, whose peer is trusted: it is on this machine."""

    address: str
    scheme: bytes
    trusted: bool
    networks: tuple[Network, ...]
    forward_as: ForwardAs
    signed_on: frozenset[bytes] = frozenset()
    introductions: dict[bytes | None, Spoken] = field(default_factory=dict, compare=False, repr=False)
    """By host: remembered."""

    @classmethod
    def of_peer(
        cls,
        peername: object,
        scheme: bytes,
        networks: tuple[Network, ...],
        forward_as: ForwardAs = "x-forwarded",
        signed_on: frozenset[bytes] = frozenset(),
    ) -> "Origin":
        """The origin of a connection with this peer name (uvloop: a tuple, or a string for a unix socket)."""
        if not isinstance(peername, tuple):
            return cls("", scheme, True, networks, forward_as, signed_on)
        return _origin(str(peername[0]), scheme, networks, forward_as, signed_on)

    def speak(self, said: Said) -> Spoken:
        """Who asks, and how a backend is told."""
        if not self.trusted:
            return self._introduce(said.host)
        values = said.by_name
        hops = self._chain(values)
        client, scheme = self._client(hops)
        if not scheme:
            scheme = _scheme(values.get(b"x-forwarded-proto", [])) or self.scheme
        host = values[b"x-forwarded-host"][0] if b"x-forwarded-host" in values else said.host
        if self.address:
            hops.append(_Hop(self.address, b""))
        others = [b": ".join(pair) for pair in said.headers if _is_kept(pair[0].lower())]
        names = [b": ".join(pair) for pair in said.headers if pair[0].lower() in self.signed_on]
        return self._spoken(hops, client, scheme, host, others=others, names=names)

    def _introduce(self, host: bytes | None) -> Spoken:
        """What there is to say of an untrusted peer: the same each time, but for the host."""
        spoken = self.introductions.get(host)
        if spoken is None:
            if len(self.introductions) >= HOSTS_REMEMBERED:
                self.introductions.clear()
            spoken = self._spoken([_Hop(self.address, b"")], self.address, self.scheme, host)
            self.introductions[host] = spoken
        return spoken

    def _spoken(
        self,
        hops: list[_Hop],
        client: str,
        scheme: bytes,
        host: bytes | None,
        *,
        others: Sequence[bytes] = (),
        names: Sequence[bytes] = (),
    ) -> Spoken:
        if self.forward_as == "forwarded":
            lines = [_rfc7239(hops, scheme, host)]
        else:
            lines = [b"X-Forwarded-For: " + ", ".join(hop.node for hop in hops).encode("latin-1")] if hops else []
            lines.append(b"X-Forwarded-Proto: " + scheme)
            if host is not None:
                lines.append(b"X-Forwarded-Host: " + host)
            lines += others
        lines += names
        return Spoken(client, scheme, b"\r\n".join((*lines, b"", b"")), self.trusted)

    def _chain(self, values: dict[bytes, list[bytes]]) -> list[_Hop]:
        """What a trusted proxy says of who came to it, in the form that is used here, else in the other."""
        said, standard = values.get(b"x-forwarded-for", []), values.get(b"forwarded", [])
        if standard and (self.forward_as == "forwarded" or not said):
            return _elements(standard)[-HOPS:]
        nodes = [node.strip(b" \t").decode("latin-1") for value in said if value for node in value.split(b",")]
        return [_Hop(node, b"") for node in nodes[-HOPS:]]

    def _client(self, hops: list[_Hop]) -> tuple[str, bytes]:
        """The rightmost address that is not trusted, and the scheme by which it came where that is said."""
        client, scheme = self.address, b""
        for hop in reversed(hops):
            address = plain_address(hop.node)
            if address is None:
                break
            client, scheme = address, hop.scheme
            if not is_in(address, self.networks):
                break
        return client, scheme


@lru_cache(maxsize=ORIGINS_REMEMBERED)
def _origin(
    peer: str, scheme: bytes, networks: tuple[Network, ...], forward_as: ForwardAs, signed_on: frozenset[bytes]
) -> Origin:
    address = plain_address(peer) or peer
    return Origin(address, scheme, is_in(address, networks), networks, forward_as, signed_on)


def _scheme(said: list[bytes]) -> bytes:
    """The scheme that the nearest proxy names last; empty for none or another."""
    last = said[-1].rpartition(b",")[2].strip(b" \t").lower() if said else b""
    return last if last in (b"http", b"https") else b""


def _elements(values: list[bytes]) -> list[_Hop]:
    """The hops of Forwarded fields. What stands left of an element that cannot be read counts for nothing."""
    hops: list[_Hop] = []
    for value in values:
        text, at, pairs = value.decode("latin-1"), 0, dict[str, str]()
        while (match := _PAIR.match(text, at)) is not None:
            name, said, end = match.groups()
            if name is not None:
                pairs[name.lower()] = re.sub(r"\\(.)", r"\1", said[1:-1]) if said.startswith('"') else said
            if end != ";":
                node = plain_address(pairs.get("for", "")) or "unknown"
                hops.append(_Hop(node, _scheme([pairs.get("proto", "").encode("latin-1")])))
                pairs = {}
            at = match.end()
            if not end:
                break
        else:
            hops.append(_Hop("unknown", b""))
    return hops


def _rfc7239(hops: list[_Hop], scheme: bytes, host: bytes | None) -> bytes:
    """The first element says for whom all of it is; the others name the proxies between."""
    elements = [b"for=" + _quoted(_node(hop.node)) for hop in hops] or [b"for=unknown"]
    elements[0] += b";proto=" + scheme + (b";host=" + _quoted(host) if host is not None else b"")
    return b"Forwarded: " + b", ".join(elements)


def _node(text: str) -> bytes:
    """A node as RFC 7239 section 6 writes it: IPv6 in brackets."""
    address = plain_address(text)
    if address is None:
        return b"unknown"
    return f"[{address}]".encode() if ":" in address else address.encode()


def _quoted(value: bytes) -> bytes:
    if re.fullmatch(_TOKEN.encode(), value):
        return value
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", value) + b'"'


def plain_address(text: str) -> str | None:
    """An address without port, brackets or IPv4 mapping; None for what is no address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_in(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address is of one of these networks."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
