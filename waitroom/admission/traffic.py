"""What was seen of a backend in a while: how many requests, how they ended, how long they took, how full it was.

Law: pure sums. Workers add up their own second, the conductor adds up the workers, and a longer window is the sum of
its seconds. Durations are counted in buckets a factor of the square root of 2 apart, so a quantile read from them is
right within 20 %, however much is added up.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

BOUNDS_MS = tuple(round(4 * 2 ** (step / 2)) for step in range(29))
"""Upper bounds of the buckets, 4 ms to 65 s; a last one takes what is longer."""

BUCKETS = len(BOUNDS_MS) + 1
NONE_SEEN = (0,) * BUCKETS


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was seen of one backend."""

    requests: int = 0
    """Requests that ended, well or not."""
    failed_5xx: int = 0
    """Answered with a status of 500 or above."""
    failed_connect: int = 0
    """Not even taken: refused, unreachable, no connection in time."""
    failed_other: int = 0
    """Taken and not answered, or not to the end."""
    inflight: int = 0
    """At the backend at the end of the while."""
    inflight_limit: int = 0
    """Most that may be; 0: no limit."""
    saturated: int = 0
    """Workers at whose limit somebody had to wait."""
    waiting: int = 0
    """Requests that wait for the backend in our workers at the end of the while."""
    durations: tuple[int, ...] = NONE_SEEN
    """Answered requests by how long they took; see `BOUNDS_MS`."""
    taken_ms: int = 0
    """Time at the backend of requests of kinds that are known (see limits.py), added up."""
    alone_ms: int = 0
    """The same if each had been the only one; 0: nobody measures that."""
    left: int = 0
    """Requests whose clients went away before the end: nobody knows what the answer would have been."""

    @property
    def answered(self) -> int:
        """Requests that got an answer below 500."""
        return self.requests - self.failed - self.left

    @property
    def failed(self) -> int:
        """Requests that did not."""
        return self.failed_5xx + self.failed_connect + self.failed_other

    @property
    def load(self) -> float | None:
        """How many times longer requests took than alone; whichever they were. None: nobody knows."""
        return self.taken_ms / self.alone_ms if self.alone_ms else None

    def quantile_ms(self, part: float) -> int | None:
        """What `part` of the answers took at most; None where there were none, and the last bound where longer."""
        total = sum(self.durations)
        if not total:
            return None
        wanted = part * total
        for at, sum_so_far in enumerate(accumulate(self.durations)):
            if sum_so_far >= wanted:
                return BOUNDS_MS[min(at, len(BOUNDS_MS) - 1)]
        raise AssertionError("the sum of all is enough")


def bucket_of(duration_ms: float) -> int:
    """The bucket that a duration is counted in."""
    return bisect_left(BOUNDS_MS, duration_ms)


def beside(parts: Iterable[Traffic]) -> Traffic:
    """What several workers saw of one backend at the same time."""
    found = list(parts)
    if not found:
        return Traffic()
    return _traffic(_sums(_numbers(part) for part in found), _sums(part.durations for part in found))


def in_a_row(parts: Iterable[Traffic]) -> Traffic:
    """What was seen of one backend in several whiles, the latest last: levels are those of the latest."""
    found = list(parts)
    if not found:
        return Traffic()
    ends = _sums(_numbers(part)[:_ENDS] for part in found)
    return _traffic([*ends, *_numbers(found[-1])[_ENDS:]], _sums(part.durations for part in found))


_ENDS = 7
"""How many of the numbers count what has ended; the others are levels."""


def _numbers(part: Traffic) -> tuple[int, ...]:
    return (
        part.requests, part.failed_5xx, part.failed_connect, part.failed_other, part.left, part.taken_ms, part.alone_ms,
        part.inflight, part.inflight_limit, part.saturated, part.waiting,
    )  # fmt: skip


def _traffic(numbers: Sequence[int], durations: tuple[int, ...]) -> Traffic:
    requests, failed_5xx, failed_connect, failed_other, left, taken_ms, alone_ms, *levels = numbers
    inflight, inflight_limit, saturated, waiting = levels
    ends = requests, failed_5xx, failed_connect, failed_other
    return Traffic(*ends, inflight, inflight_limit, saturated, waiting, durations, taken_ms, alone_ms, left)


def _sums(rows: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))


def write(seen: Mapping[str, Traffic]) -> str:
    """What one worker saw of its backends, as text."""
    found = {
        name: [*_numbers(part), {at: count for at, count in enumerate(part.durations) if count}]
        for name, part in seen.items()
    }
    return json.dumps(found, separators=(",", ":"))


def read(text: str) -> dict[str, Traffic]:
    """What such a text says; nothing where it is none (of another version)."""
    try:
        return {name: _read(*numbers) for name, numbers in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, IndexError):
        return {}


def _read(*parts: int | Mapping[str, int]) -> Traffic:
    counts, numbers = list(NONE_SEEN), []
    for part in parts:
        if isinstance(part, int):
            numbers.append(part)
        else:
            for at, count in part.items():
                counts[int(at)] = int(count)
    return _traffic(numbers, tuple(counts))
