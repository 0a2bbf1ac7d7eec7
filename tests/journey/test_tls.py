"""Behind our own TLS the cookie is pinned to the host, and a bad certificate stops the start, not the students."""

import asyncio
import shutil
import signal
import ssl
import sys
from pathlib import Path

import aiohttp

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import serving, until
from tests.support.student import PAGE
from waitroom.server.certificates import server_context
from waitroom.settings.certificates import Pair

CERTIFICATE = Path(__file__).parent / "tls"
"""Made for localhost with `openssl req -x509`; good for a hundred years and for nothing else."""


def _config(backend: str, port: int, cert: Path) -> str:
    return f"""
listen: {{public: [{{address: "127.0.0.1:{port}", tls: {{cert: "{cert}", key: "{CERTIFICATE / "key.pem"}"}}}}]}}
pools: {{main: {{backends: {{main-1: {{url: "{backend}", max_sessions: 1}}}}}}}}
"""


def test_https_end_to_end(tmp_path: Path) -> None:
    """The backend hears that it was https, the cookie is `__Host-`, Secure and counts on the next request."""

    async def main() -> None:
        port, trust = free_port(), ssl.create_default_context(cafile=CERTIFICATE / "cert.pem")
        url = f"https://localhost:{port}/"
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=_config(backend.url, port, CERTIFICATE / "cert.pem"), public=None),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust), headers=PAGE) as student,
        ):
            for _ in range(2):
                async with student.get(url) as answer:
                    assert answer.status == 200
            (cookie,) = student.cookie_jar
            assert cookie.key == "__Host-wr_main"
            assert cookie["secure"]
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust), headers=PAGE) as other:
                assert (await other.get(url)).status == 429

    run(main())


def test_nothing_old_is_spoken(tmp_path: Path) -> None:
    """TLS 1.3, or 1.2 with forward secrecy and no CBC, whatever a client would take."""

    async def main() -> None:
        port = free_port()

        def client(last: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
            context = ssl.create_default_context(cafile=CERTIFICATE / "cert.pem")
            context.maximum_version = last
            context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
            return context

        async def spoken(context: ssl.SSLContext) -> str | None:
            try:
                _, writer = await asyncio.open_connection("localhost", port, ssl=context)
            except (ssl.SSLError, ConnectionError):
                return None
            cipher = writer.get_extra_info("cipher")
            writer.close()
            return str(cipher[1])

        async with (
            counting_backend() as backend,
            serving(tmp_path, config=_config(backend.url, port, CERTIFICATE / "cert.pem"), public=None),
        ):
            assert await spoken(client(ssl.TLSVersion.TLSv1_3, "ALL")) == "TLSv1.3"
            assert await spoken(client(ssl.TLSVersion.TLSv1_2, "ECDHE")) == "TLSv1.2"
            assert await spoken(client(ssl.TLSVersion.TLSv1_2, "ALL:!ECDHE")) is None
            assert await spoken(client(ssl.TLSVersion.TLSv1_2, "SHA1:SHA256:SHA384")) is None

    run(main())


def test_a_session_is_agreed_upon_once() -> None:
    """Whatever OpenSSL Python was built with: a client that asks for one handshake after the other has none."""
    pair = Pair(*((CERTIFICATE / name).read_text() for name in ("cert.pem", "key.pem")))
    assert server_context(pair).options & ssl.OP_NO_RENEGOTIATION


def test_a_renewed_certificate_drops_nobody(tmp_path: Path) -> None:
    """SIGHUP with new files in the old places: open connections go on, every handshake succeeds, ALPN stays."""

    async def main() -> None:
        port = free_port()
        cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        shutil.copy(CERTIFICATE / "cert.pem", cert)
        shutil.copy(CERTIFICATE / "key.pem", key)
        config = _config("BACKEND", port, cert).replace(str(CERTIFICATE / "key.pem"), str(key))
        trust = ssl.create_default_context()
        for name in ("cert.pem", "renewed-cert.pem"):
            trust.load_verify_locations(CERTIFICATE / name)
        trust.set_alpn_protocols(["h2", "http/1.1"])

        async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"GET /_waitroom/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401 ")
            assert await reader.readuntil(b"}")

        async def renewed() -> bool:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
            tls = writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            await ask(reader, writer)
            writer.close()
            return "renewed" in str(tls.getpeercert()["subject"])

        async with (
            counting_backend() as backend,
            serving(tmp_path, config=config.replace("BACKEND", backend.url), public=None) as product,
        ):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
            await ask(reader, writer)
            assert not await renewed()
            shutil.copy(CERTIFICATE / "renewed-cert.pem", cert)
            shutil.copy(CERTIFICATE / "renewed-key.pem", key)
            product.process.send_signal(signal.SIGHUP)
            await until(renewed, what="the renewed certificate")
            await ask(reader, writer)  # on the connection of before
            writer.close()

    run(main())


def test_a_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    """One line, exit code 1."""

    async def main() -> None:
        wrong = tmp_path / "wrong.pem"
        wrong.write_text("not a certificate")
        config = tmp_path / "tls.yaml"
        config.write_text(_config("http://127.0.0.1:9", free_port(), wrong))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "waitroom", "serve", str(config), "--admin", f"127.0.0.1:{free_port()}"),
            *("--data-dir", str(tmp_path / "var")),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"wrong.pem" in said
        assert b"Traceback" not in said

    run(main())
