"""All waits of an exam by the admin API: as they come, once each, and never half a list that looks whole."""

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.admin.test_admin import SETTINGS, House, Store
from tests.admin.test_announcements import listener
from tests.support.aio import run
from waitroom.admission.line import Lane
from waitroom.admission.waits import Outcome, Wait
from waitroom.errors import StoreAwayError

READ = {"Authorization": "Bearer read-me"}
EXAM = "/api/v1/exams/MATH0001/waits.csv"


def wait(n: int, outcome: Outcome = Outcome.ADMITTED, **more: Any) -> Wait:
    """The n-th visitor's."""
    return Wait(f"visitor{n:09}", 1_000_000 + n, Lane.STANDARD, "MATH0001", outcome, 5_000, "b1")._replace(**more)


@dataclass(slots=True)
class Waiting(Store):
    """A line and its ends; after `fails_after` pages it is away."""

    line: list[Wait] = field(default_factory=list)
    ends: list[Wait] = field(default_factory=list)
    fails_after: int = 1_000
    pages: int = 0

    def _turn(self) -> None:
        self.pages += 1
        if self.pages > self.fails_after:
            raise StoreAwayError("away")

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        """From an order key on."""
        assert pool == "main"
        self._turn()
        after = float(first.removeprefix("("))
        return [each for each in self.line if each.order > after or (each.order == after and first[0] != "(")][:count]

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        """Latest first."""
        assert pool == "main"
        self._turn()
        return self.ends[read : read + count]


async def asked(store: Waiting, path: str = EXAM, headers: dict[str, str] | None = None) -> tuple[int, str, Any]:
    async with (
        listener(House(settings=SETTINGS), store) as client,
        client.get(path, headers=READ if headers is None else headers) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


def test_every_wait_once() -> None:
    """More than a page of both; one who ended while being read, one of another exam, one who was forgotten before."""

    async def check() -> None:
        store = Waiting(
            line=[wait(n, Outcome.WAITING, backend="") for n in range(600)],
            ends=[wait(5), *(wait(n) for n in range(1_000, 1_700)), wait(1_000, Outcome.LEFT), wait(1, exam="BIO")],
        )
        status, text, headers = await asked(store)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert (status, len(rows), len({row["code"] for row in rows})) == (200, 1_300, 1_300)
        assert [row["outcome"] for row in rows].count("waiting") == 600
        assert headers["Content-Type"].startswith("text/csv")
        assert headers["Content-Disposition"] == 'attachment; filename="waits-MATH0001.csv"'
        assert headers["Cache-Control"] == "no-store"

    run(check())


def test_what_cannot_be_told_whole_is_cut_off() -> None:
    """A store that goes away in the middle ends the connection, not the list; at the beginning it is a 503."""

    async def check() -> None:
        store = Waiting(ends=[wait(n) for n in range(1_000)], fails_after=3)
        with pytest.raises(aiohttp.ClientError):
            await asked(store)
        status, _, headers = await asked(Waiting(fails_after=0))
        assert (status, headers["Retry-After"]) == (503, "2")

    run(check())


def test_a_head_has_no_body() -> None:
    """The fields of the answer, and not one wait."""

    async def check() -> None:
        store = Waiting(line=[wait(1, Outcome.WAITING)])
        async with (
            listener(House(settings=SETTINGS), store) as client,
            client.head(EXAM, headers=READ) as answer,
        ):
            assert (answer.status, answer.content_type, await answer.read()) == (200, "text/csv", b"")

    run(check())


def test_who_may_ask_for_what() -> None:
    """`read` is enough; nobody without a token; an exam that there is not needs its pool."""

    async def check() -> None:
        assert (await asked(Waiting(), headers={}))[0] == 401
        status, text, _ = await asked(Waiting(), "/api/v1/exams/NOPE/waits.csv")
        assert (status, "MATH0001" in text) == (404, True)
        assert (await asked(Waiting(), "/api/v1/exams/NOPE/waits.csv?pool=main"))[0] == 200
        assert (await asked(Waiting(), "/api/v1/pools/main/waits.csv"))[0] == 200
        assert (await asked(Waiting(), "/api/v1/pools/nope/waits.csv"))[0] == 404

    run(check())
