"""Decisions that take time, bodies both ways, and what is held back while nobody reads."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.proxy.wire import OK, PATIENCE_S, TARGET, Call, answers, dechunked, stage, until
from tests.support.aio import run
from tests.support.product import look_again
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Request, Respond
from waitroom.proxy.rules import BUFFER_BYTES

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
WAIT = Respond(429, ((b"Retry-After", b"5"),), b"wait")
MB = 1024 * 1024


def test_an_answer_of_our_own_keeps_the_connection() -> None:
    """Also behind a body that is wholly here; HEAD gets the length without the body."""

    async def main() -> None:
        async with stage(choose=lambda _request: WAIT) as s:
            client = await s.connect()
            for sent in (GET, POST, CHUNKED, POST + GET):
                await client.send(sent)
                answer = await client.answer()
                assert answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nDate: ")
                assert answer.endswith(b"\r\nContent-Length: 4\r\n\r\nwait")
            assert (await client.answer()).endswith(b"wait")
            await client.send(GET.replace(b"GET", b"HEAD").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert (await client.rest()).endswith(b"\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
            assert s.backend.connections == 0
            assert s.watch.own == [429] * 6
            client.close()

    run(main())


def test_an_upload_without_a_pass_is_answered_and_not_read() -> None:
    """No 100, the answer, the end; the client can read it although it still sends."""

    async def main() -> None:
        async with stage(choose=lambda _request: WAIT) as s:
            client = await s.connect()
            await client.send(EXPECT)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 429")
            assert b"\r\nConnection: close\r\n" in answer
            client.close()
            client = await s.connect()
            client.writer.write(EXPECT.replace(b": 5", b": 1000000000") + b"x" * 100_000)
            assert (await client.rest()).startswith(b"HTTP/1.1 429")
            client.close()

    run(main())


@pytest.mark.parametrize("sent", [POST, CHUNKED])
def test_a_body_is_collected_and_relayed(sent: bytes) -> None:
    """The handler sees the whole body, and the backend gets it."""

    async def main() -> None:
        bodies: list[bytes | None] = []

        def then(body: bytes | None) -> Decision:
            bodies.append(body)
            return Relay(TARGET)

        async with stage(choose=lambda _request: Collect(5, then)) as s:
            for at in range(1, len(sent)):
                client = await s.connect()
                client.writer.write(sent[:at])
                await asyncio.sleep(0)
                client.writer.write(sent[at:])
                assert await client.answer() == OK
                assert bodies.pop() == b"hello"
                assert s.backend.bodies[-1] in {b"hello", b"5\r\nhello\r\n0\r\n\r\n"}
                client.close()

    run(main())


@pytest.mark.parametrize("sent", [POST, CHUNKED])
def test_a_body_beyond_the_limit_is_not_collected(sent: bytes) -> None:
    """`then` gets None, and its answer goes out."""

    async def main() -> None:
        def then(body: bytes | None) -> Decision:
            assert body is None
            return WAIT

        async with stage(choose=lambda _request: Collect(4, then)) as s:
            client = await s.connect()
            await client.send(sent)
            assert (await client.answer()).endswith(b"wait")
            client.close()

    run(main())


def test_collecting_asks_for_the_body() -> None:
    """The decision is to read it, so 100 is ours to send."""

    async def main() -> None:
        async with stage(choose=lambda _request: Collect(5, lambda body: Respond(400, (), body or b""))) as s:
            client = await s.connect()
            await client.send(EXPECT)
            assert await client.head() == CONTINUE
            await client.send(b"hello")
            assert (await client.answer()).endswith(b"hello")
            client.close()

    run(main())


def test_a_client_that_ends_just_when_it_is_answered_gets_the_answer() -> None:
    """Answers to later decisions are sent at the end of the loop's turn; an end in the same turn does not overtake."""

    async def main() -> None:
        resumes: list[Callable[[Decision], None]] = []
        async with stage(choose=lambda _request: Later(resumes.append)) as s:
            client = await s.connect()
            await client.send(GET)
            await until(lambda: bool(resumes))
            (connection,) = s.listener._connections
            resumes[0](Respond(200, (), b"late"))
            assert connection._exchange is None
            if not connection.eof_received():  # as the loop does it
                connection._transport.close()
            assert (await client.rest()).endswith(b"\r\n\r\nlate")
            client.close()

    run(main())


