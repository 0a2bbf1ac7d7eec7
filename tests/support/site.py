"""A web site in the test's own process, as an exam server or as somebody else's.

Law: real sockets on the loopback, gone with the block that asked for it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

LARGE_BYTES = 1 << 30
"""No body of a test is larger."""


def everywhere(answer: Handler) -> web.Application:
    """A site with one answer to all methods and paths."""
    application = web.Application(client_max_size=LARGE_BYTES)
    application.router.add_route("*", "/{tail:.*}", answer)
    return application


@asynccontextmanager
async def listening(
    application: web.Application, port: int = 0, *, unix: str | None = None, patience_s: float = 0.1
) -> AsyncIterator[int]:
    """Serve on a loopback port (0: a free one), which is given, or on a unix socket.

    At the end those who wait for an answer still are cut off after `patience_s`.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=patience_s)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", port) if unix is None else web.UnixSite(runner, unix)
    try:
        await place.start()
        yield port or (runner.addresses[0][1] if unix is None else 0)
    finally:
        await runner.cleanup()
