"""The limit that is found from answer times: its laws, one at a time. What it does to real crowds: tests/simulation."""

import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.limits import CEILING, FLOOR, KINDS, Limiter

PAGE, START, BROKEN = 1, 2, 3
UNDISTURBED_S = {PAGE: 0.1, START: 1.5, BROKEN: 0.01}

observations = st.lists(
    st.tuples(
        st.integers(0, KINDS - 1),
        st.floats(0, 400, allow_nan=False),
        st.integers(0, 2_000),
        st.booleans(),
    ),
    max_size=60,
)


class Server:
    """Answers a window's requests as fast as so many at a time let it."""

    def __init__(self, cores: int, limiter: Limiter) -> None:
        self.cores, self.limiter, self.now_ms = cores, limiter, 0

    def windows(self, number: int, kinds: dict[int, int], *, inflight: int | None = None, failing: int = 0) -> Limiter:
        """So many seconds with these requests; `inflight` None: as many at a time as may be."""
        for _ in range(number):
            level = self.limiter.limit if inflight is None else inflight
            slowness = max(1.0, level / self.cores)
            for kind, count in kinds.items():
                for _ in range(count):
                    self.limiter.observe(kind, UNDISTURBED_S[kind] * slowness, level, kind != BROKEN)
            for _ in range(failing):
                self.limiter.observe(PAGE, 0.0, level, ok=False)
            self.now_ms += 1_000
            self.limiter.adjust(self.now_ms)
        return self.limiter


