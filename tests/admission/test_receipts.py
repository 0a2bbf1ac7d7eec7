"""A receipt proves what it says, wherever it has been copied, and nothing else proves anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.test_tickets import KEY_A, KEY_B, tickets
from waitroom.admission.receipts import Doubt, Notary, Receipt, Wait
from waitroom.admission.tickets import Seal

NOTARY = Notary([KEY_A])
FOLDS = {"0": "0Oo", "1": "1IiLl"}

receipts = st.builds(
    Receipt,
    pool=st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True),
    exam=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True) | st.just(""),
    code=st.from_regex(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", fullmatch=True),
    state=st.sampled_from(Wait),
    arrival_us=st.integers(0, 3 * 10**15),
    issued_ms=st.integers(0, 10**13),
    admitted_ms=st.integers(0, 10**13),
    first=st.integers(0, 10**8),
    last=st.integers(0, 10**8),
    drawn=st.just(0) | st.integers(1, 1_000_000),
)
ONE = Receipt("sciences", "MATH0001", "K7QF-2M9D", Wait.ADMITTED, 1_780_297_080_123_456, 1_780_297_900_000,
              1_780_297_800_000, 312, 1)  # fmt: skip
LINE = NOTARY.sign(ONE)


@given(receipts)
def test_a_receipt_comes_back_as_it_went(receipt: Receipt) -> None:
    """Signing and looking is the identity, in plain capitals that paper and mail keep."""
    line = NOTARY.sign(receipt)
    assert NOTARY.look(line) == receipt
    assert set(line) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.")
    assert len(line) <= 400


@given(receipts, st.data())
def test_any_changed_character_is_refused(receipt: Receipt, data: st.DataObject) -> None:
    """Whatever is changed, dropped or added in the facts, the key's name or the code makes it worthless."""
    line = NOTARY.sign(receipt)
    at = data.draw(st.integers(4, len(line) - 1))
    same = FOLDS.get(line[at], line[at] + line[at].lower())
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda char: char not in same))
    assert isinstance(NOTARY.look(line[:at] + other + line[at + 1 :]), Doubt)
    assert isinstance(NOTARY.look(line[:at] + line[at + 1 :]), Doubt)
    assert isinstance(NOTARY.look(line[:at] + other + line[at:]), Doubt)


COPIES = {
    "lower case": LINE.lower(),
    "letters for digits": LINE[:4] + LINE[4:].replace("0", "O").replace("1", "l"),
    "line breaks": "\r\n".join(LINE[at : at + 40] for at in range(0, len(LINE), 40)),
    "blanks": " ".join(LINE[at : at + 4] for at in range(0, len(LINE), 4)),
    "a mail": "Dear help desk,\n\n> my receipt:\n> " + "\n> ".join(LINE[at : at + 60] for at in range(0, 300, 60)),
    "a reply to a reply": "\n".join(f"> > {LINE[at : at + 60]}" for at in range(0, len(LINE), 60)) + "\nRegards",
    "soft hyphens": LINE.replace("A", "A\u00ad"),
    "a false one before it": f"WR1.A1.{'0' * 40}.{'0' * 32}\n{LINE}",
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_receipt_survives_being_copied(copy: str) -> None:
    """Typed from a photograph, wrapped by a mail, quoted, saved: it is the same receipt."""
    assert NOTARY.look(copy) == ONE


@given(st.text(max_size=500))
def test_noise_is_refused(noise: str) -> None:
    """Nothing that was not signed is believed, and nothing raises."""
    assert isinstance(NOTARY.look(noise), Doubt)
    assert isinstance(NOTARY.look(f"WR1.a1.{noise}"), Doubt)


def test_why_it_is_not_believed() -> None:
    """Nothing there, a key that is not ours, or a text that we have not signed so."""
    assert NOTARY.look("hello") is Doubt.NONE_THERE
    assert NOTARY.look("") is Doubt.NONE_THERE
    assert Notary([KEY_B]).look(LINE) is Doubt.UNKNOWN_KEY
    assert Notary([("a1", b"c" * 32)]).look(LINE) is Doubt.FALSE


def test_keys_rotate_by_list() -> None:
    """The first key signs, all verify, a dropped key no longer does."""
    rotated = Notary([KEY_B, KEY_A])
    assert rotated.look(LINE) == ONE
    assert rotated.sign(ONE).startswith("WR1.B2.")
    assert Notary([KEY_B]).look(LINE) is Doubt.UNKNOWN_KEY


def test_key_names_that_look_alike() -> None:
    """`l1` and `i1` are one name on a photograph; both keys are tried."""
    first, second = ("l1", b"f" * 32), ("i1", b"s" * 32)
    both = Notary([first, second])
    assert both.look(Notary([second]).sign(ONE)) == ONE
    assert both.look(Notary([first]).sign(ONE)) == ONE


@given(tickets)
def test_a_receipt_is_no_cookie_and_a_cookie_no_receipt(ticket: object) -> None:
    """Other keys, other forms: neither opens what the other does, also with the parts of one put into the other."""
    assert isinstance(NOTARY.look(Seal("sciences", [KEY_A]).sign(ticket)), Doubt)  # type: ignore[arg-type]  # a Ticket
    _, key_id, facts, mac = LINE.split(".")
    for forged in (LINE, f"v1.{key_id.lower()}.{facts}.{mac}", f"v1.a1.{'A' * 16}~~5~2~~b1~1~0.{mac}"):
        assert Seal("sciences", [KEY_A]).open(forged) is None


def test_the_time_waited() -> None:
    """Until admission, or until now; never less than nothing."""
    assert ONE.wait_s == 719
    assert ONE._replace(admitted_ms=0).wait_s == 819
    assert ONE._replace(admitted_ms=1).wait_s == 0
