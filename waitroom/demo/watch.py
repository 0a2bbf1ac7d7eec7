"""Looks at both sides while the demonstration runs: the exam server's console and the waiting room's /metrics.

Law: it sees what an operator would see, through the same doors, and asks nothing of either that costs a student.
"""

import contextlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_SAMPLE = re.compile(r"^waitroom_([a-z_]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LOOK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Death:
    """One collapse of the exam server."""

    after_s: float
    cause: str
    sessions: int


@dataclass(frozen=True, slots=True)
class Server:
    """The exam server at one moment."""

    up: bool = False
    sessions: int = 0
    running: int = 0
    queued: int = 0
    memory_mib: int = 0
    slowness: float = 1.0
    refused: int = 0
    deaths: tuple[Death, ...] = ()
    workers: int = 1
    backlog: int = 1
    ram_mib: int = 1
    comfortable: int = 0

    @property
    def load(self) -> float:
        """Share of what it can hold at a time, 0 to 1."""
        return min(1.0, (self.running + self.queued) / (self.workers + self.backlog))


@dataclass(frozen=True, slots=True)
class Room:
    """The waiting room at one moment."""

    waiting: int = 0
    sessions: int = 0
    limit: int = 0
    admitted: int = 0
    arrived: int = 0


@dataclass(slots=True)
class Watch:
    """Both, and the extremes so far."""

    console_url: str
    metrics_url: str | None
    client: aiohttp.ClientSession
    server: Server = field(default_factory=Server)
    room: Room = field(default_factory=Room)
    most_sessions: int = 0
    most_queued: int = 0
    most_waiting: int = 0
    history: list[float | None] = field(default_factory=list)
    """The server's load at each look; None while it was dead."""

    async def look(self) -> None:
        """See how it is now; what cannot be seen stays as it was."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.client.get(self.console_url) as answer:
                self.server = _server(await answer.json())
        if self.metrics_url is not None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self.client.get(self.metrics_url) as answer:
                    self.room = _room(await answer.text())
        died_with = (death.sessions for death in self.server.deaths)
        self.most_sessions = max(self.most_sessions, self.server.sessions, *died_with)
        self.most_queued = max(self.most_queued, self.server.queued)
        self.most_waiting = max(self.most_waiting, self.room.waiting)
        self.history.append(self.server.load if self.server.up else None)


def watcher(console_url: str, metrics_url: str | None) -> Watch:
    """A watch on a running loop; close its client."""
    timeout = aiohttp.ClientTimeout(total=LOOK_TIMEOUT_S)
    return Watch(console_url, metrics_url, aiohttp.ClientSession(timeout=timeout))


def _server(said: dict[str, Any]) -> Server:
    capacity = said["capacity"]
    return Server(
        up=said["up"],
        sessions=said["sessions"],
        running=said["running"],
        queued=said["queued"],
        memory_mib=said["memory_mib"],
        slowness=said["slowness"],
        refused=said["refused"],
        deaths=tuple(Death(**death) for death in said["deaths"]),
        workers=capacity["workers"],
        backlog=capacity["backlog"],
        ram_mib=capacity["ram_mib"],
        comfortable=capacity["sessions"],
    )


def _room(text: str) -> Room:
    sums: dict[str, float] = defaultdict(float)
    for name, _labels, value in _SAMPLE.findall(text):
        sums[name] += float(value)
    return Room(
        waiting=int(sums["waiting"]),
        sessions=int(sums["sessions"]),
        limit=int(sums["sessions_limit"]),
        admitted=int(sums["admissions_total"]),
        arrived=int(sums["arrivals_total"]),
    )
