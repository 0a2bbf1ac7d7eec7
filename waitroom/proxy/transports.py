"""What a transport cannot be asked for directly.

Law: a reset says that something is missing; it is used where an orderly end would be a lie.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import termios

LAST_WORDS_BYTES = 64 * 1024
"""A refusal with its page."""

_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER with time 0: closing sends RST and drops what is unsent."""

_BYTES_ACKED = slice(120, 128)
"""Where `struct tcp_info` has them (linux/tcp.h)."""


def has_news(transport: asyncio.Transport) -> bool:
    """Whether the kernel has something to read that the loop has not got to yet: bytes, or the end."""
    poller = select.poll()
    poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
    return bool(poller.poll(0))


class SecondLook:
    """A connection under another descriptor, to be read once the first is closed. Not over TLS, whose bytes say nothing
    without their keys."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._fileno = os.dup(transport.get_extra_info("socket").fileno())
        self._tls = transport.get_extra_info("sslcontext") is not None

    def last_words(self) -> bytes:
        """What has arrived and nobody has read, of a connection that has just ended; it is closed."""
        said = b""
        with socket.socket(fileno=self._fileno) as sock, contextlib.suppress(OSError):  # a reset comes behind the words
            while len(said) < LAST_WORDS_BYTES and (data := sock.recv(LAST_WORDS_BYTES, socket.MSG_DONTWAIT)):
                said += data
        return b"" if self._tls else said

    def close(self) -> None:
        """Nothing more is looked at."""
        os.close(self._fileno)


def acknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the other side of a TCP connection has taken so far (Linux 4.1); 0 where nobody says so."""
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # no TCP, or just gone
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.stop) if sock else b""
        return int.from_bytes(told[_BYTES_ACKED], sys.byteorder)
    return 0


def unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes that the kernel still has for the other side; 0 where nobody says so."""
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, ValueError):  # just gone
        told = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)) if sock else b""
        return int.from_bytes(told, sys.byteorder)
    return 0


def reset(transport: asyncio.Transport) -> None:
    """End a connection with RST, so that the other side cannot take it for the end of the bytes.

    Also one that is closing, but has bytes left for somebody who does not read them: it would wait for ever.
    """
    if not transport.is_closing() or transport.get_write_buffer_size():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        transport.abort()
