"""What goes through: the bytes of requests and responses at both ends."""

import asyncio

import pytest

from tests.proxy.wire import OK, TARGET, Call, answers, dechunked, stage
from tests.support.aio import run
from waitroom.proxy.decisions import Relay

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
VOUCH = b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"

PASSED = [
    (
        "target bytes",
        b"GET /%7Ea%2Fb//c/../?q=&&x=%E9\xe9;'|{}^ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /%7Ea%2Fb//c/../?q=&&x=%E9\xe9;'|{}^ HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "case, order, repeats, obs-text",
        b"GET / HTTP/1.1\r\nHOST: h\r\nx-b: 1\r\nX-A:2\r\nX-b:  3 \r\nX-C: \xe9\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHOST: h\r\nx-b: 1\r\nX-A:2\r\nX-b:  3 \r\nX-C: \xe9\xff\r\n" + VOUCH + b"\r\n",
    ),
    (
        "hop by hop",
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Gone\r\nKeep-Alive: 5\r\n"
            b"X-Gone: 1\r\nTE: trailers\r\n"
            b"Proxy-Connection: x\r\nTrailer: a\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\nX-Kept: 1\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Kept: 1\r\n" + VOUCH + b"\r\n",
    ),
    (
        "h2c asked for",
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: a\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "connection names host",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "proxy authentication",
        b"GET / HTTP/1.1\r\nHost: h\r\nProxy-Authorization: x\r\nAuthorization: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nProxy-Authorization: x\r\nAuthorization: y\r\n" + VOUCH + b"\r\n",
    ),
    (
        "our cookies",
        b'GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; wr_main=v1.x; b="2";__Host-wr_m=q;  c\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; b="2";  c\r\n' + VOUCH + b"\r\n",
    ),
    (
        "only our cookies",
        b"GET / HTTP/1.1\r\nHost: h\r\nCookie: WR_main=v1.x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "no cookie of ours",
        b"GET / HTTP/1.1\r\nHost: h\r\ncookie:a=1;b ;; c=wr_x\r\nCookie: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\ncookie:a=1;b ;; c=wr_x\r\nCookie: z\r\n" + VOUCH + b"\r\n",
    ),
    (
        "nobody vouches for themselves",
        (
            b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Foo: 1\r\nX_Forwarded_For: 6.6.6.6\r\n"
            b"X-Forwarded_For: 6\r\nHost: h\r\nX_b: 1\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: h\r\nX_b: 1\r\n" + VOUCH + b"\r\n",
    ),
    (
        "a proxy that CGI would believe in",
        b"GET / HTTP/1.1\r\nHost: h\r\nProxy: http://evil\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "absolute form",
        b"GET http://H/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a?b HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "absolute form without path",
        b"GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /?b HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "absolute form with the usual port",
        b"GET http://h:80/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "absolute form, the usual port in Host",
        b"GET HTTP://h/ HTTP/1.1\r\nHost: h:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h:80\r\n" + VOUCH.replace(b"Host: h", b"Host: h:80") + b"\r\n",
    ),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n"),
    (
        "unknown method",
        b"brew /pot HTTP/1.1\r\nHost: h\r\n\r\n",
        b"brew /pot HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "empty lines first",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "range",
        b'GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nIf-None-Match: "a"\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nIf-None-Match: "a"\r\n' + VOUCH + b"\r\n",
    ),
    (
        "length",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" + VOUCH + b"\r\nhello",
    ),
    (
        "no length",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" + VOUCH + b"\r\n",
    ),
    (
        "chunks",
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTrailer: T\r\n\r\n"
            b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
        ),
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + VOUCH + b"\r\n5\r\nabcde\r\n0\r\n\r\n",
    ),
    (
        "chunks without content",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + VOUCH + b"\r\n0\r\n\r\n",
    ),
    (
        "HTTP/1.0",
        b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %AUTHORITY%\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n",
    ),
]


@pytest.mark.parametrize(("sent", "seen"), [row[1:] for row in PASSED], ids=[row[0] for row in PASSED])
def test_a_request_reaches_the_backend_as(sent: bytes, seen: bytes) -> None:
    """What is not about the connection goes on byte for byte; the rest in one canonical form."""

    async def main() -> None:
        async with stage() as s:
            client = await s.connect()
            await client.send(sent)
            assert (await client.answer()).endswith(b"\r\n\r\nok")
            authority = b"127.0.0.1:%d" % s.backend.port
            assert s.backend.heads[0] + s.backend.bodies[0] == seen.replace(b"%AUTHORITY%", authority)
            assert s.finished == [200]
            assert s.inflight == 0
            client.close()

    run(main())


def test_a_request_split_anywhere_is_the_same_request() -> None:
    """Where TCP cuts a request changes nothing that the backend sees, chunks put together apart."""

    async def main() -> None:
        async with stage() as s:
            for _name, sent, _ in PASSED:
                client = await s.connect()
                await client.send(sent)
                await client.answer()
                client.close()
                head = s.backend.heads[-1]
                body = s.backend.bodies[-1]
                for at in range(1, len(sent)):
                    client = await s.connect()
                    client.writer.write(sent[:at])
                    await asyncio.sleep(0)
                    client.writer.write(sent[at:])
                    assert (await client.answer()).endswith(b"\r\n\r\nok"), (sent, at)
                    assert s.backend.heads[-1] == head
                    assert dechunked(s.backend.bodies[-1]) == dechunked(body)
                    client.close()

    run(main())


