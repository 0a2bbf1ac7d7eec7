"""A form that another site sends comes without our cookies: it must take nothing from whoever holds some."""

import json
import re
from dataclasses import dataclass

import pytest

from tests.support.house import NOW_MS, SETTINGS, FullLine
from tests.support.requests import Asked
from waitroom.admission.tickets import Ticket
from waitroom.gate.gate import Gate
from waitroom.gate.kinds import is_foreign
from waitroom.metrics.counters import Counters
from waitroom.proxy.decisions import Collect, Decision, Header, Later, Respond
from waitroom.server.brain import build_brain
from waitroom.server.orders import labels_of
from waitroom.settings.load import from_mapping
from waitroom.settings.secrets import Key, Secrets

NAVIGATE: list[Header] = [
    (b"Host", b"exam.example"),
    (b"Sec-Fetch-Mode", b"navigate"),
    (b"Content-Type", b"application/x-www-form-urlencoded"),
    (b"Content-Length", b"3"),
]
CROSS: Header = (b"Sec-Fetch-Site", b"cross-site")
SAME: Header = (b"Sec-Fetch-Site", b"same-origin")


@pytest.mark.parametrize(
    ("promise", "request_", "foreign"),
    [
        ("a form of another site", Asked(b"POST", headers=[CROSS]), True),
        ("a form of ours", Asked(b"POST", headers=[SAME]), False),
        ("a form of a sibling host: cookies come", Asked(b"POST", headers=[(b"Sec-Fetch-Site", b"same-site")]), False),
        ("a link on another site: Lax cookies come", Asked(b"GET", headers=[CROSS]), False),
        ("an old browser, by Origin",
         Asked(b"POST", headers=[(b"Host", b"exam.example"), (b"Origin", b"https://lms.example")]), True),
        ("an old browser on our page",
         Asked(b"POST", headers=[(b"Host", b"Exam.example"), (b"Origin", b"https://exam.Example")]), False),
        ("a page without an origin", Asked(b"POST", headers=[(b"Host", b"exam.example"), (b"Origin", b"null")]), True),
        ("a program", Asked(b"POST", headers=[(b"Host", b"exam.example")]), False),
    ],
)  # fmt: skip
def test_whose_cookies_were_kept_back(promise: str, request_: Asked, foreign: bool) -> None:
    """By Fetch Metadata; by Origin where there is none."""
    assert is_foreign(request_) is foreign, promise


def _answer(decision: Decision) -> Respond:
    """What the visitor gets in the end."""
    if isinstance(decision, Collect):
        return _answer(decision.then(b"a=1"))
    if isinstance(decision, Later):
        found: list[Decision] = []
        decision.start(found.append)
        return _answer(found[0])
    assert isinstance(decision, Respond)
    return decision


def _first(answer: Respond) -> dict[str, object]:
    """What the page knows of its visitor."""
    match = re.search(rb'id="first">(.*?)</script>', answer.body)
    assert match is not None
    found: dict[str, object] = json.loads(match[1])
    return found


@dataclass(frozen=True, slots=True)
class House:
    """A gate before a long line, and the cookie of somebody in it."""

    gate: Gate
    waiting: bytes


@pytest.fixture
def house() -> House:
    settings = from_mapping(SETTINGS)
    brain = build_brain(settings, Secrets((Key("k1", b"k" * 32),)), FullLine(), Counters.private(labels_of(settings)))
    ticket = brain.entrances["main"].seal.sign(Ticket("A" * 16, "", NOW_MS * 1000))
    return House(brain.gate, b"wr_main=" + ticket.encode())


def test_it_is_given_no_ticket(house: House) -> None:
    """The page carries the form and no cookie; of our own page a ticket is given at once."""
    foreign = _answer(house.gate.decide(Asked(b"POST", b"/launch", headers=[*NAVIGATE, CROSS])))
    assert (foreign.status, foreign.cookies) == (429, ())
    assert b'<textarea name="a">' in foreign.body
    assert (_first(foreign)["code"], _first(foreign)["position"]) == ("", None)
    ours = _answer(house.gate.decide(Asked(b"POST", b"/launch", headers=[*NAVIGATE, SAME])))
    assert ours.cookies[0].startswith(b"wr_main=")
    assert _first(ours)["code"]


def test_nothing_is_asked_of_the_line(house: House) -> None:
    """Whoever is inside must not take a second place by logging in elsewhere: the page asks, with its cookies."""
    decision = house.gate.decide(Asked(b"POST", b"/launch", headers=[*NAVIGATE, CROSS]))
    assert isinstance(decision, Collect)
    assert isinstance(decision.then(b"a=1"), Respond)
    assert isinstance(decision.then(b"a=%zz\xff\0"), Later), "what no page can carry goes in, if there is a place"
    assert isinstance(decision.then(None), Later)


def test_it_is_known_by_its_cookie_where_that_comes(house: House) -> None:
    """With SameSite=None, or in a browser that knows no SameSite, the place is the one that is held."""
    headers = [*NAVIGATE, CROSS, (b"Cookie", house.waiting)]
    answer = _answer(house.gate.decide(Asked(b"POST", b"/launch", headers=headers)))
    assert answer.cookies == ()
    assert _first(answer)["code"]


@pytest.mark.parametrize(
    ("target", "site", "status", "cookies"),
    [
        (b"/_waitroom/status?pool=main&take=1", SAME, 200, 1),
        (b"/_waitroom/status?pool=main&take=1&exam=E1", SAME, 200, 1),
        (b"/_waitroom/status?pool=main&take=1&exam=NONE", SAME, 200, 1),
        (b"/_waitroom/status?pool=main", SAME, 401, 0),
        (b"/_waitroom/status?pool=main&take=0", SAME, 401, 0),
        (b"/_waitroom/status?pool=nope&take=1", SAME, 401, 0),
        (b"/_waitroom/status?take=1", SAME, 401, 0),
        (b"/_waitroom/status?pool=main&take=1", CROSS, 401, 0),
        (b"/_waitroom/status?pool=main&take=1", (b"Sec-Fetch-Site", b"none"), 401, 0),
    ],
)
def test_a_page_of_ours_asks_for_a_ticket(house: House, target: bytes, site: Header, status: int, cookies: int) -> None:
    """Only where there is none, of a pool that there is, and not in the name of another site."""
    answer = _answer(house.gate.decide(Asked(b"GET", target, headers=[(b"Host", b"exam.example"), site])))
    assert (answer.status, len(answer.cookies)) == (status, cookies)
    held = _answer(house.gate.decide(Asked(b"GET", target, headers=[site, (b"Cookie", house.waiting)])))
    assert held.cookies == ()
