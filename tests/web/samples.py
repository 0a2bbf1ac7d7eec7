"""Visitors and settings as the tests of the page use them."""

from itertools import count
from pathlib import Path

from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import Notice, State
from waitroom.admission.view import View
from waitroom.settings.model import Help
from waitroom.web.pages import Pages, PageSettings

STATIC = Path(__file__).parents[2] / "static"

OPENS_MS = 1_780_297_200_000  # 2026-06-01T07:00:00Z

TITLES = {
    "MATH0001": {"fr": "Analyse I", "en": "Calculus I", "de": "Analysis I", "nl": "Analyse I"},
    "EVIL": {"": "<img src=x onerror=alert(1)>&amp;</title><script>alert(2)</script>"},
}

HELP = Help.model_validate(
    {
        "text": {"fr": "Le centre d’aide répond de 8 h à 18 h.", "en": "The help desk answers from 8:00 to 18:00."},
        "url": "https://help.uni.example/exams",
        "email": "exams@uni.example",
        "phone": "+32 4 366 00 00",
    }
)


def pages(help_line: Help = HELP) -> Pages:
    """The pages of a small university, each asked for in a second of its own."""
    return Pages(PageSettings("/_waitroom/", 429, help_line, TITLES), STATIC, count().__next__)


def said(text: str, at_ms: int = 0) -> Notice:
    """What staff say, in no language in particular."""
    return Notice((("", text),), at_ms)


def view(state: State = State.WAITING, **more: object) -> View:
    """A visitor with 311 people before them, or whatever `more` says."""
    usual: dict[str, object] = {
        "pool": "sciences",
        "exam": "MATH0001",
        "visitor": "abcdefghijklmnop",
        "arrival_us": 1_780_297_080_123_456,
        "ahead": 311,
        "waiting": 840,
        "eta": Eta(540, 720),
        "next_poll_ms": 8_000,
    }
    return View(state, **(usual | more))  # type: ignore[arg-type]  # keywords of a table row


EVERY_STATE = {
    "waiting": view(),
    "next": view(ahead=0, waiting=700, eta=Eta(0, 40)),
    "unknown": view(eta=Unknown.NO_FLOW),
    "far": view(ahead=2_499, waiting=3_100, eta=Eta(6_000, 9_000)),
    "lobby": view(State.LOBBY, opens_ms=OPENS_MS, ahead=None),
    "draw": view(State.LOBBY, opens_ms=OPENS_MS, ahead=None, seed_hash="9f86d081884c7d659a2feaa0c55ad015" * 2),
    "paced": view(State.PACED, ahead=None),
    "busy": view(State.BUSY, ahead=None),
    "returning": view(State.RETURNING, ahead=14, eta=Eta(10, 40)),
    "held": view(
        State.HELD,
        eta=Unknown.HELD,
        notice=said("A power cut. We open again in ten minutes; nobody loses time.", OPENS_MS),
        resume_ms=OPENS_MS + 600_000,
    ),
    "closed": view(State.CLOSED, ahead=None),
    "down": view(State.DOWN, eta=Unknown.NO_DATA),
    "stale": view(ahead=None, waiting=None, eta=Unknown.NO_DATA, stale=True),
}
"""One visitor a situation, by the name its screenshot gets."""
