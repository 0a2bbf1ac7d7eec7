"""What has two readings, or none: refused with a 4xx, closed, and not a byte of it at the backend."""

import asyncio

import pytest

from tests.proxy.wire import answers, stage
from tests.support.aio import run
from waitroom.proxy.rules import ProxyRules

H = b"Host: h\r\n"
CL3 = b"Content-Length: 3\r\n"
TE = b"Transfer-Encoding: chunked\r\n"


def get(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + fields + b"\r\n" + body


HEADS = {
    "both lengths": get(H + CL3 + TE, b"0\r\n\r\n"),
    "both lengths, other order": get(H + TE + CL3, b"0\r\n\r\n"),
    "two equal lengths": get(H + CL3 + CL3, b"abc"),
    "two lengths": get(H + CL3 + b"Content-Length: 4\r\n", b"abc"),
    "listed length": get(H + b"Content-Length: 3, 3\r\n", b"abc"),
    "signed length": get(H + b"Content-Length: +3\r\n", b"abc"),
    "negative length": get(H + b"Content-Length: -3\r\n", b"abc"),
    "hexadecimal length": get(H + b"Content-Length: 0x3\r\n", b"abc"),
    "empty length": get(H + b"Content-Length:\r\n"),
    "length with a space": get(H + b"Content-Length: 3 3\r\n", b"abc"),
    "length beyond 64 bits": get(H + b"Content-Length: 18446744073709551619\r\n", b"abc"),
    "coding: identity": get(H + b"Transfer-Encoding: identity\r\n"),
    "coding: identity, chunked": get(H + b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n"),
    "coding: identity then chunked": get(H + b"Transfer-Encoding: identity\r\n" + TE, b"0\r\n\r\n"),
    "coding: chunked twice": get(H + TE + TE, b"0\r\n\r\n"),
    "coding: chunked, identity": get(H + b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    "coding: gzip, chunked": get(H + b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "coding: xchunked": get(H + b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "coding: quoted": get(H + b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "coding: vertical tab": get(H + b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "coding: space before colon": get(H + b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "coding: folded": get(H + b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\n" + H + TE + b"\r\n0\r\n\r\n",
    "no host": get(b"X: 1\r\n"),
    "nothing": get(b""),
    "two hosts": get(H + H),
    "empty host": get(b"Host:\r\n"),
    "host with a path": get(b"Host: h/a\r\n"),
    "host with a user": get(b"Host: u@h\r\n"),
    "host with a space": get(b"Host: h h\r\n"),
    "host with a bad port": get(b"Host: h:x\r\n"),
    "absolute form of another host": b"GET http://other/ HTTP/1.1\r\n" + H + b"\r\n",
    "absolute form with a user": b"GET http://u@h/ HTTP/1.1\r\n" + H + b"\r\n",
    "absolute form of another scheme": b"GET ftp://h/ HTTP/1.1\r\n" + H + b"\r\n",
    "authority form": b"GET h:80 HTTP/1.1\r\n" + H + b"\r\n",
    "star": b"GET * HTTP/1.1\r\n" + H + b"\r\n",
    "no slash": b"GET a HTTP/1.1\r\n" + H + b"\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n",
    "CONNECT": b"CONNECT h:80 HTTP/1.1\r\n" + H + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + H + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + H + b"\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case version": b"GET / http/1.1\r\n" + H + b"\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + H + b"\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\n" + H + b"\r\n",
    "space after version": b"GET / HTTP/1.1 \r\n" + H + b"\r\n",
    "tab between": b"GET\t/\tHTTP/1.1\r\n" + H + b"\r\n",
    "space first": b" GET / HTTP/1.1\r\n" + H + b"\r\n",
    "method of no token": b"GE(T / HTTP/1.1\r\n" + H + b"\r\n",
    "control byte in target": b"GET /\x01 HTTP/1.1\r\n" + H + b"\r\n",
    "NUL in target": b"GET /\0 HTTP/1.1\r\n" + H + b"\r\n",
    "NUL in a value": get(H + b"X: a\0b\r\n"),
    "control byte in a value": get(H + b"X: a\x01b\r\n"),
    "DEL in a value": get(H + b"X: a\x7fb\r\n"),
    "CR in a value": get(H + b"X: a\rb\r\n"),
    "LF in a value": get(H + b"X: a\nb\r\n"),
    "LF ends a line": b"GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n",
    "LF ends all lines": b"GET / HTTP/1.1\nHost: h\n\n",
    "CR CR LF": get(H + b"X: a\r\r\n"),
    "folded": get(H + b"X: a\r\n b\r\n"),
    "folded with a tab": get(H + b"X: a\r\n\tb\r\n"),
    "folded at once": get(b" X: a\r\n" + H),
    "space before colon": get(b"Host : h\r\n"),
    "no colon": get(H + b"Xa\r\n"),
    "no name": get(H + b": a\r\n"),
    "name of no token": get(H + b"X(y): a\r\n"),
    "name with obs-text": get(H + b"X\xe9: a\r\n"),
    "upgrade with a body": get(H + b"Connection: upgrade\r\nUpgrade: websocket\r\n" + CL3, b"abc"),
    "upgrade with chunks": get(H + b"Connection: upgrade\r\nUpgrade: websocket\r\n" + TE, b"0\r\n\r\n"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "noise": bytes(range(128, 256)) * 4,
}


@pytest.mark.parametrize("sent", HEADS.values(), ids=HEADS.keys())
def test_a_head_with_two_readings_is_refused(sent: bytes) -> None:
    """A 4xx, the end, nothing at the backend; the same when the head comes in two pieces, wherever it is cut."""

    async def main() -> None:
        async with stage() as s:
            for at in range(len(sent)):
                answer = await s.say(sent + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", pieces=at)
                assert answer.startswith(b"HTTP/1.1 4"), (at, answer)
                assert answer.count(b"HTTP/1.1 ") == 1
                assert b"\r\nConnection: close\r\n" in answer
            assert s.backend.heads == []
            assert s.brain.requests == []
            assert len(s.watch.own) == len(sent)

    run(main())


CHUNKS = {
    "bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "too much data": b"3\r\nabcd\r\n0\r\n\r\n",
    "0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "space": b"3 \r\nabc\r\n0\r\n\r\n",
    "overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;\0\r\nabc\r\n0\r\n\r\n",
    "LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "length in a trailer": b"0\r\nContent-Length: 4\r\n\r\n",
    "coding in a trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer of no field": b"0\r\nX y\r\n\r\n",
    "bare LF in a trailer": b"0\r\nX: y\n\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
def test_chunks_with_two_readings_end_the_request(body: bytes) -> None:
    """The backend never sees the end of such a body, nor anything behind it."""

    async def main() -> None:
        async with stage() as s:
            for at in range(len(body)):
                answer = await s.say(get(H + TE) + body + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", pieces=-1 - at)
                assert answer.startswith(b"HTTP/1.1 400"), answer
                assert answer.count(b"HTTP/1.1 ") == 1
            assert s.backend.bodies == []
            assert not any(b"smuggled" in head for head in s.backend.heads)
            assert s.inflight == 0
            assert s.finished == [0] * len(body)

    run(main())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 5000, b"414"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n" + H + b"\r\n", b"414"),
        (get(H + b"X: " + b"a" * 5000), b"431"),
        (get(H + b"X: " + b"a" * 5000 + b"\r\n"), b"431"),
        (get(H + b"X: 1\r\n" * 2000), b"431"),
        (get(H + b"Content-Length: 1001\r\n"), b"413"),
        (get(H + TE, b"3e9\r\n" + b"a" * 1001 + b"\r\n0\r\n\r\n"), b"413"),
        (b"CONNECT h:80 HTTP/1.1\r\n" + H + b"\r\n", b"405"),
    ],
)
def test_what_is_too_large_is_named(sent: bytes, status: bytes) -> None:
    """Heads, URLs and bodies have bounds, each with its own status."""

    async def main() -> None:
        async with stage(rules=ProxyRules(header_bytes=4096, body_bytes=1000)) as s:
            answer = await s.say(sent)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert s.backend.bodies == []

    run(main())


BAD_RESPONSES = {
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "two equal lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nabc",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 3\n\r\n\r\nabc",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "NUL": b"HTTP/1.1 200 O\0K\r\n\r\n",
    "CR in a value": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
    "101 unasked": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "endless 1xx": b"HTTP/1.1 103 E\r\n\r\n" * 40,
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "large head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
    "large head without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000,
}


@pytest.mark.parametrize("response", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_a_response_with_two_readings_is_a_failure(response: bytes) -> None:
    """It becomes the handler's answer to a protocol violation, and its connection is never used again."""

    async def main() -> None:
        async with stage(answers(response)) as s:
            for n in range(2):
                client = await s.connect()
                await client.send(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
                answer = await client.answer()
                while answer.startswith(b"HTTP/1.1 103"):
                    answer = await client.answer()
                assert answer.startswith(b"HTTP/1.1 502")
                assert answer.endswith(b"\r\n\r\nprotocol")
                assert s.backend.connections == n + 1
                client.close()
            assert s.watch.failed == ["protocol"] * 2
            assert s.finished == [0] * 2
            assert s.inflight == 0

    run(main())


def test_bad_chunks_of_a_response_cut_the_client() -> None:
    """Once the head is out, a failure is the end of the connection, and no end of the body."""

    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with stage(answers(head + b"3\r\nabc\r\nx\r\n")) as s:
            client = await s.connect()
            await client.send(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.reader.readuntil(b"0\r\n\r\n")
            assert s.watch.done == [("main/main-1", 502)]
            assert s.finished == [0]
            client.close()

    run(main())
