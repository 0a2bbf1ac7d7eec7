"""Messages between the supervisor and one worker, over a socket pair that only the two of them hold.

Law: a message is one JSON object behind its length; a frame beyond the bound, a closed pair or nonsense ends the
channel. This is the only way in which settings and secrets reach a worker: never a command line or an environment.
"""

import asyncio
import json
import socket
from typing import Any

HEAD_BYTES = 4
MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Settings of 5,000 exams with all their texts are some MB."""

Message = dict[str, Any]


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """The channel over one end of the pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, kind: str, **fields: object) -> None:
        """Send a message. Both ends read all the time, and each has few messages on the way, so nothing piles up."""
        frame = json.dumps({"kind": kind, **fields}).encode()
        assert len(frame) <= MAX_FRAME_BYTES
        if not self._writer.is_closing():
            self._writer.write(len(frame).to_bytes(HEAD_BYTES) + frame)

    async def receive(self) -> Message | None:
        """The next message, or None when the other end is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(HEAD_BYTES))
            if size > MAX_FRAME_BYTES:
                return None
            message: Message = json.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError, ValueError):
            return None
        return message

    async def flush(self) -> None:
        """Wait until what was sent is in the kernel's hands, if there is anybody to take it."""
        try:
            await self._writer.drain()
        except OSError:
            return

    def close(self) -> None:
        """End the channel."""
        self._writer.close()
