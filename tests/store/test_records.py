"""Records of numbers in the store: whoever is first counts, they are bounded, and they go when nobody adds any more."""

from tests.store.driver import Line
from waitroom.store.keys import RECORDS, keep_call, kept_call, pool_key


def keep(line: Line, at_ms: int, text: str, lines: int = 100) -> int:
    """Whether it was kept."""
    reply = line.client.execute_command(*keep_call(line.pool, "hour", (at_ms, lines, 60_000, text)))
    assert reply[0] == 0
    return int(reply[2])


def kept(line: Line, from_ms: int = 0, lines: int = 100) -> list[tuple[int, str]]:
    """What is there."""
    reply = line.client.execute_command(*kept_call(line.pool, "hour", from_ms, lines))
    return [(at_ms, text.decode()) for at_ms, text in zip(reply[2::2], reply[3::2], strict=True)]


def test_the_first_counts(line: Line) -> None:
    """Two machines say something of the same instants: each instant has one line, in their order."""
    assert [keep(line, at_ms, f"a{at_ms}") for at_ms in (5, 10, 15)] == [1, 1, 1]
    assert [keep(line, at_ms, f"b{at_ms}") for at_ms in (5, 10, 15, 20)] == [0, 0, 0, 1]
    assert kept(line) == [(5, "a5"), (10, "a10"), (15, "a15"), (20, "b20")]
    assert kept(line, 11) == [(15, "a15"), (20, "b20")]
    assert kept(line, 0, 2) == [(5, "a5"), (10, "a10")]


def test_it_is_bounded(line: Line) -> None:
    """The last lines stay; all of it goes by itself; a pool that has none has none."""
    assert kept(line) == []
    for at_ms in range(1, 301):
        keep(line, at_ms, "x", 20)
    assert [at_ms for at_ms, _ in kept(line)] == list(range(281, 301))
    assert 0 < line.client.pttl(pool_key(line.pool, "hour")) <= 60_000
    assert RECORDS == ("hour", "day", "outages")
