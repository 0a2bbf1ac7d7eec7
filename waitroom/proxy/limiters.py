"""What a guard needs to know of whoever finds a limit from answer times, and how requests are told apart for that.

Law: an observation is a look-up and a call. Kinds of requests are numbers, and there are few: an exam server has a
dozen scripts that matter, and each needs samples. When numbers run out, the rest share number 0.
"""

import sys
from typing import Protocol

from waitroom.admission.limits import KINDS

UNLIMITED = sys.maxsize


class Limiter(Protocol):
    """Finds how many requests a backend can take, from how long they take (admission/limits.py)."""

    workers: int
    """Workers that share the backend."""
    fellows: float | None
    """The mean limit of those others of them that are at theirs; None where nobody is, or it is not known."""

    @property
    def limit(self) -> int:
        """Most requests of this worker at a time, as of now."""

    def observe(self, request_class: int, seconds: float, inflight: int, ok: bool) -> None:
        """A request has been answered, or has failed; with how many at the backend, itself included."""

    def adjust(self, now_ms: int) -> None:
        """About a second has passed."""


class RequestKinds:
    """Numbers for kinds of requests: the method, and the path with its numbers left out."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def number(self, method: bytes, target: bytes) -> int:
        """The number of a request's kind."""
        path = target.partition(b"?")[0]
        name = method + b" " + path.translate(None, b"0123456789")
        number = self._numbers.get(name)
        if number is None:
            if len(self._numbers) >= KINDS - 1:
                return 0
            number = self._numbers[name] = len(self._numbers) + 1
        return number
