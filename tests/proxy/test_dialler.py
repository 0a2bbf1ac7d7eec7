"""How a backend is reached: names that move, addresses that fail, certificates that count."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import look_again
from waitroom.errors import BackendError
from waitroom.proxy.dialler import Dialler
from waitroom.proxy.ticker import Ticker
from waitroom.settings.addresses import BackendUrl

TLS = Path(__file__).parents[1] / "journey" / "tls"
"""A certificate for localhost that vouches for itself."""

CA = (TLS / "cert.pem").read_text()
WITHIN_S = 20.0
"""For what succeeds or fails at once."""

TRIES = 10


class Nothing(asyncio.Protocol):
    """One end that says nothing."""

    def __init__(self, comes: Callable[[], None] = lambda: None) -> None:
        self.peer = ""
        self._comes = comes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.peer = str((transport.get_extra_info("peername") or ("unix",))[0])
        self._comes()

    def close(self) -> str:
        self.transport.close()
        return self.peer


@asynccontextmanager
async def listening(port: int, *hosts: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[list[str]]:
    """Servers at these addresses that accept and say nothing; gives the addresses at which somebody came."""
    loop, came = asyncio.get_running_loop(), list[str]()
    servers = [
        await loop.create_server(lambda at=host: Nothing(lambda: came.append(at)), host, port, ssl=tls)
        for host in hosts
    ]
    try:
        yield came
    finally:
        for server in servers:
            server.close()


def https(host: str, port: int, ca_pem: str = "", server_name: str = "") -> BackendUrl:
    return BackendUrl("https", host, port, ca_pem=ca_pem, server_name=server_name)


def test_a_name_is_followed_and_an_outage_of_names_survived() -> None:
    """Looked up once for all, again after 5 s; when that fails, the addresses known so far are used."""

    async def main() -> None:
        answers: list[list[str] | OSError] = [["127.0.0.1"], ["127.0.0.2"], OSError("name server away")]
        asked = 0

        async def look_up(_host: str, _port: int) -> list[str]:
            nonlocal asked
            answer = answers[min(asked, 2)]
            asked += 1
            if isinstance(answer, OSError):
                raise answer
            return answer

        port, ticker = free_port(), Ticker()
        dialler = Dialler(BackendUrl("http", "exam", port), ticker, look_up)
        async with listening(port, "127.0.0.1", "127.0.0.2"):
            first = await asyncio.gather(*(dialler.dial(Nothing, WITHIN_S) for _ in range(20)))
            assert {each.close() for each in first} == {"127.0.0.1"}
            assert asked == 1
            for seen, looks in (("127.0.0.2", 2), ("127.0.0.2", 3), ("127.0.0.2", 4)):
                ticker.tick(ticker.now_s + 6)
                assert (await dialler.dial(Nothing, WITHIN_S)).close() == seen
                assert asked == looks

    run(main())


def test_a_look_up_that_hangs_holds_nobody_up_who_knows_an_address() -> None:
    """It goes on beside; who knows none is told so in time."""

    async def main() -> None:
        hangs, port, ticker = asyncio.Event(), free_port(), Ticker()
        known = False

        async def look_up(_host: str, _port: int) -> list[str]:
            if known:
                await hangs.wait()
            return ["127.0.0.1"]

        async def nobody(_host: str, _port: int) -> list[str]:
            await hangs.wait()
            return []

        dialler = Dialler(BackendUrl("http", "exam", port), ticker, look_up)
        async with listening(port, "127.0.0.1"):
            (await dialler.dial(Nothing, WITHIN_S)).close()
            known = True
            ticker.tick(ticker.now_s + 6)
            async with asyncio.timeout(2 * WITHIN_S):
                (await dialler.dial(Nothing, WITHIN_S)).close()
            with pytest.raises(BackendError) as failed:
                await Dialler(BackendUrl("http", "exam", port), ticker, nobody).dial(Nothing, 0.05)
            assert (failed.value.kind, failed.value.status) == ("unresolved", 504)
            hangs.set()

    run(main())


def test_the_next_address_is_tried_and_remembered() -> None:
    """One that refuses costs nothing, one that swallows what is sent its share of the time; then the good one leads."""

    async def main() -> None:
        port, ticker = free_port(), Ticker()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        addresses = ["127.0.0.3", "127.0.0.2", "127.0.0.1"]

        async def look_up(_host: str, _port: int) -> list[str]:
            return addresses

        dialler = Dialler(https("localhost", port, CA), ticker, look_up)
        async with listening(port, "127.0.0.2") as swallowed, listening(port, "127.0.0.1", tls=context):
            assert (await dialler.dial(Nothing, 6)).close() == "127.0.0.1"  # 3 s are the swallower's, and 3 its own
            assert len(swallowed) == 1
            assert (await dialler.dial(Nothing, WITHIN_S)).close() == "127.0.0.1"
            ticker.tick(ticker.now_s + 6)
            assert (await dialler.dial(Nothing, WITHIN_S)).close() == "127.0.0.1"
            assert len(swallowed) == 1, "the good one led"
            addresses = addresses[:2]
            ticker.tick(ticker.now_s + 6)
            with pytest.raises(BackendError) as failed:
                await dialler.dial(Nothing, 1)
            assert failed.value.kind == "connect_timeout"

    run(main())


def test_looking_a_name_up_takes_its_part_of_the_time() -> None:
    """All of it together is no longer than a connection may take, on a machine that has time for it once."""

    async def main() -> None:
        port, loop = free_port(), asyncio.get_running_loop()

        async def look_up(_host: str, _port: int) -> list[str]:
            await look_again(0.3)
            return ["127.0.0.1"]

        async with listening(port, "127.0.0.1"):  # no TLS: the handshake is swallowed
            took_s = 60.0
            for _ in range(TRIES):
                began_s = loop.time()
                with pytest.raises(BackendError) as failed:
                    await Dialler(https("localhost", port, CA), Ticker(), look_up).dial(Nothing, 0.4)
                assert failed.value.kind in {"connect_timeout", "unresolved"}
                if (took_s := loop.time() - began_s) < 0.6 and failed.value.kind == "connect_timeout":
                    return
            raise AssertionError(f"{TRIES} times too long, at last {took_s:.2f} s")

    run(main())


@pytest.mark.parametrize(
    ("host", "ca", "server_name", "kind"),
    [
        ("localhost", CA, "", None),
        ("127.0.0.2", CA, "localhost", None),
        ("127.0.0.2", CA, "", "tls"),
        ("localhost", CA, "exam.uni.example", "tls"),
        ("localhost", "", "", "tls"),
    ],
)
def test_a_certificate_must_be_vouched_for_and_carry_the_name(
    host: str, ca: str, server_name: str, kind: str | None
) -> None:
    """By the given certificates or the system's; for the given name or the host."""

    async def main() -> None:
        port = free_port()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        async with listening(port, "127.0.0.1", "127.0.0.2", tls=context):
            dialler = Dialler(https(host, port, ca, server_name), Ticker())
            if kind is None:
                (await dialler.dial(Nothing, WITHIN_S)).close()
            else:
                with pytest.raises(BackendError) as failed:
                    await dialler.dial(Nothing, WITHIN_S)
                assert failed.value.kind == kind

    run(main())


