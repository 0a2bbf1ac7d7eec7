"""A lobby whose places are drawn, over two workers: nobody gains by anything, and everybody can check it."""

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.server.test_reload import reloaded
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, look_again, serving, until
from tests.support.student import Student
from waitroom.admission.draw import Lot
from waitroom.admission.receipts import Notary, Receipt
from waitroom.settings.secrets import load_secrets, rotate

RATE = 4
EXAM = "/quiz?cmid=7"


def config(
    backend: str, opens: datetime, order: str = "draw", slots: int = 1, *, access: bool = True, **exam: object
) -> str:
    """One exam behind one backend."""
    pool = {
        "backends": {"main-1": {"url": backend, "max_sessions": slots}},
        "admission": {"rate": f"{RATE}/s", "burst": 40},
    }
    match = [{"path": "/quiz", "query": {"cmid": "7"}}]
    exams = {"MATH": {"pool": "main", "match": match, "opens": opens.isoformat(), "order": order, **exam}}
    whole = {"pools": {"main": pool}, "workers": 2, "exams": exams, "release": [{"path": "/logout"}]}
    return json.dumps(whole | {"logging": {"access": access}})


@contextlib.asynccontextmanager
async def students(product: Product, count: int) -> AsyncIterator[list[Student]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Student(product.public, f"s{n:02d}")) for n in range(count)]


FAR = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
"""An opening that comes when the test says so: all that must happen before it has happened, on a loaded machine too."""


async def opens_soon(product: Product, backend: str, **more: Any) -> int:
    """Move the opening to a few seconds from now; when that is, ms."""
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
    await reloaded(product, config(backend, soon, **more))
    return int(soon.timestamp() * 1000)


async def drawn(product: Product) -> dict[str, Any]:
    """What anybody is told of the draw."""
    async with Student(product.public, "anybody") as anybody:
        answer = await anybody.ask("GET", "/_waitroom/draw?exam=MATH", {})
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.body)
        return found


@contextlib.asynccontextmanager
async def staying(crowd: list[Student]) -> AsyncIterator[None]:
    """Their pages ask meanwhile, so that nobody is absent afterwards, however long it took."""
    over = asyncio.Event()

    async def ask(student: Student) -> None:
        while not over.is_set():
            await student.poll()
            await look_again(0.2)

    async with asyncio.TaskGroup() as group:
        for student in crowd:
            group.create_task(ask(student))
        try:
            yield
        finally:
            over.set()


def facts(student: Student) -> list[str]:
    """The fields of the ticket or pass that a browser holds."""
    for cookie in student.client.cookie_jar:
        if cookie.key.endswith("wr_main"):
            return cookie.value.split(".", 2)[2].rpartition(".")[0].split("~")
    raise AssertionError(f"{student.name} holds no ticket")


async def come_in(student: Student) -> int:
    """Poll hard, load the page once told that one is in, and leave it to the next; when that was, ms."""
    while (await student.poll())["state"] != "admitted":
        await look_again(0.05)
    answer = await student.page(EXAM)
    assert (answer.status, answer.state) == (200, None)
    at_ms = int(facts(student)[6])
    await student.page("/logout")
    return at_ms


