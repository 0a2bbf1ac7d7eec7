"""Several requests on one connection: answered in order, each by itself."""

import pytest

from tests.proxy.wire import OK, Call, answers, stage
from tests.support.aio import run

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


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
