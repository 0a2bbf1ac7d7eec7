"""What takes a backend out beside a refused connection: checks of one that hangs, errors where another is well."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import Product, at_best, serving, until
from tests.support.site import everywhere, listening
from tests.support.student import Student

HUNG = """
workers: 2
pools:
  main:
    backends:
      main-1: {{url: "http://127.0.0.1:{port}", max_sessions: 50}}
    health: {{path: /login, interval: 200ms, timeout: 200ms, fall: 3, rise: 2}}
"""
BROKEN = """
workers: 2
pools:
  main:
    backends:
      main-1: {{url: "http://127.0.0.1:{port}", max_sessions: 50}}
      main-2: {{url: "{second}", max_sessions: 50}}
"""
KNOWN_S = 2.0
"""Up, down and draining are known to all workers within this."""

AT_ONCE_S = 1.0
VISITS = 8
"""By so many connections all workers are reached, but for one time in a hundred."""


@contextlib.asynccontextmanager
async def _silent(port: int) -> AsyncIterator[None]:
    """A server that takes requests and says nothing, as one that is out of workers does."""

    class Listens(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            there.append(transport)

    there: list[asyncio.BaseTransport] = []
    server = await asyncio.get_running_loop().create_server(Listens, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for transport in there:
            transport.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def _always(port: int, status: int) -> AsyncIterator[None]:
    """A server that says the same to everybody."""

    async def says(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="as ever")

    async with listening(everywhere(says), port):
        yield


async def _is_up(product: Product) -> bool:
    return (await product.metrics())['waitroom_backend_up{backend="main-1",pool="main"}'] == 1


def test_a_server_that_hangs_is_found_out_by_checks(tmp_path: Path) -> None:
    """Nobody has to wait for it first: soon every worker says at once that it is down, and lets in when it is not."""

    async def main() -> None:
        port = free_port()
        async with (
            serving(tmp_path, config=HUNG.format(port=port)) as product,
            Student(product.public, "ann") as ann,
        ):

            async def back() -> bool:
                return (await ann.page()).status == 200 and await _is_up(product)

            async def is_down() -> bool:
                return not await _is_up(product)

            async def known_s() -> float:
                """Well, silent, well again: from when it was out until every worker said so."""

                async def known_to_all() -> bool:
                    said = []
                    for _ in range(VISITS):
                        async with Student(product.public, "ann") as same:
                            same.client.cookie_jar.update_cookies(
                                {each.key: each.value for each in ann.client.cookie_jar}
                            )
                            with contextlib.suppress(TimeoutError):
                                said.append((await asyncio.wait_for(same.page(), AT_ONCE_S)).state)
                    return said == ["down"] * VISITS

                async with counting_backend(port):
                    await until(back, what="the way back")
                async with _silent(port):
                    await until(is_down, what="its being out")
                    out_s = asyncio.get_running_loop().time()
                    await until(known_to_all, what="the news in every worker")
                    return asyncio.get_running_loop().time() - out_s

            await at_best(known_s, within_s=KNOWN_S + AT_ONCE_S, what="the news in every worker")
            async with counting_backend(port):
                await until(back, what="the way back")

    run(main())


def test_one_of_two_that_fails_everybody_is_out(tmp_path: Path) -> None:
    """Newcomers go to the other. Where there is no other, errors take nobody out: it may be one page that all want."""

    async def main() -> None:
        port = free_port()
        async with counting_backend() as second, contextlib.AsyncExitStack() as stack:
            config = BROKEN.format(port=port, second=second.url)
            product = await stack.enter_async_context(serving(tmp_path, config=config))
            await stack.enter_async_context(_always(port, 500))
            students = [
                await stack.enter_async_context(Student(product.public, f"s{number:02}")) for number in range(8)
            ]

            async def out() -> bool:
                for _ in range(3):  # many in a short time: what came seconds ago counts no more
                    await asyncio.gather(*(student.page() for student in students))
                return not await _is_up(product)

            await until(out, what="the end of errors")

            async def spared() -> bool:
                async with Student(product.public, "new") as newcomer:
                    return (await newcomer.page()).status == 200

            await until(spared, what="a newcomer at the other")

    run(main())
