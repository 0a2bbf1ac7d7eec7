"""Tickets survive the trip through a browser, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.line import Lane
from waitroom.admission.tickets import MAX_COOKIE_BYTES, Seal, Ticket, cookie_name, set_cookie, visitor_id

KEY_A, KEY_B = ("a1", b"a" * 32), ("b2", b"b" * 32)
SEAL = Seal("sciences", [KEY_A])

tickets = st.builds(
    Ticket,
    visitor=st.binary(min_size=12, max_size=12).map(visitor_id),
    exam=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True) | st.just(""),
    arrival_us=st.integers(0, 3 * 10**15 - 1),
    lane=st.sampled_from(Lane),
    identity=st.from_regex(r"[A-Za-z0-9_-]{0,43}", fullmatch=True),
    backend=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True) | st.just(""),
    admitted_ms=st.integers(0, 10**13),
    generation=st.integers(0, 10**9 - 1),
    first=st.integers(0, 10**9 - 1),
    order_us=st.just(0) | st.integers(1, 3 * 10**15 - 1),
)


@given(tickets)
def test_a_ticket_comes_back_as_it_went(ticket: Ticket) -> None:
    """Signing and opening is the identity, and every cookie fits its bound."""
    value = SEAL.sign(ticket)
    assert SEAL.open(value) == ticket
    assert len(value) <= MAX_COOKIE_BYTES


@given(tickets, st.data())
def test_any_changed_character_is_refused(ticket: Ticket, data: st.DataObject) -> None:
    """There is one spelling of a ticket: change, drop or add one character and it is nothing."""
    value = SEAL.sign(ticket)
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda char: char != value[at]))
    assert SEAL.open(value[:at] + other + value[at + 1 :]) is None
    assert SEAL.open(value[:at] + value[at + 1 :]) is None
    assert SEAL.open(value[:at] + other + value[at:]) is None


@given(st.text(max_size=500))
def test_noise_is_refused(noise: str) -> None:
    """Nothing that was not signed opens, and nothing raises."""
    assert SEAL.open(noise) is None
    assert SEAL.open(f"v1.a1.{noise}") is None


def test_a_ticket_is_worth_nothing_in_another_pool() -> None:
    """The key is derived for the pool."""
    value = SEAL.sign(Ticket("A" * 16, "", 1))
    assert Seal("letters", [KEY_A]).open(value) is None


def test_keys_rotate_by_list() -> None:
    """The first key signs, all verify, a dropped key no longer does."""
    old = SEAL.sign(Ticket("A" * 16, "", 1))
    rotated = Seal("sciences", [KEY_B, KEY_A])
    assert rotated.open(old) is not None
    assert rotated.sign(Ticket("A" * 16, "", 1)).startswith("v1.b2.")
    assert Seal("sciences", [KEY_B]).open(old) is None


def test_tickets_of_before_the_first_position_was_kept() -> None:
    """A cookie with eight fields, signed by an earlier version, opens as it did and is signed again as it was."""
    payload = "AAAAAAAAAAAAAAAA~MATH~1780297080123456~2~~sci-1~1780297080999~0"
    old = f"v1.a1.{payload}.lJOBYigrJZdUFkiacFLTINntd0gzD2qfzk1q9-pJc5A"
    ticket = SEAL.open(old)
    assert ticket == Ticket("A" * 16, "MATH", 1_780_297_080_123_456, Lane.STANDARD, "", "sci-1", 1_780_297_080_999)
    assert ticket is not None
    assert SEAL.sign(ticket) == old
    assert SEAL.open(SEAL.sign(ticket._replace(first=7))) == ticket._replace(first=7)


def test_a_stamp_keeps_the_first_position() -> None:
    """It is written once, with the arrival, and admission keeps it."""
    stamped = Ticket("A" * 16, "MATH", 0).stamped(5, 312)
    assert (stamped.arrival_us, stamped.first) == (5, 312)
    assert stamped.stamped(5, 7) is stamped
    assert stamped.admitted("sci-1", 9).first == 312


def test_a_ticket_becomes_a_pass_and_a_place_again() -> None:
    """Admission keeps the arrival, so that the place behind a pass can be had back."""
    ticket = Ticket("A" * 16, "MATH", 5)
    passed = ticket.admitted("sci-1", 7)
    assert passed.is_pass
    assert not ticket.is_pass
    assert passed.place() == ticket


@pytest.mark.parametrize(
    ("secure", "expected"),
    [
        (False, b"wr_main=x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"),
        (True, b"__Host-wr_main=x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"),
    ],
)
def test_the_cookie_is_kept_from_scripts_and_other_sites(secure: bool, expected: bytes) -> None:
    """Attributes as DESIGN.md section 7 wants them."""
    assert set_cookie("main", "x", secure=secure, max_age_s=60) == expected
    assert expected.decode().startswith(cookie_name("main", secure=secure) + "=")
