"""How a client's connection ends, and what becomes of what the client goes on sending meanwhile.

Laws. What a client has been sent is not taken back. The connection ends behind its last byte, with FIN, and a slow
reader has the time that it always has (backlog.py). What the client sends meanwhile is passed over (RFC 9112 section
9.6): a close before unread bytes is a reset, which takes with it what the client has not read.

An answer that stays incomplete ends like any other where its framing shows it: Content-Length is not reached, or there
is no last chunk. Where only the connection's end tells the answer's (HTTP/1.0), that end is a reset, and over TLS no
close_notify comes before it: nothing else says that something is missing.
"""

import asyncio

from waitroom.proxy.upload import Upload

LINGER_S = 2.0
LINGER_RATE = 64 * 1024
LINGER_MOST_S = 30.0
LINGER_BYTES = 256 * 1024 * 1024
"""How long, and how much, is passed over of a client once it has its last answer: a moment, and longer while it goes on
with its upload at `LINGER_RATE` bytes a second. Browsers and most programs send all of a body before they look for an
answer, and take a reset for no answer. nginx reads on for 30 s."""


def lingers(waited_s: float, drained_bytes: int) -> bool:
    """Whether a client that was answered may go on sending what nobody wants."""
    return waited_s <= min(LINGER_MOST_S, LINGER_S + drained_bytes / LINGER_RATE)


def pass_over(data: bytes, drained_bytes: int, body: Upload | None, transport: asyncio.Transport) -> int:
    """Let go what a client sends that is leaving; `drained_bytes` before. Gives how many there are now.

    TLS cannot be ended by half: its connection is ended when the rest of the request's body has come.
    """
    drained_bytes += len(data)
    if drained_bytes > LINGER_BYTES:
        transport.abort()
    elif body is not None and not transport.can_write_eof() and body.pass_over(data)[1]:
        transport.close()
    return drained_bytes
