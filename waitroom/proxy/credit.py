"""How long a peer may take over its bytes: a time to begin with, and more for what it moves.

Law: a peer that moves `rate` bytes a second is never cut off, one that moves fewer for long is, and so is one that is
silent for as long as its credit lasts. A pause after much has been moved is forgiven up to a bound (a train in a
tunnel), a trickle from the start is not. Time during which the peer waits for us is not counted.
"""

from typing import Final


class Credit:
    """Seconds that are left. `most_s` bounds what can be saved up; rate 0: only silence is counted."""

    __slots__ = ("_left_s", "_most_s", "_rate")

    def __init__(self, start_s: float, most_s: float, bytes_per_s: int) -> None:
        self._most_s: Final = max(start_s, most_s)
        self._rate: Final = bytes_per_s
        self._left_s = start_s

    def earn(self, moved_bytes: int) -> None:
        """The peer has moved bytes."""
        if moved_bytes:
            earned_s = moved_bytes / self._rate if self._rate else self._most_s
            self._left_s = min(self._most_s, self._left_s + earned_s)

    def spend(self, seconds: float) -> bool:
        """Time has passed while the peer was to move bytes; whether it has had all that it may take."""
        self._left_s -= seconds
        return self._left_s < 0
