"""Finding, moving and releasing a student: by the code on their page, by who may, with a clear answer to the rest."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.admin.test_admin import House, Store, listener
from tests.admin.test_announcements import DEAN, HELPDESK, ask
from tests.support.aio import run
from waitroom.admission.line import Found, Lane, Move, Moved, Stand
from waitroom.admission.view import ticket_code
from waitroom.admission.waits import Outcome, Wait
from waitroom.errors import StoreAwayError
from waitroom.store.operators import Known

VISITORS = [f"visitor-{n:08d}" for n in range(7)]
CODES = [ticket_code(visitor) for visitor in VISITORS]
TO_PRIORITY = {"lane": "priority", "why": "extra time"}


class Line(Store):
    """A store with seven visitors in `main`: five in line, one inside, one whose session has lapsed."""

    def __init__(self, move: Move = Move.DONE, *, away: bool = False) -> None:
        super().__init__()
        self.move_ends, self.away, self.moved = move, away, list[tuple[str, str, Lane]]()
        self.dismissed: list[str] = []

    async def visitors(self, pool: str, known: Known) -> AsyncIterator[list[str]]:
        """In pages, some of which are empty."""
        if self.away:
            raise StoreAwayError("away")
        found = {Known.WAITING: VISITORS[:5], Known.INSIDE: VISITORS[5:6], Known.ENDED: VISITORS[6:]}[known]
        for page in (found[:2], [], found[2:]) if pool == "main" else ([],):
            yield page

    async def ticket(self, pool: str, visitor: str) -> Found:
        """As the library tells it."""
        number = VISITORS.index(visitor) if visitor in VISITORS and pool == "main" else -1
        if number == 5:
            return Found(visitor, Stand.ADMITTED, 9_000, backend="b1", admitted_ms=4_000, expires_ms=60_000)
        if number == 6:
            return Found(visitor, Stand.NOWHERE, 9_000, ended_ms=8_000)
        if number < 0:
            return Found(visitor, Stand.NOWHERE, 9_000)
        due_ms = -7_000 if number == 4 else 10_000
        return Found(visitor, Stand.WAITING, 9_000, number, 4, Lane.STANDARD, 1_000_000 + number, due_ms, "MATH0001")

    async def ended(self, _pool: str, read: int, _count: int) -> list[Wait]:
        """How the wait of the sixth ended."""
        wait = Wait(VISITORS[5], 1_500_000, Lane.PRIORITY, "MATH0001", Outcome.ADMITTED, 4_000, "b1", 3)
        return [] if read else [wait]

    async def move(self, pool: str, visitor: str, lane: Lane, entry: str = "") -> Moved:
        """As set."""
        self.entries.append(entry)
        self.moved.append((pool, visitor, lane))
        return Moved(self.move_ends, Lane.STANDARD)

    async def dismiss(self, pool: str, visitor: str, entry: str) -> tuple[int, str]:
        """What it was."""
        found = await self.ticket(pool, visitor)
        self.dismissed.append(visitor)
        self.entries.append(entry)
        return {Stand.ADMITTED: 2, Stand.WAITING: 1}.get(found.stand, 0), found.backend


async def call(line: Line, method: str, path: str, headers: Any = DEAN, **more: Any) -> tuple[int, Any]:
    async with listener(House(), line) as client:
        status, answer, _ = await ask(client, method, f"/api/v1/tickets/{path}", headers=headers, **more)
        return status, answer


async def post(line: Line, code: str, body: Any = TO_PRIORITY, headers: Any = DEAN, query: str = "") -> tuple[int, Any]:
    given = {"data": body} if isinstance(body, bytes) else {"json": body}
    return await call(line, "POST", f"{code}/lane{query}", headers, **given)


@pytest.mark.parametrize("n", range(7))
def test_every_ticket_is_found(n: int) -> None:
    """Wherever it is, however the code was heard."""

    async def check() -> None:
        line = Line()
        heard = CODES[n].lower().replace("-", "").replace("0", "o").replace("1", "l")
        status, answer = await post(line, heard)
        assert (status, answer["code"], answer["before"], answer["lane"]) == (200, CODES[n], "standard", "priority")
        assert line.moved == [("main", VISITORS[n], Lane.PRIORITY)]
        assert answer["undo"] == f"waitroom ticket lane {CODES[n]} standard"
        said = json.loads(line.entries[0])
        assert (said["who"], said["what"], said["target"]) == ("dean", "lane", CODES[n])
        assert VISITORS[n] not in json.dumps(answer) + line.entries[0]

    run(check())


@pytest.mark.parametrize(
    ("n", "seen"),
    [
        (3, {"state": "waiting", "exam": "MATH0001", "lane": "standard", "position": 4, "ahead": 3, "among": 4,
             "present": True, "arrived_at_ms": 1_000, "backend": None}),
        (4, {"state": "waiting", "present": False, "absent_since_ms": 7_000}),
        (5, {"state": "admitted", "backend": "b1", "admitted_at_ms": 4_000, "expires_at_ms": 60_000, "waited_s": 2.5,
             "lane": "priority", "position": None, "exam": "MATH0001", "wait": None}),
        (6, {"state": "ended", "ended": "lapsed", "ended_at_ms": 8_000, "position": None}),
    ],
)  # fmt: skip
def test_a_ticket_is_shown(n: int, seen: dict[str, Any]) -> None:
    """To whoever may read, with all that is known; nothing in it names a visitor."""

    async def check() -> None:
        status, answer = await call(Line(), "GET", CODES[n], HELPDESK)
        assert status == 200
        assert seen.items() <= answer.items()
        assert answer["code"] == CODES[n]
        assert VISITORS[n] not in json.dumps(answer)
        assert (answer["wait"] is not None) == (answer["state"] == "waiting")

    run(check())


@pytest.mark.parametrize(("n", "what", "backend"), [(2, "place", None), (5, "session", "b1")])
@pytest.mark.parametrize("by", ["code", "visitor"])
def test_a_release(by: str, n: int, what: str, backend: str | None) -> None:
    """Ends what the student has; it says that there is no way back."""

    async def check() -> None:
        line = Line()
        status, answer = await call(
            line, "POST", f"{CODES[n] if by == 'code' else VISITORS[n]}/release", json={"why": "x"}
        )
        assert (status, answer) == (
            200, {"code": CODES[n], "pool": "main", "what": what, "backend": backend, "undo": None},
        )  # fmt: skip
        assert line.dismissed == [VISITORS[n]]

    run(check())


def test_a_release_of_what_has_ended() -> None:
    """There is nothing to end."""

    async def check() -> None:
        assert (await call(Line(), "POST", f"{CODES[6]}/release"))[0] == 404
        assert (await call(Line(), "POST", f"{CODES[5]}/release", HELPDESK))[0] == 403

    run(check())


@pytest.mark.parametrize(
    ("code", "body", "headers", "query", "status", "detail"),
    [
        (CODES[0], TO_PRIORITY, HELPDESK, "", 403, ""),
        (CODES[0], TO_PRIORITY, {}, "", 401, ""),
        (CODES[0], b"{", DEAN | {"Content-Type": "application/json"}, "", 400, "not JSON"),
        (CODES[0], b"x", DEAN, "", 415, "JSON"),
        (CODES[0], {"lane": "return"}, DEAN, "", 422, "priority"),
        (CODES[0], {"lane": "priority", "why": "a\nb"}, DEAN, "", 422, "why"),
        (CODES[0], {"lane": "priority", "who": "me"}, DEAN, "", 422, "Allowed"),
        (CODES[0], [], DEAN, "", 422, "Allowed"),
        ("12", TO_PRIORITY, DEAN, "", 404, "eight letters"),
        ("UUUU-UUUU", TO_PRIORITY, DEAN, "", 404, "eight letters"),
        ("ZZZZ-ZZZZ", TO_PRIORITY, DEAN, "", 404, "Nobody waits under ZZZZ-ZZZZ in main"),
        (CODES[0], TO_PRIORITY, DEAN, "?pool=none", 404, "The pools are"),
        (CODES[0], TO_PRIORITY, DEAN, "?pool=main&pool=main", 422, "twice"),
        (CODES[0], TO_PRIORITY, DEAN, "?colour=red", 422, "colour"),
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
                assert ("nothing was changed" in answer["detail"]) == (method == "POST")

    run(check())
