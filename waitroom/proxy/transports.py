"""What a transport cannot be asked for directly.

Law: a reset says that something is missing; it is used where an orderly end would be a lie.
"""

import asyncio
import socket
import struct

_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER with time 0: closing sends RST and drops what is unsent."""


def reset(transport: asyncio.Transport) -> None:
    """End a connection with RST, so that the other side cannot take it for the end of the bytes.

    Also one that is closing, but has bytes left for somebody who does not read them: it would wait for ever.
    """
    if not transport.is_closing() or transport.get_write_buffer_size():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        transport.abort()
