"""Backends that refuse, die, hang or stop half-way, and clients that leave."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.reference import cut_reply
from tests.proxy.wire import OK, PATIENCE_S, TARGET, Call, stage, until
from tests.support.aio import run
from waitroom.proxy.decisions import Later, Relay, Request, Respond
from waitroom.proxy.rules import ProxyRules
from waitroom.settings.addresses import BackendUrl

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


def test_a_refused_connection_is_told() -> None:
    """502 by the handler, at once; the client's connection stays."""

    async def main() -> None:
        async with stage() as s:
            s.listener.pools.replace({TARGET: BackendUrl("http", "127.0.0.1", 1)})
            client = await s.connect()
            for _ in range(2):
                await client.send(POST)
                assert (await client.answer()).endswith(b"\r\n\r\nrefused")
            assert s.watch.failed == ["refused"] * 2
            assert s.watch.done == [(TARGET, 502)] * 2
            assert s.finished == [0, 0]
            client.close()

    run(main())


def test_a_name_without_address_is_told() -> None:
    """Resolution fails as `unresolved`."""

    async def main() -> None:
        async with stage() as s:
            s.listener.pools.replace({TARGET: BackendUrl("http", "nowhere.invalid", 80)})
            client = await s.connect()
            await client.send(GET)
            assert (await client.answer()).endswith(b"\r\n\r\nunresolved")
            client.close()

    run(main())


def test_an_unknown_target_is_told() -> None:
    """A decision made before a reload may name a backend that is gone."""

    async def main() -> None:
        async with stage(choose=lambda _request: Relay("gone/gone-1")) as s:
            client = await s.connect()
            await client.send(GET)
            assert (await client.answer()).endswith(b"\r\n\r\nunreachable")
            client.close()

    run(main())


@pytest.mark.parametrize("reset", [False, True])
def test_a_backend_that_dies_before_its_answer_is_told(reset: bool) -> None:
    """On a fresh connection nothing is tried again, whatever the method."""

    async def script(call: Call) -> None:
        await call.head()
        if reset:
            call.reset()

    async def main() -> None:
        async with stage(script) as s:
            client = await s.connect()
            await client.send(GET)
            assert (await client.answer()).endswith(b"\r\n\r\nreset")
            assert s.backend.connections == 1
            client.close()

    run(main())


TRUNCATED = {
    "by length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
}


@pytest.mark.parametrize("response", TRUNCATED.values(), ids=TRUNCATED.keys())
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_truncated_answer_is_cut(response: bytes, version: bytes) -> None:
    """The client gets what came, and no end of it: to HTTP/1.0, which knows none but the connection's, a reset."""

    async def script(call: Call) -> None:
        await call.head()
        await call.say(response)

    async def main() -> None:
        async with stage(script) as s:
            client = await s.connect()
            await client.send(b"GET / HTTP/%b\r\nHost: h\r\n\r\n" % version)
            came, reset = await client.to_the_end()
            assert reset is (version == b"1.0")
            assert reset or cut_reply(came, b"GET", ended=True).body == b"abc"
            assert s.watch.failed == ["truncated"]
            assert s.finished == [0]
            assert s.inflight == 0
            client.close()

    run(main())


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_reset_is_no_end_of_an_answer_without_length(version: bytes) -> None:
    """What is delimited by the end of the connection is complete only after an orderly end."""

    async def main() -> None:
        goes = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            await call.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
            await goes.wait()
            call.reset()

        async with stage(script) as s:
            client = await s.connect()
            await client.send(GET.replace(b"1.1", version))
            head = await client.head()
            goes.set()
            came, reset = await client.to_the_end()
            assert reset is (version == b"1.0")
            assert reset or cut_reply(head + came, b"GET", ended=True).body == b"abc"
            client.close()

    run(main())


@pytest.mark.parametrize("sent", [GET, POST, POST[:-1]])
def test_a_client_that_leaves_takes_its_backend_connection_along(sent: bytes) -> None:
    """`finished(0)`, nobody in flight, and the half-used connection is gone."""

    async def main() -> None:
        gone = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            await call.reader.read()
            gone.set()

        async with stage(script) as s:
            client = await s.connect()
            await client.send(sent)
            await until(lambda: bool(s.backend.heads))
            client.reset()
            await asyncio.wait_for(gone.wait(), 5)
            assert s.finished == [0]
            assert s.watch.done == [(TARGET, 499)]
            assert s.inflight == 0

    run(main())


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"


@pytest.mark.parametrize("pieces", [(OK,), CHUNKS], ids=["length", "chunks"])
def test_a_half_closed_client_gets_its_answer(pieces: tuple[bytes, ...]) -> None:
    """Whoever has sent a whole request may stop sending and read."""

    async def main() -> None:
        goes = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            await goes.wait()
            for piece in pieces:
                await call.say(piece)
                await asyncio.sleep(0)

        async with stage(script) as s:
            client = await s.connect()
            client.writer.write(GET)
            client.writer.write_eof()
            await until(lambda: bool(s.backend.heads))
            goes.set()
            assert await client.rest() == b"".join(pieces)
            client.close()

    run(main())


def test_an_end_within_a_stream_of_events_is_a_client_that_left() -> None:
    """The backend's work ends with it, though nobody has anything to write; the backend is not blamed."""
    events = CHUNKS[0].replace(b"200 OK\r\n", b"200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n")

    async def main() -> None:
        gone = asyncio.Event()

        async def script(call: Call) -> None:
            await call.head()
            await call.say(events + CHUNKS[1])
            await call.reader.read()
            gone.set()

        async with stage(script) as s:
            client = await s.connect()
            await client.send(GET)
            await client.head()
            client.close()
            await asyncio.wait_for(gone.wait(), PATIENCE_S)
            assert s.watch.done == [(TARGET, 499)]
            assert s.watch.failed == []

    run(main())


