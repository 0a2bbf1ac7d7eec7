"""What was seen of a backend adds up, whoever saw it and when, and survives being told."""

from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.traffic import BOUNDS_MS, BUCKETS, Traffic, beside, bucket_of, in_a_row, read, write

counts = st.integers(0, 1_000)
durations = st.lists(counts, min_size=BUCKETS, max_size=BUCKETS).map(tuple)
traffics = st.builds(Traffic, *[counts] * 8, durations, *[counts] * 3)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)


@given(st.dictionaries(names, traffics, max_size=5))
def test_what_is_told_is_understood(seen: dict[str, Traffic]) -> None:
    """A report comes back as it was."""
    assert read(write(seen)) == seen


def test_what_is_no_report_says_nothing() -> None:
    """The text of another version stops nobody."""
    for text in (
        "",
        "x",
        "[]",
        '{"a":1}',
        '{"a":[1,2]}',
        '{"a":[1,2,3,4,5,6,7,8,{"x":1}]}',
        '{"a":[1,2,3,4,5,6,7,8,{"99":1}]}',
    ):
        assert read(text) == {}


@given(st.lists(traffics, min_size=1, max_size=5))
def test_sums(parts: list[Traffic]) -> None:
    """Beside each other everything adds up; one after the other levels are those of the last."""
    together, one_by_one = beside(parts), in_a_row(parts)
    assert together.requests == one_by_one.requests == sum(part.requests for part in parts)
    assert together.durations == one_by_one.durations
    assert together.inflight == sum(part.inflight for part in parts)
    assert (one_by_one.inflight, one_by_one.waiting) == (parts[-1].inflight, parts[-1].waiting)
    assert beside(reversed(parts)) == together


def test_nothing_seen() -> None:
    """No worker, no second, no answer."""
    assert beside([]) == in_a_row([]) == Traffic()
    assert Traffic().quantile_ms(0.95) is None


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_right_within_a_bucket(durations_ms: list[int], part: float) -> None:
    """Never below the truth, and at most by the width of a bucket above."""
    found = [0] * BUCKETS
    for duration_ms in durations_ms:
        found[bucket_of(duration_ms)] += 1
    truth = sorted(durations_ms)[max(0, -(-int(part * len(durations_ms) * 1_000) // 1_000) - 1)]
    said = Traffic(durations=tuple(found)).quantile_ms(part)
    assert said is not None
    assert truth <= said <= max(BOUNDS_MS[0], truth * 1.5)
