"""The data path with every door open, for public suites that bring their own client and their own server.

Law: nothing here decides. Where a suite sees a difference behind it, relaying made the difference. No time passes on
its clock: what a suite waits for is not cut short here, however long this process was not given the processor.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.proxy.wire import PATIENCE_S, TARGET, Brain, Watch
from waitroom.proxy.decisions import Relay
from waitroom.proxy.listener import Listener
from waitroom.proxy.rules import ProxyRules
from waitroom.settings.addresses import BackendUrl


@dataclass(frozen=True, slots=True)
class OpenProxy:
    """One open door."""

    port: int
    watch: Watch

    @property
    def relayed(self) -> int:
        """Requests that went to the backend and have ended."""
        return len(self.watch.done)


@asynccontextmanager
async def open_proxy(backend: BackendUrl, tls: ssl.SSLContext | None = None) -> AsyncIterator[OpenProxy]:
    """A listener on a free port that relays every request to `backend`."""
    watch = Watch()
    listener = Listener(Brain(lambda _request: Relay(TARGET)), {TARGET: backend}, ProxyRules(), watch)
    listener.ticker.stop()
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0, ssl=tls)
    try:
        yield OpenProxy(server.sockets[0].getsockname()[1], watch)
    finally:
        server.close()
        listener.close()
        await asyncio.wait_for(listener.drained(), PATIENCE_S)


async def output_of(*command: Any, **more: Any) -> tuple[int, str]:
    """Run a command to its end: its exit status, and all it said."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, **more
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")
