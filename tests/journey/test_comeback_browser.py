"""A student's form whose exam server is gone, in a real browser: kept and sent once when they are back, or said lost.

They run on asyncio's own loop: the browser's driver is no part of the product.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.support.backend import CountingBackend, counting_backend
from tests.support.ports import free_port
from tests.support.product import Product, serving, until
from tests.support.student import Student
from tests.web.browser import CHROMIUM, FLAGS, need_chromium

pytestmark = pytest.mark.browser

SOON_MS = 60_000
"""The page knocks again after five to ten seconds, more than once."""

CONFIG = """
workers: 2
pools:
  main:
    backends:
      main-1: {{url: "http://127.0.0.1:{first}", max_sessions: 50}}
      main-2: {{url: "http://127.0.0.1:{second}", max_sessions: 50}}
    admission: {{rate: 20/s}}
    health: {{path: /, interval: 200ms, fall: 100, rise: 2}}
    recovery: {{initial_rate: 10/s}}
    on_backend_down: {rule}
"""
FORM = (
    '<form method="post" action="/process?attempt=1&amp;x=%7E"><textarea name="essay"></textarea>'
    '<button name="next" value="2">Next</button></form>'
)
TYPED = "Zoé’s proof:\nπ²/6 & more, 100 %"
SENT = b"essay=Zo%C3%A9%E2%80%99s+proof%3A%0D%0A%CF%80%C2%B2%2F6+%26+more%2C+100+%25&next=2"
PAGE = "/process?attempt=1&x=%7E"


@dataclass
class Room:
    """A student in the middle of an attempt, at one of two exam servers."""

    product: Product
    page: Page
    home: AsyncExitStack
    """Of their exam server: closing it ends it."""
    port: int
    lost: CountingBackend
    sibling: CountingBackend


@asynccontextmanager
async def _attempt(tmp_path: Path, rule: str) -> AsyncIterator[Room]:
    need_chromium()
    ports = free_port(), free_port()
    async with AsyncExitStack() as stack:
        product = await stack.enter_async_context(
            serving(tmp_path, config=CONFIG.format(first=ports[0], second=ports[1], rule=rule))
        )
        servers: list[tuple[AsyncExitStack, CountingBackend]] = []
        for port in ports:
            own = await stack.enter_async_context(AsyncExitStack())
            servers.append((own, await own.enter_async_context(counting_backend(port))))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.push_async_callback(browser.close)
        page = await (await browser.new_context(locale="en-GB")).new_page()
        await page.goto(product.public + "/attempt")
        await page.evaluate("html => { document.body.innerHTML = html; }", FORM)
        await page.locator("textarea").fill(TYPED)
        at = next(number for number, (_, backend) in enumerate(servers) if "/attempt" in backend.paths)
        home, lost = servers[at]
        yield Room(product, page, home, ports[at], lost, servers[1 - at][1])


async def _hand_in_in_vain(room: Room) -> None:
    """The server dies, and the student clicks: a calm page that keeps what they typed."""
    await room.home.aclose()
    await room.page.get_by_role("button", name="Next").click()
    await expect(room.page.locator("#h")).to_have_text("The exam server is not answering, and your place is kept.")
    await expect(room.page.locator("#keptnote")).to_contain_text("What you typed is kept in this page.")
    assert room.page.url == room.product.public + PAGE


async def _known(room: Room) -> None:
    """Others ask in vain too, until the backend is known to be down; then our student looks at their page again."""
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(Student(room.product.public, f"s{number}")) for number in range(4)]

        async def known() -> bool:
            for student in others:
                await student.page()
            seen = await room.product.metrics()
            return 0 in (seen[f'waitroom_backend_up{{backend="main-{number}",pool="main"}}'] for number in (1, 2))

        await until(known, what="the news that it is down")
    await _look(room.page)


async def _look(page: Page) -> None:
    """What a browser tells a page whose student comes back to it from another tab: it asks at once."""
    await page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")


async def _arrives_once(room: Room, backend: CountingBackend) -> None:
    await expect(room.page.locator("body")).to_have_text(f"exam server: {PAGE}", timeout=SOON_MS)
    assert backend.bodies == [SENT]
    await room.page.goto(room.product.public + "/next")
    await expect(room.page.locator("body")).to_have_text("exam server: /next")
    assert "/next" in backend.paths, "they go on where their form went"
    assert backend.bodies == [SENT]


def test_a_form_waits_for_its_server(tmp_path: Path) -> None:
    """Typed while the server was dying: sent once, byte for byte, to the same server, when the ramp lets them back."""

    async def main() -> None:
        async with _attempt(tmp_path, "hold") as room:
            await _hand_in_in_vain(room)
            await _known(room)
            await expect(room.page.locator("#keptnote")).to_be_visible()
            async with counting_backend(room.port) as back:
                await _arrives_once(room, back)
            assert room.sibling.bodies == room.lost.bodies == []

    asyncio.run(main())


def test_a_form_moves_to_a_sibling(tmp_path: Path) -> None:
    """With `on_backend_down: move` it is sent once to the replica that takes them, and its server stays away."""

    async def main() -> None:
        async with _attempt(tmp_path, "move") as room:
            await _hand_in_in_vain(room)
            await _known(room)
            await _arrives_once(room, room.sibling)
            assert room.lost.bodies == []

    asyncio.run(main())


def test_a_form_that_may_have_arrived_is_not_sent_again(tmp_path: Path) -> None:
    """The server dies with the form in its hands: the page says so, leads back to what was typed, and sends nothing."""

    async def main() -> None:
        async with _attempt(tmp_path, "hold") as room:
            await room.home.aclose()
            seen: list[bytes] = []
            server: asyncio.Server

            async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                if seen[-1].startswith(b"POST "):
                    server.close()
                writer.transport.abort()

            server = await asyncio.start_server(dies, "127.0.0.1", room.port)
            await room.page.get_by_role("button", name="Next").click()
            await expect(room.page.locator("#h")).to_have_text(
                "The exam server did not answer, so what you sent may not have arrived."
            )
            async with counting_backend(room.port) as back:
                await _look(room.page)
                await room.page.wait_for_function("() => document.body.dataset.state === 'admitted'", timeout=SOON_MS)
                assert (back.bodies, room.sibling.bodies) == ([], [])
                assert [head.split()[0] for head in seen].count(b"POST") == 1

    asyncio.run(main())
