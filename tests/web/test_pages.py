"""The answer around the page: status, headers, policy, size; and that a visitor costs a join of bytes."""

import base64
import gzip
import hashlib
import json
import re

import brotli
import pytest

from tests.web.samples import EVERY_STATE, HELP, OPENS_MS, STATIC, pages, view
from waitroom.admission.estimate import Eta, Unknown
from waitroom.admission.line import State
from waitroom.admission.view import SAID, WHERE, View
from waitroom.proxy.decisions import Respond
from waitroom.settings.model import Help
from waitroom.web.forms import FORM_TYPE, KeptForm
from waitroom.web.languages import LANGUAGES
from waitroom.web.pages import PACKED_A_SECOND, Lost, Pages, PageSettings
from waitroom.web.status import status_body

PAGES = pages()


def _header(answer: Respond, name: bytes) -> bytes:
    (value,) = [value for key, value in answer.headers if key == name]
    return value


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.WAITING, 429),
        (State.LOBBY, 429),
        (State.RETURNING, 429),
        (State.HELD, 503),
        (State.CLOSED, 503),
        (State.DOWN, 503),
    ],
)
def test_head(state: State, status: int) -> None:
    """Status, Retry-After and X-Waitroom say what the page says; nobody may store it."""
    answer = PAGES.page(view(state, next_poll_ms=7_001, cookies=(b"wr_a=1", b"wr_b=2")), language="fr")
    assert answer.status == status
    assert _header(answer, b"X-Waitroom") == state.encode()
    assert _header(answer, b"Retry-After") == b"8"
    assert _header(answer, b"Cache-Control") == b"no-store"
    assert _header(answer, b"Content-Language") == b"fr"
    assert answer.cookies == (b"wr_a=1", b"wr_b=2")


@pytest.mark.parametrize("language", LANGUAGES)
def test_light(language: str) -> None:
    """At most 12 kB compressed, in every language and state, and nothing to fetch besides."""
    for name, situation in EVERY_STATE.items():
        body = PAGES.page(situation, language=language).body
        for encoding, unpack in (("br", brotli.decompress), ("gzip", gzip.decompress)):
            packed = PAGES.page(situation, language=language, encoding=encoding)
            assert _header(packed, b"Content-Encoding") == encoding.encode()
            assert len(packed.body) <= 12_000, name
            assert unpack(packed.body) == body
        assert b"<link" not in body.replace(b'<link rel="icon" href="data:', b"")
        assert not re.search(rb"<(?:script|img|iframe)[^>]* src=|@import|url\(", body)
        assert b"\0" not in body


def test_what_a_page_is_remembered_by() -> None:
    """Everything of a view that all share is in the key, and nothing of the visitor's own."""
    assert View._fields[WHERE] + View._fields[SAID] == (
        "state", "pool", "exam", "stale", "notice", "opens_ms", "resume_ms", "seed_hash",
    )  # fmt: skip


def test_packing_has_a_bound() -> None:
    """Pages that nobody has asked for yet are packed for so long a second, and otherwise go out as they are."""
    now = [0]
    made = Pages(PageSettings("/_waitroom/", 429, HELP, {}), STATIC, lambda: now[0])

    def packed(number: int) -> bool:
        answer = made.page(view(opens_ms=OPENS_MS + number), language="en", encoding="gzip")
        return (b"Content-Encoding", b"gzip") in answer.headers

    assert [packed(number) for number in range(PACKED_A_SECOND + 2)] == [True] * PACKED_A_SECOND + [False, False]
    assert packed(0), "what was packed stays so"
    now[0] = 1
    assert packed(PACKED_A_SECOND), "and what was not is, as soon as there is time"


def test_policy_by_hash() -> None:
    """The policy allows exactly the style and the script that are in the page, and nothing from anywhere."""
    answer = PAGES.page(view(), language="de")
    policy = _header(answer, b"Content-Security-Policy").decode()
    for tag, directive, number in (("style", "style-src", 1), ("script", "script-src", 2)):
        sources = re.findall(rf"<{tag}>(.*?)</{tag}>".encode(), answer.body, re.DOTALL)
        assert len(sources) == number
        hashes = [base64.b64encode(hashlib.sha256(source).digest()).decode() for source in sources]
        allowed = " ".join(f"'sha256-{each}'" for each in hashes)
        assert f"{directive} {allowed};" in policy
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy


def test_a_kept_form_may_lead_to_a_sign_on_elsewhere() -> None:
    """Browsers hold form-action against redirects too, and a log-in may end at another host."""
    kept = KeptForm.parse(b"username=zoe", FORM_TYPE)
    policy = _header(PAGES.page(view(), language="en", form=kept), b"Content-Security-Policy")
    assert b"form-action" not in policy


