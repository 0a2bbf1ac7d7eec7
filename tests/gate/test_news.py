"""What every open page asks for every few seconds costs no store call, no cookie, and nothing that was done before."""

import json
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from tests.admin.test_admin import SETTINGS
from tests.support.requests import Asked
from waitroom.admission.line import Lane, Notice, Snapshot
from waitroom.admission.receipts import Notary
from waitroom.admission.tickets import Seal
from waitroom.gate.entrance import Entrance
from waitroom.gate.own import OwnEndpoints
from waitroom.proxy.decisions import Respond
from waitroom.server.screens import WebScreens

if TYPE_CHECKING:
    from waitroom.gate.jar import Jar
    from waitroom.gate.line import Line

KEYS = [("k1", b"k" * 32)]


class Untouched:
    """In the place of the line and of the cookies: whoever asks it for anything has cost something."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"{name} was asked for")


class Desk:
    """The endpoints of the pool `main`, and what is said there."""

    def __init__(self, **notices: Notice) -> None:
        self.entrance = Entrance("main", SETTINGS.pools["main"], SETTINGS.exams, Seal("main", KEYS), Notary(KEYS))
        self.entrance.notices = {exam.removeprefix("all"): notice for exam, notice in notices.items()}
        line = cast("Line", Untouched())
        entrances = {"main": self.entrance}
        self._own = OwnEndpoints(b"/_waitroom/", entrances, line, WebScreens(SETTINGS), lambda *_: None)

    def ask(self, query: str, **headers: str) -> Respond:
        """The answer, which is there at once."""
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        request = Asked(target=f"/_waitroom/news?{query}".encode(), headers=fields)
        answer = self._own.decide(request, cast("Jar", Untouched()))
        assert isinstance(answer, Respond)
        return answer


def etag(answer: Respond) -> str:
    return dict(answer.headers)[b"ETag"].decode()


@pytest.fixture
def desk() -> Desk:
    return Desk(all=Notice((("fr", "Un instant"), ("en", "A moment")), 1), MATH0001=Notice((("", "Maths"),), 2))


def test_it_is_made_once(desk: Desk) -> None:
    """The second asker gets the very bytes of the first, without the line or a cookie having been looked at."""
    assert desk.ask("pool=main").body is desk.ask("pool=main").body


@pytest.mark.parametrize(
    ("query", "language", "said"),
    [
        ("pool=main", "fr-BE,fr;q=0.9", b"Un instant"),
        ("pool=main", "en", b"A moment"),
        ("pool=main", "xx", b"A moment"),
        ("pool=main&exam=MATH0001", "fr", b"Maths"),
        ("pool=main&exam=OTHER", "fr", b"Un instant"),
    ],
)
def test_language_and_exam(desk: Desk, query: str, language: str, said: bytes) -> None:
    """Each asker gets their own exam's message, else the pool's, in their language."""
    assert said in desk.ask(query, Accept_Language=language).body


def test_who_knows_it_gets_nothing_again(desk: Desk) -> None:
    """304 by the tag of the same language and message; another language, another time or another text is new."""
    french = etag(desk.ask("pool=main", Accept_Language="fr"))
    assert desk.ask("pool=main", Accept_Language="fr", If_None_Match=french).status == 304
    assert desk.ask("pool=main", Accept_Language="fr", If_None_Match=f'"x", W/{french}').status == 304
    assert desk.ask("pool=main", Accept_Language="en", If_None_Match=french).status == 200
    desk.entrance.notices = {"": Notice((("fr", "Un instant"),), 2)}
    assert desk.ask("pool=main", Accept_Language="fr", If_None_Match=french).status == 200


def test_a_pool_that_there_is_not(desk: Desk) -> None:
    """404, a problem document."""
    for query in ("", "pool=", "pool=other"):
        answer = desk.ask(query)
        assert answer.status == 404
        assert dict(answer.headers)[b"Content-Type"].startswith(b"application/problem+json")


@pytest.mark.parametrize(
    ("waiting", "lobby", "next_ms"),
    [(0, 0, 4_000), (100_000, 0, 4_000), (100_001, 0, 8_000), (50_000, 150_001, 16_000), (5_000_000, 0, 64_000)],
)
def test_a_crowd_asks_more_rarely(desk: Desk, waiting: int, lobby: int, next_ms: int) -> None:
    """All pages of a pool together cost the same, however many they are."""
    desk.entrance.learn(
        Snapshot(
            now_ms=1, held=False, rate_milli=0, tokens_milli=0, waiting={Lane.STANDARD: waiting}, absent=0,
            lobby={"MATH0001": lobby}, sessions={}, limits={}, flow=(), arrivals_total=0, admissions_total={},
            departures_total={},
        )
    )  # fmt: skip
    assert json.loads(desk.ask("pool=main").body) == {"message": None, "held": False, "next_ms": next_ms}
