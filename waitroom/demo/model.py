"""What the sample exam server can carry: cores, workers, a backlog, memory, and what happens beyond them.

Law: pure. Time comes in as `now_ms`, nothing is random, and nobody can tell the machine to die: it dies of what it was
given to carry. Two things kill it, as they kill the real ones: memory beyond RAM and swap (the kernel takes the
database), and a backlog that stays full so long that monitoring restarts it. It comes back cold: the first requests
after a start are slow because no cache holds anything yet.

The arithmetic of the default `Capacity`:

- Memory: 1,024 MiB RAM - 256 MiB base - 12 workers x 24 MiB = 480 MiB, at 8 MiB a session: 60 sessions without
  swapping. With 256 MiB of swap and 60 requests queued at 1 MiB it is out of memory at 85 sessions.
- Queue: 12 workers + 60 places in the backlog = 72 requests at a time: 60 sessions with one request each always fit.
- Work: a whole exam is about 0.6 s of CPU, so four warm cores finish about 6 students a second.

An operator who knows none of this would call it "about sixty students at a time", and set `max_sessions` to 40.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush

EPSILON_MS = 1e-6
"""Work left that counts as none: far below a microsecond, far above the rounding of a sum of milliseconds."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The machine's size."""

    cores: int = 4
    workers: int = 12
    backlog: int = 60
    ram_mib: int = 1_024
    swap_mib: int = 256
    base_mib: int = 256
    session_mib: int = 8
    worker_mib: int = 24
    queued_mib: int = 1
    thrash: float = 8.0
    """How many times slower everything is with the swap full; proportional below."""
    contention: float = 0.15
    """Each further request that wants the same lock slows all of those by so much of their speed."""
    crosstalk: float = 0.0
    """The same for each pair of them (Gunther's universal scalability law): beyond some number, more get less done."""
    choke_ms: int = 4_000
    """A backlog that was full and has not drained to half for this long: monitoring restarts the machine."""
    restart_ms: int = 8_000
    cold: float = 5.0
    """How many times slower the first request after a start is."""
    warm_requests: int = 120
    """Requests until the caches are warm again."""
    hindrance: float = 1.0
    """How many times slower everything is for a reason outside: a backup, a neighbour on the same hardware."""

    @property
    def sessions(self) -> int:
        """Sessions that fit into RAM with every worker busy."""
        return (self.ram_mib - self.base_mib - self.workers * self.worker_mib) // self.session_mib


@dataclass(frozen=True, slots=True)
class Work:
    """What one kind of request costs: CPU on an idle warm machine, and whether it takes the database's lock."""

    name: str
    cpu_ms: float
    locks: bool = False


PAGE = Work("page", 20)
LOGIN = Work("login", 60)
START = Work("start attempt", 220, locks=True)
AUTOSAVE = Work("autosave", 12)
SUBMIT = Work("submit", 90, locks=True)
LOGOUT = Work("log-out", 8)


