"""One pool as operators see it: a snapshot of the store beside what the file says and what workers saw.

Law: pure. All numbers of the line come from one snapshot, so they fit each other; what lies over the file is named with
what it lies over.
"""

from collections.abc import Mapping

from waitroom.admin.commands import undo
from waitroom.admin.shapes import (
    Announcement,
    BackendShown,
    Drift,
    Hours,
    Lanes,
    Line,
    Load,
    Lobby,
    PoolShown,
    Rate,
    Sessions,
    Set,
    Totals,
    Wait,
)
from waitroom.admission.audit import CEILING, HELD, SESSIONS, STAFF, key_of, spelt
from waitroom.admission.estimate import Eta, Regime, Unknown, regime
from waitroom.admission.line import Lane, Notice, Snapshot
from waitroom.admission.overrides import Filed, Override, ceiling_milli, max_sessions, overrides
from waitroom.admission.recovery import Course, course_of
from waitroom.admission.traffic import Traffic
from waitroom.settings.model import Exam, Pool

MINUTE_MS = 60_000


def filed(pool: Pool) -> Filed:
    """What the file says of a pool's limits."""
    return Filed(
        pool.admission.rate_milli,
        pool.admission.burst,
        {name: backend.max_sessions for name, backend in pool.backends.items()},
    )


class Overview:
    """A pool at one instant. `loads`: what all workers saw of each backend in the last seconds, and in how many."""

    def __init__(
        self,
        name: str,
        pool: Pool,
        exams: Mapping[str, Exam],
        at: Snapshot,
        loads: Mapping[str, tuple[Traffic, float]],
    ) -> None:
        self.name = name
        self._pool = pool
        self._exams = exams
        self._at = at
        self._loads = loads
        self._filed = filed(pool)
        self._set = overrides(at.live)

    def shown(self) -> PoolShown:
        """All of it."""
        at, backends = self._at, [self._backend(name) for name in self._pool.backends]
        return PoolShown(
            pool=self.name,
            now_ms=at.now_ms,
            state=self._state(backends),
            hold_set=self._how(HELD),
            line=self.line(),
            sessions=sum(at.sessions.values()),
            sessions_limit=_sum([each.sessions.limit for each in backends]),
            rate=self._rate(),
            backends=backends,
            announcements=[announcement(exam, notice) for exam, notice in at.notices.items()],
            drift=[self._drift(each) for each in self._set.values()],
            exams=list(self._exams),
            hours=[
                Hours(exam=name, opens_ms=exam.opens_ms, closes_ms=exam.closes_ms)
                for name, exam in self._exams.items()
                if exam.opens_ms is not None or exam.closes_ms is not None
            ],
            totals=Totals(arrivals=at.arrivals_total, admissions=at.admissions_total, departures=at.departures_total),
        )

    def line(self) -> Line:
        """Who waits, and for how long."""
        at, now = self._at, regime(self._at)
        waiting = sum(at.waiting.values())
        lobby = [
            Lobby(exam=exam, tickets=tickets, opens_ms=self._exams[exam].opens_ms if exam in self._exams else None)
            for exam, tickets in at.lobby.items()
            if tickets
        ]
        return Line(
            waiting=waiting,
            lanes=Lanes(
                return_=at.waiting[Lane.RETURN], priority=at.waiting.get(Lane.PRIORITY, 0),
                standard=at.waiting.get(Lane.STANDARD, 0),
            ),
            absent=at.absent,
            lobby=lobby,
            last=wait_of(now, max(0, waiting - 1)) if waiting else _no_wait(at),
            newcomer=wait_of(now, waiting) if waiting or now.held or now.free <= 0 else _no_wait(at),
        )  # fmt: skip

    def _state(self, backends: list[BackendShown]) -> str:
        if self._at.held:
            return "held"
        if all(each.hold for each in backends):
            return "closed"
        return "down" if all(each.hold or each.phase == "down" for each in backends) else "open"

    def _backend(self, name: str) -> BackendShown:
        at, course = self._at, self._course(name)
        staff = at.live.get(f"{STAFF}{name}")
        return BackendShown(
            backend=name,
            phase=course.phase.value,
            phase_since_ms=course.since_ms,
            hold=staff,
            hold_set=self._how(f"{STAFF}{name}"),
            sessions=self._sessions(name),
            load=load_of(*self._loads[name]) if name in self._loads else None,
            returning=at.returning.get(name, 0),
            return_rate_per_s=course.rate_milli / 1000 if course.ramps else None,
        )

    def _course(self, name: str) -> Course:
        return course_of(self._at.live, name)

    def _sessions(self, name: str) -> Sessions:
        stated = self._filed.max_sessions[name]
        most = max_sessions(self._at.live, name, stated)
        limit = self._at.limits.get(name, 0)
        return Sessions(
            live=self._at.sessions.get(name, 0),
            limit=limit if most is not None or not limit else None,
            max_sessions=most,
            file=stated,
            set=self._how(f"{SESSIONS}{name}"),
        )

    def _rate(self) -> Rate:
        at = self._at
        since_ms = at.now_ms - MINUTE_MS
        part = [each for each in at.flow if each.start_ms > since_ms]
        seen_s = (at.now_ms - part[0].start_ms) / 1000 if part else 0.0
        return Rate(
            allowed_per_s=_per_s(at.rate_milli),
            ceiling_per_s=_per_s(ceiling_milli(at.live, self._filed.rate_milli)),
            file_per_s=_per_s(self._filed.rate_milli),
            adaptive=self._pool.admission.adaptive is not None,
            admitted_per_s=round(sum(each.admitted for each in part) / max(seen_s, 1.0), 3),
            set=self._how(CEILING),
        )

    def _how(self, field: str) -> Set | None:
        found = self._set.get(field)
        return how_set(self.name, found) if found else None

    def _drift(self, found: Override) -> Drift:
        return Drift(
            key=f"{self.name}.{key_of(found.field)}",
            file=spelt(found.field, self._filed.fields().get(found.field, "")),
            in_force=spelt(found.field, found.value),
            set=how_set(self.name, found),
        )


