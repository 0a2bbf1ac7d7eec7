"""The laws of admission (DESIGN.md section 5), each as a checker that knows the ledger and what was just said.

Law: a checker complains only where no reading of what is known excuses the product. Bounds that time has not settled
yet (after an outage nothing expires for a minute, and sweeps come late) are not held against it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tests.simulation.facts import RETURN, Came, Fact, LiveSet, Present, Seen, Touched
from tests.simulation.ledger import Ledger

OPENING_MS = 60_000
"""After an opening people enter at a rate, also where none is configured."""

SWEPT_MS = 9_000
"""What has ended is gone from the store by then: a lease of 5 s, a turn a second, and the calls of a slow store."""

RESTORE_MS = 60_000
POLL_MS = (1_500, 31_000)
RATE_SLACK = 1.001


@dataclass(slots=True)
class Case:
    """What is known when a fact is judged: the ledger is as it was before the fact."""

    ledger: Ledger
    now_ms: int
    settled: bool
    """Nothing has disturbed the store, its clock or the sweeps for a while."""


class Law(Protocol):
    """One law."""

    name: str

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """What is wrong with a fact."""

    def lost(self, *, empty: bool) -> None:
        """The store has lost everything (`empty`), or went back to an older state, or its clock jumped."""


def admitted(fact: Fact) -> bool:
    """Whether this is a new admission through the line."""
    return isinstance(fact, Present) and fact.state == "admitted" and not fact.repeated


class _Memoryless:
    def lost(self, *, empty: bool) -> None:
        """Nothing is remembered here."""


class CapHolds(_Memoryless):
    """Law 1: never more than max_sessions, but for those who were in before."""

    name = "1 cap"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Count the slots that are taken for sure, this one included."""
        if isinstance(fact, Present) and admitted(fact) and fact.lane != RETURN:
            used = case.ledger.used(fact.backend, case.now_ms) + (fact.visitor not in case.ledger.sessions)
            limit = case.ledger.limits.get(fact.backend, 0)
            if used > limit:
                yield f"{fact.visitor} is let in to {fact.backend} as number {used} of {limit}"
            elif not case.ledger.is_open(fact.backend):
                yield f"{fact.visitor} is let in to {fact.backend}, which takes nobody"


class NobodyOvertaken(_Memoryless):
    """Laws 2 and 3: who enters has no more present people before them than there are free slots."""

    name = "2 order"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Count those who stand before and are present for sure."""
        if not isinstance(fact, Present) or not admitted(fact):
            return
        before = [
            visitor
            for visitor, place in case.ledger.present(case.now_ms)
            if place.key < fact.key and visitor != fact.visitor
        ]
        free = case.ledger.free(case.now_ms)
        if before and len(before) >= free:
            yield f"{fact.visitor} overtakes {before[0]} and {len(before) - 1} others, with {free} slots free"


class NewcomersWait(_Memoryless):
    """Law 4: a newcomer passes straight in only if nobody waits."""

    name = "4 newcomers"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Somebody without a ticket and without a place."""
        if not isinstance(fact, Present) or not admitted(fact) or fact.asked_us:
            return
        if fact.visitor in case.ledger.places:
            return
        waiting = [visitor for visitor, _ in case.ledger.present(case.now_ms)]
        if waiting:
            yield f"{fact.visitor} comes and goes straight in, while {waiting[0]} and {len(waiting) - 1} others wait"


class NoIdleSlot(_Memoryless):
    """Law 3: whoever has fewer people before them than there are free slots and tokens is let in."""

    name = "3 no idle slot"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Only where nothing excuses a wait: no rate, no hold, no ramp, no opening just now, everything settled."""
        ledger = case.ledger
        if not isinstance(fact, Present) or fact.state != "waiting" or not case.settled:
            return
        if ledger.rate_milli or not fact.may_enter or not fact.asked_us or ledger.live:
            return
        instants = [instant for earliest_and_latest in ledger.openings.values() for instant in earliest_and_latest]
        if any(0 <= case.now_ms - instant < OPENING_MS for instant in instants):
            return
        free = sum(
            max(0, slots - ledger.possibly_used(name, case.now_ms, SWEPT_MS)) for name, slots in ledger.limits.items()
        )
        if fact.ahead < free:
            yield f"{fact.visitor} waits behind {fact.ahead} while {free} slots are free"


class SameAnswerTwice(_Memoryless):
    """Law 5: whoever is in is told so again, with the same words; a place keeps its key."""

    name = "5 idempotence"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Compare with what was said before."""
        if not isinstance(fact, Present):
            return
        session = case.ledger.sessions.get(fact.visitor)
        if session is not None and session.expires_ms >= case.now_ms and session.backend in case.ledger.limits:
            if fact.state != "admitted":
                yield f"{fact.visitor} is in for {session.expires_ms - case.now_ms} ms more, and told {fact.state}"
            elif (fact.backend, fact.admitted_ms) != session[:2]:
                yield f"{fact.visitor} was told {session[:2]} and now {fact.backend, fact.admitted_ms}"
            return
        if fact.asked_us and fact.visitor not in case.ledger.released and fact.arrival_us != fact.asked_us:
            yield f"{fact.visitor} shows the arrival {fact.asked_us} and is told {fact.arrival_us}"


