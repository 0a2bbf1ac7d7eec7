"""The judgement of the backends: down, back, at which rate.

Law: what is judged is what all workers saw and what checks found; what is decided is written to the store and nowhere
else, so all workers act alike within a second, and another conductor goes on where this one stopped. The steps
themselves are pure (admission/recovery.py). The conductor judges, once a second, but for one thing: a backend that
nobody listens at any more (reports.py) is down as soon as one worker has met that. A conductor that writes at the same
instant what it saw before may undo it; the next requests then meet the same.

What came before a phase says nothing about it: a backend that has just come back is not down again because of what was
refused while it was away.
"""

from collections.abc import Mapping
from typing import Protocol

import structlog

from waitroom.admission import tempo
from waitroom.admission.line import Snapshot
from waitroom.admission.overrides import ceiling_milli
from waitroom.admission.past import OUTAGES, OUTAGES_MOST, OUTAGES_TTL_MS, turns
from waitroom.admission.recovery import Course, Phase, Signs, ease, step
from waitroom.admission.traffic import Traffic
from waitroom.server.checks import Checks
from waitroom.server.reports import SECONDS_KEPT, Reports
from waitroom.settings.pools import Pool

log = structlog.get_logger(__name__)

LOOK_BACK_S = 3
"""What is judged is the last three seconds: one may be a single slow page."""

REPORTED_S = 2
"""What is heard may be so old: a worker tells its second when it is over, and we hear it within another."""

SILENT_CONNECTS = 5
"""Requests in a row that could not even be handed over, and none that was answered: it is down (Envoy's default)."""

SILENT_LOSSES = 10
"""The same for requests that it took and did not answer: time-outs, resets."""

ERRORS_LOOK_BACK_S = 10
ERRORS_FEWEST, ERRORS_SHARE = 20, 0.9
"""So many answers of 500 and above, and hardly any other: out, if another backend can take over or checks agree."""

TROUBLE_FEWEST, TROUBLE_SHARE = 2, 0.05
"""Failures that slow a ramp down."""

TROUBLE_P95_MS = 2_000
"""An answer time (95th percentile) that slows a ramp down, where the pool has no `target_p95`."""

NOT_AT_ONCE_MS = (0, 10, 100, 1_000)
"""A record has one line of an instant: what comes second is written so much later."""

ANSWERS_FEWEST = 5
"""Answers that a percentile is read from."""


class Store(Protocol):
    """What the regulator needs of the store's client."""

    async def snapshot(self, pool: str) -> Snapshot:
        """The pool as it is."""

    async def set_live(self, pool: str, fields: Mapping[str, str]) -> dict[str, str]:
        """Set what lies over the rules; gives what was there before."""

    async def keep(self, pool: str, record: str, at_ms: int, text: str, *, lines: int, ttl_ms: int) -> bool:
        """Add to a record."""


