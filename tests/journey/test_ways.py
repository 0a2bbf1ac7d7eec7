"""The ways to a backend, and the ways in which a load balancer may stand in front."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import START_S, Product, serving
from tests.support.student import Student

TLS = Path(__file__).parent / "tls"
CA = str(TLS / "cert.pem")


@asynccontextmanager
async def _server(heads: list[bytes], tls: ssl.SSLContext | None, **at: object) -> AsyncIterator[None]:
    """An exam server that says `ok` and keeps what it was sent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            while not head.endswith(b"\r\n\r\n"):
                head += await reader.readline()
            heads.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    start = asyncio.start_unix_server if "path" in at else asyncio.start_server
    server = await start(answer, ssl=tls, **at)
    try:
        yield
    finally:
        server.close()


def _config(backend: dict[str, object], **more: object) -> str:
    pools = {"main": {"backends": {"main-1": {**backend, "max_sessions": 5}}}}
    return json.dumps({"pools": pools, "workers": 1, **more})


async def _failures(product: Product) -> dict[str, float]:
    prefix = "waitroom_backend_failures_total"
    counted = {name: value for name, value in (await product.metrics()).items() if name.startswith(prefix)}
    return {name.partition('kind="')[2].partition('"')[0]: value for name, value in counted.items() if value}


WAYS: list[tuple[str, dict[str, object], str | None]] = [
    ("IPv6", {"url": "http://[::1]:PORT"}, None),
    ("a name", {"url": "http://localhost:PORT"}, None),
    ("a unix socket", {"url": "http+unix://FOLDER/exam.sock"}, None),
    ("https", {"url": "https://localhost:PORT", "ca": CA}, None),
    ("https by address", {"url": "https://127.0.0.2:PORT", "ca": CA, "server_name": "localhost"}, None),
    ("https that nobody vouches for", {"url": "https://localhost:PORT"}, "tls"),
    ("https of another name", {"url": "https://127.0.0.2:PORT", "ca": CA}, "tls"),
    ("nobody", {"url": "http://127.0.0.3:PORT"}, "refused"),
]


@pytest.mark.parametrize(("backend", "kind"), [row[1:] for row in WAYS], ids=[row[0] for row in WAYS])
def test_a_backend_is_reached_or_the_way_it_failed_is_counted(
    tmp_path: Path, backend: dict[str, object], kind: str | None
) -> None:
    """A person meets a calm page that comes back by itself; operators see what went wrong by its name."""

    async def main() -> None:
        port, heads = free_port(), list[bytes]()
        url = str(backend["url"]).replace("PORT", str(port)).replace("FOLDER", str(tmp_path))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        tls = context if url.startswith("https") else None
        async with (
            _server(heads, None, host="::1", port=port),
            _server(heads, tls, host="127.0.0.1", port=port),
            _server(heads, tls, host="127.0.0.2", port=port),
            _server(heads, None, path=str(tmp_path / "exam.sock")),
            serving(tmp_path, config=_config(backend | {"url": url})) as product,
            Student(product.public, "ann") as ann,
        ):
            answer = await ann.page()
            if kind is None:
                assert (answer.status, answer.body) == (200, b"ok")
                assert await _failures(product) == {}
            else:
                assert (answer.status, answer.state) == (503, "down")
                assert answer.headers["Retry-After"]
                assert await _failures(product) == {kind: 1}
                assert heads == []

    run(main())


def test_certificates_that_are_none_are_said(tmp_path: Path) -> None:
    """At a reload; what was in force stays so."""

    async def main() -> None:
        port, heads = free_port(), list[bytes]()
        good = {"url": f"http://127.0.0.1:{port}"}
        wrong = tmp_path / "ca.pem"
        wrong.write_text("not a certificate")
        async with (
            _server(heads, None, host="127.0.0.1", port=port),
            serving(tmp_path, config=_config(good)) as product,
            Student(product.public, "ann") as ann,
        ):
            file = tmp_path / "waitroom.yaml"
            file.write_text(_config({"url": f"https://127.0.0.1:{port}", "ca": str(wrong)}))
            product.process.send_signal(1)
            async with asyncio.timeout(START_S):
                while "config_reload_refused" not in product.log.read_text():
                    assert (await ann.page()).body == b"ok"
            assert "ca.pem" in product.log.read_text()

    run(main())


@pytest.mark.parametrize("forward_as", ["x-forwarded", "forwarded"])
def test_a_load_balancer_speaks_for_its_clients(tmp_path: Path, forward_as: str) -> None:
    """By the PROXY protocol; the backend hears it in the form that was chosen, and in that alone."""

    async def main() -> None:
        port, heads, public = free_port(), list[bytes](), free_port()
        listen = {"public": {"address": f"127.0.0.1:{public}", "proxy_protocol": True}}
        config = _config(
            {"url": f"http://127.0.0.1:{port}"}, listen=listen, trusted_proxies=["127.0.0.1"], forward_as=forward_as
        )
        async with (
            _server(heads, None, host="127.0.0.1", port=port),
            serving(tmp_path, config=config, public=None),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", public)
            writer.write(b"PROXY TCP6 2001:db8::7 ::1 51000 443\r\n")
            writer.write(b"GET / HTTP/1.1\r\nHost: exam.uni.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"ok")
            writer.close()
            standard = b'Forwarded: for="[2001:db8::7]";proto=http;host=exam.uni.example\r\n'
            usual = b"X-Forwarded-For: 2001:db8::7\r\n"
            assert (standard in heads[0], usual in heads[0]) == (forward_as == "forwarded", forward_as == "x-forwarded")

    run(main())
