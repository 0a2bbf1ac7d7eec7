"""Where requests of a connection come from, and what a backend is told about it.

Law: nobody speaks for somebody else unless trusted. From an untrusted peer every field that names a client, scheme or
host is dropped and ours is put in its place; a trusted proxy's are kept and its own address is appended. The client
is the rightmost address that is not a trusted proxy.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from waitroom.proxy.rules import Network

FORWARDING = frozenset({
    b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
    b"x-forwarded-server", b"x-forwarded-scheme", b"x-forwarded-ssl", b"x-forwarded-prefix", b"x-real-ip",
})  # fmt: skip
"""Fields by which proxies speak for a client."""

_OURS = frozenset({b"x-forwarded-for", b"forwarded"})
"""Dropped even from a trusted proxy: the first is written anew, the second would say the same a second time."""

HOPS = 32
"""Addresses of one X-Forwarded-For that are looked at, from the right."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One connection's peer. `address` is empty for a unix socket, whose peer is trusted: it is on this machine."""

    address: str
    scheme: bytes
    trusted: bool
    networks: tuple[Network, ...]

    @classmethod
    def of_peer(cls, peername: object, scheme: bytes, networks: tuple[Network, ...]) -> "Origin":
        """The origin of a connection with this peer name (uvloop: a tuple, or a string for a unix socket)."""
        if not isinstance(peername, tuple):
            return cls("", scheme, trusted=True, networks=networks)
        address = _plain(str(peername[0])) or str(peername[0])
        return cls(address, scheme, trusted=_is_in(address, networks), networks=networks)

    def of(self, by_name: dict[bytes, list[bytes]]) -> tuple[str, bytes]:
        """The client's address and scheme in a request with these fields."""
        if not self.trusted:
            return self.address, self.scheme
        return self._client(by_name.get(b"x-forwarded-for", [])), self._scheme(by_name)

    def drops(self, name: bytes) -> bool:
        """Whether a forwarding field (lower-case name) is not passed on as it came."""
        return name in _OURS or not self.trusted

    def vouch(self, by_name: dict[bytes, list[bytes]], host: bytes | None) -> list[bytes]:
        """The lines that tell a backend who asks."""
        before = by_name.get(b"x-forwarded-for", []) if self.trusted else []
        chain = [value for value in (*before, self.address.encode()) if value]
        lines = [b"X-Forwarded-For: " + b", ".join(chain)] if chain else []
        if not self.trusted or b"x-forwarded-proto" not in by_name:
            lines.append(b"X-Forwarded-Proto: " + self.scheme)
        if host and not (self.trusted and b"x-forwarded-host" in by_name):
            lines.append(b"X-Forwarded-Host: " + host)
        return lines

    def _client(self, chain: list[bytes]) -> str:
        client = self.address
        hops = [hop for value in chain for hop in value.split(b",")]
        for hop in hops[: -HOPS - 1 : -1]:
            address = _plain(hop.strip(b" \t").decode("latin-1"))
            if address is None:
                break
            client = address
            if not _is_in(address, self.networks):
                break
        return client

    def _scheme(self, by_name: dict[bytes, list[bytes]]) -> bytes:
        said = by_name.get(b"x-forwarded-proto")
        scheme = said[-1].lower() if said else b""
        return scheme if scheme in (b"http", b"https") else self.scheme


def _plain(text: str) -> str | None:
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


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