def how_set(pool: str, found: Override) -> Set:
    """Who set something, why, until when, and what undoes it."""
    return Set(at_ms=found.at_ms, until_ms=found.until_ms, who=found.who, why=found.why, undo=undo(pool, found.field))


def wait_of(now: Regime, ahead: int) -> Wait:
    """The wait of somebody with so many before them."""
    eta = now.eta(ahead)
    if isinstance(eta, Unknown):
        return Wait(low_s=None, high_s=None, low_at_ms=None, high_at_ms=None, unknown=eta.value)
    return _wait(now.now_ms, eta)


def _no_wait(at: Snapshot) -> Wait:
    return _wait(at.now_ms, Eta(0, 0))


def _wait(now_ms: int, eta: Eta) -> Wait:
    return Wait(
        low_s=eta.low_s,
        high_s=eta.high_s,
        low_at_ms=now_ms + 1000 * eta.low_s,
        high_at_ms=now_ms + 1000 * eta.high_s,
        unknown=None,
    )


def announcement(exam: str, notice: Notice) -> Announcement:
    """An announcement as it is answered."""
    return Announcement(exam=exam, text=dict(notice.texts), at_ms=notice.at_ms)


def load_of(seen: Traffic, seconds: float) -> Load:
    """What was seen of a backend in so many seconds."""
    return Load(
        inflight=seen.inflight,
        inflight_limit=seen.inflight_limit or None,
        inflight_waiting=seen.waiting,
        requests_per_s=round(seen.requests / max(seconds, 1.0), 2),
        failed_per_s=round(seen.failed / max(seconds, 1.0), 2),
        p50_ms=seen.quantile_ms(0.5),
        p95_ms=seen.quantile_ms(0.95),
    )


def _per_s(milli: int) -> float | None:
    return milli / 1000 if milli else None


def _sum(parts: list[int | None]) -> int | None:
    known = [each for each in parts if each is not None]
    return sum(known) if len(known) == len(parts) else None
