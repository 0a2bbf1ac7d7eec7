"""Moving a student: by the code on their page, by who may, with a clear answer to everything else."""

import json
from typing import Any

import pytest

from tests.admin.test_admin import House, Store, listener
from tests.admin.test_announcements import DEAN, HELPDESK, ask
from tests.support.aio import run
from waitroom.admin import lanes
from waitroom.admission.line import Lane, Move, Moved
from waitroom.admission.view import ticket_code
from waitroom.admission.waits import Outcome, Wait
from waitroom.errors import StoreAwayError

VISITORS = [f"visitor-{n:08d}" for n in range(7)]
CODES = [ticket_code(visitor) for visitor in VISITORS]
TO_PRIORITY = {"lane": "priority", "why": "extra time"}


class Line(Store):
    """A store with seven tickets in `main`, two of them of the same microsecond."""

    def __init__(self, move: Move = Move.DONE, *, away: bool = False) -> None:
        super().__init__()
        self.move_ends, self.away, self.moved = move, away, list[tuple[str, str, Lane]]()

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """From a key on, as the library gives them."""
        if self.away:
            raise StoreAwayError("away")
        waits = [
            Wait(visitor, 1_000_000 + n // 2, Lane.STANDARD, "MATH0001", Outcome.WAITING, 2_000)
            for n, visitor in enumerate(VISITORS)
            if pool == "main"
        ]
        bound = float(first.removeprefix("("))
        return [one for one in waits if one.order > bound or (one.order == bound and first[0] != "(")][:count]

    async def move(self, pool: str, visitor: str, lane: Lane) -> Moved:
        """As set."""
        self.moved.append((pool, visitor, lane))
        return Moved(self.move_ends, Lane.STANDARD)


async def post(line: Line, code: str, body: Any = TO_PRIORITY, headers: Any = DEAN, query: str = "") -> tuple[int, Any]:
    async with listener(House(), line) as client:
        given = {"data": body} if isinstance(body, bytes) else {"json": body}
        status, answer, _ = await ask(client, "POST", f"/api/v1/tickets/{code}/lane{query}", headers=headers, **given)
        return status, answer


@pytest.mark.parametrize("page", [2, 3, 1_000])
@pytest.mark.parametrize("n", range(7))
def test_every_ticket_is_found(page: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On whatever page it stands, however the code was heard."""
    monkeypatch.setattr(lanes, "PAGE", page)

    async def check() -> None:
        line = Line()
        heard = CODES[n].lower().replace("-", "").replace("0", "o").replace("1", "l")
        status, answer = await post(line, heard)
        assert (status, answer["code"], answer["before"], answer["lane"]) == (200, CODES[n], "standard", "priority")
        assert line.moved == [("main", VISITORS[n], Lane.PRIORITY)]

    run(check())


def test_a_ticket_is_shown() -> None:
    """To whoever may read; nothing in it names a visitor."""

    async def check() -> None:
        async with listener(House(), Line()) as client:
            status, answer, _ = await ask(client, "GET", f"/api/v1/tickets/{CODES[3]}", headers=HELPDESK)
        assert (status, answer) == (
            200,
            {"code": CODES[3], "pool": "main", "exam": "MATH0001", "lane": "standard", "arrived_at_ms": 1_000},
        )

    run(check())


@pytest.mark.parametrize(
    ("code", "body", "headers", "query", "status", "detail"),
    [
        (CODES[0], TO_PRIORITY, HELPDESK, "", 403, ""),
        (CODES[0], TO_PRIORITY, {}, "", 401, ""),
        (CODES[0], b"{", DEAN | {"Content-Type": "application/json"}, "", 400, "not JSON"),
        (CODES[0], b"x", DEAN, "", 415, "JSON"),
        (CODES[0], {"lane": "return"}, DEAN, "", 400, "priority"),
        (CODES[0], {"lane": "priority", "why": "a\nb"}, DEAN, "", 400, "one line"),
        (CODES[0], {"lane": "priority", "who": "me"}, DEAN, "", 400, "Allowed"),
        (CODES[0], [], DEAN, "", 400, "Allowed"),
        ("12", TO_PRIORITY, DEAN, "", 400, "eight letters"),
        ("UUUU-UUUU", TO_PRIORITY, DEAN, "", 400, "eight letters"),
        ("ZZZZ-ZZZZ", TO_PRIORITY, DEAN, "", 404, "Nobody waits under ZZZZ-ZZZZ in main"),
        (CODES[0], TO_PRIORITY, DEAN, "?pool=none", 404, "The pools are"),
    ],
)
def test_what_is_refused(*, code: str, body: Any, headers: Any, query: str, status: int, detail: str) -> None:
    """With what is allowed, and nothing is moved."""

    async def check() -> None:
        line = Line()
        got, answer = await post(line, code, body, headers, query)
        assert got == status
        assert detail in json.dumps(answer)
        assert line.moved == []

    run(check())


@pytest.mark.parametrize(
    ("move", "status", "detail"),
    [
        (Move.ADMITTED, 409, "let in"),
        (Move.RETURNS, 409, "ahead of both lanes"),
        (Move.NOWHERE, 404, "left the line"),
    ],
)
def test_who_cannot_be_moved(move: Move, status: int, detail: str) -> None:
    """Where the ticket has gone meanwhile is said."""

    async def check() -> None:
        got, answer = await post(Line(move), CODES[0])
        assert got == status
        assert detail in answer["detail"]

    run(check())


def test_a_store_that_is_away() -> None:
    """Nothing was changed, and when to try again."""

    async def check() -> None:
        async with listener(House(), Line(away=True)) as client:
            for method, path in (("GET", ""), ("POST", "/lane")):
                more = {"json": TO_PRIORITY} if method == "POST" else {}
                status, answer, fields = await ask(
                    client, method, f"/api/v1/tickets/{CODES[0]}{path}", headers=DEAN, **more
                )
                assert (status, fields["Retry-After"]) == (503, "2")
                assert "nothing was changed" in answer["detail"]

    run(check())