@pytest.mark.parametrize("cores", [2, 8, 40, 200])
@pytest.mark.parametrize("workers", [1, 4])
def test_all_cores_and_a_short_queue(cores: int, workers: int) -> None:
    """It ends up where everything is busy, and a request takes two or three times as long as alone."""
    limiter = Server(max(1, cores // workers), Limiter(workers)).windows(120, {PAGE: 20})
    assert 1.2 * cores <= limiter.limit * workers <= max(10, 3.5 * cores)


def test_a_hundred_within_twenty_seconds() -> None:
    """It begins small, and a large server is not kept waiting for long."""
    assert Server(1_000, Limiter()).windows(20, {PAGE: 20}).limit >= 100


def test_half_the_server_gone_and_back() -> None:
    """It follows down and up again."""
    server = Server(20, Limiter())
    before = server.windows(60, {PAGE: 20}).limit
    server.cores = 10
    assert server.windows(30, {PAGE: 20}).limit < 0.7 * before
    server.cores = 20
    assert server.windows(60, {PAGE: 20}).limit == pytest.approx(before, rel=0.2)


def test_a_rush_of_a_heavy_kind_is_not_load() -> None:
    """A start of an attempt takes fifteen times what a page takes, also alone: the limit stays."""
    server = Server(20, Limiter())
    before = server.windows(60, {PAGE: 20, START: 2}).limit
    assert server.windows(20, {START: 20}).limit >= 0.9 * before


def test_a_heavy_kind_first_seen_in_the_rush() -> None:
    """It is taken for slowed as all others are, so the limit neither runs away nor falls to the floor."""
    server = Server(20, Limiter())
    before = server.windows(60, {PAGE: 20}).limit
    assert 0.6 * before <= server.windows(30, {PAGE: 5, START: 20}).limit <= 1.4 * before


@given(observations, st.integers(0, 1_000_000))
def test_unused_it_never_grows(seen: list[tuple[int, float, int, bool]], now_ms: int) -> None:
    """Whatever is seen with less than half of it in flight."""
    server = Server(100, Limiter())
    limiter = server.windows(12, {PAGE: 20})
    before = limiter.limit
    limiter.adjust(server.now_ms + now_ms)
    for kind, seconds, inflight, ok in seen:
        limiter.observe(kind, seconds, inflight * before // 4_001, ok)
    limiter.adjust(server.now_ms + 2 * now_ms + 10_000)
    assert limiter.limit <= before


def test_a_quiet_hour_changes_nothing() -> None:
    """The quiet before nine o'clock inflates neither the limit nor the baselines."""
    server = Server(20, Limiter())
    before = server.windows(60, {PAGE: 20}).limit
    assert server.windows(3_600, {PAGE: 3}, inflight=2).limit == before
    assert server.windows(60, {PAGE: 20}).limit == pytest.approx(before, rel=0.1)


@given(st.lists(st.tuples(observations, st.integers(-10_000, 100_000)), max_size=8), st.integers(1, 64))
def test_bounds(seconds: list[tuple[list[tuple[int, float, int, bool]], int]], workers: int) -> None:
    """Between floor and ceiling, whatever is seen and whichever way the clock goes."""
    limiter, now_ms = Limiter(workers), 0
    for seen, span_ms in seconds:
        for each in seen:
            limiter.observe(*each)
        now_ms += span_ms
        limiter.adjust(now_ms)
        assert max(1, FLOOR // workers) <= limiter.limit <= max(1, round(CEILING / workers))


def test_failures_lower_it() -> None:
    """A tenth a second while it is used and more fail than usual; half a minute takes it to the floor."""
    server = Server(40, Limiter())
    before = server.windows(60, {PAGE: 20}).limit
    assert server.windows(5, {PAGE: 10}, failing=10).limit == pytest.approx(before * 0.9**5, abs=1)
    assert server.windows(30, {}, failing=20).limit == FLOOR
    assert server.windows(60, {PAGE: 20}).limit == pytest.approx(before, rel=0.2)


def test_a_script_that_always_fails_is_not_load() -> None:
    """A broken plug-in that every page asks for must not hold a healthy server down."""
    limiter = Server(40, Limiter()).windows(120, {PAGE: 20, BROKEN: 10})
    assert limiter.limit >= 40


def test_kinds_that_scatter_do_not_hold_it_down() -> None:
    """Answer times that differ by a factor of six within a kind, on a server that has room."""
    limiter, now_ms = Limiter(), 0
    for window in range(200):
        for at in range(30):
            limiter.observe(PAGE, 0.05 * (1 + (at * 7 + window * 3) % 6), limiter.limit, ok=True)
        now_ms += 1_000
        limiter.adjust(now_ms)
    assert limiter.limit >= 200


class Fellows:
    """Workers that share a server, each with as many requests at a time as it may have."""

    def __init__(self, workers: int, cores: int, *, told: bool = True) -> None:
        self.limiters = [Limiter(workers) for _ in range(workers)]
        self.cores, self.told, self.now_ms = cores, told, 0

    def windows(self, number: int) -> list[int]:
        """So many seconds; gives the limits."""
        for _ in range(number):
            slowness = max(1.0, sum(each.limit for each in self.limiters) / self.cores)
            for limiter in self.limiters:
                for _ in range(20):
                    limiter.observe(PAGE, 0.1 * slowness, limiter.limit, ok=True)
            limits = [each.limit for each in self.limiters]
            self.now_ms += 1_000
            for limiter in self.limiters:
                if self.told:
                    limiter.fellows = (sum(limits) - limiter.limit) / (len(limits) - 1)
                limiter.adjust(self.now_ms)
        return [each.limit for each in self.limiters]


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_end_up_with_the_same(workers: int) -> None:
    """Those who began together, without a word from each other; and together they have what a single one would have."""
    alone = Server(40, Limiter()).windows(120, {PAGE: 20}).limit
    fellows = Fellows(workers, 40, told=False)
    fellows.windows(60)
    fellows.limiters[0]._resize(3 * fellows.limiters[0].limit)
    limits = fellows.windows(120)
    assert max(limits) <= 1.25 * min(limits)
    assert sum(limits) == pytest.approx(alone, rel=0.2)


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_who_was_replaced_in_the_rush(workers: int) -> None:
    """It has never seen the server undisturbed: told of the others' limits, it gets what they have within a minute."""
    fellows = Fellows(workers, 40)
    before = fellows.windows(120)
    fellows.limiters[0] = Limiter(workers)
    limits = fellows.windows(60)
    assert max(limits) <= 1.5 * min(limits)
    assert sum(limits) <= 1.5 * sum(before)
    assert sum(fellows.windows(600)) <= 2 * sum(before)


def test_an_observation_is_cheap() -> None:
    """It runs once a relayed request, whose whole budget is 20 us: of this thread's own time, at best."""
    observe = Limiter().observe
    spent_s = timeit.repeat(lambda: observe(7, 0.1, 9, True), timer=time.thread_time, number=1_000, repeat=200)
    assert min(spent_s) / 1_000 < 1e-6
