"""WebSockets through the waiting room: for whoever is inside, both ways, and given their grace when it stops."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError, web

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import serving, until
from tests.support.student import Student

CONFIG = """
pools: {main: {backends: {main-1: {url: "URL", max_sessions: 1}}}}
timeouts: {tunnel_drain: 1s}
"""


@contextlib.asynccontextmanager
async def _echo() -> AsyncIterator[str]:
    """A server that says everything back."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if "upgrade" not in request.headers:
            return web.Response(text="page")
        socket = web.WebSocketResponse(max_msg_size=1 << 24)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def test_a_socket_lives_as_long_as_it_may(tmp_path: Path) -> None:
    """Refused without a pass; then text and 8 MB both ways, counted in flight, and ended after its grace at a stop."""

    async def main() -> None:
        async with (
            _echo() as backend,
            serving(tmp_path, config=CONFIG.replace("URL", backend)) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            assert (await ann.page()).status == 200
            with pytest.raises(WSServerHandshakeError) as refused:
                await bob.client.ws_connect(product.public + "/kernel")
            assert refused.value.status == 429
            async with ann.client.ws_connect(product.public + "/kernel", max_msg_size=1 << 24) as socket:
                await socket.send_str("héllo")
                assert (await socket.receive_str()) == "héllo"
                await socket.send_bytes(b"x" * (8 << 20))
                assert len(await socket.receive_bytes()) == 8 << 20

                async def counted() -> bool:
                    return (await product.metrics())['waitroom_inflight{backend="main-1",pool="main"}'] == 1

                await until(counted, within_s=5, what="the tunnel among the requests in flight")
                product.process.send_signal(signal.SIGTERM)
                closed = await socket.receive(timeout=20)
                assert closed.type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.CLOSING)
            assert await asyncio.wait_for(product.process.wait(), 30) == 0

    run(main())
