"""The PROXY header: what it may look like, byte by byte, and what a listener makes of it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proxy.test_dialler import CA, TLS
from tests.proxy.wire import OK, PATIENCE_S, Client, Stage, stage, until
from tests.support.aio import run
from waitroom.proxy.doorman import Doorman
from waitroom.proxy.preface import LONGEST_BLOCK, LONGEST_LINE, SIGNATURE, Peer, PrefaceError, read_preface
from waitroom.proxy.rules import ProxyRules

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
TRUSTING = ProxyRules(trusted_proxies=(ip_network("127.0.0.0/8"),), head_ms=60_000)
V4 = bytes([192, 0, 2, 7]) + bytes([10, 0, 0, 1]) + (51_000).to_bytes(2, "big") + (443).to_bytes(2, "big")
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + V4[8:]


def block(family: int, body: bytes, version_command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([version_command, family]) + len(body).to_bytes(2, "big") + body


GOOD: list[tuple[str, bytes, Peer | None]] = [
    ("line, IPv4", b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 443\r\n", ("192.0.2.7", 51_000)),
    ("line, IPv6", b"PROXY TCP6 2001:db8::7 ::1 51000 443\r\n", ("2001:db8::7", 51_000)),
    ("line, unknown", b"PROXY UNKNOWN\r\n", None),
    ("line, unknown with more", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    ("block, IPv4", block(0x11, V4), ("192.0.2.7", 51_000)),
    ("block, IPv4 with notes", block(0x11, V4 + b"\x04\x00\x01x"), ("192.0.2.7", 51_000)),
    ("block, IPv6", block(0x21, V6), ("2001:db8::7", 51_000)),
    ("block, local", block(0x00, b"", 0x20), None),
    ("block, local with addresses", block(0x11, V4, 0x20), None),
    ("block, unspecified", block(0x00, b""), None),
    ("block, unix", block(0x31, bytes(216)), None),
]
BAD = {
    "HTTP": GET,
    "line, no address": b"PROXY TCP4 192.0.2 10.0.0.1 51000 443\r\n",
    "line, IPv6 as IPv4": b"PROXY TCP4 ::1 10.0.0.1 51000 443\r\n",
    "line, port": b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
    "line, two spaces": b"PROXY  TCP4 192.0.2.7 10.0.0.1 51000 443\r\n",
    "line, lower case": b"PROXY tcp4 192.0.2.7 10.0.0.1 51000 443\r\n",
    "line, bare LF": b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 443\nGET",
    "line, NUL": b"PROXY UNKNOWN \0\r\n",
    "line, too long": b"PROXY UNKNOWN " + b"a" * LONGEST_LINE + b"\r\n",
    "block, version 3": block(0x11, V4, 0x31),
    "block, command 2": block(0x11, V4, 0x22),
    "block, short": block(0x11, V4[:11]),
    "block, short IPv6": block(0x21, V6[:35]),
    "block, too long": block(0x11, V4 + bytes(LONGEST_BLOCK)),
}


def parse(data: bytes) -> tuple[Peer | None, bytes]:
    """The peer and what is left behind the header."""
    reading = read_preface()
    wanted = next(reading)
    while True:
        assert wanted > 0
        given_, data = data[:wanted], data[wanted:]
        if len(given_) < wanted:
            raise EOFError
        try:
            wanted = reading.send(given_)
        except StopIteration as end:
            return end.value, data


@pytest.mark.parametrize(("header", "peer"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_a_header_is_read_to_its_last_byte_and_no_further(header: bytes, peer: Peer | None) -> None:
    """Whatever follows is the client's."""
    assert parse(header + GET) == (peer, GET)


@pytest.mark.parametrize("header", BAD.values(), ids=BAD.keys())
def test_what_is_no_header_is_refused(header: bytes) -> None:
    """Not guessed at."""
    with pytest.raises(PrefaceError):
        parse(header)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: SIGNATURE + data))
def test_any_bytes_are_a_header_an_error_or_too_few(data: bytes) -> None:
    """And nothing else."""
    with suppress(PrefaceError, EOFError):
        parse(data)


@asynccontextmanager
async def behind_a_door(rules: ProxyRules, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Stage, int]]:
    """A stage with a second way in: through a doorman."""
    async with stage(rules=rules) as s:
        with socket.create_server(("127.0.0.1", 0)) as door:
            doorman = Doorman(s.listener, door, tls, proxy_protocol=True)
            doorman.start()
            try:
                yield s, door.getsockname()[1]
            finally:
                await asyncio.wait_for(doorman.close(), PATIENCE_S)


async def connect(port: int, trust: ssl.SSLContext | None = None) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port, ssl=trust))