RESPONSES = [
    (
        "length",
        GET,
        (
            b"HTTP/1.1 200 Fine\xe9\r\nServer: x\r\nConnection: keep-alive\r\nKeep-Alive: 1\r\nx-a:1\r\n"
            b"X-A: 2\r\nContent-Length: 2\r\n\r\nok"
        ),
        b"HTTP/1.1 200 Fine\xe9\r\nServer: x\r\nx-a:1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok",
    ),
    (
        "connection names a field",
        GET,
        b"HTTP/1.1 200 OK\r\nConnection: X-Gone\r\nX-Gone: 1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "chunks",
        GET,
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n"
            b"0\r\nT: 1\r\n\r\n"
        ),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    ),
    (
        "chunks to HTTP/1.0",
        b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
    ),
    (
        "length to HTTP/1.0 that keeps",
        b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
        OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    ),
    ("backend speaks 1.0", GET, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", OK),
    (
        "HEAD",
        b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
    ),
    (
        "HEAD of chunks",
        b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ),
    (
        "204",
        GET,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    ),
    (
        "304",
        GET,
        b'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: "a"\r\n\r\n',
        b'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: "a"\r\n\r\n',
    ),
    ("no field at all", GET, b"HTTP/1.1 204 \r\n\r\n", b"HTTP/1.1 204 \r\n\r\n"),
    ("no reason", GET, b"HTTP/1.1 204\r\n\r\n", b"HTTP/1.1 204 \r\n\r\n"),
    (
        "103 and 100 first",
        GET,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
    ),
    (
        "no 1xx to HTTP/1.0",
        b"GET / HTTP/1.0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    ),
    ("close asked for", CLOSE, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
    (
        "cookies",
        GET,
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    ),
]


@pytest.mark.parametrize(
    ("request_", "sent", "seen"), [row[1:] for row in RESPONSES], ids=[row[0] for row in RESPONSES]
)
def test_a_response_reaches_the_client_as(request_: bytes, sent: bytes, seen: bytes) -> None:
    """Nothing is added to a relayed response; framing is made anew where the client needs another."""

    async def main() -> None:
        async with stage(answers(sent)) as s:
            client = await s.connect()
            await client.send(request_)
            assert await client.exactly(len(seen)) == seen
            assert s.inflight == 0
            client.close()

    run(main())


def test_a_response_split_anywhere_is_the_same_response() -> None:
    """Where TCP cuts a response changes nothing, chunks put together apart."""

    async def main() -> None:
        for _name, request, sent, seen in RESPONSES:
            pieces: list[bytes] = []

            async def script(call: Call, pieces: list[bytes] = pieces) -> None:
                while await call.head():
                    for piece in pieces:
                        await call.say(piece)
                        await asyncio.sleep(0)

            async with stage(script) as s:
                for at in range(1, len(sent)):
                    pieces[:] = sent[:at], sent[at:]
                    client = await s.connect()
                    await client.send(request)
                    if b"chunked" in seen:
                        head = await client.head()
                        body = await client.reader.readuntil(b"0\r\n\r\n")
                        assert head + b"5\r\n" + dechunked(body) + b"\r\n0\r\n\r\n" == seen
                    else:
                        assert await client.exactly(len(seen)) == seen, (sent, at)
                    client.close()

    run(main())


def test_our_cookie_is_the_only_thing_added() -> None:
    """`Relay.cookie` is set on the final response, behind its own fields."""

    async def main() -> None:
        script = answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        async with stage(script, cookie=b"wr_main=x; Path=/") as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            wanted = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: wr_main=x; Path=/\r\n\r\nok"
            assert await client.answer() == wanted
            client.close()

    run(main())


def test_our_cookie_is_kept_back_from_a_failure() -> None:
    """From `cookie_below` on, the response has no cookie of ours."""

    async def main() -> None:
        response = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        relay = Relay(TARGET, cookie=b"x", cookie_below=500)
        async with stage(answers(response), lambda _request: relay) as s:
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == response
            client.close()

    run(main())


def test_a_response_without_length_ends_with_the_connection() -> None:
    """It goes on in chunks, so that its end is one."""

    async def main() -> None:
        script = answers(b"HTTP/1.1 200 OK\r\n\r\nabc", close=True)
        async with stage(script) as s:
            client = await s.connect()
            await client.send(GET + CLOSE)
            wanted = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            assert await client.head() == wanted + b"\r\n"
            assert dechunked(await client.reader.readuntil(b"0\r\n\r\n")) == b"abc"
            assert await client.head() == wanted + b"Connection: close\r\n\r\n"
            assert dechunked(await client.rest()) == b"abc"
            assert s.backend.connections == 2
            client.close()

    run(main())
