"""Several requests on one connection: answered in order, each by itself."""

import pytest

from tests.proxy.wire import OK, Call, answers, stage
from tests.support.aio import run

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
        "absolute form",
        b"GET http://H/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /a?b HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
    ),
    (
        "absolute form without path",
        b"GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /?b HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"\r\n",
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
        b"POST / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    ),
    (
        "chunks without content",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\n" + VOUCH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "HTTP/1.0",
        b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %AUTHORITY%\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n",
    ),
]


def test_pipelined_requests_are_answered_in_order() -> None:
    """Also those behind bodies, by length or in chunks."""

    async def main() -> None:
        async def script(call: Call) -> None:
            while head := await call.head():
                await call.body(head)
                path = head.split(b" ")[1]
                await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

        post = b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        chunked = b"POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        get = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
        sent = b"".join((post, chunked, get)[n % 3] % n for n in range(300))
        async with stage(script) as s:
            client = await s.connect()
            await client.send(sent)
            for n in range(300):
                assert (await client.answer()).endswith(b"\r\n\r\n/%d" % n)
            assert s.backend.connections == 1
            client.close()

    run(main())


def test_backend_connections_are_used_again_latest_first() -> None:
    """One client after the other needs one backend connection."""

    async def main() -> None:
        async with stage() as s:
            for _ in range(5):
                assert await s.say(CLOSE)
            assert s.backend.connections == 1

    run(main())


@pytest.mark.parametrize(
    "response", [OK + b"x", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"]
)
def test_a_doubtful_backend_connection_is_not_used_again(response: bytes) -> None:
    """Bytes behind a response, or `close`: the client gets the answer, the connection goes."""

    async def main() -> None:
        async with stage(answers(response)) as s:
            client = await s.connect()
            for n in range(3):
                await client.send(GET)
                assert await client.answer() == OK
                assert s.backend.connections == n + 1
            client.close()

    run(main())