class NeverBackToTheLine(_Memoryless):
    """Law 6: until the exam ends, who was admitted to it is not sent back."""

    name = "6 retention"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """A pass of an exam that runs."""
        if not isinstance(fact, Touched | Came) or fact.keep_ms <= case.now_ms:
            return
        elsewhere = case.ledger.sessions.get(fact.visitor)
        if fact.visitor in case.ledger.released or (elsewhere and elsewhere.backend != fact.backend):
            return
        said = fact.life if isinstance(fact, Touched) else fact.outcome
        if said == "lapsed":
            yield f"{fact.visitor} was admitted to an exam that runs, and has lost the session"


class SessionsEndByRule(_Memoryless):
    """Law 8: no session ends early, and none lives on."""

    name = "8 ends"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """A used pass, and what the store counts."""
        ledger, now_ms = case.ledger, case.now_ms
        if isinstance(fact, Touched) and fact.life != "live":
            session = ledger.sessions.get(fact.visitor)
            if session and session.backend == fact.backend and session.expires_ms > now_ms:
                yield f"{fact.visitor}'s session had {session.expires_ms - now_ms} ms left, and is told {fact.life}"
        if isinstance(fact, Touched) and fact.life == "live":
            mine = ledger.sessions.get(fact.visitor)
            admitted_ms = mine.admitted_ms if mine else fact.admitted_ms
            due_ms = max(min(now_ms + ledger.idle_ms, admitted_ms + ledger.max_ms), fact.keep_ms)
            if ledger.limits and fact.expires_ms != due_ms:
                yield f"{fact.visitor}'s session is to end {fact.expires_ms - due_ms} ms off"
        if isinstance(fact, Seen):
            for backend, count in fact.sessions.items():
                least, most = ledger.used(backend, now_ms), ledger.possibly_used(backend, now_ms, SWEPT_MS)
                if count < least:
                    yield f"{backend} has {count} sessions, and {least} have been promised"
                if case.settled and count > most:
                    yield f"{backend} has {count} sessions, of which only {most} can be"


@dataclass(slots=True)
class FreezeAfterLoss:
    """Law 9: once a ticket proves that the store lost its data, nobody enters for a restore window."""

    name: str = "9 freeze"
    proven: bool = False
    empty: bool = False

    def lost(self, *, empty: bool) -> None:
        """Another life of the store begins; if only its clock jumped, nothing can be said of this one any more."""
        self.proven, self.empty = False, empty

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Look for the proof, then for admissions."""
        born_ms = case.ledger.born_ms
        if born_ms is None or not self.empty or case.now_ms >= born_ms + RESTORE_MS or case.now_ms < born_ms:
            return
        if isinstance(fact, Present) and admitted(fact) and fact.lane != RETURN and self.proven:
            left_ms = born_ms + RESTORE_MS - case.now_ms
            yield f"{fact.visitor} is let in {left_ms} ms before the line can be whole again"
        if isinstance(fact, Present) and fact.visitor not in case.ledger.sessions and not fact.repeated:
            self.proven |= 0 < fact.asked_us < born_ms * 1000
        if isinstance(fact, Touched) and fact.life == "live" and fact.visitor not in case.ledger.sessions:
            self.proven |= fact.admitted_ms < born_ms


class ProvisionalPlacesLapse(_Memoryless):
    """Laws 3 and 10: those are counted who are present; who never sent the cookie back is not."""

    name = "10 presence"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """What the store counts, and what it tells."""
        ledger, now_ms = case.ledger, case.now_ms
        if isinstance(fact, Seen):
            least = sum(not place.lobby for _, place in ledger.present(now_ms))  # to look opens no lobby
            most = ledger.possibly_present(now_ms, SWEPT_MS)
            if fact.waiting < least:
                yield f"{fact.waiting} wait, and {least} are present"
            if case.settled and fact.waiting > most:
                yield f"{fact.waiting} wait, of whom only {most} can be present"
        if isinstance(fact, Present) and fact.state == "waiting":
            least = sum(place.key < fact.key and visitor != fact.visitor for visitor, place in ledger.present(now_ms))
            if fact.ahead < least:
                yield f"{fact.visitor} is told {fact.ahead} ahead, and {least} are"


class PollsInBounds(_Memoryless):
    """Law 11: the next poll is neither too soon nor too late."""

    name = "11 polls"

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """In line between 1.5 and 31 s; in a lobby not long after the opening."""
        if not isinstance(fact, Present) or fact.state == "admitted":
            return
        opens_in_ms = max(0, fact.opens_ms - case.now_ms) if fact.exam else 0
        least, most = POLL_MS[0], POLL_MS[1] + min(opens_in_ms, POLL_MS[1])
        if not (least if not opens_in_ms else 0) <= fact.poll_ms <= most:
            yield f"{fact.visitor} ({fact.state}) is told to ask again after {fact.poll_ms} ms"


@dataclass(slots=True)
class RateHolds:
    """Law 3: no more are let in than the bucket has given, which begins full."""

    name: str = "3 rate"
    begun: tuple[int, int, int] | None = None
    count: int = 0

    def lost(self, *, empty: bool) -> None:
        """Begin to count anew."""
        del empty
        self.begun = None

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Count from the first admission on: burst + rate x time."""
        if not isinstance(fact, Present) or not admitted(fact) or not case.ledger.rate_milli:
            return
        rate, burst = case.ledger.rate_milli, case.ledger.burst
        if self.begun is None or self.begun[1:] != (rate, burst):
            self.begun, self.count = (case.now_ms, rate, burst), 0
        self.count += 1
        most = burst + (case.now_ms - self.begun[0]) * rate / 1e6 * RATE_SLACK
        if self.count > most + 1e-6:
            yield f"{fact.visitor} is number {self.count} since {self.begun[0]}, and the rate allows {most:.2f}"


