"""Where requests of a connection come from, and what a backend is told about it.

Law: nobody speaks for somebody else unless trusted. From an untrusted peer every field that names a client, scheme or
host is dropped and ours is put in its place; a trusted proxy's are kept and its own address is appended. The client
is the rightmost address that is not a trusted proxy.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from waitroom.proxy.fields import Fields
from waitroom.proxy.rules import Network

FORWARDING = frozenset({
    b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
    b"x-forwarded-server", b"x-forwarded-scheme", b"x-forwarded-ssl", b"x-forwarded-prefix", b"x-real-ip",
})  # fmt: skip
"""Fields by which proxies speak for a client, and all others that begin with X-Forwarded."""

_NOT_EVEN_TRUSTED = frozenset({b"x-forwarded-for", b"forwarded"})
"""The first is written anew, the second would say the same a second time."""

HOPS = 32
"""Addresses of one X-Forwarded-For that are looked at, from the right."""


def is_forwarding(key: bytes) -> bool:
    """Whether a field (lower-case name) speaks for a client."""
    return key in FORWARDING or key.startswith(b"x-forwarded-")


@dataclass(frozen=True, slots=True)
class Origin:
    """One connection's peer. `address` is empty for a unix socket, whose peer is trusted: it is on this machine.

    `introduction` is what a backend is told about an untrusted peer, up to the host.
    """

    address: str
    scheme: bytes
    trusted: bool
    networks: tuple[Network, ...]
    introduction: bytes

    @classmethod
    def of_peer(cls, peername: object, scheme: bytes, networks: tuple[Network, ...]) -> "Origin":
        """The origin of a connection with this peer name (uvloop: a tuple, or a string for a unix socket)."""
        if not isinstance(peername, tuple):
            return cls("", scheme, trusted=True, networks=networks, introduction=b"")
        address = _plain(str(peername[0])) or str(peername[0])
        introduction = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b" % (address.encode(), scheme)
        return cls(address, scheme, _is_in(address, networks), networks, introduction)

    def speak(self, said: Fields, host: bytes | None, lines: list[bytes]) -> tuple[str, bytes]:
        """The client's address and scheme; `lines` are given what the backend is told about them."""
        if self.trusted:
            self._pass_on(said, host, lines)
            return self._client(said.by_name.get(b"x-forwarded-for", [])), self._scheme(said.by_name)
        lines.append(self.introduction)
        if host is not None:
            lines.append(b"X-Forwarded-Host: " + host)
        return self.address, self.scheme

    def _pass_on(self, said: Fields, host: bytes | None, lines: list[bytes]) -> None:
        """What a trusted proxy says, with its own address in the chain."""
        values = said.by_name
        chain = [value for value in (*values.get(b"x-forwarded-for", ()), self.address.encode()) if value]
        if chain:
            lines.append(b"X-Forwarded-For: " + b", ".join(chain))
        for key, field in zip(said.keys, said.fields, strict=True):
            if is_forwarding(key) and key not in _NOT_EVEN_TRUSTED:
                lines.append(b": ".join(field))
        if b"x-forwarded-proto" not in values:
            lines.append(b"X-Forwarded-Proto: " + self.scheme)
        if b"x-forwarded-host" not in values and host is not None:
            lines.append(b"X-Forwarded-Host: " + host)

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

    def _scheme(self, values: dict[bytes, list[bytes]]) -> bytes:
        said = values.get(b"x-forwarded-proto")
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
