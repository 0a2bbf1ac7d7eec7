"""Addresses as an operator writes them: where to listen, where a backend is, which networks are trusted, which names.

Law: an address has one meaning or it is refused. A backend is a scheme, a host and a port and nothing more, since every
request keeps its own path, query and Host byte for byte.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Literal
from urllib.parse import unquote

from waitroom.settings.units import BadValueError, quoted

Network = IPv4Network | IPv6Network

HOST_PORT_FORMS = "HOST:PORT, such as 0.0.0.0:8080 or [::]:8080; port 0 takes any free one"
LISTEN_FORMS = f"{HOST_PORT_FORMS}; or unix:/PATH"
URL_FORMS = "http://HOST[:PORT], https://HOST[:PORT] or http+unix:///PATH"
NETWORK_FORMS = "a network such as 10.0.0.0/8 or 2001:db8::/32, or one address"
HOST_FORMS = "a host name or address without scheme, port or path, such as exam.uni.example"
STORE_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix:///PATH, redis+sentinel://HOST:PORT,HOST:PORT/NAME"
    " or redis+cluster://HOST:PORT,HOST:PORT (rediss+... with TLS)"
)
STORE_PATTERN = r"^(?:rediss?(?:\+(?:sentinel|cluster))?|unix)://"

DEFAULT_PUBLIC = "0.0.0.0:8080"
DEFAULT_ADMIN = "127.0.0.1:9090"
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what binds to all interfaces

MAX_UNIX_PATH_BYTES = 107
"""sun_path holds 108 bytes with its closing NUL (unix(7))."""

_HOST_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]/@?#\s]*)):(\d{1,5})", re.ASCII)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_DATABASE = r"\d{0,4}"
_PRIMARY = rf"[A-Za-z0-9._-]{{1,64}}(?:/{_DATABASE})?"
"""Characters that Sentinel allows in a name."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MEANT = {"http": "http", "https": "https", "unix": "http+unix", "tcp": "http", "ws": "http", "wss": "https"}
"""Schemes as people write them for a backend."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host (name or address, IPv6 without brackets) and a port, 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a port, or with `unix` set the path of a socket (host empty, port 0)."""

    host: str
    port: int
    unix: str | None = None

    def __str__(self) -> str:
        return f"unix:{self.unix}" if self.unix else str(HostPort(self.host, self.port))


@dataclass(frozen=True, slots=True)
class BackendUrl:
    """Where a backend is: scheme, host (IPv6 without brackets), port; or with `unix` set the path of its socket.

    `ca_pem` and `server_name` say whose certificate counts for https, where that is not the system's and the host's.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    unix: str | None = None
    ca_pem: str = field(default="", repr=False)
    server_name: str = ""

    def __str__(self) -> str:
        if self.unix:
            return f"{self.scheme}+unix://{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}")


def parse_host_port(text: str, usual_host: str = "127.0.0.1") -> HostPort:
    """`127.0.0.1:9090`, `[::1]:9090`, `localhost:9090`. `usual_host` is suggested where none is named."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise BadValueError(
            f"{quoted(text)} is not an address to listen on", HOST_PORT_FORMS, _listen_hint(text, usual_host)
        )
    brackets, name, port = match.groups()
    if brackets is not None:
        host = _ipv6(brackets, text)
    elif not name or name == "*":
        raise BadValueError(f"{quoted(text)} names no host", HOST_PORT_FORMS, f"{usual_host}:{port}")
    else:
        host = _host(name, text)
    return HostPort(host, _port(port, text, lowest=0))


def parse_listen(text: str) -> Address:
    """`HOST:PORT` or `unix:/path`."""
    if text.startswith("unix:"):
        return Address("", 0, unix=_unix_path(text.removeprefix("unix:").removeprefix("//"), text))
    try:
        at = parse_host_port(text, DEFAULT_PUBLIC.partition(":")[0])
    except BadValueError as error:
        allowed = LISTEN_FORMS if error.allowed == HOST_PORT_FORMS else error.allowed
        raise BadValueError(error.wrong, allowed, error.suggestion) from None
    return Address(at.host, at.port)


