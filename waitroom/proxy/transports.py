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

GLANCE_BYTES = 64 * 1024
"""Read at a time of a connection that has failed: a refusal with its page."""

_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER with time 0: closing sends RST and drops what is unsent."""

_BYTES_ACKED = slice(120, 128)
"""Where `struct tcp_info` has them (linux/tcp.h)."""


def has_news(transport: asyncio.Transport) -> bool:
    """Whether the kernel has something to read that the loop has not got to yet: bytes, or the end."""
    poller = select.poll()
    poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
    return bool(poller.poll(0))


class SecondLook(asyncio.Transport):
    """A connection under another descriptor. When a write to the first has failed, what has arrived and nobody has read
    is read here, as its protocol wants it, and only then has the connection ended; this takes its transport's place.
    Not over TLS, whose bytes say nothing without their keys.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        self._tls = transport.get_extra_info("sslcontext") is not None
        self._paused = False

    def read_on(self, protocol: asyncio.Protocol, error: Exception | None, *, paused: bool) -> None:
        """Give the protocol what is left, and then its end with this error; a little at once, the rest in later turns
        of the loop.
        """
        self._protocol, self._error, self._paused = protocol, error, paused
        self._step()

    def _step(self) -> None:
        if self._paused or self._sock.fileno() < 0:
            return
        data = b""
        with contextlib.suppress(OSError):  # there is no more, or a reset comes behind it
            data = b"" if self._tls else self._sock.recv(GLANCE_BYTES, socket.MSG_DONTWAIT)
        if data:
            self._protocol.data_received(data)
            asyncio.get_running_loop().call_soon(self._step)
        else:
            self.abort()
            self._protocol.connection_lost(self._error)

    def is_closing(self) -> bool:
        """Nothing can be written."""
        return True

    def pause_reading(self) -> None:
        """Read no further for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._step)

    def abort(self) -> None:
        """Nothing more is looked at; the protocol is told nothing."""
        self._sock.close()


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

    Also one that is closing: with bytes left for somebody who does not read them, or over TLS for somebody who does not
    answer its end, it would wait for ever.
    """
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # just gone
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
