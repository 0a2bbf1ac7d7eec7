"""A name goes in, and nothing of it comes out."""

from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.identity import NOBODY, Known, Registrar, digest
from waitroom.admission.line import Lane
from waitroom.admission.tickets import Ticket

names = st.binary(min_size=1, max_size=256).filter(lambda name: name.strip() == name and name not in NOBODY)
ONE = Registrar([b"k" * 32])


def known(name: bytes, registrar: Registrar = ONE) -> Known:
    found = registrar.known(name)
    assert found is not None
    return found


@given(names)
def test_the_same_name_is_the_same_student(name: bytes) -> None:
    """Also with blanks around it, and after a key was added in front; a hash fits a ticket."""
    assert known(name) == known(b" " + name + b"\t")
    rotated = known(name, Registrar([b"n" * 32, b"k" * 32]))
    assert rotated.hashes[1:] == known(name).hashes
    assert all(len(each) == 22 and each.replace("-", "a").replace("_", "a").isalnum() for each in rotated.hashes)


def test_without_the_key_a_hash_says_nothing() -> None:
    """Two services know two students, and neither hash is a plain one."""
    here, there = known(b"ann"), known(b"ann", Registrar([b"x" * 32]))
    assert here.hashes != there.hashes
    assert here.digest == there.digest == digest(b"ann")
    assert here.digest[:10] not in here.hashes[0]


def test_a_ticket_becomes_theirs_in_their_lane() -> None:
    """Priority by the roster; nobody is moved out of the lane of those who were in before, or out of priority."""
    ann = known(b"ann")
    ticket = Ticket("A" * 16, "", 1)
    assert ann.claim(ticket, priority=False) == ticket._replace(identity=ann.hashes[0])
    assert ann.claim(ticket, priority=True).lane is Lane.PRIORITY
    assert ann.claim(ticket._replace(lane=Lane.PRIORITY), priority=False).lane is Lane.PRIORITY
    assert ann.claim(ticket._replace(lane=Lane.RETURN), priority=True).lane is Lane.RETURN
    mine = ann.claim(ticket, priority=True)
    assert ann.claim(mine, priority=True) is mine
