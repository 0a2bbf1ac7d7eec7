"""WebSockets through the waiting room: for whoever is inside, both ways, and given their grace when it stops.

Law: who is still there after `timeouts.tunnel_drain` is closed in the way of their protocol's transport, both sides
are told, and a new tunnel is to be had at once where the manager of the service keeps the socket.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from tests.support.aio import run
from tests.support.manager import managing
from tests.support.product import START_S, Product, serving, until
from tests.support.site import everywhere, listening
from tests.support.student import Student

OVER = (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.CLOSING)

CONFIG = """
pools: {main: {backends: {main-1: {url: "URL", max_sessions: 1}}}}
timeouts: {tunnel_drain: 1s}
"""


@contextlib.asynccontextmanager
async def _echo(ended: "asyncio.Queue[str] | None" = None) -> AsyncIterator[str]:
    """A server that says everything back; `ended` is told the path of each tunnel that is over."""

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
        if ended is not None:
            ended.put_nowait(request.path)
        return socket

    async with listening(everywhere(answer), patience_s=1) as port:
        yield f"http://127.0.0.1:{port}"


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

                await until(counted, what="the tunnel among the requests in flight")
                product.process.send_signal(signal.SIGTERM)
                closed = await socket.receive(timeout=START_S)
                assert closed.type in OVER
            assert await asyncio.wait_for(product.process.wait(), START_S) == 0

    run(main())


async def _said_back(socket: ClientWebSocketResponse, word: str) -> None:
    await socket.send_str(word)
    assert await socket.receive_str(timeout=START_S) == word


async def _replaced(product: Product) -> None:
    """A worker has left, and another has its slot."""

    async def look() -> bool:
        seen = await product.metrics()
        return seen["waitroom_worker_restarts_total"] == seen["waitroom_workers"] == 1

    await until(look, what="another worker")


def test_a_worker_that_is_replaced_closes_its_tunnel_after_the_grace(tmp_path: Path) -> None:
    """The old worker lets go of it once its grace is over, the backend is told, and the new one takes the next."""

    async def main() -> None:
        ended: asyncio.Queue[str] = asyncio.Queue()
        async with _echo(ended) as backend, AsyncExitStack() as stack:
            config = CONFIG.replace("URL", backend).replace("1s", "6s") + "workers: 1\n"
            product = await stack.enter_async_context(serving(tmp_path, config=config))
            ann = await stack.enter_async_context(Student(product.public, "ann"))
            assert (await ann.page()).status == 200
            socket = await stack.enter_async_context(ann.client.ws_connect(f"{product.public}/old"))
            await _said_back(socket, "before")
            (worker,) = product.children("waitroom.server.worker")
            os.kill(worker, signal.SIGTERM)
            await _said_back(socket, "within the grace")
            await _replaced(product)
            assert (await socket.receive(timeout=START_S)).type in OVER
            assert await asyncio.wait_for(ended.get(), START_S) == "/old"
            async with ann.client.ws_connect(f"{product.public}/new") as another:
                await _said_back(another, "after")

    run(main())


def test_a_restart_closes_what_outlives_its_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a socket that the manager keeps: tunnels live and newcomers enter until the grace is over, no longer; the
    service ends by itself, and the next one has the student's new tunnel, in the session of before.
    """

    async def main() -> None:
        ended: asyncio.Queue[str] = asyncio.Queue()
        with managing(tmp_path, monkeypatch) as manager:
            async with _echo(ended) as backend, AsyncExitStack() as stack:
                config = CONFIG.replace("URL", backend).replace("1}", "3}").replace("1s", "6s") + "workers: 2\n"
                start = partial(serving, tmp_path, config=config, manager=manager.launch, public=manager.bind())
                product = await stack.enter_async_context(start())
                ann, late = [await stack.enter_async_context(Student(product.public, name)) for name in ("ann", "late")]
                assert (await ann.page()).status == 200
                socket = await stack.enter_async_context(ann.client.ws_connect(f"{product.public}/old"))
                await _said_back(socket, "before")
                product.process.send_signal(signal.SIGTERM)
                await manager.hears("STOPPING=1")
                assert (await late.page()).status == 200, "newcomers enter while the tunnel has its grace"
                await _said_back(socket, "within the grace")
                assert (await socket.receive(timeout=START_S)).type in OVER
                assert await asyncio.wait_for(ended.get(), START_S) == "/old"
                assert await asyncio.wait_for(product.process.wait(), START_S) == 0
                opening = asyncio.ensure_future(ann.client.ws_connect(f"{product.public}/new"))
                product = await stack.enter_async_context(start())
                async with await asyncio.wait_for(opening, START_S) as another:
                    await _said_back(another, "after")
                assert (await late.page()).status == 200
                assert (await product.metrics())['waitroom_sessions{backend="main-1",pool="main"}'] == 2

    run(main())
