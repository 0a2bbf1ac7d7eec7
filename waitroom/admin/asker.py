"""From which address a request of the admin listener comes, for whoever guesses tokens.

Law: the same as for students (`proxy/origin.py`): a proxy of `trusted_proxies` speaks for who is behind it, nobody else
does. So one guesser behind it locks nobody out but those of their own address, and cannot borrow another's.
"""

from dataclasses import dataclass, field

from aiohttp import web

from waitroom.proxy.decisions import Header
from waitroom.proxy.origin import Origin
from waitroom.proxy.rules import Network


@dataclass(slots=True)
class _Said:
    """The fields of a request, as the proxy floor reads them."""

    headers: tuple[Header, ...]
    host: bytes | None = None
    by_name: dict[bytes, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.headers:
            self.by_name.setdefault(name.lower(), []).append(value)


def address_of(request: web.Request, proxies: tuple[Network, ...]) -> str:
    """The client's address; empty where there is none."""
    origin = Origin.of_peer((request.remote or "", 0), b"http", proxies)
    return origin.speak(_Said(request.raw_headers)).client if origin.trusted else origin.address
