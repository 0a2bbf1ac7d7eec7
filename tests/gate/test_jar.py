"""Of a browser's cookies only what verifies counts, and of that the best."""

import pytest

from waitroom.admission.tickets import Seal, Ticket
from waitroom.gate.jar import COOKIES_TRIED, Credential, Jars
from waitroom.proxy.decisions import Relay

SCI, LET = Seal("sci", [("k1", b"k" * 32)]), Seal("let", [("k1", b"k" * 32)])
TICKET = Ticket("A" * 16, "MATH", 1_000)
PASS = TICKET.admitted("sci-1", 5)
LATER = TICKET.admitted("sci-1", 9)


class Desk:
    """Jars of two pools, and what they refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.jars = Jars({"sci": SCI, "let": LET}, self.make, self.refused.append)

    @staticmethod
    def make(pool: str, ticket: Ticket) -> Credential:
        return Credential(ticket, pool, relay=Relay(f"{pool}/{ticket.backend}") if ticket.is_pass else None)

    def tickets(self, *headers: bytes) -> dict[str, Ticket]:
        return {pool: held.ticket for pool, held in self.jars.read(list(headers)).by_pool.items()}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def cookie(name: str, seal: Seal, ticket: Ticket) -> bytes:
    return f"{name}={seal.sign(ticket)}".encode()


@pytest.mark.parametrize("name", ["wr_sci", "__Host-wr_sci"])
def test_a_ticket_is_read_under_both_names(desk: Desk, name: str) -> None:
    """Plain over http, with the prefix behind TLS; foreign cookies beside it do not matter."""
    header = b"MoodleSession=x; " + cookie(name, SCI, TICKET) + b"; other=wr_sci=zzz"
    assert desk.tickets(header) == {"sci": TICKET}


def test_each_pool_has_its_own(desk: Desk) -> None:
    """Two pools, two cookies, one browser; also when it sends them in two headers."""
    both = cookie("wr_sci", SCI, PASS), cookie("wr_let", LET, TICKET)
    assert desk.tickets(b"; ".join(both)) == {"sci": PASS, "let": TICKET} == desk.tickets(*both)


def test_the_best_of_several_counts(desk: Desk) -> None:
    """A pass before a ticket, the later admission before the earlier, in whatever order they come."""
    for order in ([TICKET, PASS, LATER], [LATER, PASS, TICKET], [PASS, LATER, TICKET]):
        header = b"; ".join(cookie("wr_sci", SCI, ticket) for ticket in order)
        assert desk.tickets(header) == {"sci": LATER}


def test_forged_and_foreign_cookies_are_ignored_and_counted(desk: Desk) -> None:
    """A ticket of another pool, a broken one, one beside a good one: only the good one counts."""
    forged = b"wr_sci=v1.k1.AAAAAAAAAAAAAAAA~~1~2~~sci-1~1~0.AAAA"
    assert desk.tickets(forged) == {}
    assert desk.tickets(cookie("wr_sci", LET, TICKET)) == {}
    assert desk.tickets(forged + b"; " + cookie("wr_sci", SCI, TICKET)) == {"sci": TICKET}
    assert desk.refused == ["sci"] * 3
    assert desk.tickets(b"wr_other=1; xwr_sci=2") == {}
    assert len(desk.refused) == 3, "these are not our names"


def test_somebody_who_tries_many_gets_few_looked_at(desk: Desk) -> None:
    """The work that one request can cause is bounded."""
    desk.tickets(b"; ".join(b"wr_sci=v1.k1.%d.x" % n for n in range(100)))
    assert len(desk.refused) == COOKIES_TRIED


def test_a_browser_is_remembered_whole_and_a_ticket_by_itself(desk: Desk) -> None:
    """The same credential object comes back, so what is known of its session is known once."""
    header = cookie("wr_sci", SCI, PASS)
    first = desk.jars.read([header]).by_pool["sci"]
    assert desk.jars.read([header]).by_pool["sci"] is first
    assert desk.jars.read([b"a=1; " + header]).by_pool["sci"] is first


def test_the_latest_pass_leads_where_a_url_names_no_exam(desk: Desk) -> None:
    """A pass before any ticket, then the later; a dead pass leads nobody before a living one."""
    header = cookie("wr_sci", SCI, PASS) + b"; " + cookie("wr_let", LET, TICKET.admitted("let-1", 7))
    jar = desk.jars.read([header])
    latest = jar.latest()
    assert latest is not None
    assert latest.pool == "let"
    latest.dead = True
    after = jar.latest()
    assert after is not None
    assert after.pool == "sci"
