"""A draw is fair, secret before and checkable after, by the commands that the docs give."""

import shutil
import subprocess
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.draw import PLACES, Lot, in_force, proposed
from waitroom.admission.view import ticket_code

LOT = proposed(b"k" * 32, "sciences", "MATH0001", 1_780_297_200_000)
codes = st.binary(min_size=12, max_size=12).map(lambda chance: ticket_code(chance.hex()))


@given(codes)
def test_a_place_lies_in_the_second_before_the_opening(code: str) -> None:
    """One of a million, and the number says which."""
    place = LOT.order_us(code, LOT.opens_ms)
    assert LOT.opens_ms * 1000 - PLACES <= place < LOT.opens_ms * 1000
    assert place == LOT.opens_ms * 1000 - PLACES + LOT.number(code) - 1


def test_every_part_of_the_line_is_as_likely() -> None:
    """Ten thousand tickets fill the tenths of the line evenly (chi-square with 9 degrees of freedom, 99.9 %)."""
    tenths = Counter((LOT.number(ticket_code(str(n))) - 1) * 10 // PLACES for n in range(10_000))
    assert len(tenths) == 10
    assert sum((seen - 1_000) ** 2 / 1_000 for seen in tenths.values()) < 27.9


def test_a_seed_is_of_its_opening_alone() -> None:
    """Another key, pool, exam or hour gives another; the same give the same after any restart."""
    asked = [(b"k" * 32, "p", "x", 1), (b"l" * 32, "p", "x", 1), (b"k" * 32, "q", "x", 1), (b"k" * 32, "p", "y", 1),
             (b"k" * 32, "p", "x", 2)]  # fmt: skip
    assert len({proposed(*each).seed for each in asked}) == 5
    assert proposed(*asked[0]) == proposed(*asked[0])


def test_the_commands_of_the_docs() -> None:
    """sha256sum and openssl say the same."""

    def said(command: str) -> str:
        return subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, text=True).stdout

    assert shutil.which("sha256sum")
    assert said(f"printf %s {LOT.seed} | sha256sum").split()[0] == LOT.fingerprint
    drawn = said(f"printf %s K7QF-2M9D | openssl dgst -sha256 -hmac {LOT.seed}").split()[-1]
    assert int(drawn[:16], 16) % 1_000_000 + 1 == LOT.number("K7QF-2M9D")


def test_which_lot_is_in_force() -> None:
    """A seed moves with its opening while it is secret, and is for nothing else once it is not."""
    known, fresh = Lot(1_000, "a"), Lot(5_000, "b")
    assert in_force(None, fresh, 0) == fresh
    assert in_force(known, fresh, 999) == Lot(5_000, "a")
    assert in_force(known, fresh, 1_000) == fresh
    assert in_force(known, Lot(500, "b"), 999) == Lot(500, "a")
    assert in_force(known, Lot(900, "b"), 1_000) == known
    assert in_force(known, Lot(1_000, "b"), 1_000) == known