def test_everybody_can_check_the_draw(tmp_path: Path) -> None:
    """The fingerprint is there from the first page on every worker, and survives a dead worker, a dead store, a new key
    and a reload. Nobody is in before the opening, and the order is that of the numbers.
    """

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=config(backend.url, FAR)) as product,
            students(product, 10) as crowd,
        ):
            pages = [await student.page(EXAM) for student in crowd]
            assert {page.state for page in pages} == {"lobby"}
            told = [await student.poll() for student in crowd]
            assert {one["position"] for one in told} == {None}, "nobody is told before all are"
            codes = [one["code"] for one in told]
            before = await drawn(product)
            assert before["seed"] is None
            shown = {found for page in pages for found in re.findall(r"\b[0-9a-f]{64}\b", page.body.decode())}
            assert shown == {before["fingerprint"]}

            os.kill(product.children("waitroom.server.worker")[0], signal.SIGKILL)
            os.kill(product.children("valkey")[0], signal.SIGKILL)
            rotate(product.data_dir / "secrets")
            await reloaded(product, config(backend.url, FAR, title="Maths"))
            assert [(await student.poll())["state"] for student in crowd] == ["lobby"] * len(crowd)
            assert (await drawn(product))["fingerprint"] == before["fingerprint"]

            opens_ms = await opens_soon(product, backend.url)
            record = asyncio.create_task(record_of(crowd[0]))
            entered = await asyncio.gather(*(come_in(student) for student in crowd))
            at = dict(zip(codes, entered, strict=True))
            lot = await drawn(product)
            assert sha256(lot["seed"].encode()).hexdigest() == before["fingerprint"] == lot["fingerprint"]
            numbers = [Lot(0, lot["seed"]).number(code) for code in codes]
            in_order = [code for _, code in sorted(zip(numbers, codes, strict=True))]
            assert min(entered) >= opens_ms
            assert sorted(codes, key=lambda code: at[code]) == in_order
            code, out, _ = await product.command("ticket", "draw", lot["seed"], *codes)
            assert code == 0
            assert [line.split()[0] for line in out.splitlines()[1:]] == in_order
            assert the_number_in(await record, product) == numbers[0]

    run(main())


async def record_of(student: Student) -> str:
    """The record of a wait, as soon as a number is on it."""
    while True:
        page = (await student.ask("GET", "/_waitroom/receipt?pool=main", {})).body.decode()
        if 'href="/_waitroom/draw?exam=MATH"' in page:
            return page
        await look_again()


def the_number_in(page: str, product: Product) -> int:
    """The number drawn that is certified there."""
    keys = load_secrets(product.data_dir / "secrets").keys
    found = Notary([(key.id, key.key) for key in keys]).look(re.sub(r"<[^>]*>", " ", page))
    assert isinstance(found, Receipt)
    return found.drawn


def test_the_first_second_is_at_the_rate(tmp_path: Path) -> None:
    """Whatever burst the quiet before the opening would have earned, and however hard they poll."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=config(backend.url, FAR, slots=500)) as product,
            students(product, 12) as crowd,
        ):
            for student in crowd:
                await student.page(EXAM)
            opens_ms = await opens_soon(product, backend.url, slots=500)
            entered = await asyncio.gather(*(come_in(student) for student in crowd))
            assert min(entered) >= opens_ms
            assert sum(ms < opens_ms + 1_000 for ms in entered) <= RATE + 1

    run(main())


def test_an_opening_that_moves_keeps_the_seed(tmp_path: Path) -> None:
    """Earlier or later: the fingerprint that was shown counts. After the opening it is for nothing more,
    and who has drawn keeps the place even where no lots are drawn any more.
    """

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=config(backend.url, FAR)) as product,
            students(product, 6) as crowd,
        ):
            for student in crowd:
                assert (await student.page(EXAM)).state == "lobby"
            before = await drawn(product)
            await reloaded(product, config(backend.url, FAR + timedelta(hours=2)))
            assert (await drawn(product))["fingerprint"] == before["fingerprint"]
            for student in crowd:
                assert before["fingerprint"] in (await student.page(EXAM)).body.decode()

            soon = datetime.fromtimestamp(await opens_soon(product, backend.url) / 1000, UTC)
            assert (await drawn(product))["fingerprint"] == before["fingerprint"]

            async def opened() -> bool:
                return (await drawn(product))["seed"] is not None

            await until(opened, what="the opening")
            lot = Lot(0, (await drawn(product))["seed"])
            told = [await student.poll() for student in crowd]
            assert {len(facts(student)) for student in crowd} == {10}, "the drawn place is in the ticket from now on"
            async with staying(crowd):
                await reloaded(product, config(backend.url, soon, order="arrival"))
            entered = await asyncio.gather(*(come_in(student) for student in crowd))
            numbers = [lot.number(one["code"]) for one in told]
            assert [ms for _, ms in sorted(zip(numbers, entered, strict=True))] == sorted(entered)

            await reloaded(product, config(backend.url, FAR + timedelta(hours=5)))
            anew = await drawn(product)
            assert anew["seed"] is None
            assert anew["fingerprint"] != before["fingerprint"]

    run(main())
