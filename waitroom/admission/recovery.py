"""What a backend that fails goes through until it carries its students again, and how fast they come back to it.

Law (DESIGN.md law 7): who had a session comes back through a ramp, ahead of newcomers. The ramp begins at
`recovery.initial_rate`, grows only while it is used and the backend is healthy, and halves on trouble; a backend that
fails again soon begins lower. Nothing here reads a clock: the conductor steps each backend once a second, and what it
must remember is the text of a `Course`, which the store keeps, so that any other conductor goes on from there.

The numbers. A server that has just started is cold: the sample's first requests take five times as long, and the
sign-on that everybody needs is among the dearest pages. Then it goes TCP's way (RFC 5681): growth by a twentieth each
second up to four times the initial rate, 2/s to 8/s in half a minute; from there, and after any trouble, by the same
each second, since who is let in is felt in full only some five seconds later and the limit may be near: a database
under contention goes from well to choked within a few seconds. Before trouble comes strain (as TCP Vegas and Netflix's
gradient have it): answers become slower, or requests more, than they were a little before, and the ramp stays as it is.
In trouble it rests, so that what is on its way can be served, and goes on at half its rate. A halving counts once in
`SETTLE_MS`: what was let in before it is still on its way, and must not halve it again.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum, auto
from math import ceil, floor, log
from typing import NamedTuple

from waitroom.admission.estimate import Eta, Unknown


class Phase(StrEnum):
    """How a backend is, for those who want to go there."""

    UP = "up"
    DOWN = "down"
    """It takes nobody: its students wait with their places kept."""
    RECOVERING = "recovering"
    """It is back: students with a session return at the ramp's rate, then newcomers."""
    EASING = "easing"
    """It is well: its own students go on undisturbed, and others (newcomers after a hold, students of a sibling that is
    down) come at the ramp's rate."""


class Return(NamedTuple):
    """The holder of a pass whose backend is down or comes back asks for the session."""

    visitor: str
    backend: str
    admitted_ms: int
    keep_until_ms: int = 0
    attempt: bool = False
    """Whether they were in the middle of something: such students come back first."""
    page: bool = False


class Outcome(StrEnum):
    """What becomes of it."""

    WAITS = "waits"
    BACK = "back"
    LAPSED = "lapsed"
    RELEASED = "released"


class Returned(NamedTuple):
    """The store's answer to a Return. `backend`: where they go on, or wait."""

    outcome: Outcome
    now_ms: int
    backend: str
    ahead: int = 0
    waiting: int = 0
    next_poll_ms: int = 0


class Course(NamedTuple):
    """Where a backend stands on its way. `since_ms` names the phase: it is another one for each failure."""

    phase: Phase = Phase.UP
    since_ms: int = 0
    rate_milli: int = 0
    """Who may come, in 1,000 s."""
    failures: int = 0
    """Failures in a row, each soon after the one before."""
    changed_ms: int = 0
    """When the rate was last changed."""
    troubled: bool = False
    """There has been trouble on this ramp."""
    rests: bool = False
    """Nobody but one now and then comes until the trouble is over; then half as many as before."""
    usual_ms: int = 0
    """The usual p95 of answer times on this ramp, see `USUAL_S`. 0: not known."""
    usual_tenths: int = 0
    """The usual number of requests at the backend, in tenths."""

    @property
    def ramps(self) -> bool:
        """Whether who comes is let in at a rate."""
        return self.phase in (Phase.RECOVERING, Phase.EASING)

    @property
    def text(self) -> str:
        """What the store keeps."""
        phase, since_ms, *rest = self
        return " ".join((phase, str(since_ms), str(self.pass_milli), *(str(int(each)) for each in rest)))

    @property
    def pass_milli(self) -> int:
        """Who may come now, in 1,000 s: the rate, or hardly anybody while the ramp rests."""
        return min(LEAST_RATE_MILLI, self.rate_milli) if self.rests else self.rate_milli

    @classmethod
    def read(cls, text: str) -> "Course":
        """The course in such a text; a text that is none (of another version) is a backend that is up."""
        try:
            phase, *numbers = text.split()
            since_ms, _, rate, failures, changed_ms, troubled, rests, usual_ms, tenths = map(int, numbers)
            flags = bool(troubled), bool(rests)
            return cls(Phase(phase), since_ms, rate, failures, changed_ms, *flags, usual_ms, tenths)
        except ValueError:
            return cls()


