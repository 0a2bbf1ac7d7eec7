"""The laws of admission as plainly as they can be said, to check the library against: lists, no cleverness, no store.

It says who may enter and what is counted. When a visitor polls next is the library's to choose; the model takes its
word and derives presence from it.
"""

from dataclasses import dataclass, field

from waitroom.admission.line import Lane, Presence, Rules, Standing, State, Touch, Touched
from waitroom.admission.order import lane_of, order_key

PROVISIONAL_MS, UNCONFIRMED_MS, SLACK_MS, HIDDEN_MS = 30_000, 15_000, 5_000, 90_000
OPENING_MILLI, OPENING_MS = 200_000, 60_000


@dataclass
class Ticket:
    key: int
    confirmed: bool
    deadline_ms: int


@dataclass
class Session:
    backend: str
    admitted_ms: int
    expires_ms: int
    keep_ms: int = 0


@dataclass
class Model:
    rules: Rules
    opens_ms: dict[str, int]
    awake: dict[str, Ticket] = field(default_factory=dict)
    lobby: dict[str, dict[str, Ticket]] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)
    absent_lobby: dict[str, dict[str, int]] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    lapsed: dict[str, int] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)
    used_places: dict[str, int] = field(default_factory=dict)
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    """How a visitor's last wait that has ended did, and for which exam."""
    exams: dict[str, str] = field(default_factory=dict)
    tokens: int = 0
    tokens_at_ms: int | None = None
    opened_ms: int | None = None
    owed: int = 0
    """To the priority lane, in hundredths of a turn: it goes next if this is not negative."""
    totals: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.totals[what] = self.totals.get(what, 0) + 1

    def used(self, backend: str) -> int:
        return sum(session.backend == backend for session in self.sessions.values())

    def free(self) -> int:
        return sum(max(0, one.max_sessions - self.used(one.name)) for one in self.rules.backends if one.open)

    def pace(self, now_ms: int) -> tuple[int, int]:
        """Admissions in 1,000 s (0: any number), and millionths of one that may gather."""
        opening = self.opened_ms is not None and now_ms - self.opened_ms < OPENING_MS
        if opening and not self.rules.rate_milli:
            return OPENING_MILLI, OPENING_MILLI * 1_000
        return self.rules.rate_milli, self.rules.burst * 1_000_000

    def fill(self, now_ms: int) -> None:
        rate, cap = self.pace(now_ms)
        if not rate:
            return
        earned = rate * max(0, now_ms - (self.tokens_at_ms or 0))
        self.tokens = cap if self.tokens_at_ms is None else min(cap, self.tokens + earned)
        self.tokens_at_ms = now_ms

    def may_enter(self, now_ms: int) -> int:
        if self.rules.held:
            return 0
        return min(self.free(), self.tokens // 1_000_000) if self.pace(now_ms)[0] else self.free()

    # Turns

    def ahead(self, tickets: dict[str, Ticket], visitor: str, key: int) -> int:
        """How many go in before this one, by letting all go in, one after the other."""
        keys = {name: ticket.key for name, ticket in tickets.items()} | {visitor: key}
        lanes: list[list[str]] = [[], [], []]
        for name, each in sorted(keys.items(), key=lambda pair: (pair[1], pair[0])):
            lanes[lane_of(each)].append(name)
        order, first, rest = lanes
        owed, percent = self.owed, self.rules.priority_percent
        while first and rest:
            order.append(first.pop(0) if owed >= 0 else rest.pop(0))
            owed += percent - 100 if owed >= 0 else percent
        return [*order, *first, *rest].index(visitor)

    def take_turn(self, lane: Lane) -> None:
        """After an admission: a turn that nobody could take is owed to nobody."""
        lanes = [lane_of(ticket.key) for ticket in self.awake.values()]
        percent = self.rules.priority_percent
        if lane is Lane.PRIORITY:
            self.owed = max(self.owed + percent - 100, -percent * lanes.count(Lane.STANDARD))
        elif lane is Lane.STANDARD:
            self.owed = min(self.owed + percent, max(0, 100 * lanes.count(Lane.PRIORITY) + percent - 100))

    # Time

    def open_and_expire(self, now_ms: int, *, lobbies: bool = False) -> None:
        for exam, opens_ms in self.opens_ms.items():
            if opens_ms <= now_ms:
                if self.lobby.get(exam):
                    self.begin_slowly(now_ms)
                self.awake |= self.lobby.pop(exam, {})
                self.absent |= self.absent_lobby.pop(exam, {})
        self.expire_sessions(now_ms)
        self.expire_tickets(self.awake, self.absent, now_ms)
        if lobbies:
            for exam, tickets in self.lobby.items():
                self.expire_tickets(tickets, self.absent_lobby.setdefault(exam, {}), now_ms)

    def begin_slowly(self, now_ms: int) -> None:
        self.fill(now_ms)
        self.tokens = min(self.tokens, 1_000_000) if self.pace(now_ms)[0] else 1_000_000
        self.opened_ms = self.tokens_at_ms = now_ms

    def expire_sessions(self, now_ms: int, backends: frozenset[str] | None = None) -> None:
        for visitor, session in list(self.sessions.items()):
            if session.expires_ms < now_ms and (backends is None or session.backend in backends):
                del self.sessions[visitor]
                self.lapsed[visitor] = now_ms
                self.count("lapsed")

    @staticmethod
    def expire_tickets(present: dict[str, Ticket], absent: dict[str, int], now_ms: int) -> None:
        for visitor, ticket in list(present.items()):
            if ticket.deadline_ms < now_ms:
                del present[visitor]
                if ticket.confirmed:
                    absent[visitor] = now_ms

    def sweep(self, now_ms: int) -> None:
        self.open_and_expire(now_ms, lobbies=True)
        for absent in (self.absent, *self.absent_lobby.values()):
            for visitor, since_ms in list(absent.items()):
                if since_ms <= now_ms - self.rules.absence_grace_ms:
                    del absent[visitor]
                    self.ended[visitor] = ("left", self.exams[visitor])
                    self.count("absent")

    # Visitors

    def present(self, presence: Presence, told: Standing) -> None:
        """Check what a visitor was told, then let it have happened."""
        visitor, now_ms = presence.visitor, told.now_ms
        self.exams[visitor] = presence.exam
        if visitor in self.sessions:
            session = self.sessions[visitor]
            assert (told.state, told.backend) == (State.ADMITTED, session.backend), "law 5"
            assert told.repeated
            assert told.admitted_ms == session.admitted_ms
            return
        key, newcomer = self.key(presence, told)
        if presence.exam and self.opens_ms[presence.exam] > now_ms:
            self.wait_in_lobby(presence, told, key)
            return
        ahead = self.ahead(self.awake, visitor, key)
        others = len(self.awake.keys() - {visitor})
        room = self.may_enter(now_ms)
        enters = presence.may_enter and (others == 0 and room > 0 if newcomer else ahead < room)
        assert (told.state is State.ADMITTED) == enters, (presence, told, ahead, others, room)
        if enters:
            self.admit(presence, told, newcomer=newcomer)
            return
        assert told.ahead == ahead, "position counts present tickets only"
        self.forget(visitor)
        self.awake[visitor] = self.ticket(presence, told, key)
        assert told.waiting == len(self.awake)
        assert told.state is (State.HELD if self.rules.held else self.waiting_word(presence))

    @staticmethod
    def waiting_word(presence: Presence) -> State:
        return State.RETURNING if presence.lane is Lane.RETURN else State.WAITING

    def key(self, presence: Presence, told: Standing) -> tuple[int, bool]:
        """The order key (law 2) and whether this is somebody new."""
        used_up = presence.visitor in self.released or presence.visitor in self.used_places
        if presence.arrival_us and not used_up:
            assert told.arrival_us == presence.arrival_us
            return order_key(presence.lane, presence.order_us or presence.arrival_us), False
        known = self.used_places.get(presence.visitor)
        if used_up and known == told.arrival_us:
            return order_key(presence.lane, told.arrival_us), False
        assert told.arrival_us > self.totals.get("last arrival", 0), "arrivals never go backwards"
        self.totals["last arrival"] = told.arrival_us
        if used_up:
            self.used_places[presence.visitor] = told.arrival_us
        else:
            self.count("arrivals")
        in_lobby = self.opens_ms.get(presence.exam, 0) > told.now_ms
        return order_key(presence.lane, presence.order_us if presence.order_us and in_lobby else told.arrival_us), True

    def ticket(self, presence: Presence, told: Standing, key: int) -> Ticket:
        if not presence.confirmed:
            assert 0 < told.next_poll_ms < UNCONFIRMED_MS, "an honest browser confirms before its ticket is dropped"
            return Ticket(key, False, told.now_ms + UNCONFIRMED_MS)
        slack_ms = max(SLACK_MS, told.next_poll_ms) + (HIDDEN_MS if presence.hidden else 0)
        return Ticket(key, True, told.now_ms + told.next_poll_ms + slack_ms)

    def wait_in_lobby(self, presence: Presence, told: Standing, key: int) -> None:
        assert told.state is (State.HELD if self.rules.held else State.LOBBY)
        self.forget(presence.visitor)
        lobby = self.lobby.setdefault(presence.exam, {})
        lobby[presence.visitor] = self.ticket(presence, told, key)
        assert told.ahead == self.ahead(lobby, presence.visitor, key)
        assert told.waiting == len(lobby)

    def admit(self, presence: Presence, told: Standing, *, newcomer: bool) -> None:
        shares = {
            one.name: (one.max_sessions - self.used(one.name)) / one.max_sessions
            for one in self.rules.backends
            if one.open and self.used(one.name) < one.max_sessions
        }
        assert shares.get(told.backend) == max(shares.values()), "law 1, and the least loaded backend"
        self.forget(presence.visitor)
        for ended in (self.lapsed, self.released, self.used_places):
            ended.pop(presence.visitor, None)
        self.ended[presence.visitor] = ("admitted", presence.exam)
        self.sessions[presence.visitor] = Session(told.backend, told.now_ms, told.now_ms + PROVISIONAL_MS)
        self.tokens -= 1_000_000 if self.pace(told.now_ms)[0] else 0
        self.take_turn(presence.lane)
        way = "return" if presence.lane is Lane.RETURN else "direct" if newcomer else "line"
        self.count(way)

    def leave(self, visitor: str) -> bool:
        stood = self.forget(visitor)
        if stood:
            self.ended[visitor] = ("left", self.exams[visitor])
            self.count("left")
        return stood

    def dismiss(self, visitor: str, now_ms: int) -> int:
        """Staff end what a visitor has: a session (2), a place (1); whatever it is, it is used up."""
        if self.sessions.pop(visitor, None):
            self.count("released")
            self.released[visitor] = now_ms
            return 2
        if not self.leave(visitor):
            return 0
        self.lapsed.pop(visitor, None)
        self.released[visitor] = now_ms
        return 1

    def waits(self) -> dict[str, tuple[str, str]]:
        """The latest wait of each visitor: its outcome and exam. Who has not sent the cookie back waits for nothing."""
        present = [self.awake, *self.lobby.values()]
        waiting = {visitor for place in present for visitor, ticket in place.items() if ticket.confirmed}
        waiting.update(self.absent, *self.absent_lobby.values())
        return self.ended | {visitor: ("waiting", self.exams[visitor]) for visitor in waiting}

    def forget(self, visitor: str) -> bool:
        places = [self.awake, self.absent, *self.lobby.values(), *self.absent_lobby.values()]
        return sum(place.pop(visitor, None) is not None for place in places) > 0

    def touch(self, touch: Touch, told: Touched, now_ms: int) -> None:
        session = self.sessions.get(touch.visitor)
        admitted_ms = session.admitted_ms if session else touch.admitted_ms
        expires_ms = max(
            min(now_ms + self.rules.idle_timeout_ms, admitted_ms + self.rules.max_duration_ms), touch.keep_until_ms
        )
        if session:
            if expires_ms <= now_ms:
                del self.sessions[touch.visitor]
                self.lapsed[touch.visitor] = now_ms
                self.count("lapsed")
                assert told.life == "lapsed"
            else:
                session.expires_ms, session.keep_ms = expires_ms, touch.keep_until_ms
                assert (told.life, told.expires_ms) == ("live", expires_ms)
            return
        if touch.visitor in self.released:
            assert told.life == "released"
            return
        assert touch.visitor in self.lapsed, "the machine only shows passes that were given"
        room = self.room_at(touch.backend) and not self.awake
        revives = expires_ms > now_ms and (touch.keep_until_ms > now_ms or room)
        assert (told.life == "live") == revives, "law 6"
        if revives:
            del self.lapsed[touch.visitor]
            self.forget(touch.visitor)
            self.sessions[touch.visitor] = Session(touch.backend, touch.admitted_ms, expires_ms, touch.keep_until_ms)
            self.count("return")

    def room_at(self, backend: str) -> bool:
        limit = {one.name: one.max_sessions for one in self.rules.backends if one.open}.get(backend, 0)
        return not self.rules.held and self.used(backend) < limit

    def release(self, visitor: str, now_ms: int) -> None:
        if self.sessions.pop(visitor, None):
            self.count("released")
        if visitor not in self.released:
            self.awake.pop(visitor, None)
            self.absent.pop(visitor, None)
        self.lapsed.pop(visitor, None)
        self.released.setdefault(visitor, now_ms)
