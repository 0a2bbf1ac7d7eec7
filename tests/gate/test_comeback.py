"""Who has a pass for a backend that is down or comes back: what each kind of request is told, and how it goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.house import NOW_MS, FullLine
from tests.support.requests import Asked
from waitroom.admission.line import Snapshot
from waitroom.admission.recovery import Course, Outcome, Phase, Return, Returned
from waitroom.admission.tickets import Ticket
from waitroom.errors import StoreAwayError, StoreError
from waitroom.metrics.counters import Counters
from waitroom.proxy.decisions import Collect, Decision, Header, Later, Relay, Respond
from waitroom.server.brain import Brain, build_brain
from waitroom.server.orders import labels_of
from waitroom.settings.load import from_mapping
from waitroom.settings.secrets import Key, Secrets

SETTINGS = {
    "pools": {
        "main": {
            "backends": {name: {"url": f"http://{name}.example", "max_sessions": 9} for name in ("main-1", "main-2")}
        }
    },
    "release": [{"path": "/logout"}],
    "pace": [{"name": "start", "match": {"method": "POST", "path": "/start"}, "rate": "5/s"}],
}
PAGE: list[Header] = [(b"Host", b"exam.example"), (b"Sec-Fetch-Mode", b"navigate")]
SCRIPT: list[Header] = [(b"Host", b"exam.example"), (b"Sec-Fetch-Mode", b"cors")]
FORM: list[Header] = [
    *PAGE,
    (b"Content-Type", b"application/x-www-form-urlencoded"),
    (b"Content-Length", b"3"),
    (b"Sec-Fetch-Site", b"same-origin"),
]


@dataclass
class Ramp(FullLine):
    """A store that says of those who come back what a test wants."""

    outcome: Outcome = Outcome.WAITS
    backend: str = "main-1"
    asked: list[Return] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    paced: list[str] = field(default_factory=list)
    up: bool = True  # type: ignore[assignment] # a constant there
    away: bool = False

    def come_back(self, _pool: str, return_: Return, done: Callable[[Returned | StoreError], None]) -> None:
        self.asked.append(return_)
        done(StoreAwayError("away") if self.away else Returned(self.outcome, NOW_MS, self.backend, 4, 9, 3_000))

    def release(self, _pool: str, visitor: str, _reason: str) -> None:
        self.released.append(visitor)

    def pace(self, name: str, *_more: object) -> None:
        self.paced.append(name)


@dataclass
class Desk:
    """A gate whose backend main-1 is not simply up, and somebody with a pass for it."""

    store: Ramp = field(default_factory=Ramp)
    brain: Brain = field(init=False)
    cookie: Header = field(init=False)

    def __post_init__(self) -> None:
        settings = from_mapping(SETTINGS)
        counters = Counters.private(labels_of(settings))
        self.brain = build_brain(settings, Secrets((Key("k1", b"k" * 32),)), self.store, counters)
        ticket = Ticket("A" * 16, "", NOW_MS * 1000).admitted("main-1", NOW_MS)
        self.cookie = (b"Cookie", b"wr_main=" + self.brain.entrances["main"].seal.sign(ticket).encode())
        self.phase(Phase.RECOVERING)

    def phase(self, phase: Phase, since_ms: int = NOW_MS) -> None:
        """What the store says of main-1."""
        live = {"phase:main-1": Course(phase, since_ms, 2_000).text}
        lines = dict.fromkeys(("main-1", "main-2"), 0)
        self.brain.entrances["main"].learn(
            Snapshot(NOW_MS, False, 0, 0, {}, 0, {}, lines, lines, (), 0, {}, {}, live=live)
        )

    def ask(self, method: bytes, target: bytes, headers: list[Header], body: bytes = b"a=1") -> Decision:
        """What becomes of a request in the end."""
        decision = self.brain.gate.decide(Asked(method, target, headers=[*headers, self.cookie]))
        for _ in range(5):
            if isinstance(decision, Collect):
                decision = decision.then(body)
            elif isinstance(decision, Later):
                found: list[Decision] = []
                decision.start(found.append)
                if not found:
                    return decision
                decision = found[0]
        return decision


def _state(answer: Decision) -> tuple[int, bytes]:
    assert isinstance(answer, Respond)
    return answer.status, dict(answer.headers)[b"X-Waitroom"]


@pytest.mark.parametrize(
    ("phase", "headers", "said"),
    [
        (Phase.RECOVERING, PAGE, (429, b"returning")),
        (Phase.RECOVERING, SCRIPT, (429, b"returning")),
        (Phase.DOWN, PAGE, (503, b"down")),
        (Phase.DOWN, SCRIPT, (503, b"down")),
    ],
)
def test_who_waits_is_told_so(phase: Phase, headers: list[Header], said: tuple[int, bytes]) -> None:
    """A person a page, a program a problem: never a byte of the backend."""
    desk = Desk()
    desk.phase(phase)
    assert _state(desk.ask(b"GET", b"/x", headers)) == said


def test_a_form_is_kept() -> None:
    """Nothing typed is lost; one that outgrew the bound is said to be."""
    desk = Desk()
    kept = desk.ask(b"POST", b"/answer", FORM)
    assert isinstance(kept, Respond)
    assert b'<textarea name="a">' in kept.body


def test_who_is_back_goes_on_without_being_asked_again() -> None:
    """One question; the next recovery is another one."""
    desk = Desk(Ramp(Outcome.BACK))
    for _ in range(3):
        relay = desk.ask(b"GET", b"/x", PAGE)
        assert isinstance(relay, Relay)
        assert (relay.target, relay.cookie) == ("main/main-1", None)
    assert len(desk.store.asked) == 1
    desk.phase(Phase.RECOVERING, NOW_MS + 1)
    desk.ask(b"GET", b"/x", PAGE)
    assert len(desk.store.asked) == 2


def test_going_on_is_as_ever() -> None:
    """The first request after an outage may be a log-out, or one that a pace smooths."""
    desk = Desk(Ramp(Outcome.BACK))
    relay = desk.ask(b"GET", b"/logout", PAGE)
    assert isinstance(relay, Relay)
    assert relay.finished is not None
    relay.finished(200)
    assert desk.store.released == ["A" * 16]
    desk = Desk(Ramp(Outcome.BACK))
    desk.ask(b"POST", b"/start", FORM)
    assert desk.store.paced == ["start"]


def test_who_moves_has_a_pass_for_the_sibling() -> None:
    """The answer brings it."""
    relay = Desk(Ramp(Outcome.BACK, backend="main-2")).ask(b"GET", b"/x", PAGE)
    assert isinstance(relay, Relay)
    assert relay.target == "main/main-2"
    assert relay.cookie is not None
    assert b"~main-2~" in relay.cookie


def test_who_has_no_session_any_more_stands_in_line() -> None:
    """In the lane of those who return, or, after a release, as anybody else."""
    for outcome in (Outcome.LAPSED, Outcome.RELEASED):
        assert _state(Desk(Ramp(outcome)).ask(b"GET", b"/x", PAGE)) == (429, b"waiting")


def test_without_the_store_one_a_second_goes_on() -> None:
    """Passes keep working, and a server that has just come back is not met by everybody at once."""
    for store in (Ramp(up=False), Ramp(away=True)):
        desk, other = Desk(store), Ticket("B" * 16, "", NOW_MS * 1000).admitted("main-1", NOW_MS)
        assert isinstance(desk.ask(b"GET", b"/x", PAGE), Relay)
        desk.cookie = (b"Cookie", b"wr_main=" + desk.brain.entrances["main"].seal.sign(other).encode())
        assert isinstance(desk.ask(b"GET", b"/x", PAGE), Respond)
        desk.brain.gate.tick()
        assert isinstance(desk.ask(b"GET", b"/x", PAGE), Relay)


def test_a_backend_that_only_this_worker_knows_to_be_gone() -> None:
    """While nobody can be told, its students wait here all the same; what the store says next takes its place."""
    desk = Desk(Ramp(Outcome.BACK))
    desk.phase(Phase.UP)
    entrance = desk.brain.entrances["main"]
    assert isinstance(desk.ask(b"GET", b"/x", PAGE), Relay)
    desk.store.up = False
    entrance.bar("main-1", NOW_MS + 1)
    desk.brain.gate.tick()
    assert isinstance(desk.ask(b"GET", b"/x", PAGE), Relay)
    other = Ticket("B" * 16, "", NOW_MS * 1000).admitted("main-1", NOW_MS)
    desk.cookie = (b"Cookie", b"wr_main=" + entrance.seal.sign(other).encode())
    assert _state(desk.ask(b"GET", b"/x", PAGE)) == (503, b"down")
    desk.store.up = True
    desk.phase(Phase.UP)
    assert isinstance(desk.ask(b"GET", b"/x", PAGE), Relay)
    assert desk.store.asked == []
