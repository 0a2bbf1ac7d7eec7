"""Status answers, problem documents, codes, and the choice of no automatic loading."""

import json
from urllib.parse import quote

import pytest

from tests.web.samples import said, view
from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import State
from waitroom.admission.view import View, ticket_code
from waitroom.web.problems import method_not_allowed, no_ticket, problem
from waitroom.web.status import status_body, status_response
from waitroom.web.stillness import is_still, make_choice

KEYS = ["state", "pool", "exam", "position", "ahead", "waiting", "eta", "next_poll_ms", "code", "arrived_at"]
KEYS += ["message", "stale"]


def test_status_is_as_published() -> None:
    """Names and order of DESIGN.md section 4."""
    said = json.loads(status_body(view()))
    assert list(said) == KEYS
    assert said == {
        "state": "waiting",
        "pool": "sciences",
        "exam": "MATH0001",
        "position": 312,
        "ahead": 311,
        "waiting": 840,
        "eta": {"low_s": 540, "high_s": 720},
        "next_poll_ms": 8_000,
        "code": ticket_code("abcdefghijklmnop"),
        "arrived_at": "2026-06-01T06:58:00.123Z",
        "message": None,
        "stale": False,
    }


def test_status_without_knowledge() -> None:
    """What nobody knows is null, not zero."""
    said = json.loads(status_body(View(State.DOWN, "main", eta=Unknown.NO_DATA, stale=True)))
    assert (said["position"], said["ahead"], said["waiting"], said["eta"]) == (None, None, None, None)
    assert (said["code"], said["arrived_at"], said["stale"]) == ("", None, True)


def test_status_is_small() -> None:
    """At most 400 bytes with the longest names and numbers there can be."""
    longest = View(
        State.RETURNING, "p" * 32, "E" * 64, "v" * 16, 10**16 - 1, 9_999_998, 9_999_999, Eta(14_400, 99_999), 600_000
    )
    assert len(status_body(longest)) <= 400


def test_status_escapes() -> None:
    """A message is text in JSON and cannot end the script element that carries the first answer."""
    body = status_body(view(notice=said('</script> & "quoted" \u2028 é', 1_780_297_200_000)))
    assert b"<" not in body
    assert body.isascii()
    assert json.loads(body)["message"] == {"text": '</script> & "quoted" \u2028 é', "at": "2026-06-01T07:00:00.000Z"}


def test_status_response() -> None:
    """JSON that nobody stores, with the cookies that go along."""
    answer = status_response(view(cookies=(b"wr_a=1",)))
    assert answer.status == 200
    assert dict(answer.headers)[b"Content-Type"] == b"application/json"
    assert dict(answer.headers)[b"Cache-Control"] == b"no-store"
    assert answer.cookies == (b"wr_a=1",)


def test_problem() -> None:
    """A program gets a problem document and a time to come back."""
    answer = problem(429, "waiting", "Waiting room", "All places are taken.", 10, "waiting")
    headers = dict(answer.headers)
    assert headers[b"Content-Type"] == b"application/problem+json"
    assert headers[b"Retry-After"] == b"10"
    assert headers[b"X-Waitroom"] == b"waiting"
    assert json.loads(answer.body) == {
        "type": "urn:waitroom:problem:waiting",
        "title": "Waiting room",
        "status": 429,
        "detail": "All places are taken.",
    }


def test_problems_of_our_own_endpoints() -> None:
    """405 names what is allowed; 401 asks for nothing a browser could prompt for."""
    assert dict(method_not_allowed(b"GET, HEAD").headers)[b"Allow"] == b"GET, HEAD"
    assert dict(no_ticket().headers)[b"WWW-Authenticate"] == b"Waitroom"
    assert no_ticket().status == 401


def test_ticket_code() -> None:
    """The same for the same visitor, different for others, and without letters that sound or look alike."""
    assert ticket_code("abcdefghijklmnop") == "1DG0-DW1S"
    codes = {ticket_code(f"{number:016}") for number in range(1_000)}
    assert len(codes) == 1_000
    assert not set("".join(codes)) & set("ILOU")


@pytest.mark.parametrize(
    ("to", "location"),
    [
        (b"/", b"/"),
        (b"/mod/quiz/view.php?id=%7E7&&b=%2F", b"/mod/quiz/view.php?id=%7E7&&b=%2F"),
        (b"//evil.example/x", b"/.//evil.example/x"),
        (b"/\\evil.example", b"/./\\evil.example"),
    ],
)
def test_stopping_the_refresh_leads_back(to: bytes, location: bytes) -> None:
    """The link sets the cookie and leads back to the very page, never to another host."""
    answer = make_choice(b"auto=0&to=" + quote(to).encode(), None, None, secure=True)
    (cookie,) = answer.cookies
    assert answer.status == 303
    assert dict(answer.headers)[b"Location"] == location
    assert cookie.startswith(b"wr.still=1; Max-Age=86400; Path=/; ")
    assert cookie.endswith(b"; Secure")


@pytest.mark.parametrize(
    "query", [b"", b"auto=2&to=/", b"auto=0&to=http://evil.example/", b"auto=0&to=/a%0d%0aX:1", b"auto=0&to=evil"]
)
def test_a_choice_that_makes_no_sense(query: bytes) -> None:
    """Anything else is refused."""
    assert make_choice(query, None, None, secure=False).status == 400


def test_starting_the_refresh_again() -> None:
    """The cookie is taken back."""
    assert b"Max-Age=0" in make_choice(b"auto=1&to=/", None, None, secure=False).cookies[0]


def test_the_cookie_is_seen() -> None:
    """Among others, in any of several headers."""
    assert is_still([b"a=b; wr.still=1; c=d"])
    assert is_still([b"a=b", b"wr.still=1"])
    assert not is_still([b"a=b", b"wr_main=x"])
