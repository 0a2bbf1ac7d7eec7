"""Judges a run: hands every fact to every law, follows what browsers were told, and keeps the story.

Law: it sees what the wire and the browsers show, and changes nothing. A run is good if nobody complains; what is
complained of is told with its instant, and the story around it can be read.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tests.simulation.browsers import Answer, Browser
from tests.simulation.facts import Came, Fact, LiveSet, Present, Touched, cut_ms, read
from tests.simulation.laws import Case, Law, all_laws
from tests.simulation.ledger import Ledger
from tests.simulation.storehouse import Asked
from tests.simulation.students import Student
from waitroom.admission.view import ticket_code

SETTLES_S = 80.0
"""After a disturbance: mercy for a minute, then the sweeps."""

AT_WORK_S = 60.0
"""Who has used a session so recently cannot have lost it by being idle."""

MOST_COMPLAINTS = 20


AT_A_BAR = ("down", "returning")
"""What its students are told then."""

BARRED = ("down", "recovering")
"""What a backend may be that keeps out its own students."""

KNOWN_S = 2.0
"""What a backend is, all workers know within this."""


class Clock(Protocol):
    """Who knows the time."""

    def time(self) -> float:
        """Seconds since the run began."""


NOT_LOADED = "Function not found"
"""What a store says that was emptied, until somebody brings the library again."""


class Complaint(NamedTuple):
    """A law was broken."""

    at_s: float
    law: str
    what: str

    def __str__(self) -> str:
        """As it stands in a story."""
        return f"{self.at_s:9.3f} s  law {self.law}: {self.what}"


@dataclass(slots=True)
class _Way:
    """What a backend is, and who may go there."""

    phase: str = "up"
    since: str = ""
    from_s: float = 0.0
    back: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Referee:
    """Of one run."""

    clock: Clock
    ledger: Ledger = field(default_factory=Ledger)
    complaints: list[Complaint] = field(default_factory=list)
    lines: list[tuple[float, str, str]] = field(default_factory=list)
    """The story: when, who, what."""
    calls: int = 0
    facts: int = 0
    laws: list[Law] = field(default_factory=all_laws)
    settled_from_s: float = SETTLES_S
    excused_from_s: float = 0.0
    """Backends fail, or are held: who works is interrupted, and nobody is to blame."""
    _ways: dict[str, "_Way"] = field(default_factory=dict)
    _lost_ms: int = 0
    """When the store was not what it had been: who was let back in before that is not known."""
    _names: dict[str, str] = field(default_factory=dict)
    """Students by the code that their pages show."""
    _arrivals: dict[str, str] = field(default_factory=dict)

    def now_s(self) -> float:
        """The time."""
        return self.clock.time()

    def tell(self, who: str, what: str) -> None:
        """A line of the story."""
        self.lines.append((self.clock.time(), who, what))

    def complain(self, law: str, what: str) -> None:
        """A law is broken."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(Complaint(self.clock.time(), law, what))
        self.tell("REFEREE", f"law {law} is broken: {what}")

    # The store

    def disturbed(self, until_s: float = 0.0) -> None:
        """Time is needed until sweeps and deadlines can be relied on again."""
        self.settled_from_s = max(self.settled_from_s, max(self.clock.time(), until_s) + SETTLES_S)

    def lost(self, *, empty: bool) -> None:
        """The store lost its data, went back, or its clock jumped."""
        self.disturbed()
        self._ways.clear()
        self._lost_ms = self.ledger.now_ms
        if empty:
            self.ledger.forget()
        for law in self.laws:
            law.lost(empty=empty)

    def watch(self, asked: Asked) -> None:
        """A call was done."""
        self.calls += 1
        if isinstance(asked.reply, Exception) and NOT_LOADED not in str(asked.reply):
            self.complain("0 no error", f"{asked.function} answers: {asked.reply}")
        self.ledger.reach(asked.now_ms)
        if cut_ms(asked):
            self.disturbed()
        for fact in read(asked):
            self.facts += 1
            case = Case(self.ledger, asked.now_ms, self.clock.time() >= self.settled_from_s)
            for law in self.laws:
                for what in law.judge(fact, case):
                    self.complain(law.name, what)
            self._follow_ways(fact)
            self._narrate(fact)
            self.ledger.note(fact, asked.now_ms)

    def _narrate(self, fact: Fact) -> None:
        match fact:
            case Present() if fact.state == "admitted" and not fact.repeated:
                self.tell("store", f"lets {fact.visitor} in to {fact.backend}")
            case Present() if not fact.asked_us and fact.visitor not in self.ledger.places:
                self.tell("store", f"gives {fact.visitor} place {fact.ahead + 1} ({fact.state})")
            case Touched() if fact.life != "live":
                self.tell("store", f"says that the session of {fact.visitor} is {fact.life}")
            case _:
                pass

    def _follow_ways(self, fact: Fact) -> None:
        """Who has been let back in to a backend since it was down."""
        match fact:
            case LiveSet(fields):
                for field_, value in fields.items():
                    about, _, backend = field_.partition(":")
                    if about == "phase":
                        phase, since = (value.split() or ["up"])[0], (value.split() or ["", ""])[1]
                        way = self._ways.get(backend)
                        if way is None or (way.phase, way.since) != (phase, since):
                            self._ways[backend] = _Way(phase, since, self.clock.time())
            case Came(visitor, _, _, _, "back", at):
                self._ways.setdefault(at, _Way()).back.add(visitor)
            case Present() if fact.state == "admitted":
                self._ways.setdefault(fact.backend, _Way()).back.add(fact.visitor)
            case _:
                pass

    def reached(self, visitor: str, backend: str, *, alone: bool) -> None:
        """A request with a pass is sent to its backend: not to one that is down or comes back, unless it may (law 7).

        `alone`: a worker may have had to decide without the store; whoever went on then goes on.
        """
        way = self._ways.get(backend)
        if way is None or way.phase not in BARRED or visitor in way.back or int(way.since) <= self._lost_ms:
            return
        if alone:
            way.back.add(visitor)
            return
        if self.clock.time() >= max(way.from_s + KNOWN_S, self.settled_from_s):
            self.complain("7 way back", f"{visitor} reaches {backend}, which is {way.phase}, and was not let back in")

    # Browsers

    def told(self, browser: Browser, answer: Answer) -> None:
        """What a browser was told: its place must stay its own for as long as it keeps its cookie."""
        said = answer.said
        if answer.inside or not said.get("code") or not browser.keeps_cookies:
            return
        code, arrived = said["code"], said["arrived_at"]
        if code not in self._names:
            self._names[code] = browser.name
            self.tell(browser.name, f"gets a place in line ({answer.state}, {said['position'] or 'position unknown'})")
        before = self._arrivals.get(code)
        used_up = any(ticket_code(visitor) == code for visitor in self.ledger.released)  # and a late poll asks again
        if before not in (None, arrived) and not used_up:
            self.complain("5 places", f"{browser.name}'s place was from {before}, and now from {arrived}")
        self._arrivals[code] = arrived

    def did(self, name: str, what: str) -> None:
        """A student did something of their own will."""
        self.tell(name, what)

    def went_in(self, student: Student, backend: str) -> None:
        """Somebody sees the exam."""
        self.tell(student.name, f"sees the exam on {backend}")

    def interrupted(self, student: Student, answer: Answer | None, idle_s: float) -> None:
        """Whoever works goes on working, whatever happens to the store (laws 6 and 9)."""
        if answer is None:
            return
        self.tell(student.name, f"is interrupted: {answer.state or answer.status}")
        lapsed = self.ledger.has_lapsed(student.browser.visitor, self.ledger.now_ms)  # law 10
        phases = [value.split()[0] for name, value in self.ledger.live.items() if name.startswith("phase:")]
        barred = answer.state in AT_A_BAR and any(phase in BARRED for phase in phases)
        excused = lapsed or barred or self.clock.time() < self.excused_from_s
        if idle_s < AT_WORK_S and not excused:
            self.complain("9 work goes on", f"{student.name} was at work, and is told {answer.state or answer.status}")
