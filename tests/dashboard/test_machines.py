"""One page, several machines, restarts: a click is in force everywhere within two seconds, and nothing is forgotten."""

import asyncio
import os
import re
import signal
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import OpenTab
from tests.dashboard.house import OPERATOR, PATIENCE_S, digest
from tests.dashboard.windows import TURNS, button, carry_out, tile
from tests.store.driver import Server
from tests.support.backend import CountingBackend, counting_backend
from tests.support.product import Product, serving
from tests.support.student import Student
from waitroom import clock

pytestmark = pytest.mark.browser

T = TypeVar("T")

CONFIG = """
workers: 2
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 50}
    health: {path: /, interval: 1s, timeout: 30s, fall: 1, rise: 1}
admin: {tokens: [{name: dean, sha256: "DEAN", scopes: [read, operate]}]}
"""

EVERYWHERE_MS = 2_000
AWAY = "away"
KEPT = """
trap 'kill $!; wait $!; exit' TERM
while :; do
    "$@" & wait $!
    while [ -e away ]; do sleep 0.1; done
done
"""
KEEPER = ("sh", "-c", KEPT, "sh")
"""A service manager: what ends is started again, but not while there is a file `AWAY`."""

NEWCOMERS = 12
"""Each on a connection of its own, so that both workers are asked: all by one, one time in two thousand."""


class Places:
    """Machines on a loop of their own, since the browser is driven from the main thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend: CountingBackend | None = None
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(1)
        self._pool.submit(self._loop.run_forever)
        self._stack, self._exam = AsyncExitStack(), AsyncExitStack()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """On the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def machine(self, name: str, *flags: str, manager: Any = lambda: ((), ())) -> Product:
        """A machine of this name, on the one backend."""
        if self.backend is None:
            self.backend = await self._exam.enter_async_context(counting_backend())
        (self.folder / name).mkdir()
        config = CONFIG.replace("URL", self.backend.url).replace("DEAN", digest(OPERATOR))
        return await self._stack.enter_async_context(
            serving(self.folder / name, *flags, config=config, manager=manager)
        )

    async def lose_the_exam_server(self) -> None:
        """It answers no more."""
        await self._exam.aclose()

    def close(self) -> None:
        """All of it."""
        self.do(self._stack.aclose())
        self.do(self._exam.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._pool.shutdown()
        self._loop.close()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """None yet."""
    made = Places(tmp_path)
    yield made
    made.close()


async def newcomers(product: Product, pages: int = 1) -> set[int]:
    """What first pages are answered, at all workers. By a second page a pass is confirmed, and outlives 30 s."""

    async def one(number: int) -> int:
        async with Student(product.public, f"new-{number}-{clock.now_ms()}") as student:
            (status,) = {(await student.page()).status for _ in range(pages)}
            return status

    return set(await asyncio.gather(*(one(number) for number in range(NEWCOMERS))))


def signed_in(window: OpenTab, product: Product) -> Page:
    """The page of a machine."""
    page = window().page
    page.goto(product.admin)
    page.get_by_label("Token").fill(OPERATOR)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".fresh")).to_contain_text("Live")
    return page


def test_a_click_is_in_force_everywhere(places: Places, window: OpenTab) -> None:
    """Hold at one machine: two seconds later no worker of either lets anybody in, and the other's page shows it."""
    server = Server()
    try:
        shared = ("--store", f"unix://{server.path}")
        here, there = (places.do(places.machine(name, *shared)) for name in ("here", "there"))
        page, other = signed_in(window, here), signed_in(window, there)
        took_ms = list[int]()
        while not took_ms or took_ms[-1] > EVERYWHERE_MS:
            assert len(took_ms) < TURNS, took_ms
            assert places.do(newcomers(there)) == {200}
            button(page, "Hold… main").click()
            page.locator("dialog").get_by_role("button", name="Next").click()
            page.locator("dialog").get_by_role("button", name="Hold", exact=True).click()
            clicked_ms = clock.monotonic_ms()
            page.locator("dialog").wait_for(state="detached")
            for machine in (here, there):
                assert places.do(newcomers(machine)) == {503}
            took_ms.append(clock.monotonic_ms() - clicked_ms)
            expect(other.locator(".badge").first).to_have_text("held")
            button(other, "Open… main").click()
            carry_out(other, "Open")
            expect(page.locator(".badge").first).to_have_text("open")
    finally:
        server.stop()


def test_a_restart_forgets_nothing(places: Places, window: OpenTab) -> None:
    """kill -9 of the whole service under the open page: it says so, is live again by itself without a log-in, with the
    limit of before, the hour of before, and a report that still knows of the outage.
    """
    product = places.do(places.machine("here", manager=lambda: (KEEPER, ())))
    page = signed_in(window, product)
    button(page, "Limit… main-1").click()
    page.get_by_label("Most sessions").fill("40")
    carry_out(page, "Set the limit")
    expect(page.locator(".set")).to_contain_text("at most 40 sessions")
    assert places.do(newcomers(product, pages=2)) == {200}
    expect(tile(page, "Inside")).to_have_text(str(NEWCOMERS))
    (served,) = product.children("serve")
    page.wait_for_function(
        "n => fetch('/api/v1/pools/main/history', {headers: {Authorization: 'Bearer TOKEN'}}).then(a => a.json())"
        ".then(h => h.columns.sessions.includes(n))".replace("TOKEN", OPERATOR),
        arg=NEWCOMERS, timeout=60_000,
    )  # fmt: skip
    places.do(places.lose_the_exam_server())
    expect(page.locator(".verdict h1")).to_contain_text("no backend answers")
    away = places.folder / "here" / AWAY
    away.touch()
    os.kill(served, signal.SIGKILL)
    expect(page.locator(".verdict h1")).to_contain_text("This page has lost the admin listener")
    away.unlink()
    expect(page.locator(".fresh")).to_contain_text("Live", timeout=60_000)
    expect(page.locator(".set")).to_contain_text("at most 40 sessions")
    page.reload()
    inside = page.locator("figure", has_text="Inside").locator(".value")
    expect(inside).to_contain_text(re.compile(rf"most {NEWCOMERS} at \d\d:\d\d"))
    page.get_by_role("link", name="Report").click()
    button(page, "Make the report").click()
    sheet = page.locator(".sheet")
    expect(sheet.locator(".facts div", has_text="Most inside")).to_contain_text(str(NEWCOMERS))
    expect(sheet).to_contain_text("sessions of main-1: 50 → 40")
    expect(sheet).to_contain_text("outage: main-1 did not answer")