@dataclass(slots=True)
class _Ramp:
    """What a ramp has let in, and could at most."""

    since: str
    at_ms: int
    rate_milli: int
    tokens: float = 1.0
    let_in: set[str] = field(default_factory=set)


@dataclass(slots=True)
class RampHolds:
    """Law 7: to a backend that comes back no more are let in than its ramp has given, which begins with one."""

    name: str = "7 ramp"
    ramps: dict[str, _Ramp] = field(default_factory=dict)

    def lost(self, *, empty: bool) -> None:
        """Nothing can be said of a ramp that an older store knows otherwise."""
        del empty
        self.ramps.clear()

    def judge(self, fact: Fact, case: Case) -> Iterator[str]:
        """Count who is let in, each once, against what the rates that were told add up to."""
        if isinstance(fact, LiveSet):
            for field_, value in fact.fields.items():
                if field_.startswith("phase:"):
                    self._turn(field_.removeprefix("phase:"), value.split(), case.now_ms)
            return
        backend = ""
        if isinstance(fact, Present) and admitted(fact):
            backend = fact.backend
        elif isinstance(fact, Came) and fact.outcome == "back":
            backend = fact.at
        ramp = self.ramps.get(backend)
        if ramp is None or not isinstance(fact, Present | Came) or fact.visitor in ramp.let_in:
            return
        self._fill(ramp, case.now_ms)
        ramp.let_in.add(fact.visitor)
        if len(ramp.let_in) > ramp.tokens * RATE_SLACK + 1e-6:
            yield f"{fact.visitor} is number {len(ramp.let_in)} back at {backend}, whose ramp gave {ramp.tokens:.2f}"

    def _turn(self, backend: str, words: list[str], now_ms: int) -> None:
        if not words or words[0] not in ("recovering", "easing"):
            self.ramps.pop(backend, None)
            return
        ramp = self.ramps.get(backend)
        if ramp is None or ramp.since != words[1]:
            self.ramps[backend] = _Ramp(words[1], now_ms, int(words[2]))
            return
        self._fill(ramp, now_ms)
        ramp.rate_milli = int(words[2])

    @staticmethod
    def _fill(ramp: _Ramp, now_ms: int) -> None:
        ramp.tokens += max(0, now_ms - ramp.at_ms) * ramp.rate_milli / 1e6
        ramp.at_ms = max(ramp.at_ms, now_ms)


def all_laws() -> list[Law]:
    """Every law that can be held against the store today. New ones go here: paces, draws, lanes."""
    return [
        CapHolds(),
        NobodyOvertaken(),
        NoIdleSlot(),
        RateHolds(),
        RampHolds(),
        NewcomersWait(),
        SameAnswerTwice(),
        NeverBackToTheLine(),
        SessionsEndByRule(),
        FreezeAfterLoss(),
        ProvisionalPlacesLapse(),
        PollsInBounds(),
    ]
