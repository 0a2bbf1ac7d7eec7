"""The nouns of a pace: a request asks for its turn, the store answers.

Law: the store's Lua library decides for all workers. While it is away a worker paces alone, by `LonePace`: at its share
of the rate, in the same order, and it never turns anybody away.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from waitroom.admission.tickets import Mac

ASKS, UNANSWERED, ANSWERED, UNSENT = -1, -2, -3, -4
"""Instead of a patience: a page asks, which never passes; what was passed has ended without an answer, or with one; its
visitor had left before it was sent."""

BURST_S = 0.2
"""Of the rate: what may pass at once after a quiet time. Small, since what is paced is expensive: the example of 25
start attempts a second lets 5 in together."""

AGAIN_MS = 1_000
"""A held request asks again so often, and so do pages close to their turn; the same in the library."""

AGAIN_MAX_MS = 30_000
AGAIN_PART = 0.4

LONE_KEEP_MS = 60_000
"""A worker alone remembers a place that nobody asks for, and what was sent, for so long."""

LONE_PLACES = 20_000

IDLE_MS = 10_000
"""After so long without a question a worker alone begins anew: the store was back."""

FORM_BYTES = 9
"""Of a form's digest: 72 bits tell the forms of one visitor apart."""

TOKEN = re.compile(r"([a-z0-9_-]{1,32})\.([A-Za-z0-9_-]{12}|)\.(\d{1,16})\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PaceRules:
    """How fast a pace lets requests pass."""

    rate_milli: int
    burst: int

    @classmethod
    def of(cls, rate_milli: int) -> "PaceRules":
        """Those of a rate."""
        return cls(rate_milli, max(1, int(rate_milli * BURST_S / 1_000)))


class Step(NamedTuple):
    """A request that asks for its turn, or what became of it. `form` "" cannot be sent twice, or not be told apart.

    `since_us`: when it first asked, as it was answered then; 0: now. `patience_ms`: how long it can be held yet (0: not
    at all; 1: no longer, but for a page that was told to send), or one of the words above.
    """

    visitor: str
    form: str
    since_us: int
    patience_ms: int


class Verdict(IntEnum):
    """What a request is to do."""

    HOLD = 0
    """Wait here, and ask again."""
    PAGE = 1
    """Its turn is too far: a page, or a program, is to come back."""
    DIRECT = 2
    """Pass, without having waited."""
    TURN = 3
    """Pass, after a wait."""
    SENT = 4
    """The same form has been sent already, since this one asked first."""
    GO = 5
    """A page's turn is about to come: it may send what it keeps, which is held for the rest."""


class Turn(NamedTuple):
    """The answer to a `Step`: ask again in `next_ms`; the turn comes in about `wait_ms`."""

    verdict: Verdict
    next_ms: int
    wait_ms: int
    since_us: int


class LonePace:
    """What one worker lets pass while the store is away: its share of the rate, one at a time.

    Those who had asked the store come with the time of their first question, and ask at least once a second; so nobody
    passes for that long, and the order is whole by then.
    """

    def __init__(self, rate_milli: int) -> None:
        self._rate = max(1, rate_milli)
        self._order: list[tuple[int, str]] = []
        self._places: dict[str, tuple[int, int]] = {}
        """Of each visitor: since_us, and ms until when somebody is to ask for them."""
        self._sent: dict[tuple[str, str], int] = {}
        self._tokens = 0.0
        """Millionths of a request: ms x requests in 1,000 s, as in the library."""
        self._at_ms = -IDLE_MS

    def ask(self, step: Step, now_ms: int, now_us: int) -> Turn:
        """A request or page asks. `now_ms` never jumps; `now_us` is the time for those who ask first."""
        self._pass_time(now_ms)
        since_us = step.since_us or now_us
        if step.since_us and since_us < self._sent.get(step[:2], 0):
            return Turn(Verdict.SENT, 0, 0, since_us)
        place_us = self._places.get(step.visitor, (since_us, 0))[0]
        ahead = bisect_left(self._order, (place_us, step.visitor))
        wait_ms = max(0, -int(-((ahead + 1) * 1e6 - self._tokens) // self._rate))
        if wait_ms == 0 and step.patience_ms >= 0:
            self._tokens -= 1e6
            self._forget(step.visitor)
            if step.form:
                self._sent[step[:2]] = now_us
            return Turn(Verdict.TURN if step.since_us else Verdict.DIRECT, 0, 0, since_us)
        if wait_ms <= AGAIN_MS and step.patience_ms < 0:
            verdict, next_ms = Verdict.GO, AGAIN_MS
        elif wait_ms <= step.patience_ms:
            verdict, next_ms = Verdict.HOLD, min(wait_ms, AGAIN_MS)
        else:
            verdict, next_ms = Verdict.PAGE, max(AGAIN_MS, min(AGAIN_MAX_MS, int(wait_ms * AGAIN_PART)))
        self._stand(step.visitor, place_us, now_ms + next_ms + AGAIN_MS)
        return Turn(verdict, next_ms, wait_ms, since_us)

    def _pass_time(self, now_ms: int) -> None:
        if now_ms - self._at_ms >= IDLE_MS:
            self._order.clear()
            self._places.clear()
            self._sent.clear()
            self._tokens = 1e6 - AGAIN_MS * self._rate
        else:
            self._tokens = min(1e6, self._tokens + (now_ms - self._at_ms) * self._rate)
        self._at_ms = now_ms
        while self._order and self._places[self._order[0][1]][1] < now_ms:  # only the head could hold others up
            self._forget(self._order[0][1])
        if len(self._sent) > LONE_PLACES:
            self._sent.clear()

    def _stand(self, visitor: str, since_us: int, until_ms: int) -> None:
        if visitor not in self._places:
            if len(self._order) >= LONE_PLACES:
                return
            insort(self._order, (since_us, visitor))
        self._places[visitor] = (since_us, until_ms)

    def _forget(self, visitor: str) -> None:
        place = self._places.pop(visitor, None)
        if place is not None:
            del self._order[bisect_left(self._order, (place[0], visitor))]


class PaceSeal:
    """Signs what a paced page asks with, and names forms. A page that could choose its own time would go first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        derived = [hmac.digest(key, b"waitroom pace", hashlib.sha256) for key in keys]
        self._macs = [Mac(key) for key in derived]
        self._form_key = derived[0]

    def form(self, *parts: bytes) -> str:
        """A name for a form: keyed, so that nobody who reads the store can try what was typed."""
        digest = hashlib.blake2b(digest_size=FORM_BYTES, key=self._form_key)
        for part in parts:
            digest.update(b"%d %b" % (len(part), part))
        return _url_safe(digest.digest())

    def sign(self, pace: str, visitor: str, form: str, since_us: int) -> str:
        """The word with which a visitor's page asks for its turn; all of it may stand in a query."""
        said = f"{pace}.{form}.{since_us}"
        return f"{said}.{self._macs[0].of(f'{visitor} {said}')}"

    def open(self, word: str, visitor: str) -> tuple[str, str, int] | None:
        """Pace, form and time in such a word; None for anything that we did not sign for this visitor."""
        match = TOKEN.fullmatch(word)
        if match is None:
            return None
        said, _, mac = word.rpartition(".")
        if not any(hmac.compare_digest(known.of(f"{visitor} {said}"), mac) for known in self._macs):
            return None
        return match[1], match[2], int(match[3])


def _url_safe(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode()