def parse_backend_url(text: str) -> BackendUrl:
    """`http://10.0.0.11`, `https://moodle:8443`, `http+unix:///run/moodle.sock`."""
    scheme, found, rest = text.partition("://")
    if not found:
        raise BadValueError(f"{quoted(text)} has no scheme", URL_FORMS, _url_hint(text))
    match scheme:
        case "http+unix":
            return BackendUrl("http", "localhost", 80, unix=_unix_path(rest, text))
        case "http":
            return _tcp_backend("http", rest, text)
        case "https":
            return _tcp_backend("https", rest, text)
        case _:
            known = _MEANT.get(scheme.lower())
            meant = f"{known}://{rest}" if known and "@" not in rest else ""
            raise BadValueError(f"{quoted(scheme)} is not the scheme of a backend", URL_FORMS, meant)


def _tcp_backend(scheme: Literal["http", "https"], rest: str, text: str) -> BackendUrl:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    if "@" in authority:
        wrong = "a backend URL carries no user or password; every request keeps its own Authorization header"
        raise BadValueError(wrong, URL_FORMS, f"{scheme}://{authority.rpartition('@')[2]}")
    if tail not in ("", "/"):
        wrong = f"a backend URL has no path or query ({quoted(tail)}); every request keeps its own, byte for byte"
        raise BadValueError(wrong, URL_FORMS, f"{scheme}://{authority}")
    if authority.count(":") > 1 and not authority.startswith("["):
        raise BadValueError(
            f"{quoted(text)}: an IPv6 address stands in brackets", URL_FORMS, _brackets_hint(scheme, authority)
        )
    match = _HOST_PORT.fullmatch(
        authority if re.search(r":\d+$", authority) and not authority.endswith("]") else f"{authority}:0"
    )
    if match is None:
        raise BadValueError(f"{quoted(text)} is not a URL", URL_FORMS)
    brackets, name, port = match.groups()
    host = _ipv6(brackets, text) if brackets is not None else _host(name, text)
    explicit = match.string is authority
    return BackendUrl(scheme, host, _port(port, text, lowest=1) if explicit else _DEFAULT_PORTS[scheme])


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `2001:db8::/32`, or one address."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = str(ip_network(text, strict=False))
    except ValueError:
        raise BadValueError(f"{quoted(text)} is not a network", NETWORK_FORMS) from None
    raise BadValueError(f"{quoted(text)} has bits set beyond its prefix length", NETWORK_FORMS, meant)


def write_network(network: Network) -> str:
    """The network with its prefix length."""
    return str(network)


def parse_host(text: str) -> str:
    """A host name as it stands in a Host header without its port: lower case, IPv6 in brackets."""
    if "*" in text:
        raise BadValueError(f"{quoted(text)}: a host has no wildcards; list each name", HOST_FORMS)
    if text.startswith("["):
        return f"[{_ipv6(text[1:-1], text)}]" if text.endswith("]") else _no_host(text)
    if "://" in text or "/" in text:
        name = re.sub(r":\d*$", "", _authority(text))
        return _no_host(text, name if _HOST.fullmatch(name) else "")
    if ":" in text:
        name, _, port = text.partition(":")
        return _no_host(text, name if port.isdigit() else f"[{text}]")
    return _host(text, text).lower()


def parse_store_url(text: str) -> str:
    """The URL of a Redis or Valkey server. It may carry a password, so no message repeats it."""
    scheme, found, rest = text.partition("://")
    match scheme if found else "":
        case "redis" | "rediss":
            _store_hosts(rest, _DATABASE, "what follows the slash is not the number of a database", several=False)
            return text
        case "redis+sentinel" | "rediss+sentinel":
            missing = "sentinels are asked for a primary by its name: what follows the slash is NAME or NAME/DB"
            _store_hosts(rest, _PRIMARY, missing, several=True)
            return text
        case "redis+cluster" | "rediss+cluster":
            _store_hosts(rest, r"0?", "a cluster has one database, 0", several=True)
            return text
        case "unix":
            _unix_path(unquote(rest.partition("?")[0].rpartition("@")[2]), "the URL")
            return text
        case "valkey" | "valkeys":
            meant = "rediss://" if scheme == "valkeys" else "redis://"
            raise BadValueError(f"{quoted(scheme)} is not a scheme of the client", STORE_FORMS, meant)
        case "":
            raise BadValueError("not the URL of a store", STORE_FORMS)
        case _:
            raise BadValueError(f"{quoted(scheme)} is not a scheme of a store", STORE_FORMS)


