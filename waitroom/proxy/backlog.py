"""Bytes that wait for a slow reader.

Law: a reader is judged by what it has acknowledged, not by what has left this process. Over TLS a transport below ours
holds some 100 kB that nobody tells of: a reader that takes its time with them looks as if it took nothing. Whoever
leaves has what the kernel holds for it to read, too: were its connection let go before, a byte that it sends then would
make the kernel reset it, and drop them.
"""

import asyncio
from collections.abc import Callable

from waitroom.proxy.credit import Credit
from waitroom.proxy.transports import acknowledged, unacknowledged


class Backlog:
    """Looked at once a tick."""

    __slots__ = ("_acknowledged", "_credit", "_unsent")

    def __init__(self) -> None:
        self._unsent = self._acknowledged = 0
        self._credit: Credit | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self._unsent > 0

    def overdue(
        self,
        transport: asyncio.Transport,
        elapsed_s: float,
        full_credit: Callable[[], Credit],
        leaving: bool,
    ) -> bool:
        """Whether the reader has had all the time that it may take. `elapsed_s`: since the look before; `leaving`: it
        gets nothing more.
        """
        unsent, acked = self._unsent, self._acknowledged
        self._unsent = transport.get_write_buffer_size()
        if leaving and not self._unsent:
            self._unsent = unacknowledged(transport)
        if not self._unsent:
            self._credit = None
            return False
        self._acknowledged = acknowledged(transport)
        if self._credit is None:
            self._credit = full_credit()
            return False
        self._credit.earn(max(self._acknowledged - acked, unsent - self._unsent, 0))
        return self._credit.spend(elapsed_s)
