"""The PROXY protocol's header: by it a load balancer says whose connection it passes on (HAProxy's proxy-protocol.txt).

Law: only a trusted peer is asked for it, and then it must be there, whole and in its form; nothing after it is touched.
A header says "local" of connections that are the balancer's own (its health checks): those keep their peer.
"""

import re
from collections.abc import Generator
from ipaddress import IPv4Address, IPv6Address

from waitroom.errors import RequestError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""How version 2 begins (section 2.2)."""

LONGEST_LINE = 107
"""Bytes of a version 1 header with its CR LF (section 2.1)."""

LONGEST_BLOCK = 4_096
"""Of version 2: addresses are 36 bytes at most, the rest are notes between proxies, which are passed over."""

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [ -~]*)?|(TCP4|TCP6) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (\d{1,5}) (\d{1,5}))\r\n"
)

Peer = tuple[str, int]


class PrefaceError(RequestError):
    """No PROXY header where one must be."""


def read_preface() -> Generator[int, bytes, Peer | None]:
    """Reads a header from the beginning of a connection. Yields how many bytes it needs at least, and is sent as many.

    It never asks for a byte behind the header. Returns the client, None for the balancer itself or an unknown one.
    """
    start = yield len(SIGNATURE)
    if start == SIGNATURE:
        head = yield 4
        length = int.from_bytes(head[2:], "big")
        if length > LONGEST_BLOCK:
            raise PrefaceError("the PROXY header is too long")
        return _of_block(head[0], head[1], (yield length) if length else b"")
    if not start.startswith(b"PROXY "):
        raise PrefaceError("this listener wants a PROXY header from this peer")
    line = start
    while not line.endswith(b"\r\n"):
        if len(line) >= LONGEST_LINE or b"\n" in line:
            raise PrefaceError("the PROXY header has no end")
        line += yield 1
    return _of_line(line)


def _of_line(line: bytes) -> Peer | None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise PrefaceError("the PROXY header is malformed")
    family, source, _, port, _ = match.groups()
    return None if family is None else (_address(family == b"TCP6", source), _port(port))


def _of_block(version_command: int, family: int, block: bytes) -> Peer | None:
    if version_command == 0x20:  # LOCAL
        return None
    if version_command != 0x21:
        raise PrefaceError("the PROXY header is of no known version or command")
    match family:
        case 0x11 if len(block) >= 12:
            return str(IPv4Address(block[:4])), int.from_bytes(block[8:10], "big")
        case 0x21 if len(block) >= 36:
            return str(IPv6Address(block[:16])), int.from_bytes(block[32:34], "big")
        case 0x11 | 0x21:
            raise PrefaceError("the PROXY header is too short for its addresses")
        case _:  # UNSPEC, UNIX, datagrams: nobody that HTTP knows (section 2.2)
            return None


def _address(ipv6: bool, text: bytes) -> str:
    try:
        return str(IPv6Address(text.decode()) if ipv6 else IPv4Address(text.decode()))
    except ValueError:
        raise PrefaceError("the PROXY header names no address") from None


def _port(digits: bytes) -> int:
    port = int(digits)
    if port > 65_535:
        raise PrefaceError("the PROXY header names no port")
    return port
