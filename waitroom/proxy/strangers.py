"""How many requests a backend has of visitors without a pass (`bypass`), and who of them goes when others wait.

Laws. They are a part of what a backend has at a time, and students inside have the rest whatever strangers do: a
stranger's request is counted from before it waits for a place (guard.py) to its end, also while it only streams. Who
streams goes when others wait here, whoever has streamed longest first: nobody keeps the door shut by standing in it,
and a sign-on takes a moment. No more idle connections are kept for strangers than requests.

What a request of Apache's or PHP's costs is a thread, and a body that trickles keeps one for as long as it likes: 500
strangers had all 150 of an Apache, whose health check then failed, and the exam was over.
"""

from typing import Protocol

from waitroom.proxy.guard import Guard

STRANGERS = 32
"""Requests of strangers that a backend has where nobody has said what it can take. Apache's default is 150 threads; and
1,400 students who come back from their sign-on within a minute are 24 a second."""

PART = 4
"""A quarter of what it can take, where that is known."""


def part_of(limit: int) -> int:
    """How many of so many requests may be of strangers."""
    return max(1, limit // PART)


class Streamer(Protocol):
    """A request of a stranger that does nothing but stream."""

    def make_room(self) -> None:
        """End: others wait."""


class Strangers:
    """The strangers of one backend in one worker."""

    def __init__(self) -> None:
        self.line = Guard(STRANGERS)
        """Places of strangers; whether there is one is for the caller to look at, as in guard.py."""
        self._streamers: dict[Streamer, None] = {}
        """Those that only stream; longest first."""

    def streams(self, streamer: Streamer, *, on: bool) -> None:
        """One does nothing but stream from now on, or has more to do again, or is over."""
        if on:
            self._streamers[streamer] = None
        else:
            self._streamers.pop(streamer, None)

    def make_room(self) -> None:
        """A second has passed: streams end for those who wait."""
        for streamer in list(self._streamers)[: self.line.waiting]:
            streamer.make_room()