def test_a_later_decision_is_performed_once_it_is_made() -> None:
    """At once, later, twice, or after the client has gone: the exchange ends once, and `finished` is always told."""

    async def main() -> None:
        resumes: list[Callable[[Decision], None]] = []
        told: list[int] = []
        relay = Relay(TARGET, finished=told.append)

        def choose(request: Request) -> Decision:
            return Later((lambda resume: resume(relay)) if request.target == b"/now" else resumes.append)

        async with stage(choose=choose) as s:
            client = await s.connect()
            await client.send(GET.replace(b"/ ", b"/now "))
            assert await client.answer() == OK
            await client.send(POST)
            await until(lambda: len(resumes) == 1)
            resumes[0](relay)
            resumes[0](relay)
            resumes[0](WAIT)
            assert await client.answer() == OK
            assert s.backend.bodies[-1] == b"hello"
            await client.send(GET)
            await until(lambda: len(resumes) == 2)
            client.reset()
            await until(lambda: s.listener.connections == 0)
            resumes[1](relay)
            assert told == [200, 200, 0]

    run(main())


def test_the_backend_decides_about_continue() -> None:
    """The expectation is passed on; 100 comes from the backend, or its final answer does, and the connection ends."""

    async def main() -> None:
        async def script(call: Call) -> None:
            head = await call.head()
            assert b"\r\nExpect: 100-continue\r\n" in head
            if b"/no " in head:
                await call.say(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
                return
            await call.say(CONTINUE)
            await call.body(head)
            await call.say(OK)

        async with stage(script) as s:
            client = await s.connect()
            await client.send(EXPECT)
            assert await client.head() == CONTINUE
            await client.send(b"hello")
            assert await client.answer() == OK
            await client.send(EXPECT.replace(b"/ ", b"/no "))
            wanted = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            assert await client.rest() == wanted
            client.close()

    run(main())


@pytest.mark.parametrize(("announced", "sent"), [(100_000_000, 300_000), (20_000_000, 20_000_000)])
def test_an_early_final_answer_reaches_a_client_that_still_uploads(announced: int, sent: int) -> None:
    """413 while the upload runs: passed on whole, then the connection ends.

    Most programs send all of a body before they look for an answer: it is passed over.
    """

    async def main() -> None:
        async def script(call: Call) -> None:
            await call.head()
            await call.say(b"HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nbig")

        async with stage(script) as s:
            client = await s.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % announced + b"x" * sent)
            assert await client.rest() == b"HTTP/1.1 413 Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
            assert s.finished == [413]
            client.close()

    run(main())


def test_a_slow_reader_stops_the_backend() -> None:
    """What waits for a client that does not read stays below the bound; all of it comes when it reads."""

    async def main() -> None:
        sent = 0

        async def script(call: Call) -> None:
            nonlocal sent
            await call.head()
            await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MB))
            for _ in range(64):
                await call.say(b"x" * MB)
                sent += MB

        async with stage(script) as s:
            client = await s.connect()
            client.writer.transport.pause_reading()
            await client.send(GET)
            await _still(lambda: sent)
            assert sent < 48 * MB
            [connection] = s.listener._connections
            assert connection._transport.get_write_buffer_size() <= 2 * BUFFER_BYTES
            client.writer.transport.resume_reading()
            await client.head()
            for _ in range(64):
                await client.exactly(MB)
            assert s.finished == [200]
            client.close()

    run(main())