class Regulator:
    """Judges every backend once a turn."""

    def __init__(self, store: Store, reports: Reports, checks: Checks) -> None:
        self._store = store
        self._reports = reports
        self._checks = checks

    async def turn(self, name: str, pool: Pool) -> None:
        """Look at a pool's backends and write what has changed. Raises StoreError."""
        snapshot = await self._store.snapshot(name)
        before = {backend: Course.read(snapshot.live.get(f"phase:{backend}", "")) for backend in pool.backends}
        after = {backend: self._step(name, backend, pool, snapshot, course) for backend, course in before.items()}
        self._open_siblings(pool, snapshot, after)
        changed = {backend: course for backend, course in after.items() if course != before[backend]}
        fields = {f"phase:{backend}": course.text for backend, course in changed.items()}
        fields |= self._rate(name, pool, snapshot, after)
        if fields:
            await self._store.set_live(name, fields)
        for backend, course in changed.items():
            if course.phase is not before[backend].phase:
                self._tell(name, backend, course)
        phases = {backend: (before[backend].phase, course.phase) for backend, course in changed.items()}
        await self._write_down(name, snapshot.now_ms, phases)

    async def deserted(self, name: str, pool: Pool, backend: str) -> None:
        """Nobody listens at this backend, as this worker has met: it is down. Raises StoreError."""
        snapshot, field = await self._store.snapshot(name), f"phase:{backend}"
        course = Course.read(snapshot.live.get(field, ""))
        if course.phase is Phase.DOWN:
            return
        after = step(course, Signs(failed=True), pool.recovery.initial_rate_milli, snapshot.now_ms)
        before = await self._store.set_live(name, {field: after.text})
        if Course.read(before[field]).phase is not Phase.DOWN:  # another worker was as quick
            self._tell(name, backend, after)
            await self._write_down(name, snapshot.now_ms, {backend: (course.phase, after.phase)})

    async def _write_down(self, name: str, now_ms: int, phases: Mapping[str, tuple[Phase, Phase]]) -> None:
        """For the report of outages: who went down or came up. Two workers may have found one each at once."""
        turned = turns(phases)
        for later_ms in NOT_AT_ONCE_MS if turned else ():
            at_ms = now_ms + later_ms
            if await self._store.keep(name, OUTAGES, at_ms, turned, lines=OUTAGES_MOST, ttl_ms=OUTAGES_TTL_MS):
                return

    def _step(self, name: str, backend: str, pool: Pool, snapshot: Snapshot, course: Course) -> Course:
        target, initial = f"{name}/{backend}", pool.recovery.initial_rate_milli
        now_ms = snapshot.now_ms
        if snapshot.held:  # nobody enters; when that ends they come at a ramp
            course = ease(course, initial, now_ms)
            if course.phase is Phase.EASING:
                return course._replace(rate_milli=initial, changed_ms=now_ms)
        self._know(target, course)  # it may be down by another's word
        after = step(course, self._signs(name, backend, pool, snapshot, course), initial, now_ms)
        self._know(target, after)
        return after

    def _know(self, target: str, course: Course) -> None:
        """Checks count from the moment at which it is down."""
        if course.phase is not Phase.DOWN:
            self._checks.down.discard(target)
        elif target not in self._checks.down:
            self._checks.forget(target)
            self._checks.down.add(target)

    def _signs(self, name: str, backend: str, pool: Pool, snapshot: Snapshot, course: Course) -> Signs:
        target, known_s = f"{name}/{backend}", _known_s(course, snapshot.now_ms)
        traffic = self._reports.lately(name, backend, min(LOOK_BACK_S, known_s))
        adaptive = pool.admission.adaptive
        slow_ms = 2 * adaptive.target_p95_ms if adaptive else TROUBLE_P95_MS
        others_up = any(
            Course.read(snapshot.live.get(f"phase:{other}", "")).phase is not Phase.DOWN
            for other in pool.backends
            if other != backend
        )
        longer = self._reports.lately(name, backend, min(ERRORS_LOOK_BACK_S, known_s))
        waiting = snapshot.returning.get(backend, 0)
        free = snapshot.limits.get(backend, 0) - snapshot.sessions.get(backend, 0)
        held_up = not snapshot.rate_milli or snapshot.rate_milli > course.rate_milli  # newcomers, by the ramp
        if held_up and (course.phase is Phase.EASING or not waiting):
            waiting += min(max(0, free), sum(snapshot.waiting.values()))
        return Signs(
            failed=self._checks.failed(target) or is_silent(traffic) or (others_up and fails_everybody(longer)),
            answers=self._checks.answers(target),
            trouble=is_troubled(traffic, slow_ms),
            p95_ms=p95_ms(traffic),
            inflight=self._reports.lately(name, backend, 1).inflight,
            waiting=waiting,
            absent=snapshot.missed.get(backend, 0),
            held=snapshot.live.get(f"staff:{backend}") == "held",
        )

    def _rate(self, name: str, pool: Pool, snapshot: Snapshot, courses: Mapping[str, Course]) -> dict[str, str]:
        """The adaptive rate, if it has changed; and that there is none any more, where the settings want none."""
        adaptive, known = pool.admission.adaptive, snapshot.live.get("tempo", "")
        if adaptive is None:
            return {"rate": "", "tempo": ""} if known else {}
        ceiling = ceiling_milli(snapshot.live, pool.admission.rate_milli)
        up = [backend for backend, course in courses.items() if course.phase is not Phase.DOWN]
        since_ms = snapshot.now_ms - tempo.LOOK_BACK_ENDS_S * 1_000
        after = tempo.step(
            tempo.Tempo.read(known),
            tempo.Signs(
                [self._reports.lately(name, backend, tempo.LOOK_BACK_S) for backend in up],
                sum(snapshot.sessions.values()),
                sum(part.ended for part in snapshot.flow if part.start_ms > since_ms),
                sum(snapshot.waiting.values()),
            ),
            tempo.Bounds(ceiling, adaptive.min_rate_milli, adaptive.target_p95_ms),
            snapshot.now_ms,
        )
        return {"rate": str(after.rate_milli), "tempo": after.text} if after.text != known else {}

    def _open_siblings(self, pool: Pool, snapshot: Snapshot, after: dict[str, Course]) -> None:
        """Where sessions of a backend that is down move, those who take them do so at a ramp."""
        if pool.on_backend_down != "move" or all(course.phase is not Phase.DOWN for course in after.values()):
            return
        for backend, course in after.items():
            if course.phase is Phase.UP and any(snapshot.returning.values()):
                after[backend] = ease(course, pool.recovery.initial_rate_milli, snapshot.now_ms)

    def _tell(self, name: str, backend: str, course: Course) -> None:
        target = f"{name}/{backend}"
        pulse = self._checks.pulses.get(target)
        say = log.error if course.phase is Phase.DOWN else log.warning
        say(
            "backend_phase",
            backend=target,
            phase=str(course.phase),
            rate_per_s=course.rate_milli / 1000,
            failures=course.failures,
            check=pulse.said if pulse and course.phase is Phase.DOWN else None,
        )


def _known_s(course: Course, now_ms: int) -> int:
    """For how long what was reported is about the backend as it is."""
    age_ms = now_ms - course.since_ms
    if course.phase is not Phase.RECOVERING or age_ms < 0:  # the clock went back
        return SECONDS_KEPT
    return max(0, age_ms // 1_000 - REPORTED_S)


def is_silent(traffic: Traffic) -> bool:
    """Nothing gets through to it at all."""
    if traffic.answered or traffic.failed_5xx:
        return False
    return traffic.failed_connect >= SILENT_CONNECTS or traffic.failed >= SILENT_LOSSES


def fails_everybody(traffic: Traffic) -> bool:
    """It answers, and nearly always with an error."""
    return traffic.failed_5xx >= ERRORS_FEWEST and traffic.failed >= ERRORS_SHARE * traffic.requests


def is_troubled(traffic: Traffic, slow_ms: int) -> bool:
    """It fails some, or is slow, or more wait for it in our workers than it may have at a time."""
    if traffic.failed >= TROUBLE_FEWEST and traffic.failed > TROUBLE_SHARE * traffic.requests:
        return True
    if traffic.inflight_limit and traffic.waiting > traffic.inflight_limit:
        return True
    return (p95_ms(traffic) or 0) > slow_ms


def p95_ms(traffic: Traffic) -> int | None:
    """The answer time that matters, if there were enough answers."""
    return traffic.quantile_ms(0.95) if sum(traffic.durations) >= ANSWERS_FEWEST else None
