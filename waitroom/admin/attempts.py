"""Failed log-ins by address: who guesses tokens has to wait.

Law: bounded, whatever comes: at most `ADDRESSES` are remembered, those that failed last. Pure: the time is given. An
IPv6 host has a /64 of its own (RFC 6177), so that is what is counted.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from math import ceil

FAILURES = 10
"""So many at once are a person's slips."""

EACH_MS = 6_000
"""One more after each of these: 10 a minute, of tokens that have more than 2^64 values."""

ADDRESSES = 10_000


class Attempts:
    """What is remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, address: str, now_ms: int) -> int:
        """How long nobody at the address is listened to, in seconds; 0: go on."""
        level = self._level(_host(address), now_ms)
        return ceil((level - FAILURES + 1) * EACH_MS / 1000) if level > FAILURES - 1 else 0

    def failed(self, address: str, now_ms: int) -> None:
        """Somebody there gave a token that is none."""
        host = _host(address)
        self._known[host] = (self._level(host, now_ms) + 1, now_ms)
        self._known.move_to_end(host)
        if len(self._known) > ADDRESSES:
            self._known.popitem(last=False)

    def _level(self, host: str, now_ms: int) -> float:
        """Failures that count, of which time takes one after the other away."""
        level, at_ms = self._known.get(host, (0.0, now_ms))
        return max(0.0, level - (now_ms - at_ms) / EACH_MS)


def _host(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return address
