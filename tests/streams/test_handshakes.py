"""Waves of TLS handshakes that come to nothing: when they are over, a worker is as large as before."""

import asyncio
import socket
import ssl
from pathlib import Path

from tests.bench.procs import rss_kib
from tests.support.aio import run
from tests.support.certificates import certify
from tests.support.ports import free_port
from tests.support.product import serving, until
from waitroom.proxy.doorman import RECEIVING

WAVES = 3
TOGETHER = 128
"""Who come at once; as many as a wave has, one group after the other."""

NOISE_KIB = 24 * 1024
"""What a worker grows by for other reasons: the first handshake's tables, and pieces of pages. One wave that is not
given back is more than twice that."""


def _hello() -> bytes:
    """The beginning of a handshake."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="exam.uni.example").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("it takes two")


async def _wave(port: int) -> None:
    """As many as may stand in the door say hello, hear the server's part, say nothing more, and go together."""
    loop, hello, door = asyncio.get_running_loop(), _hello(), list[socket.socket]()

    async def come() -> None:
        door.append(sock := socket.socket())
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, hello)
        assert await loop.sock_recv(sock, 65_536)

    for _ in range(0, RECEIVING, TOGETHER):
        await asyncio.gather(*(come() for _ in range(TOGETHER)))
    for sock in door:
        sock.close()


def test_handshakes_leave_no_memory_behind(tmp_path: Path) -> None:
    """What a wave took goes back to the system when it has gone, and the next wave does not come on top."""

    async def main() -> None:
        certify(tmp_path)
        port = free_port()
        config = f"""
workers: 1
listen: {{public: [{{address: "127.0.0.1:{port}", tls: {{cert: "{tmp_path}/site.crt", key: "{tmp_path}/site.key"}}}}]}}
pools: {{main: {{backends: {{main-1: {{url: "http://127.0.0.1:9", max_sessions: 1}}}}}}}}
"""
        async with serving(tmp_path, config=config, public=None) as product:
            (worker,) = product.children("waitroom.server.worker")
            before = rss_kib([worker])
            for wave in range(WAVES):
                await _wave(port)
                most = rss_kib([worker])

                async def gone() -> bool:
                    return rss_kib([worker]) - before <= NOISE_KIB

                await until(gone, what=f"the end of wave {wave}")
                print(f"wave {wave}: {(most - before) >> 10} MiB more, then {(rss_kib([worker]) - before) >> 10} MiB")

    run(main())