def test_the_first_answer_is_in_the_page() -> None:
    """The script starts from the very bytes that a poll would get."""
    situation = view()
    assert status_body(situation) in PAGES.page(situation, language="en").body


def test_says_only_what_is_known() -> None:
    """No position without a place, no opening without an instant, no code without a ticket."""
    body = PAGES.page(view(State.LOBBY, ahead=None, visitor=""), language="en").body
    assert b'<dl class="board" hidden>' in body
    assert b'<dl class="opens" id="opens" hidden>' in body
    assert b'<p class="code" hidden>' in body
    body = PAGES.page(view(State.LOBBY, ahead=None, opens_ms=OPENS_MS), language="en").body
    assert b'<dl class="opens" id="opens">' in body
    assert f'data-ms="{OPENS_MS}"'.encode() in body


@pytest.mark.parametrize(
    ("eta", "said"),
    [
        (Eta(540, 720), b"in about 9 to 12 minutes"),
        (Eta(541, 721), b"in about 9 to 13 minutes"),
        (Eta(540, 540), b"in about 9 to 10 minutes"),
        (Eta(0, 20), b"in less than a minute"),
        (Eta(30, 170), b"in less than 3 minutes"),
        (Eta(3_000, 5_400), b"in about 50 to 90 minutes"),
        (Eta(3_000, 5_401), b"in less than 2 hours"),
        (Eta(7_300, 9_000), b"in about 2 to 3 hours"),
        (Unknown.NO_FLOW, b"not known yet"),
        (Unknown.NO_DATA, b"not known yet"),
    ],
)
def test_ranges_are_rounded_outwards(eta: Eta | Unknown, said: bytes) -> None:
    """What is shown contains what was estimated."""
    assert b"<dd>" + said + b"<small>" in PAGES.page(view(eta=eta), language="en").body


def test_titles_are_text() -> None:
    """An exam's title cannot become markup."""
    answer = PAGES.page(view(exam="EVIL"), language="fr")
    assert b"<script>alert" not in answer.body
    assert b"&lt;script&gt;alert(2)" in answer.body


def test_a_lost_form_keeps_to_the_truth() -> None:
    """Refused at the door, nothing was sent; with no answer from the server, nobody can know."""
    assert b"none of it was sent on" in PAGES.page(view(), language="en", form=Lost.LOST).body
    assert b"may not have arrived" in PAGES.page(view(State.DOWN), language="en", form=Lost.LOST).body


def test_refresh_only_where_nothing_is_lost() -> None:
    """Without script the plain page loads itself anew, unless the visitor stopped that or it carries a form."""
    refresh = b'http-equiv="refresh" content="10"'
    assert b'http-equiv="refresh" content="20"' in PAGES.page(view(next_poll_ms=10_001), language="en").body
    kept = KeptForm.parse(b"a=1", FORM_TYPE)
    assert refresh in PAGES.page(view(), language="en").body
    assert b'http-equiv="refresh" content="30"' in PAGES.page(view(next_poll_ms=30_000), language="en").body
    for answer in (
        PAGES.page(view(), language="en", still=True),
        PAGES.page(view(), language="en", form=kept),
        PAGES.page(view(), language="en", form=Lost.LOST),
    ):
        assert b"http-equiv" not in answer.body


def test_without_help_settings() -> None:
    """Help stands in its place even where the operator gave no contact: the code is there."""
    body = pages(Help()).page(view(), language="en").body
    assert b"<h2>Help</h2>" in body
    assert view().code.encode() in body


def test_an_accessibility_statement_is_linked() -> None:
    """Where the operator has one, every page leads to it, in words of its language."""
    statement = "https://uni.example/accessibility?a=1&b"
    made = pages(Help(accessibility=statement))
    for language, word in (("fr", "Accessibilité"), ("de", "Barrierefreiheit")):
        body = made.page(view(), language=language).body.decode()
        assert f'<a href="https://uni.example/accessibility?a=1&amp;b">{word}</a>' in body
    assert b"Accessibility" not in PAGES.page(view(), language="en").body


def test_words_are_valid_json() -> None:
    """What the script reads is JSON, in every language and state."""
    for language in LANGUAGES:
        for situation in EVERY_STATE.values():
            body = PAGES.page(situation, language=language).body
            blocks = re.findall(rb'<script type="application/json" id="\w+">(.*?)</script>', body, re.DOTALL)
            words, first = map(json.loads, blocks)
            assert words[f"state.{situation.state}.h1"]
            assert first["state"] == situation.state