def test_every_failure_has_its_name(tmp_path: Path) -> None:
    """Nobody listens, no such socket, no such name, plain HTTP where TLS was meant."""

    async def main() -> None:
        port = free_port()
        unix = BackendUrl("http", "localhost", 80, unix=str(tmp_path / "none.sock"))
        for url, kind in (
            (BackendUrl("http", "127.0.0.1", port), "refused"),
            (BackendUrl("http", "::1", port), "refused"),
            (unix, "refused"),
            (BackendUrl("http", "no-such-host.invalid", port), "unresolved"),
        ):
            with pytest.raises(BackendError) as failed:
                await Dialler(url, Ticker()).dial(Nothing, WITHIN_S / 4)  # a name server may be away
            assert failed.value.kind == kind, url
            assert kind in BackendError.KINDS

        class Plain(Nothing):
            def data_received(self, _data: bytes) -> None:
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                self.transport.close()

        server = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", port)
        with pytest.raises(BackendError) as failed:
            await Dialler(https("localhost", port), Ticker()).dial(Nothing, WITHIN_S)
        assert failed.value.kind == "tls"
        server.close()

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_families(host: str) -> None:
    """IPv4 and IPv6."""

    async def main() -> None:
        port = free_port()
        async with listening(port, host):
            assert (await Dialler(BackendUrl("http", host, port), Ticker()).dial(Nothing, WITHIN_S)).close() == host

    run(main())
