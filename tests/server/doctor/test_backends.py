"""Backends that would fail an exam: real servers, each with one fault, and what is said of it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.aio import run
from tests.support.certificates import certify
from tests.support.ports import free_port
from waitroom.server.doctor.backends import look_at_backend
from waitroom.server.doctor.finding import Found
from waitroom.settings.load import from_mapping

HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n%s\r\nok"


@contextlib.asynccontextmanager
async def answering(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that says this to everybody, or nothing (None); gives its port."""
    silence = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(65_536)
            if answer is None:
                await silence.wait()
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        silence.set()
        server.close()
        await server.wait_closed()


async def looked(url: str, health: dict[str, Any] | None = None, **backend: Any) -> list[Found]:
    pool = {"backends": {"a": {"url": url, "max_sessions": 1} | backend}, "health": health}
    settings = from_mapping({"pools": {"main": pool}, "timeouts": {"connect": "1s"}})
    return await look_at_backend(settings, settings.pools["main"], "a", "main/a")


def told(found: list[Found], level: str, *words: str) -> None:
    assert [each.level for each in found] == [level], found
    assert all(word in found[0].says for word in words), found
    assert bool(found[0].remedy) is (level != "ok")


@pytest.mark.parametrize(
    ("status", "health", "level", "word"),
    [
        (b"200 OK", None, "ok", "answers 200 in"),
        (b"404 Not Found", None, "ok", "answers 404"),
        (b"404 Not Found", {"path": "/up"}, "problem", "/up answers 404: the health check would take it out"),
        (b"302 Found", {"path": "/up"}, "ok", "/up answers 302"),
        (b"500 Oops", None, "problem", "answers 500"),
    ],
)
def test_what_it_answers(status: bytes, health: dict[str, Any] | None, level: str, word: str) -> None:
    """To the health check, or to a request for / where there is none."""

    async def main() -> None:
        async with answering((HEALTHY % b"").replace(b"200 OK", status)) as port:
            told(await looked(f"http://127.0.0.1:{port}", health), level, f"main/a: http://127.0.0.1:{port}", word)

    run(main())


def test_a_clock_apart_is_named() -> None:
    """By the Date of its answer."""

    async def main() -> None:
        async with answering(HEALTHY % b"Date: Mon, 01 Jun 2020 07:00:00 GMT\r\n") as port:
            told(await looked(f"http://127.0.0.1:{port}"), "warning", "its clock is", "behind ours")

    run(main())


def test_nobody_no_name_no_answer_no_http() -> None:
    """Each by its first cause."""

    async def main() -> None:
        told(await looked(f"http://127.0.0.1:{free_port()}"), "problem", "nobody listens at 127.0.0.1:")
        told(await looked("http://no-such-host.invalid"), "problem", "no-such-host.invalid has no address")
        told(await looked("http+unix:///nowhere/exam.sock"), "problem", "nobody listens at /nowhere/exam.sock")
        async with answering(None) as port:
            found = await looked(f"http://127.0.0.1:{port}", {"path": "/up", "timeout": "200ms"})
            told(found, "problem", "no answer to /up within 200 ms")
        async with answering(b"SSH-2.0-OpenSSH\r\n\r\n") as port:
            told(await looked(f"http://127.0.0.1:{port}"), "problem")

    run(main())


def test_certificates(tmp_path: Path) -> None:
    """One that nobody vouches for, one for another name, one that ends soon, a good one, and plain HTTP at https."""
    certify(tmp_path, "good", host="localhost")
    certify(tmp_path, "short", host="localhost", days=3)
    contexts = {}
    for name in ("good", "short"):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")

    async def main() -> None:
        async with answering(HEALTHY % b"", contexts["good"]) as port:
            url, ca = f"https://127.0.0.1:{port}", str(tmp_path / "good.crt")
            told(await looked(url), "problem", "its certificate does not verify: self")
            told(await looked(url, ca=ca), "problem", "its certificate does not verify: IP address mismatch")
            good = await looked(url, ca=ca, server_name="localhost")
            assert [each.level for each in good] == ["ok", "ok"]
            assert "its certificate verifies, until" in good[1].says
            told(await looked(url, ca=str(tmp_path / "none.crt")), "problem", "none.crt")
        async with answering(HEALTHY % b"", contexts["short"]) as port:
            url, ca = f"https://127.0.0.1:{port}", str(tmp_path / "short.crt")
            short = await looked(url, ca=ca, server_name="localhost")
            assert [each.level for each in short] == ["ok", "warning"]
            assert "its certificate expires in 2d" in short[1].says
        async with answering(HEALTHY % b"") as port:
            told(await looked(f"https://127.0.0.1:{port}"), "problem", "no TLS there")
        async with answering(None) as port:
            told(await looked(f"https://127.0.0.1:{port}"), "problem", "connects, but no TLS within 1 s")

    run(main())