def test_a_half_closed_client_gets_all_its_answers() -> None:
    """Pipelined requests before the end count; half a request behind them does not."""

    async def main() -> None:
        for tail in (b"", b"GET / HT"):
            async with stage() as s:
                client = await s.connect()
                client.writer.write(GET * 50 + tail)
                client.writer.write_eof()
                assert await client.rest() == OK * 50
                client.close()

    run(main())


def test_a_backend_behind_a_unix_socket(tmp_path: Path) -> None:
    """Reached by its path."""

    async def main() -> None:
        async with stage() as s:
            path = str(tmp_path / "backend")
            server = await asyncio.start_unix_server(s.backend.serve, path)
            s.listener.pools.replace({TARGET: BackendUrl("http", "", 80, unix=path)})
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            server.close()
            client.close()

    run(main())


def test_a_decision_that_is_never_made_is_given_up() -> None:
    """503, and the decision is ignored if it comes after all."""

    async def main() -> None:
        resumes: list[Any] = []
        async with stage(choose=lambda _request: Later(resumes.append), rules=ProxyRules(response_ms=20_000)) as s:
            client = await s.connect()
            await client.send(GET)
            await until(lambda: bool(resumes))
            s.listener.ticker.tick(s.listener.ticker.now_s + 22)
            assert (await client.rest()).startswith(b"HTTP/1.1 503 ")
            resumes[0](Relay(TARGET, finished=s.finished.append))
            assert s.finished == [0]
            client.close()

    run(main())


def test_a_half_sent_body_ends_the_request() -> None:
    """A client that ends within its body leaves no half request at the backend as if it were whole."""

    async def main() -> None:
        seen: list[bytes] = []

        async def script(call: Call) -> None:
            await call.head()
            seen.append(await call.reader.read())

        async with stage(script) as s:
            client = await s.connect()
            client.writer.write(POST[:-1])
            await until(lambda: bool(s.backend.heads))
            client.writer.write_eof()
            assert await client.rest() == b""
            await until(lambda: bool(seen))
            assert s.finished == [0]
            assert s.watch.done == [(TARGET, 499)]
            client.close()

    run(main())


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_is_cut_when_its_client_ends_within_the_request(version: bytes) -> None:
    """Half an answer is no answer, although the client's own end came first: it may still be reading."""

    async def script(call: Call) -> None:
        await call.head()
        await call.say(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await call.reader.read()

    async def main() -> None:
        async with stage(script) as s:
            client = await s.connect()
            await client.send(POST[:-1].replace(b"1.1", version))
            await client.head()
            client.writer.write_eof()
            with pytest.raises(ConnectionResetError):
                await client.rest()
            assert s.watch.done == [(TARGET, 499)]
            assert s.finished == [0]
            client.close()

    run(main())


def test_a_backend_that_says_nothing_is_given_up() -> None:
    """504 before its head, a cut after it."""

    async def main() -> None:
        says = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]

        async def script(call: Call) -> None:
            await call.head()
            await call.say(says.pop(0))
            assert await call.reader.read() == b""

        async with stage(script, rules=ProxyRules(response_ms=20_000)) as s:
            ticker = s.listener.ticker
            client = await s.connect()
            await client.send(GET)
            await until(lambda: len(s.backend.heads) == 1)
            ticker.tick(ticker.now_s + 19)
            assert s.inflight == 1
            ticker.tick(ticker.now_s + 2)
            assert (await client.answer()).endswith(b"\r\n\r\nresponse_timeout")
            await client.send(GET)
            head = await client.head()
            ticker.tick(ticker.now_s + 21)
            came, reset = await client.to_the_end()
            assert not reset
            assert cut_reply(head + came, b"GET", ended=True).body == b"abc"
            assert s.watch.done[-1] == (TARGET, 504)
            client.close()

    run(main())


def test_a_defect_of_the_handler_ends_one_connection() -> None:
    """The worker lives on; the client sees a reset."""

    async def main() -> None:
        def choose(request: Request) -> Relay | Respond:
            if request.target == b"/bad":
                raise ValueError("a defect")
            return Relay(TARGET)

        async with stage(choose=choose) as s:
            client = await s.connect()
            await client.send(GET.replace(b"/ ", b"/bad "))
            with pytest.raises(ConnectionResetError):
                await client.rest()
            client.close()
            client = await s.connect()
            await client.send(GET)
            assert await client.answer() == OK
            client.close()

    run(main())


def test_a_reload_keeps_what_stays_and_ends_what_goes() -> None:
    """A backend with the same URL keeps its connections; a running request on another ends in its own time."""

    async def main() -> None:
        goes = asyncio.Event()

        async def script(call: Call) -> None:
            while await call.head():
                await goes.wait()
                await call.say(OK)

        async with stage(script) as s:
            old = s.listener.pools.get(TARGET)
            assert old is not None
            s.listener.pools.replace({TARGET: old.url})
            assert s.listener.pools.get(TARGET) is old
            client = await s.connect()
            await client.send(GET)
            await until(lambda: bool(s.backend.heads))
            s.listener.pools.replace({})
            goes.set()
            assert await client.answer() == OK
            assert old.idle == 0
            assert old.inflight == 0
            client.close()

    run(main())
