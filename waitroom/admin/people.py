"""Finds visitors by the code on their page, in all pools, wherever they are: in line, inside, or gone.

Law: a code is a hash, so all visitors are looked through, in pages, which changes nothing. Two visitors of one code (a
chance of one in a million among a million) are not guessed between.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from waitroom.admin.refusals import RefusedError
from waitroom.admission.line import Found, Stand
from waitroom.admission.view import ticket_code
from waitroom.admission.waits import Wait
from waitroom.store.operators import Known

ENDS_IN_PAGE, ENDS_READ = 1_000, 20_000
"""How others' waits ended is looked through for the arrival of somebody who was let in, so far back."""

_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", re.ASCII)
_FOLD = str.maketrans("OIL", "011")
_VISITOR = re.compile(r"[A-Za-z0-9_-]{16}", re.ASCII)
"""The id in a cookie: 96 bits in base64."""


class Store(Protocol):
    """What is looked through; see waitroom/store/operators."""

    def visitors(self, pool: str, known: Known) -> AsyncIterator[list[str]]:
        """All visitors of a kind, in pages. Raises StoreError."""

    async def ticket(self, pool: str, visitor: str) -> Found:
        """All that is known of a visitor. Raises StoreError."""

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        """How others' waits ended, latest first. Raises StoreError."""


class Person(NamedTuple):
    """A visitor of a pool."""

    pool: str
    found: Found

    @property
    def code(self) -> str:
        """What their page shows."""
        return ticket_code(self.found.visitor)


async def find(store: Store, pools: Sequence[str], text: str) -> Person:
    """The one visitor who has this code, or this id; RefusedError if there is none, or more than one."""
    if _VISITOR.fullmatch(text):
        visitors = [(pool, text) for pool in pools]
        shown = "this id"
    else:
        shown = _code(text)
        visitors = [(pool, each) for pool in pools async for each in _with_code(store, pool, shown)]
    people = [Person(pool, await store.ticket(pool, visitor)) for pool, visitor in visitors]
    people = [each for each in people if each.found.stand is not Stand.NOWHERE or each.found.ended_ms]
    if len(people) > 1:  # who is somewhere, not who was
        people = [each for each in people if each.found.stand is not Stand.NOWHERE] or people
    if not people:
        raise RefusedError(404, f"Nobody waits under {shown} in {', '.join(pools)}, nor is inside, nor was lately.")
    if len(people) > 1:
        where = ", ".join(sorted({each.pool for each in people}))
        raise RefusedError(409, f"{len(people)} tickets have the code {shown} ({where}); name a pool with ?pool=.")
    return people[0]


async def wait_before(store: Store, person: Person) -> Wait | None:
    """How the wait of somebody who was let in ended, if it is remembered."""
    for read in range(0, ENDS_READ, ENDS_IN_PAGE):
        page = await store.ended(person.pool, read, ENDS_IN_PAGE)
        for each in page:
            if each.visitor == person.found.visitor:
                return each
        if len(page) < ENDS_IN_PAGE:
            break
    return None


async def _with_code(store: Store, pool: str, code: str) -> AsyncIterator[str]:
    """Every visitor of the pool who has this code, once."""
    told = set[str]()
    for known in Known:
        async for page in store.visitors(pool, known):
            for visitor in page:
                if visitor not in told and ticket_code(visitor) == code:
                    told.add(visitor)
                    yield visitor


def _code(text: str) -> str:
    """A code as it was heard on the phone: in any case, without the stroke, O for 0."""
    folded = text.upper().translate(_FOLD).replace("-", "").replace(" ", "")
    code = f"{folded[:4]}-{folded[4:]}"
    if not _CODE.fullmatch(code):
        raise RefusedError(404, "A code has eight letters and digits, such as K7QF-2M9D.")
    return code