@pytest.mark.parametrize("framing", [b"Content-Length: 67108864", b"Transfer-Encoding: chunked"])
def test_a_slow_backend_stops_the_client(framing: bytes) -> None:
    """The same for an upload, by length and in chunks."""

    async def main() -> None:
        goes = asyncio.Event()
        received = 0

        async def script(call: Call) -> None:
            nonlocal received
            await call.head()
            await goes.wait()
            while received < 64 * MB:
                data = await call.reader.read(MB)
                received += data.count(b"x")
            await call.say(OK)

        async with stage(script) as s:
            client = await s.connect()
            sent = 0

            async def upload() -> None:
                nonlocal sent
                await client.send(b"POST / HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n" % framing)
                for _ in range(64):
                    data = b"x" * MB
                    await client.send(b"%x\r\n%b\r\n" % (MB, data) if b"chunked" in framing else data)
                    sent += MB
                await client.send(b"0\r\n\r\n" if b"chunked" in framing else b"")

            uploading = asyncio.ensure_future(upload())
            await until(lambda: bool(s.backend.heads))
            await _still(lambda: sent)
            assert sent < 48 * MB
            goes.set()
            await uploading
            assert (await client.answer()).endswith(b"\r\n\r\nok")
            assert received == 64 * MB
            client.close()

    run(main())


def test_many_pipelined_requests_wait_unread() -> None:
    """While one is answered, the next ones stay in the kernel but for one read."""

    async def main() -> None:
        resumes: list[Callable[[Decision], None]] = []
        async with stage(choose=lambda _request: Later(resumes.append)) as s:
            client = await s.connect()
            client.writer.write(GET * 200_000)
            await until(lambda: bool(resumes))
            await _still(lambda: len(_buffer(s.listener)))
            assert len(_buffer(s.listener)) <= BUFFER_BYTES
            client.reset()

    run(main())


def test_a_client_that_never_reads_does_not_fill_memory_with_answers() -> None:
    """Pipelined requests are not answered further while the answers are not read."""

    async def main() -> None:
        big = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        async with stage(answers(big)) as s:
            client = await s.connect()
            client.writer.transport.pause_reading()
            client.writer.write(GET * 1000)
            await _still(lambda: len(s.finished))
            assert len(s.finished) < 200
            client.writer.transport.resume_reading()
            for _ in range(1000):
                assert await client.exactly(len(big)) == big
            client.close()

    run(main())


def test_hundreds_of_mixed_requests_at_once() -> None:
    """Each client gets its own answers in its own order, whatever the others do."""

    async def script(call: Call) -> None:
        while head := await call.head():
            body = await call.body(head)
            echo = head.split(b" ")[1] + b"|" + body
            if b"/c" in head:
                await call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await call.say(b"%x\r\n%b\r\n0\r\n\r\n" % (len(echo), echo))
            elif b"/e" in head:
                await call.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + echo)
                return
            else:
                await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(echo), echo))

    async def visit(port: int, name: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(10):
            kind = b"lce"[(name + turn) % 3 :][:1]
            path = b"/%b/%d/%d" % (kind, name, turn)
            body = b"" if turn % 2 else b"%d" % name * 50
            length = b"Content-Length: %d\r\n" % len(body) if body else b""
            writer.write(b"PUT %b HTTP/1.1\r\nHost: h\r\n%b\r\n%b" % (path, length, body))
            head = await reader.readuntil(b"\r\n\r\n")
            if b"chunked" in head:
                assert dechunked(await reader.readuntil(b"0\r\n\r\n")) == path + b"|" + body
            else:
                assert await reader.readexactly(int(head.split(b"Length: ")[1].split(b"\r")[0])) == path + b"|" + body
        writer.close()

    async def main() -> None:
        async with stage(script) as s:
            await asyncio.gather(*(visit(s.port, name) for name in range(200)))
            assert len(s.finished) == 2000
            assert set(s.finished) == {200}
            assert s.inflight == 0

    run(main())


def _buffer(listener: Any) -> bytes:
    [connection] = listener._connections
    return connection._buffer


async def _still(value: Callable[[], int]) -> None:
    """Wait until a value has not changed for a good while."""
    last, same = -1, 0
    async with asyncio.timeout(2 * PATIENCE_S):
        while same < 30:
            await look_again(0.005)
            now = value()
            same = same + 1 if now == last else 0
            last = now
