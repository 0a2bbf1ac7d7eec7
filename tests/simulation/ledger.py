"""What must be so in the store after all that it has said: the sessions and tickets that nobody can deny.

Law: bounds, no guesses. `sure` is what every reading of the laws must count; `possible` what one may still count. A
store that lost its data owes nothing to those who have not been back; a copy owes what it had when it was taken. The
ledger is fed by facts in the order in which the store made them, and never asks the store.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.simulation.facts import Came, Ended, Fact, LiveSet, Present, RulesSet, Touched

PROVISIONAL_MS, UNCONFIRMED_MS, SLACK_MS, HIDDEN_MS, PAGE_MS = 30_000, 15_000, 5_000, 90_000, 12_000
DUE_MAX_MS = 2 * 61_000 + HIDDEN_MS


class Session(NamedTuple):
    """Somebody holds a slot."""

    backend: str
    admitted_ms: int
    expires_ms: int
    keep_ms: int = 0

    @property
    def provisional(self) -> bool:
        """Whether its cookie has not been seen."""
        return self.expires_ms == self.admitted_ms + PROVISIONAL_MS


UNSWEPT_MS = 75_000
"""What is over is swept away within this: nothing ends in the minute after an outage."""


class Place(NamedTuple):
    """Somebody waits."""

    key: int
    lane: int
    deadline_ms: int
    """Present until then at least."""
    latest_ms: int
    """And at most until then, and a while after an outage."""
    lobby: str
    """The exam in whose lobby it stands, or "" for the line."""


@dataclass(slots=True)
class Ledger:
    """One pool."""

    limits: dict[str, int] = field(default_factory=dict)
    idle_ms: int = 0
    max_ms: int = 0
    rate_milli: int = 0
    burst: int = 0
    live: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    doubtful: dict[str, Session] = field(default_factory=dict)
    """What may live on: over by its time when the clock went back or its backend came back, or let back in there."""
    down_ms: dict[str, int] = field(default_factory=dict)
    """Since when a backend is down: nothing ends there meanwhile."""
    released: set[str] = field(default_factory=set)
    lapsed: set[str] = field(default_factory=set)
    openings: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By exam, the earliest and the latest opening that any worker has spoken of."""
    born_ms: int | None = None
    now_ms: int = 0

    def copy(self) -> "Ledger":
        """As it is now."""
        return deepcopy(self)

    def put_back(self, older: "Ledger") -> None:
        """The store is that of before."""
        for name in self.__slots__:
            setattr(self, name, deepcopy(getattr(older, name)))

    def forget(self) -> None:
        """The store is empty."""
        self.put_back(Ledger())

    def used(self, backend: str, now_ms: int) -> int:
        """Slots of a backend that are taken for sure."""
        from_ms = self._counted_from_ms(backend, now_ms)
        return sum(each.backend == backend and each.expires_ms >= from_ms for each in self.sessions.values())

    def is_open(self, backend: str) -> bool:
        """Whether newcomers may be sent there."""
        return not (self.live.get(f"staff:{backend}") or self.live.get(f"phase:{backend}", "").startswith("down"))

    def has_lapsed(self, visitor: str, now_ms: int) -> bool:
        """Whether somebody's session is known to be over by its time."""
        session = self.sessions.get(visitor)
        return session.expires_ms < now_ms if session else visitor in self.lapsed

    def free(self, now_ms: int) -> int:
        """Slots that may be free at most."""
        return sum(
            max(0, slots - self.used(backend, now_ms))
            for backend, slots in self.limits.items()
            if self.is_open(backend)
        )

    def present(self, now_ms: int) -> Iterator[tuple[str, Place]]:
        """Tickets that stand in the line and are present, for sure."""
        for visitor, place in self.places.items():
            if place.deadline_ms >= now_ms and (not place.lobby or self.openings[place.lobby][1] <= now_ms):
                yield visitor, place

    def possibly_present(self, now_ms: int, lag_ms: int) -> int:
        """How many may stand in the line and count as present."""
        return sum(
            place.latest_ms + lag_ms >= now_ms and (not place.lobby or self.openings[place.lobby][0] <= now_ms)
            for place in self.places.values()
        )

    def possibly_used(self, backend: str, now_ms: int, lag_ms: int) -> int:
        """Slots of a backend that may be taken."""
        from_ms = self._counted_from_ms(backend, now_ms) - lag_ms
        both = (self.doubtful, self.sessions)
        return len(
            {
                visitor
                for sessions in both
                for visitor, each in sessions.items()
                if each.backend == backend and each.expires_ms >= from_ms
            }
        )

    def _counted_from_ms(self, backend: str, now_ms: int) -> int:
        """Sessions of a backend count that are over later than this."""
        return min(now_ms, self.down_ms.get(backend, now_ms))

    def reach(self, now_ms: int) -> None:
        """It is so late by the store's clock."""
        if self.born_ms is None:
            self.born_ms = now_ms
        if now_ms < self.now_ms:
            self._pull_in(now_ms)
        self.now_ms = now_ms

    def note(self, fact: Fact, now_ms: int) -> None:
        """Take a fact in."""
        match fact:
            case RulesSet():
                self.limits, self.idle_ms, self.max_ms = fact.limits, fact.text["idle_ms"], fact.text["max_ms"]
                self.rate_milli, self.burst = fact.text["rate_milli"], fact.text["burst"]
            case LiveSet():
                self.live = {name: value for name, value in (self.live | fact.fields).items() if value}
                self._phases(now_ms)
            case Present():
                self._present(fact, now_ms)
            case Touched(visitor, backend, admitted_ms, keep_ms, life, expires_ms):
                self._touched(visitor, Session(backend, admitted_ms, expires_ms, keep_ms), life, backend)
            case Came(visitor, _, admitted_ms, keep_ms, outcome, at):
                self._came(visitor, Session(at, admitted_ms, now_ms, keep_ms), outcome)
            case Ended(visitor, _):
                self.sessions.pop(visitor, None)
                self.doubtful.pop(visitor, None)
                self.places.pop(visitor, None)
                self.released.add(visitor)
            case _:
                pass

    def _due_ms(self, session: Session, now_ms: int) -> int:
        return max(min(now_ms + self.idle_ms, session.admitted_ms + self.max_ms), session.keep_ms)

    def _phases(self, now_ms: int) -> None:
        """Whoever had a session at a backend that was down has as long again as anybody; not without a cookie."""
        for backend in self.limits:
            if self.live.get(f"phase:{backend}", "").startswith("down"):
                self.down_ms.setdefault(backend, now_ms)
                continue
            from_ms = self.down_ms.pop(backend, None)
            if from_ms is None:
                continue
            for visitor, session in list((self.sessions | self.doubtful).items()):
                if session.backend != backend or session.provisional:
                    continue
                longer = session._replace(expires_ms=max(session.expires_ms, self._due_ms(session, now_ms)))
                if session.expires_ms >= from_ms and visitor not in self.doubtful:
                    self.sessions[visitor] = longer
                else:  # it may have been swept away before
                    self.doubtful[visitor] = longer

    def _came(self, visitor: str, asked: Session, outcome: str) -> None:
        """Somebody waits to come back, which confirms their session, or is back."""
        mine, now_ms = self.sessions.get(visitor), asked.expires_ms
        if outcome == "back" and mine is None:
            self._start(visitor, asked)
        if outcome == "waits" and mine is not None and mine.provisional:
            lives = mine.expires_ms >= self._counted_from_ms(mine.backend, now_ms)
            (self.sessions if lives else self.doubtful)[visitor] = mine._replace(expires_ms=self._due_ms(mine, now_ms))
        if outcome == "back":
            self.doubtful[visitor] = asked._replace(expires_ms=self._due_ms(asked, now_ms))

    def _pull_in(self, now_ms: int) -> None:
        """The clock went back: what was over is over, and no deadline lies further ahead than any call gives."""
        self.down_ms = {name: min(from_ms, now_ms) for name, from_ms in self.down_ms.items()}
        self.doubtful |= {
            name: each for name, each in self.sessions.items() if -UNSWEPT_MS <= each.expires_ms - self.now_ms < 0
        }
        self.sessions = {name: each for name, each in self.sessions.items() if each.expires_ms >= self.now_ms}
        self.places = {name: each for name, each in self.places.items() if each.latest_ms >= self.now_ms - UNSWEPT_MS}
        for sessions in (self.sessions, self.doubtful):
            for visitor, session in sessions.items():
                latest_ms = max(now_ms + self.idle_ms, session.keep_ms)
                sessions[visitor] = session._replace(expires_ms=min(session.expires_ms, latest_ms))
        for visitor, place in self.places.items():
            if place.lobby and self.openings[place.lobby][0] <= self.now_ms:  # in the line until it is heard of again
                self.places[visitor] = place._replace(lobby="", deadline_ms=0)
                continue
            self.places[visitor] = place._replace(
                deadline_ms=min(place.deadline_ms, now_ms + DUE_MAX_MS) if place.deadline_ms >= self.now_ms else 0
            )

    def _start(self, visitor: str, session: Session) -> None:
        self.sessions[visitor] = session
        self.places.pop(visitor, None)
        self.released.discard(visitor)
        self.lapsed.discard(visitor)

    def _touched(self, visitor: str, session: Session, life: str, backend: str) -> None:
        mine = self.sessions.get(visitor)
        if life == "live":
            admitted_ms = mine.admitted_ms if mine and mine.backend == backend else session.admitted_ms
            self._start(visitor, session._replace(admitted_ms=admitted_ms))
        elif mine is not None and mine.backend == backend:
            del self.sessions[visitor]
        if life == "lapsed" and (mine is None or mine.backend == backend):
            self.lapsed.add(visitor)

    def _present(self, fact: Present, now_ms: int) -> None:
        if fact.exam and fact.opens_ms:
            first, last = self.openings.get(fact.exam, (fact.opens_ms, fact.opens_ms))
            self.openings[fact.exam] = min(first, fact.opens_ms), max(last, fact.opens_ms)
        if fact.state == "admitted":
            if not fact.repeated:
                self._start(fact.visitor, Session(fact.backend, fact.admitted_ms, now_ms + PROVISIONAL_MS))
            return
        if fact.confirmed:
            deadline_ms = now_ms + fact.poll_ms + max(SLACK_MS, fact.poll_ms)
            latest_ms = deadline_ms + (HIDDEN_MS if fact.hidden else PAGE_MS if fact.page else 0)
        else:
            deadline_ms = latest_ms = now_ms + UNCONFIRMED_MS
        lobby = fact.exam if fact.opens_ms > now_ms else ""
        if self.sessions.pop(fact.visitor, None):
            self.lapsed.add(fact.visitor)
        self.places[fact.visitor] = Place(fact.key, fact.lane, deadline_ms, latest_ms, lobby)
