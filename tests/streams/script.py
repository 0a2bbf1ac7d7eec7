"""A backend whose streams are scripts, and clients that speak by hand: each byte is where the test can see it.

Law: everything that is no stream is a page, so that students can come in and be served beside it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from tests.proxy.wire import NARROW_BYTES, OK, Backend, Call, Script, narrow_socket
from tests.support.product import Product

BACKLOG = 4_096
"""Thousands may be sent here at once, as to a server of some size."""

LIMIT_BYTES = 1 << 20
"""Of a reader's buffer: a large body is not read in small pieces."""


@contextlib.asynccontextmanager
async def backend(streams: Mapping[str, Script]) -> AsyncIterator[str]:
    """The URL of a backend where a path that begins so plays its script, and any other is a page."""

    async def script(call: Call) -> None:
        while head := await call.head():
            path = head.split(b" ")[1].decode()
            stream = next((stream for start, stream in streams.items() if path.startswith(start)), None)
            if stream is not None:
                await stream(call)
                return
            await call.body(head)
            await call.say(OK)

    seen = Backend(script)
    server = await asyncio.start_server(seen.serve, "127.0.0.1", 0, limit=LIMIT_BYTES, backlog=BACKLOG)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
    assert seen.failures == []


def request(cookie: str, path: str, method: str = "GET", *more: str) -> bytes:
    """A script's request with a pass."""
    lines = (f"{method} {path} HTTP/1.1", "Host: exam", f"Cookie: {cookie}", *more, "", "")
    return "\r\n".join(lines).encode()


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(product: Product) -> Wire:
    """A connection to the product, and nothing said yet."""
    at = urlsplit(product.public)
    return await asyncio.open_connection(at.hostname, at.port, limit=LIMIT_BYTES)


async def connect_narrow(product: Product) -> Wire:
    """The same, of a client whose kernel takes little in advance. It is not read until somebody reads."""
    sock = await narrow_socket(urlsplit(product.public).port or 0)
    return await asyncio.open_connection(sock=sock, limit=NARROW_BYTES)


async def ask(product: Product, cookie: str, path: str) -> Wire:
    """A stream that has been asked for and has begun."""
    reader, writer = await connect(product)
    writer.write(request(cookie, path))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return reader, writer