def _store_hosts(rest: str, tail: str, wrong: str, *, several: bool) -> None:
    """What a store's URL says behind its scheme: hosts, and a path that matches `tail`."""
    authority, _, path = rest.partition("?")[0].rpartition("@")[2].partition("/")
    if not re.fullmatch(tail, path, re.ASCII):
        raise BadValueError(wrong, STORE_FORMS)
    for host in authority.split(",") if several else (authority,):
        try:
            parse_host_port(host if re.search(r":\d+$", host) else f"{host}:6379")
        except BadValueError:
            raise BadValueError("not the URL of a store", STORE_FORMS) from None


def _host(name: str, text: str) -> str:
    if re.fullmatch(r"[0-9.]+", name, re.ASCII):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise BadValueError(
                f"{quoted(text)}: {name} is not an IPv4 address", "four numbers from 0 to 255"
            ) from None
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise BadValueError(
            f"{quoted(text)}: {quoted(name)} is not a host name", "letters, digits, - and . (IDNs as xn--)"
        )
    return name


def _no_host(text: str, meant: str = "") -> str:
    raise BadValueError(f"{quoted(text)} is not a host", HOST_FORMS, meant)


def _ipv6(inside: str, text: str) -> str:
    if not _is_ipv6(inside):
        raise BadValueError(f"{quoted(text)}: {quoted(inside)} is not an IPv6 address", "such as [2001:db8::1]")
    return str(IPv6Address(inside))


def _port(digits: str, text: str, *, lowest: int) -> int:
    port = int(digits)
    if not lowest <= port <= 65_535:
        raise BadValueError(f"{quoted(text)}: port {port} does not exist", f"ports {lowest} to 65535")
    return port


def _unix_path(path: str, text: str) -> str:
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise BadValueError(f"{quoted(text)}: the path of a socket is absolute", "such as unix:/run/waitroom.sock")
    if len(path.encode()) > MAX_UNIX_PATH_BYTES:
        raise BadValueError(f"the path of a socket has {len(path.encode())} bytes", f"at most {MAX_UNIX_PATH_BYTES}")
    return path


def _listen_hint(text: str, usual_host: str) -> str:
    if text.isdigit():
        return f"{usual_host}:{text}"
    if text.startswith("/") and usual_host in EVERY_ADDRESS:
        return f"unix:{text}"
    if "://" in text:
        authority = _authority(text)
        meant = authority if re.search(r":\d+$", authority) else f"{authority}:8080"
        return meant if _HOST_PORT.fullmatch(meant) else ""
    host, _, port = text.rpartition(":")
    if ":" in host and port.isdigit() and _is_ipv6(host):
        return f"[{host}]:{port}"
    if _is_ipv6(text):
        return f"[{text}]:8080"
    return f"{text}:8080" if _HOST.fullmatch(text) else ""


def _url_hint(text: str) -> str:
    """The URL of a backend that was meant where its scheme is missing or misspelt."""
    if socket := re.fullmatch(r"(?:unix:)?/*(/[^/\s]\S*)", text):
        return f"http+unix://{socket[1]}"
    host = re.fullmatch(r"(?:(https?)[:/]+|/*)([A-Za-z0-9._-]+(?::\d+)?)/?", text, re.ASCII)
    return f"{host[1] or 'http'}://{host[2]}" if host else ""


def _brackets_hint(scheme: str, authority: str) -> str:
    """The URL with its IPv6 address in brackets."""
    host, _, port = authority.rpartition(":")
    return f"{scheme}://[{authority}]" if _is_ipv6(authority) else f"{scheme}://[{host}]:{port}"


def _authority(url: str) -> str:
    """What stands between // and the path, without user."""
    return re.split(r"[/?#]", url.partition("://")[2] or url, maxsplit=1)[0].rpartition("@")[2]


def _is_ipv6(text: str) -> bool:
    """Without a zone (%eth0): that is the name of an interface, not of a host."""
    if "%" in text:
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
