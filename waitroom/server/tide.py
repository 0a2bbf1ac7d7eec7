"""What connections leave behind when they go: memory that is free, and goes back to the system.

Law: when fewer than half are left of the most that there were, those were a crowd, and no more leave, the memory is
given back; then it is counted anew. So it happens after a crowd, never for its coming nor while it goes, at most once
for each halving.

glibc keeps what is free below the highest byte that is in use, and reuses it at other places. A TLS connection has more
than 256 KiB of addresses, nearly all a buffer of uvloop's, of which a few pages are ever touched: wave after wave of
handshakes touched others, until all had been. Nothing was lost, but a worker grew to what all buffers of a wave are
together. A fixed M_MMAP_THRESHOLD keeps buffers apart as well, but then each read over TLS costs system calls and page
faults, since uvloop reads into a new object of that size.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

CROWD = 256
"""Connections whose memory is worth a pause."""


def give_back() -> None:
    """Give free memory back to the system; a C library that is not glibc does so by itself, or cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@dataclass(slots=True)
class Tide:
    """The most connections that there were, until they had gone."""

    ebb: Callable[[], None] = give_back
    most: int = 0
    last: int = 0

    def turn(self, connections: int, most: int = 0) -> None:
        """A second has passed, and there are so many connections now. `most`: there were more for a moment."""
        self.most, calm = max(self.most, connections, most), connections >= self.last
        self.last = connections
        if calm and self.most >= CROWD and connections < self.most // 2:
            self.most = connections
            self.ebb()
