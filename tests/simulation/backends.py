"""Exam servers in virtual time, one for each way in which they fail.

Law: pure and without chance, as the `Machine` of the demo that carries them all; a shape is its size. What differs is
what more requests at a time do to it, and what kills it:

| shape | up to its limit | beyond | dies of |
| --- | --- | --- | --- |
| CPU | 2 requests at a time go undisturbed | all share two cores: as much gets done, each waits longer | nothing |
| POOL | 5 requests at a time go undisturbed | they queue, then are refused | a queue that stays full |
| LOCKS | 9 requests at a time get most done | they hinder each other: the more, the less gets done | nothing |
| MEMORY | 270 sessions fit into memory | swapping slows everything | sessions beyond RAM and swap |

A student who writes asks for a page and saves once a minute each, 3.5 ms of work a second. So CPU carries some 570 at
once, POOL 1,400, LOCKS 700 and MEMORY 270. All forget their sessions when they die, and come back cold.
"""

from dataclasses import dataclass, replace
from enum import Enum

from waitroom.demo.model import Back, Capacity, Died, Done, Event, Machine, Verdict, Work

PAGE = Work("page", 150)
LOGIN = Work("login", 250)
START = Work("start attempt", 900)
AUTOSAVE = Work("autosave", 60)
SUBMIT = Work("submit", 400)
LOGOUT = Work("log-out", 30)
"""What a large Moodle needs, which is some five times what the sample exam server does."""

AMPLE_MIB = 1 << 20
NEVER_MS = 1 << 40


class Shape(Enum):
    """Ways to fail, with the size of each server."""

    CPU = Capacity(cores=2, workers=4_000, backlog=1, ram_mib=AMPLE_MIB, choke_ms=NEVER_MS, restart_ms=20_000)
    POOL = Capacity(cores=5, workers=5, backlog=128, ram_mib=AMPLE_MIB, choke_ms=10_000, restart_ms=20_000)
    LOCKS = Capacity(
        cores=100, workers=100, backlog=4_000, ram_mib=AMPLE_MIB, contention=0.12, crosstalk=0.01, choke_ms=NEVER_MS
    )
    MEMORY = Capacity(
        cores=2,
        workers=16,
        backlog=400,
        ram_mib=2_048,
        swap_mib=512,
        session_mib=6,
        worker_mib=8,
        choke_ms=NEVER_MS,
        restart_ms=20_000,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    session: str
    work: Work


class Backend:
    """One exam server. Requests and sessions are whatever names its user gives them."""

    def __init__(self, shape: Shape | Capacity, now_ms: float = 0.0) -> None:
        self._size = shape.value if isinstance(shape, Shape) else shape
        self._all_lock = shape is Shape.LOCKS
        self.machine = Machine(self._size, now_ms)
        self.sessions: set[str] = set()
        """Who is signed in: from the first answer that a session gets to the answer to its log-out, or to a death."""
        self._asked: dict[int, _Asked] = {}

    @property
    def up(self) -> bool:
        """Whether it takes requests at all."""
        return self.machine.up

    @property
    def inflight(self) -> int:
        """Requests that it works on or has queued, also those whose client has left."""
        return len(self._asked)

    @property
    def deaths(self) -> list[Died]:
        """When it died, and of what."""
        return self.machine.deaths

    def arrive(self, now_ms: float, request: int, work: Work, session: str) -> Verdict:
        """A request comes in. What happened before is taken with `advance` first."""
        if self._all_lock:
            work = replace(work, locks=True)
        verdict = self.machine.arrive(now_ms, request, work)
        if verdict is Verdict.ACCEPTED:
            self._asked[request] = _Asked(session, work)
        return verdict

    def advance(self, now_ms: float) -> list[Event]:
        """Live until `now_ms` and tell what happened: `Done` a request; `Died`, with all it had; `Back`."""
        events = self.machine.advance(now_ms)
        for event in events:
            match event:
                case Done(request):
                    self._signs(self._asked.pop(request))
                case Died():
                    self._asked.clear()
                    self.sessions.clear()
                case Back():
                    pass
        return events

    def next_ms(self) -> float | None:
        """When something happens by itself next; None for never."""
        return self.machine.next_ms()

    def forget(self, session: str) -> None:
        """A session has timed out there."""
        if session in self.sessions:
            self.sessions.remove(session)
            self.machine.sign_out()

    def hinder(self, times: float) -> None:
        """From now on everything is so many times slower than usual; 1 ends it. What happened before is taken first."""
        self.machine.capacity = replace(self._size, hindrance=times)

    def _signs(self, asked: _Asked) -> None:
        if asked.work.name == LOGOUT.name:
            self.forget(asked.session)
        elif asked.session not in self.sessions:
            self.sessions.add(asked.session)
            self.machine.sign_in()