UP = Course()


def course_of(live: Mapping[str, str], backend: str) -> Course:
    """A backend's course in what the store keeps; one that staff hold is down, whatever its own health."""
    course = Course.read(live.get(f"phase:{backend}", ""))
    if live.get(f"staff:{backend}") == "held" and course.phase is not Phase.DOWN:
        return course._replace(phase=Phase.DOWN, rate_milli=0)
    return course if course.phase is not Phase.UP else UP


class Signs(NamedTuple):
    """What is known of a backend now."""

    failed: bool = False
    """It does not answer: checks have failed, or requests have, one after the other."""
    answers: bool = True
    """It has answered checks, as many as were asked for."""
    trouble: bool = False
    """It answers with errors, or slower than anybody should have to wait."""
    p95_ms: int | None = None
    """Its answer times lately."""
    inflight: int = 0
    """Requests at it now."""
    waiting: int = 0
    """Who waits to come back to it."""
    absent: int = 0
    """Who had a session and has not come back yet."""
    held: bool = False
    """Staff want it left alone: it is not down, and not up."""


GROWTH_MS = 1_000
GROWTH = 1.05
FAST_UNTIL = 4
"""Times the initial rate, up to which a ramp grows by a part of itself. Beyond, each second adds the same."""

STEP = 0.05
"""Of the initial rate, what a second adds then: 0.1/s for a ramp that begins at 2/s."""

STRAINED, STRAINED_MS = 1.5, 100
"""An answer time so many times the usual one (and that many ms at least): the server's cores have become fewer than its
requests. The ramp grows no further; whoever was let in a few seconds ago is still to be felt."""

OVERDONE, OVERDONE_MS = 3, 300
"""So many times: requests queue, which is trouble."""

STRAINED_LOAD, OVERDONE_LOAD = 4, 10
"""The same is said by the number of requests at the server, some seconds before the slow ones among them are answered:
twice the usual and so many more are a strain, `OVERDONE` times and so many more are trouble."""

USUAL_S = 10
"""The usual answer time follows the present one so slowly: a ramp that has grown by half since then is compared with
what was before, and a server that warms up is not compared with its first pages."""

SETTLE_MS = 4_000
"""Between two halvings: a page that takes longer than this is trouble by itself."""

MAX_RATE_MILLI = 1_000_000
"""1,000 a second: beyond this it is no ramp."""

LEAST_RATE_MILLI = 100
"""One in ten seconds: a ramp that stands still lets nobody find out whether it could go on."""

RECALL_MS = 15 * 60_000
"""A failure so soon after the last is another one of the same trouble."""

POLL_SLACK_S = 5
"""A turn is noticed at the next poll."""

CALM_MS = 30_000
"""A ramp that nobody has waited at for so long, without trouble, is over once nearly all are back. Until then it stays,
which costs nobody anything: the rest may still come all at once, when staff have told them."""


def step(course: Course, signs: Signs, initial_milli: int, now_ms: int) -> Course:
    """A backend's course after one more look at it."""
    if course.phase is Phase.DOWN:
        return course if not signs.answers or signs.held else _comes_back(course, initial_milli, now_ms)
    if signs.held:  # no failure of its own
        return Course(Phase.DOWN, _later(course, now_ms), 0, max(1, course.failures), now_ms)
    if signs.failed:
        again = course.failures and now_ms - course.changed_ms <= RECALL_MS
        return Course(Phase.DOWN, _later(course, now_ms), 0, course.failures + 1 if again else 1, now_ms)
    if course.phase is Phase.UP:
        return course
    return _ramp(course, signs, initial_milli, now_ms)


def ease(course: Course, initial_milli: int, now_ms: int) -> Course:
    """Others come to a backend that is well: a hold is lifted, or a sibling's students move here."""
    if course.phase is not Phase.UP:
        return course
    return Course(Phase.EASING, _later(course, now_ms), initial_milli, course.failures, now_ms)


