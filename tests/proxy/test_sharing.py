"""Several requests on one connection: answered in order, each by itself."""

from ipaddress import ip_network

import pytest

from tests.proxy.wire import OK, TARGET, Call, answers, stage, until
from tests.support.aio import run
from waitroom.proxy.rules import ProxyRules

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


POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
SIGN_ON = b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM x\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKS = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"


async def _whole(call: Call) -> None:
    while head := await call.head():
        await call.body(head)
        await call.say(NOT_MODIFIED if b"If-None-Match" in head else OK.removesuffix(b"ok" * head.startswith(b"HEAD")))


@pytest.mark.parametrize("doubtful", [POST, CHUNKS, HEAD, GET.replace(b"\r\n\r\n", b"\r\nIf-None-Match: *\r\n\r\n")])
def test_a_connection_with_a_body_left_over_perhaps_is_for_one_client(doubtful: bytes) -> None:
    """Nobody can see from here whether a server reads a body, or keeps one back: its client alone would suffer."""

    async def main() -> None:
        async with stage(_whole) as s:
            first, second = await s.connect(), await s.connect()
            for _ in range(3):
                await first.send(doubtful)
                await first.head() if doubtful is not POST and doubtful is not CHUNKS else await first.answer()
                await first.send(GET)
                assert await first.answer() == OK
            assert s.backend.connections == 1
            for _ in range(3):
                await second.send(GET)
                assert await second.answer() == OK
            assert s.backend.connections == 2
            pool = s.listener.pools.get(TARGET)
            assert pool is not None
            assert pool.idle == 2
            first.close()
            await until(lambda: pool.idle == 1)
            second.close()

    run(main())


def test_what_a_server_takes_for_a_request_reaches_nobody_else() -> None:
    """It answers without reading the body, and then the body (CL.0): others get what they have asked for."""

    async def main() -> None:
        async def script(call: Call) -> None:
            while head := await call.head():
                path = head.split(b" ")[1]
                await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

        smuggled = b"GET /smuggled HTTP/1.1\r\nX: "
        async with stage(script) as s:
            evil = await s.connect()
            for n in range(100):
                await evil.send(b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (n, len(smuggled)))
                await evil.send(smuggled)
                answer = await s.say(CLOSE.replace(b"/ ", b"/%d " % n))
                assert answer.endswith(b"\r\n\r\n/%d" % n)
            evil.close()

    run(main())


@pytest.mark.parametrize(
    ("asked", "challenge"),
    [
        (b"Authorization: NTLM x\r\n", b""),
        (b"authorization: negotiate x\r\n", b""),
        (b"Authorization: other\r\n", b"WWW-Authenticate: NTLM x\r\n"),
        (b"Authorization: other\r\n", b'WWW-Authenticate: Basic realm="x", Negotiate\r\n'),
    ],
)
def test_who_signs_on_to_a_connection_does_so_for_nobody_else(asked: bytes, challenge: bytes) -> None:
    """NTLM and Negotiate: the server takes what comes over a connection for that user's, whoever has sent it."""

    async def main() -> None:
        async def script(call: Call) -> None:
            user = b"nobody"
            while head := await call.head():
                if b"uthorization" in head:
                    user = b"ann"
                await call.say(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (challenge, len(user), user))

        async with stage(script) as s:
            ann, bob = await s.connect(), await s.connect()
            await ann.send(GET.replace(b"\r\n\r\n", b"\r\n" + asked + b"\r\n"))
            assert (await ann.answer()).endswith(b"ann")
            await bob.send(GET)
            assert (await bob.answer()).endswith(b"nobody")
            await ann.send(GET)
            assert (await ann.answer()).endswith(b"ann")
            ann.close()
            bob.close()

    run(main())


def test_a_proxy_in_front_is_not_one_client() -> None:
    """What comes over one of its connections comes from many: they are told apart by their cookies and addresses."""

    async def main() -> None:
        async with stage(_whole, rules=ProxyRules(trusted_proxies=(ip_network("127.0.0.1/32"),))) as s:
            front = await s.connect()

            async def ask(request: bytes, about: bytes) -> int:
                await front.send(request.replace(b"\r\n\r\n", b"\r\n" + about + b"\r\n\r\n", 1))
                assert await front.answer() == OK
                return s.backend.connections

            ann, bob = b"Cookie: wr_main=ann", b"Cookie: wr_main=bob"
            assert [await ask(POST, ann), await ask(GET, ann)] == [1, 1]
            assert [await ask(GET, bob), await ask(GET, ann), await ask(GET, bob)] == [2, 2, 2]
            assert await ask(GET, ann + b"\r\nX-Forwarded-For: 192.0.2.7") == 2
            assert await ask(POST, bob) == 2
            assert [await ask(GET, ann), await ask(GET, b"X: 1")] == [2, 3]
            front.close()

    run(main())


@pytest.mark.parametrize(("request_", "left_after"), [(GET, 15), (POST, 2), (SIGN_ON, 15)])
def test_a_connection_for_one_client_is_kept_for_a_moment(request_: bytes, left_after: int) -> None:
    """Many who send forms would hold a thread of the server each; who has signed on shall not do so at each page."""

    async def main() -> None:
        async with stage(_whole) as s:
            pool, ticker = s.listener.pools.get(TARGET), s.listener.ticker
            assert pool is not None
            client = await s.connect()
            await client.send(request_)
            assert await client.answer() == OK
            assert pool.idle == 1
            began_s = ticker.now_s
            ticker.tick(began_s + left_after)
            assert pool.idle == 1
            ticker.tick(began_s + left_after + 1)
            assert pool.idle == 0
            client.close()

    run(main())


def test_where_there_is_no_room_the_oldest_connection_for_one_client_goes() -> None:
    """Those for all are worth more, and a client that was here just now is more likely to come back."""

    async def main() -> None:
        async with stage(_whole, rules=ProxyRules(backend_idle=2)) as s:
            pool = s.listener.pools.get(TARGET)
            assert pool is not None
            clients = [await s.connect() for _ in range(4)]

            async def ask(number: int, request: bytes) -> int:
                await clients[number].send(request)
                assert await clients[number].answer() == OK
                assert pool.idle <= 2
                return s.backend.connections

            assert [await ask(number, POST) for number in (0, 1, 2)] == [1, 2, 3]
            assert [await ask(number, GET) for number in (1, 2)] == [3, 3]
            assert [await ask(number, GET) for number in (3, 3, 0)] == [4, 4, 4]
            assert await ask(2, GET) == 4
            assert await ask(1, POST) == 4
            for client in clients:
                client.close()

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
