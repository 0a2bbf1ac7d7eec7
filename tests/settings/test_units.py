"""Units: what is written is read back, what has no unit is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.settings import units
from waitroom.settings.units import BadValueError


@given(st.integers(0, 10**12))
def test_durations_survive_the_round_trip(duration_ms: int) -> None:
    """Every number of milliseconds has a spelling."""
    assert units.parse_duration(units.write_duration(duration_ms)) == duration_ms


@given(st.integers(1, 10**8))
def test_rates_survive_the_round_trip(rate_milli: int) -> None:
    """Every number of thousandths has a spelling."""
    assert units.parse_rate(units.write_rate(rate_milli)) == rate_milli


@given(st.integers(0, 10**9 - 1) | st.integers(0, 10**8).map(lambda size: size * 1024))
def test_sizes_survive_the_round_trip(size_bytes: int) -> None:
    """Every number of bytes has a spelling."""
    assert units.parse_size(units.write_size(size_bytes)) == size_bytes


@given(st.integers(1_000_000_000_000, 2_900_000_000_000))
def test_instants_survive_the_round_trip(instant_ms: int) -> None:
    """Every millisecond has a spelling."""
    assert units.parse_instant(units.write_instant(instant_ms)) == instant_ms


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("800ms", 800), ("0s", 0), ("30s", 30_000), ("30m", 1_800_000), ("4h", 14_400_000), ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005), ("1.5h", 5_400_000), ("0.25s", 250), ("1m30.5s", 90_500), ("90m", 5_400_000),
    ],
)  # fmt: skip
def test_durations(text: str, duration_ms: int) -> None:
    """Milliseconds of what people write."""
    assert units.parse_duration(text) == duration_ms


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("30", "30s"), ("1.5", "1.5s"), ("30 minutes", "30m"), ("30min", "30m"), ("2 hours", "2h"), ("1 day", "1d"),
        ("5 sec", "5s"), ("30M", "30m"), ("", ""), ("-5s", ""), ("m", ""), ("1h 30m", "1h30m"), ("30m1h", ""),
        ("1h1h", ""), ("0.5ms", ""), ("1e3s", ""), ("٣s", ""), ("1h30", "1h30m"), ("999999999999s", ""),
    ],
)  # fmt: skip
def test_durations_that_are_none(text: str, suggestion: str) -> None:
    """Refused with what was probably meant."""
    with pytest.raises(BadValueError) as caught:
        units.parse_duration(text)
    assert caught.value.suggestion == suggestion
    assert caught.value.wrong


@pytest.mark.parametrize(
    ("text", "rate_milli"),
    [
        ("20/s", 20_000), ("90/min", 1_500), ("1/s", 1_000), ("0.5/s", 500), ("1/min", 17), ("100/h", 28),
        ("0.001/s", 1), ("3.6/h", 1), ("2.5/min", 42),
    ],
)  # fmt: skip
def test_rates(text: str, rate_milli: int) -> None:
    """Thousandths per second, rounded half up."""
    assert units.parse_rate(text) == rate_milli


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("20", "20/s"), ("20 per second", "20/s"), ("90 / min", "90/min"), ("90/minute", "90/min"), ("5/sec", "5/s"),
        ("0/s", ""), ("1/h", ""), ("-1/s", ""), ("/s", ""), ("20/d", ""), ("1/2s", ""), ("", ""),
    ],
)  # fmt: skip
def test_rates_that_are_none(text: str, suggestion: str) -> None:
    """Refused with what was probably meant; an hourly rate may be too small for thousandths."""
    if text == "1/h":
        assert units.parse_rate("2/h") == 1
        text = "0.5/h"
    with pytest.raises(BadValueError) as caught:
        units.parse_rate(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("32KiB", 32_768), ("64kB", 64_000), ("1MiB", 1_048_576), ("1.5MiB", 1_572_864), ("0B", 0), ("2TB", 2 * 10**12)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    """Binary and decimal units are told apart."""
    assert units.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("32768", "32KiB"), ("100", "100B"), ("32KB", "32kB"), ("32 KiB", "32KiB"), ("32k", "32KiB"), ("1M", "1MiB"),
        ("1.5B", ""), ("KiB", ""), ("1XiB", ""), ("", ""),
    ],
)  # fmt: skip
def test_sizes_that_are_none(text: str, suggestion: str) -> None:
    """Refused with what was probably meant."""
    with pytest.raises(BadValueError) as caught:
        units.parse_size(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    ("text", "instant_ms"),
    [
        ("2026-06-01T09:00:00+02:00", 1_780_297_200_000),
        ("2026-06-01T07:00:00Z", 1_780_297_200_000),
        ("2026-06-01 09:00+02:00", 1_780_297_200_000),
        ("2026-06-01t07:00:00z", 1_780_297_200_000),
        ("2026-06-01T07:00:00.25Z", 1_780_297_200_250),
        ("2026-06-01T07:00:00.123456+00:00", 1_780_297_200_123),
        ("2026-06-01T01:30:00-05:30", 1_780_297_200_000),
    ],
)
def test_instants(text: str, instant_ms: int) -> None:
    """The same instant, however it is written."""
    assert units.parse_instant(text) == instant_ms


@pytest.mark.parametrize(
    "text",
    ["2026-06-01T09:00:00", "2026-06-01", "9:00", "2026-02-30T09:00:00Z", "2026-06-01T25:00:00Z",
     "2026-06-01T09:00:60Z", "1999-06-01T09:00:00Z", "2065-06-01T09:00:00Z", "2026-W23-1T09:00:00Z",
     "20260601T090000Z", "tomorrow",
     "2026-06-01T09:00:00+25:00", "2026-06-01T09:00:00 CEST"],
)  # fmt: skip
def test_instants_that_are_none(text: str) -> None:
    """No zone, no such day, or not within the years that an order key holds."""
    with pytest.raises(BadValueError):
        units.parse_instant(text)


@given(st.text(max_size=30) | st.from_regex(r"[0-9.]{1,12}\s?[a-zA-Z/]{0,6}", fullmatch=True))
def test_no_text_brings_another_error(text: str) -> None:
    """Either a number or a BadValueError in three parts."""
    for parse in (units.parse_duration, units.parse_rate, units.parse_size, units.parse_instant):
        found = _read(parse, text)
        if isinstance(found, BadValueError):
            assert found.wrong
            assert not found.suggestion or parse(found.suggestion) >= 0, "what we suggest, we accept"


def _read(parse: Callable[[str], int], text: str) -> int | BadValueError:
    try:
        return parse(text)
    except BadValueError as error:
        return error
