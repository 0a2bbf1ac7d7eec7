"""What operators ask of the store beyond what workers do: overrides, the audit, one ticket, what workers see.

Law: what changes something says who and why in the same call, and the library writes both in one step. What only asks
changes nothing and is no heartbeat.
"""

from collections.abc import AsyncIterator, Mapping
from enum import IntEnum
from typing import NamedTuple

from waitroom.admission.audit import Entry, read_entry
from waitroom.admission.line import Announced, Found, Lane, Moved, Overridden, Stand
from waitroom.admission.waits import Wait
from waitroom.store import codec
from waitroom.store.client import LineStore
from waitroom.store.keys import Argument, call, kept_call

VISITORS_IN_PAGE = 1_000
"""Visitors in one call: less than 1 ms of the store's time. A million take a few seconds."""


class Known(IntEnum):
    """Which visitors a pool knows, in the order of the library."""

    WAITING = 0
    INSIDE = 1
    ENDED = 2


class Told(NamedTuple):
    """What a worker saw in its last second, and when it said so."""

    worker: str
    at_ms: int
    text: str


class OperatorStore(LineStore):
    """The client of the process that operators talk to."""

    async def override(self, pool: str, fields: Mapping[str, str], entry: str, for_ms: int = 0) -> Overridden:
        """Set what lies over the rules, "" for no more of it, for a time (0: until undone); gives what was there."""
        own: tuple[Argument, ...] = (for_ms, entry, *(word for pair in fields.items() for word in pair))
        reply = await self._pool_job(pool, "wr_override", own)
        return Overridden(reply[1], {name: old.decode() for name, old in zip(fields, reply[2:], strict=True)})

    async def tell(self, pool: str, entry: str) -> None:
        """Write something into the audit that changed nothing in the store."""
        await self._pool_job(pool, "wr_tell", (entry,))

    async def audit(self, pool: str, read: int, count: int) -> list[Entry]:
        """The audit of a pool, latest first, after the `read` latest."""
        reply = await self._pool_job(pool, "wr_audit", (read, count))
        return [read_entry(line.decode()) for line in reversed(reply[2])]

    async def announce(
        self, pool: str, exam: str, said: Announced | None, for_ms: int = 0, entry: str = ""
    ) -> Announced | None:
        """Say something on the pages of a pool, or of one exam; None: nothing any more. Gives what was said before."""
        own = (exam, for_ms, codec.announcement(said) if said else "", entry)
        reply = await self._ask(self._pools[pool], lambda scope: call(pool, "wr_announce", scope.backends(), (), own))
        return codec.announced(reply[2].decode()) if reply[2] else None

    async def move(self, pool: str, visitor: str, lane: Lane, entry: str = "") -> Moved:
        """Move a ticket to another lane."""
        return codec.moved(await self._pool_job(pool, "wr_lane", (visitor, int(lane), entry)))

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """Those still waiting in their order, from the order key `first` on."""
        return codec.waiting(await self._pool_job(pool, "wr_waits", (0, first, count)))

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        """How others' waits ended, latest first, after the `read` latest."""
        return codec.ended(await self._pool_job(pool, "wr_waits", (1, read, count)))

    async def dismiss(self, pool: str, visitor: str, entry: str) -> tuple[int, str]:
        """End what a visitor has: 0 nothing, 1 a place, 2 a session; and the backend of the session."""
        reply = await self._pool_job(pool, "wr_dismiss", (visitor, entry))
        return reply[2], reply[3].decode()

    async def ticket(self, pool: str, visitor: str) -> Found:
        """All that is known of a visitor."""
        reply = await self._pool_job(pool, "wr_ticket", (visitor,))
        stands, ahead, among, lane, arrival, due_ms, exam, backend, admitted_ms, expires_ms, ended_ms = reply[2:13]
        return Found(
            visitor, tuple(Stand)[stands], reply[1], ahead, among, Lane(lane), int(arrival), due_ms, exam.decode(),
            backend.decode(), admitted_ms, expires_ms, ended_ms,
        )  # fmt: skip

    async def visitors(self, pool: str, known: Known) -> AsyncIterator[list[str]]:
        """All visitors of a kind, in pages."""
        cursor = "0"
        while True:
            reply = await self._pool_job(pool, "wr_visitors", (int(known), cursor, VISITORS_IN_PAGE))
            cursor = reply[2].decode()
            yield [visitor.decode() for visitor in reply[3]]
            if cursor == "0":
                return

    async def traffic(self, pool: str) -> list[Told]:
        """What every worker saw of the pool's backends in its last second."""
        parts = iter((await self._pool_job(pool, "wr_traffic"))[2:])
        return [
            Told(worker.decode(), at_ms, text.decode()) for worker, at_ms, text in zip(parts, parts, parts, strict=True)
        ]

    async def kept(self, pool: str, record: str, from_ms: int, lines: int) -> list[tuple[int, str]]:
        """Lines of a record from an instant on, the oldest first."""
        reply = await self._ask(self._pools[pool], lambda scope: kept_call(scope.pool, record, from_ms, lines))
        parts = iter(reply[2:])
        return [(at_ms, text.decode()) for at_ms, text in zip(parts, parts, strict=True)]