@pytest.mark.parametrize("split", [0, 5, 14, 30])
@pytest.mark.parametrize(("header", "peer"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_a_trusted_peer_speaks_for_its_client(header: bytes, peer: Peer | None, split: int) -> None:
    """The backend hears of the client, however the header arrives; the request behind it is untouched."""

    async def main() -> None:
        async with behind_a_door(TRUSTING) as (s, port):
            client = await connect(port)
            await client.send((header + GET)[:split])
            await asyncio.sleep(0)
            await client.send((header + GET)[split:])
            assert await client.answer() == OK
            address = peer[0] if peer else "127.0.0.1"
            [request] = s.brain.requests
            assert request.client == address
            assert f"X-Forwarded-For: {address}\r\n".encode() in s.backend.heads[0]
            client.close()

    run(main())


@pytest.mark.parametrize("header", BAD.values(), ids=BAD.keys())
def test_a_trusted_peer_without_a_good_header_is_refused(header: bytes) -> None:
    """400 and the end; nothing reaches the backend."""

    async def main() -> None:
        async with behind_a_door(TRUSTING) as (s, port):
            client = await connect(port)
            await client.send(header)
            try:
                answer = await client.rest()
            except ConnectionResetError:  # what was not read of it made the end a reset
                answer = b""
            assert answer.startswith(b"HTTP/1.1 400 ") or not answer
            assert s.watch.own == [400]
            assert s.backend.connections == 0
            client.close()

    run(main())


def test_a_stranger_is_not_believed() -> None:
    """From a peer that is not trusted the header is what it is: no HTTP. Plain HTTP is served as ever."""

    async def main() -> None:
        async with behind_a_door(ProxyRules()) as (s, port):
            client = await connect(port)
            await client.send(GOOD[0][1] + GET)
            assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
            client.close()
            client = await connect(port)
            await client.send(GET)
            assert await client.answer() == OK
            assert b"X-Forwarded-For: 127.0.0.1\r\n" in s.backend.heads[0]
            client.close()

    run(main())


@pytest.mark.parametrize("said", [b"", b"PROXY TCP4 1"])
def test_a_header_has_the_time_of_a_head(said: bytes) -> None:
    """Then the connection is closed; who left within it is forgotten."""

    async def main() -> None:
        async with behind_a_door(replace(TRUSTING, head_ms=500)) as (_, port):
            client = await connect(port)
            await client.send(said)
            assert await client.rest() == b""
            client.close()
            client = await connect(port)
            await client.send(said)
            client.close()

    run(main())


def test_who_dawdles_before_the_door_holds_up_no_drain() -> None:
    """Two seconds, then it is closed, however long a head may take."""

    async def main() -> None:
        async with stage(rules=replace(TRUSTING, head_ms=10_000 * PATIENCE_S)) as s:
            with socket.create_server(("127.0.0.1", 0)) as door:
                doorman = Doorman(s.listener, door, None, proxy_protocol=True)
                doorman.start()
                client = await connect(door.getsockname()[1])
                await client.send(b"PROXY TCP4 1")
                await until(lambda: bool(doorman._receiving))
                await asyncio.wait_for(doorman.close(), PATIENCE_S)
                assert await client.rest() == b""
                client.close()

    run(main())


def test_who_stands_in_the_door_keeps_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next client is served at once; who has stood there longest goes for it, and the others stay."""
    monkeypatch.setattr("waitroom.proxy.doorman.RECEIVING", 4)

    async def main() -> None:
        async with behind_a_door(TRUSTING) as (_, port):
            standing = [await connect(port) for _ in range(4)]
            for client in standing:
                await client.send(b"PROXY TCP4 1")
            honest = await connect(port)
            await honest.send(GOOD[0][1] + GET)
            assert await honest.answer() == OK
            ends = [asyncio.ensure_future(client.reader.read()) for client in standing]
            gone, _ = await asyncio.wait(ends, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            assert gone == {ends[0]}
            for end in ends:
                end.cancel()
            for client in (*standing, honest):
                client.close()

    run(main())


def test_tls_begins_behind_the_header() -> None:
    """The header is in the clear, the scheme is https, and bytes that came along are part of the handshake."""

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        trust = ssl.create_default_context(cadata=CA)
        async with behind_a_door(TRUSTING, context) as (s, port):
            loop = asyncio.get_running_loop()
            raw = socket.create_connection(("127.0.0.1", port))
            raw.setblocking(False)
            await loop.sock_sendall(raw, GOOD[0][1])
            client = Client(*await asyncio.open_connection(sock=raw, ssl=trust, server_hostname="localhost"))
            await client.send(GET)
            assert await client.answer() == OK
            [request] = s.brain.requests
            assert (request.client, request.scheme) == ("192.0.2.7", b"https")
            client.close()
            plain = await connect(port)
            await plain.send(GOOD[0][1] + GET)  # no TLS behind it
            assert await plain.rest() == b""
            plain.close()

    run(main())