class Verdict(StrEnum):
    """What becomes of a request on arrival."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DOWN = "down"


class Cause(StrEnum):
    """What the machine died of."""

    MEMORY = "out of memory"
    CHOKED = "choked on its backlog"


@dataclass(frozen=True, slots=True)
class Done:
    """A request has been worked off."""

    request: int


@dataclass(frozen=True, slots=True)
class Died:
    """The machine is gone, with everything it was doing."""

    at_ms: float
    cause: Cause
    sessions: int


@dataclass(frozen=True, slots=True)
class Back:
    """The machine has started again, cold and with no session."""

    at_ms: float


Event = Done | Died | Back


@dataclass(slots=True)
class _Job:
    request: int
    work: Work


class _Share:
    """Jobs that all go on at the same speed: what each has got is one sum for all of them."""

    def __init__(self) -> None:
        self.speed = 1.0
        self._got_ms = 0.0
        self._jobs: list[tuple[float, int]] = []
        """When `_got_ms` will be enough, and the request."""

    def __len__(self) -> int:
        return len(self._jobs)

    def begin(self, job: _Job) -> None:
        """A job has got nothing yet."""
        heappush(self._jobs, (self._got_ms + job.work.cpu_ms, job.request))

    def go_on(self, span_ms: float) -> None:
        """Time goes by in which nothing ends."""
        self._got_ms += span_ms * self.speed

    def ends_in_ms(self) -> float | None:
        """Time until the next of them is done."""
        return max(0.0, self._jobs[0][0] - self._got_ms) / self.speed if self._jobs else None

    def finish(self) -> list[int]:
        """Those that are done, who had the least to do first."""
        done = []
        while self._jobs and self._jobs[0][0] - self._got_ms <= EPSILON_MS:
            done.append(heappop(self._jobs)[1])
        return done

    def clear(self) -> None:
        """Drop all."""
        self._jobs.clear()


class Machine:
    """A machine that shares its cores among its workers (processor sharing), as an event-driven simulation."""

    def __init__(self, capacity: Capacity, now_ms: float = 0.0, *, warm: bool = True) -> None:
        """`warm`: it has been up since yesterday; else it has just started."""
        self.capacity = capacity
        self.sessions = 0
        self.served = 0
        self.refused = 0
        self.deaths: list[Died] = []
        self._now_ms = now_ms
        self._free, self._locking = _Share(), _Share()
        self._queue: deque[_Job] = deque()
        self._full_since_ms: float | None = None
        self._down_until_ms: float | None = None
        self._served_since_start = capacity.warm_requests if warm else 0

    @property
    def up(self) -> bool:
        """Whether it takes requests at all."""
        return self._down_until_ms is None

    @property
    def running(self) -> int:
        """Requests that occupy a worker."""
        return len(self._free) + len(self._locking)

    @property
    def queued(self) -> int:
        """Requests in the backlog."""
        return len(self._queue)

    @property
    def memory_mib(self) -> int:
        """Memory in use."""
        size = self.capacity
        busy = self.running * size.worker_mib + self.queued * size.queued_mib
        return size.base_mib + self.sessions * size.session_mib + busy

    @property
    def slowness(self) -> float:
        """How many times longer a request takes than alone on a warm machine."""
        share = max(1.0, self.running / self.capacity.cores)
        return share * self.capacity.hindrance * self._swapping() * self._coldness()

    def arrive(self, now_ms: float, request: int, work: Work) -> Verdict:
        """A request comes in. Call `advance(now_ms)` first. The machine never notices that a client has left."""
        if not self.up:
            return Verdict.DOWN
        if self.running < self.capacity.workers:
            self._begin(_Job(request, work))
            return Verdict.ACCEPTED
        if len(self._queue) >= self.capacity.backlog:
            self.refused += 1
            return Verdict.REFUSED
        self._queue.append(_Job(request, work))
        if len(self._queue) == self.capacity.backlog and self._full_since_ms is None:
            self._full_since_ms = now_ms
        return Verdict.ACCEPTED

    def sign_in(self) -> None:
        """A session begins to take its memory."""
        self.sessions += 1

    def sign_out(self) -> None:
        """A session gives its memory back."""
        self.sessions -= 1
        assert self.sessions >= 0

    def next_ms(self) -> float | None:
        """When something happens by itself next; None for never."""
        if self._down_until_ms is not None:
            return self._down_until_ms
        moments = [self._now_ms + left_ms for share in self._shares() if (left_ms := share.ends_in_ms()) is not None]
        if self._full_since_ms is not None:
            moments.append(self._full_since_ms + self.capacity.choke_ms)
        if self._overfull():
            moments.append(self._now_ms)
        return min(moments, default=None)

    def advance(self, now_ms: float) -> list[Event]:
        """Live until `now_ms` and tell what happened on the way."""
        events: list[Event] = []
        while (moment := self.next_ms()) is not None and moment <= now_ms + EPSILON_MS:
            self._pass(max(0.0, moment - self._now_ms))
            events.extend(self._happen())
        self._pass(max(0.0, now_ms - self._now_ms))
        return events

    def _happen(self) -> list[Event]:
        if self._down_until_ms is not None:
            return [self._start()]
        if self._overfull():
            return [self._die(Cause.MEMORY)]
        if (
            self._full_since_ms is not None
            and self._now_ms - self._full_since_ms >= self.capacity.choke_ms - EPSILON_MS
        ):
            return [self._die(Cause.CHOKED)]
        return self._finish()

    def _finish(self) -> list[Event]:
        done = [request for share in self._shares() for request in share.finish()]
        self.served += len(done)
        self._served_since_start += len(done)
        while self._queue and self.running < self.capacity.workers:
            self._begin(self._queue.popleft())
        if len(self._queue) <= self.capacity.backlog // 2:
            self._full_since_ms = None
        return [Done(request) for request in done]

    def _begin(self, job: _Job) -> None:
        (self._locking if job.work.locks else self._free).begin(job)

    def _die(self, cause: Cause) -> Died:
        died = Died(self._now_ms, cause, self.sessions)
        self.deaths.append(died)
        self._free.clear()
        self._locking.clear()
        self._queue.clear()
        self.sessions = 0
        self._full_since_ms = None
        self._down_until_ms = self._now_ms + self.capacity.restart_ms
        return died

    def _start(self) -> Back:
        self._down_until_ms = None
        self._served_since_start = 0
        return Back(self._now_ms)

    def _pass(self, span_ms: float) -> None:
        """Let time go by in which nothing ends."""
        for share in self._shares():
            share.go_on(span_ms)
        self._now_ms += span_ms

    def _shares(self) -> tuple[_Share, _Share]:
        """What runs, at the speeds of now."""
        self._free.speed = self._locking.speed = 1.0 / self.slowness
        if len(self._locking) > 1:
            wanting, size = len(self._locking), self.capacity
            self._locking.speed /= 1.0 + (size.contention + size.crosstalk * wanting) * (wanting - 1)
        return self._free, self._locking

    def _overfull(self) -> bool:
        return self.up and self.memory_mib > self.capacity.ram_mib + self.capacity.swap_mib

    def _swapping(self) -> float:
        over = max(0, self.memory_mib - self.capacity.ram_mib)
        return 1.0 + self.capacity.thrash * over / self.capacity.swap_mib

    def _coldness(self) -> float:
        left = max(0, self.capacity.warm_requests - self._served_since_start) / self.capacity.warm_requests
        return 1.0 + (self.capacity.cold - 1.0) * left