def eta(course: Course, ahead: int) -> Eta | Unknown:
    """The wait of somebody with `ahead` before them at a ramp: it may grow all the while, and it may halve."""
    if course.rate_milli <= 0:
        return Unknown.NO_DATA
    rate, growth = course.rate_milli / 1_000, log(GROWTH)
    return Eta(int(log(1 + ahead * growth / rate) / growth), int(2 * (ahead + 1) / rate) + POLL_SLACK_S + 1)


def _later(course: Course, now_ms: int) -> int:
    """The instant that names a new phase: later than the last, also when the clock went back."""
    return max(now_ms, course.since_ms + 1)


def _comes_back(course: Course, initial_milli: int, now_ms: int) -> Course:
    rate = max(min(LEAST_RATE_MILLI, initial_milli), initial_milli >> (course.failures - 1))
    return Course(Phase.RECOVERING, _later(course, now_ms), rate, course.failures, now_ms)


def _ramp(course: Course, signs: Signs, initial_milli: int, now_ms: int) -> Course:
    since_change_ms = now_ms - course.changed_ms
    if since_change_ms < 0:  # the clock went back
        return course._replace(changed_ms=now_ms)
    load = _load(course, signs)
    course = course._replace(
        usual_ms=_follow(course.usual_ms, signs.p95_ms or 0),
        usual_tenths=_follow(course.usual_tenths, 10 * signs.inflight),
    )
    if load is Load.OVERDONE:
        settled = since_change_ms >= SETTLE_MS or not course.rests
        return _halved(course, initial_milli, now_ms) if settled else course
    if course.rests:
        return course._replace(rests=False, changed_ms=now_ms)
    if signs.waiting == 0:
        over = since_change_ms >= CALM_MS and signs.absent * 1_000 <= max(initial_milli, 1_000)
        return UP._replace(since_ms=course.since_ms, failures=course.failures, changed_ms=now_ms) if over else course
    if load is Load.STRAINED or since_change_ms < (SETTLE_MS if course.troubled else GROWTH_MS):
        return course
    return course._replace(rate_milli=_grown(course, initial_milli, since_change_ms), changed_ms=now_ms)


def _halved(course: Course, initial_milli: int, now_ms: int) -> Course:
    rate = max(min(LEAST_RATE_MILLI, initial_milli), course.rate_milli // 2)
    return course._replace(rate_milli=rate, changed_ms=now_ms, troubled=True, rests=True)


class Load(Enum):
    """How a server that comes back bears what it has."""

    EASY = auto()
    STRAINED = auto()
    OVERDONE = auto()


def _load(course: Course, signs: Signs) -> Load:
    """By its answer times and its number of requests, each compared with what was usual a little before."""
    p95_ms, usual_ms = signs.p95_ms or 0, course.usual_ms or signs.p95_ms or 0
    inflight, usual = signs.inflight, (course.usual_tenths or 10 * signs.inflight) / 10
    slow = p95_ms > max(OVERDONE_MS, OVERDONE * usual_ms)
    if signs.trouble or slow or inflight > OVERDONE * usual + OVERDONE_LOAD:
        return Load.OVERDONE
    slower = p95_ms > max(STRAINED_MS, STRAINED * usual_ms)
    return Load.STRAINED if slower or inflight > 2 * usual + STRAINED_LOAD else Load.EASY


def _grown(course: Course, initial_milli: int, since_ms: int) -> int:
    rate = course.rate_milli
    if not course.troubled and rate < FAST_UNTIL * initial_milli:
        grown = int(rate * GROWTH)
    else:
        grown = rate + int(initial_milli * STEP * min(since_ms, SETTLE_MS) / 1_000)
    return min(MAX_RATE_MILLI, max(rate + 1, grown))


def _follow(usual_ms: int, p95_ms: int) -> int:
    """The usual answer time a second later."""
    if not usual_ms or not p95_ms:
        return usual_ms or p95_ms
    part = (p95_ms - usual_ms) / USUAL_S
    return usual_ms + (ceil(part) if part > 0 else floor(part))
