"""How the conductor judges backends from what all workers saw, and what no worker waits for it to judge."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from waitroom.admission.line import Lane, Snapshot
from waitroom.admission.past import OUTAGES
from waitroom.admission.recovery import Course, Phase
from waitroom.admission.traffic import BUCKETS, Traffic, bucket_of
from waitroom.server.checks import Checks, Patient, Pulse
from waitroom.server.regulator import (
    REPORTED_S,
    TROUBLE_P95_MS,
    Regulator,
    fails_everybody,
    is_silent,
    is_troubled,
    p95_ms,
)
from waitroom.server.reports import DESERTED, Reports, Tally
from waitroom.settings.addresses import BackendUrl
from waitroom.settings.care import Health
from waitroom.settings.pools import Pool


def answers(count: int, ms: int) -> tuple[int, ...]:
    found = [0] * BUCKETS
    found[bucket_of(ms)] = count
    return tuple(found)


@pytest.mark.parametrize(
    ("promise", "seen", "silent"),
    [
        ("nothing asked", Traffic(), False),
        ("five refused in a row", Traffic(5, failed_connect=5), True),
        ("four", Traffic(4, failed_connect=4), False),
        ("one answered among many", Traffic(50, failed_connect=49), False),
        ("an error is an answer", Traffic(50, failed_connect=49, failed_5xx=1), False),
        ("ten taken and not answered", Traffic(10, failed_other=10), True),
        ("a few lost", Traffic(9, failed_other=9), False),
        ("nobody waited for what did not come", Traffic(14, failed_other=10, left=4), True),
    ],
)
def test_nothing_gets_through(promise: str, seen: Traffic, silent: bool) -> None:
    """Only a backend from which nothing at all comes is said to be down by what requests met."""
    assert is_silent(seen) is silent, promise


@pytest.mark.parametrize(
    ("seen", "broken"),
    [(Traffic(20, failed_5xx=20), True), (Traffic(19, failed_5xx=19), False), (Traffic(40, failed_5xx=35), False),
     (Traffic(40, failed_5xx=36), True)],
)  # fmt: skip
def test_nearly_all_are_errors(seen: Traffic, broken: bool) -> None:
    """One broken page takes no exam server out."""
    assert fails_everybody(seen) is broken


@pytest.mark.parametrize(
    ("promise", "seen", "troubled"),
    [
        ("well", Traffic(100, durations=answers(100, 50)), False),
        ("one failure of a few", Traffic(3, failed_5xx=1, durations=answers(2, 50)), False),
        ("more than one in twenty", Traffic(30, failed_5xx=2, durations=answers(28, 50)), True),
        ("slow", Traffic(10, durations=answers(10, 3_000)), True),
        ("too few answers to tell", Traffic(4, durations=answers(4, 3_000)), False),
        ("more wait here than may be there", Traffic(inflight=8, inflight_limit=8, waiting=9), True),
        ("some wait here", Traffic(inflight=8, inflight_limit=8, waiting=8), False),
    ],
)
def test_trouble(promise: str, seen: Traffic, troubled: bool) -> None:
    """What slows a ramp down."""
    assert is_troubled(seen, TROUBLE_P95_MS) is troubled, promise


def test_a_percentile_needs_answers() -> None:
    """Not of three."""
    assert p95_ms(Traffic(durations=answers(4, 100))) is None
    assert p95_ms(Traffic(durations=answers(5, 100))) == 128


def test_reports_of_all_workers_add_up() -> None:
    """Each worker tells its second and hears all; a request that failed is counted once, by the way it failed."""
    here, there = Reports(), Reports()
    for _ in range(3):
        here.tally("p/a").ended(200, 0.050)
    for status, kind in [(502, "refused"), (504, "response_timeout"), (200, "")]:
        there.tally("p/a").ended(status, 0.050)
        if kind:
            there.tally("p/a").failed(kind)
    there.tally("p/a").ended(500, 0.010)
    told = {each.worker: each.take("p", ["a", "b"], {}) for each in (here, there)}
    here.heard("p", told)
    seen = here.lately("p", "a", 3)
    assert (seen.requests, seen.failed_connect, seen.failed_other, seen.failed_5xx) == (7, 1, 1, 1)
    assert sum(seen.durations) == 4
    assert here.lately("p", "b", 3) == Traffic()
    assert here.lately("q", "a", 3) == Traffic()
    assert {here.rank, 1 - here.rank} == {0, 1}
    here.heard("p", {here.worker: here.take("p", ["a"], {})})
    assert (here.lately("p", "a", 1).requests, here.lately("p", "a", 2).requests) == (0, 7)
    assert here.workers == (here.worker,)


@pytest.mark.parametrize(
    ("promise", "ends", "deserted"),
    [
        ("refused three times", ["refused"] * 3, True),
        ("twice", ["refused"] * 2, False),
        ("cut off as it died, then refused", ["reset", "truncated", "refused"], True),
        ("only cut off: one of its processes may have died", ["reset"] * 50, False),
        ("too busy to accept", ["connect_timeout"] * 50, False),
        ("answered between", ["refused", "refused", 200, "refused"], False),
        ("a page not found is an answer", ["refused", "refused", 404, "refused"], False),
        ("somebody left between, unanswered", ["refused", 499, "refused", 499, "refused"], True),
        ("an error between may be ours", ["refused", 502, "refused", 502, "refused"], True),
    ],
)
def test_nobody_listens(promise: str, ends: list[str | int], deserted: bool) -> None:
    """A process that is gone is told from one that is busy or broken, at the third request."""
    tally = Tally()
    told = [tally.failed(end) if isinstance(end, str) else tally.ended(end, 0.01) for end in ends]
    assert (told[-1] is True) is deserted, promise
    assert not any(told[:-1])
    assert not deserted or not any(tally.failed("refused") for _ in range(DESERTED - 1)), "said once"


@dataclass
class Shelf:
    """A store that keeps what lies over the rules."""

    now_ms: int = 1_000_000
    rate_milli: int = 0
    returning: int = 30
    live: dict[str, str] = field(default_factory=dict)
    outages: list[tuple[int, str]] = field(default_factory=list)

    async def keep(self, _pool: str, record: str, at_ms: int, text: str, *, lines: int, ttl_ms: int) -> bool:
        assert (record, lines > 0, ttl_ms > 0) == (OUTAGES, True, True)
        if self.outages and self.outages[-1][0] >= at_ms:
            return False
        self.outages.append((at_ms, text))
        return True

    async def snapshot(self, _pool: str) -> Snapshot:
        line, rates = {Lane.STANDARD: 5}, (self.rate_milli, 0)
        slots: tuple[dict[str, int], ...] = ({"a": 0}, {"a": 9})
        found = Snapshot(self.now_ms, False, *rates, line, 0, {}, *slots, (), 0, {}, {})
        return replace(found, live=dict(self.live), returning={"a": self.returning})

    async def set_live(self, _pool: str, fields: Mapping[str, str]) -> dict[str, str]:
        before, self.live = self.live, self.live | fields
        return {name: before.get(name, "") for name in fields}


POOL = Pool.model_validate({"backends": {"a": {"url": "http://127.0.0.1:9", "max_sessions": 50}}})


def _regulated(shelf: Shelf, refused: int = 0) -> tuple[Regulator, Checks]:
    reports, checks = Reports(), Checks({})
    for _ in range(refused):
        reports.tally("p/a").ended(502, 0.01)
        reports.tally("p/a").failed("refused")
    reports.heard("p", {reports.worker: reports.take("p", ["a"], {})})
    return Regulator(shelf, reports, checks), checks


def _phase(shelf: Shelf) -> Course:
    return Course.read(shelf.live.get("phase:a", ""))


def test_a_deserted_backend_is_down_at_once() -> None:
    """Whoever has met it says so; one that was coming back has failed again, and begins lower."""

    async def main() -> None:
        shelf = Shelf()
        regulator, _ = _regulated(shelf)
        await regulator.deserted("p", POOL, "a")
        first = _phase(shelf)
        assert (first.phase, first.failures) == (Phase.DOWN, 1)
        await regulator.deserted("p", POOL, "a")
        assert _phase(shelf) == first, "who is down is not down anew"
        shelf.now_ms += 10_000
        shelf.live["phase:a"] = first._replace(phase=Phase.RECOVERING, since_ms=shelf.now_ms, rate_milli=2_000).text
        await regulator.deserted("p", POOL, "a")
        assert (_phase(shelf).phase, _phase(shelf).failures) == (Phase.DOWN, 2)

    asyncio.run(main())


def test_the_conductor_hears_of_it() -> None:
    """What it had found before counts no more: a deserted backend is back after checks of its own."""

    async def main() -> None:
        shelf = Shelf()
        regulator, checks = _regulated(shelf)
        checks.patients = {"p/a": Patient(BackendUrl("http", "127.0.0.1", 9), Health.model_validate({"path": "/"}))}
        checks.pulses["p/a"] = Pulse(good=100)
        await regulator.deserted("p", POOL, "a")
        await regulator.turn("p", POOL)
        assert _phase(shelf).phase is Phase.DOWN
        assert checks.down == {"p/a"}
        checks.pulses["p/a"] = Pulse(good=2)
        await regulator.turn("p", POOL)
        assert _phase(shelf).phase is Phase.RECOVERING
        now_ms = shelf.now_ms  # of all three
        assert shelf.outages == [(now_ms, "a down"), (now_ms + 10, "a up")]

    asyncio.run(main())


@pytest.mark.parametrize(("age_s", "phase"), [(0, Phase.RECOVERING), (REPORTED_S, Phase.RECOVERING), (3, Phase.DOWN)])
def test_what_came_before_a_phase_says_nothing_about_it(age_s: int, phase: Phase) -> None:
    """What was refused while it was away is heard of for seconds, and neither takes it out again nor slows its ramp."""

    async def main() -> None:
        shelf = Shelf()
        course = Course(Phase.RECOVERING, shelf.now_ms - age_s * 1_000, 2_000, 1, shelf.now_ms)
        shelf.live["phase:a"] = course.text
        regulator, checks = _regulated(shelf, refused=10)
        checks.patients = {"p/a": Patient(BackendUrl("http", "127.0.0.1", 9))}
        await regulator.turn("p", POOL)
        assert _phase(shelf).phase is phase
        assert phase is Phase.DOWN or not _phase(shelf).troubled

    asyncio.run(main())


@pytest.mark.parametrize(("rate_milli", "phase"), [(0, Phase.RECOVERING), (9_000, Phase.RECOVERING), (2_000, Phase.UP)])
def test_a_ramp_that_holds_nobody_up_is_over(rate_milli: int, phase: Phase) -> None:
    """All are back, and a line stands at free slots: it waits for the pool's own rate, or for the ramp, which grows."""

    async def main() -> None:
        shelf = Shelf(rate_milli=rate_milli, returning=0)
        course = Course(Phase.RECOVERING, shelf.now_ms - 90_000, 8_000, 1, shelf.now_ms - 40_000)
        shelf.live["phase:a"] = course.text
        regulator, checks = _regulated(shelf)
        checks.patients = {"p/a": Patient(BackendUrl("http", "127.0.0.1", 9))}
        await regulator.turn("p", POOL)
        assert _phase(shelf).phase is phase
        assert phase is Phase.UP or _phase(shelf).rate_milli > course.rate_milli

    asyncio.run(main())
