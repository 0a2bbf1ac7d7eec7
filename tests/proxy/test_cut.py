"""An answer that its backend cuts short: the client gets all of it that there was, and can tell that it is not whole.

Law: the client has little room and reads nothing until the backend is gone, so that what it reads then has waited here.
"""

import asyncio
import socket

import pytest

from tests.proxy.half import (
    BODY,
    GET,
    HALF,
    LENGTH,
    PATIENCE_S,
    POST,
    RULES,
    TCP_CLOSE,
    UPLOAD,
    Dying,
    arrived,
    asked,
    connection,
    everything,
    gone,
    is_half,
    send,
)
from tests.proxy.test_backlog import RATE, reader, take
from tests.proxy.wire import OK, TARGET, Call, Script, stage, until
from tests.support.aio import run
from waitroom.proxy import doorman
from waitroom.proxy.bodies import chunk
from waitroom.proxy.rules import BUFFER_BYTES
from waitroom.proxy.transports import GLANCE_BYTES, SecondLook, unacknowledged

DEATHS = [
    *((framing, "closes") for framing in ("by length", "in chunks", "in a chunk")),
    *((framing, "resets") for framing in HALF),
    *((framing, "stalls") for framing in ("by length", "in chunks", "to the end")),
    ("in chunks", "raves"),
]
TLS = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


@TLS
@pytest.mark.parametrize(("framing", "how"), DEATHS, ids=[f"{how} {framing}" for framing, how in DEATHS])
def test_a_slow_reader_gets_all_of_half_an_answer(framing: str, how: str, tls: bool) -> None:
    """However its backend came to its end."""
    dying = Dying(HALF[framing], how)

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(GET)
            await gone(s, how)
            transport = connection(s)._transport
            assert transport.get_write_buffer_size() + unacknowledged(transport) > len(BODY) / 10
            came, orderly = await asyncio.to_thread(everything, client)
            assert orderly
            is_half(came)
            assert s.watch.done == [(TARGET, 504 if how == "stalls" else 502)]

    run(main())


@TLS
@pytest.mark.parametrize("how", ["closes", "resets", "stalls"])
def test_an_upload_under_way_takes_nothing_from_it(how: str, tls: bool) -> None:
    """Who sends all before it reads is heard to the end of that, so that no reset meets it."""
    dying = Dying(HALF["by length"], how)

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(POST % len(UPLOAD) + UPLOAD[:10_000])
            await gone(s, how)
            came, orderly = await asyncio.to_thread(send, client, UPLOAD[10_000:])
            assert orderly
            is_half(came, method=b"POST")
            assert len(s.brain.requests) == 1

    run(main())


@TLS
def test_a_backend_that_dies_under_an_upload_was_heard_to_its_end(tls: bool) -> None:
    """Our write to it fails while more of its answer lies unread than is read at a time, and the client is to read."""
    sent, stopped = bytearray(), asyncio.Event()

    async def script(call: Call) -> None:
        await call.head()
        await call.say(LENGTH % 9_000_000)
        while not stopped.is_set():
            await _more(call)
        for _ in range(5):
            await _more(call)
        call.reset()

    async def _more(call: Call) -> None:
        sent.extend(BODY[:30_000])
        await call.say(BODY[:30_000])
        await arrived(call)

    async def main() -> None:
        async with stage(script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(POST % len(UPLOAD) + UPLOAD[:10_000])
            exchange = await asked(s)
            upstream = exchange._upstream
            assert upstream is not None
            room = upstream.transport.get_extra_info("socket")
            room.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 212_992)
            await until(lambda: not upstream._reading)
            stopped.set()
            await until(lambda: room.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == TCP_CLOSE)
            relayed = exchange.sent_bytes
            client.sendall(UPLOAD[10_000:20_000])
            await until(lambda: isinstance(upstream.transport, SecondLook))
            assert exchange.sent_bytes == relayed < len(sent) - GLANCE_BYTES
            came, orderly = await asyncio.to_thread(send, client, UPLOAD[20_000:])
            assert orderly
            is_half(came, bytes(sent), b"POST")

    run(main())


def test_a_client_at_fault_has_what_it_was_sent_too() -> None:
    """Its upload is no body from some byte on, while the answer to what came before is on its way."""
    dying = Dying(HALF["in chunks"], "stalls")

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=False) as client:
            client.sendall(POST.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked"))
            client.sendall(chunk(b"abc", last=False))
            exchange = await asked(s)
            await until(lambda: exchange.sent_bytes > len(BODY))
            client.sendall(b"rubbish\r\n")
            await until(lambda: s.finished == [0])
            came, orderly = await asyncio.to_thread(send, client, UPLOAD[:100_000])
            assert orderly
            is_half(came, method=b"POST")
            assert s.watch.done == [(TARGET, 400)]

    run(main())


@TLS
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_request_behind_it_is_not_asked(when: str, tls: bool) -> None:
    """It came with the first, or after the cut: nobody is asked it, and it takes nothing from what the first got."""
    dying = Dying(HALF["in chunks"], "closes")

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(GET * (50 if when == "before" else 1))
            await gone(s)
            came, orderly = await asyncio.to_thread(send, client, GET * 50 if when == "after" else b"")
            assert orderly
            is_half(came)
            assert len(s.brain.requests) == len(s.backend.heads) == 1

    run(main())


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_has_ended_its_half_reads_all_of_it_too(when: str) -> None:
    """With its request, or between the cut and its reading."""
    dying = Dying(HALF["in chunks"], "closes")

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=False) as client:
            client.sendall(GET)
            if when == "before":
                client.shutdown(socket.SHUT_WR)
            await gone(s)
            transport = connection(s)._transport
            if when == "after":
                client.shutdown(socket.SHUT_WR)
            await until(transport.is_closing)
            came, orderly = await asyncio.to_thread(everything, client)
            assert orderly
            is_half(came)

    run(main())


@TLS
def test_an_answer_to_head_is_whole(tls: bool) -> None:
    """Whatever its backend does behind it: nothing is missing, and the connection goes on."""

    async def script(call: Call) -> None:
        if (await call.head()).startswith(b"HEAD "):
            await call.say(LENGTH % 9)
            call.reset()
        else:
            await call.say(OK)

    async def main() -> None:
        async with stage(script) as s, reader(s, tls=tls) as client:
            client.settimeout(PATIENCE_S)
            for request, answer in ((GET.replace(b"GET", b"HEAD"), LENGTH % 9), (GET, OK)) * 2:
                client.sendall(request)
                assert await asyncio.to_thread(take, client, len(answer)) == len(answer)
            assert s.finished == [200] * 4

    run(main())


@TLS
@pytest.mark.parametrize(("framing", "how"), DEATHS, ids=[f"{how} {framing}" for framing, how in DEATHS])
def test_to_http_1_0_only_a_reset_says_that_it_is_not_whole(framing: str, how: str, tls: bool) -> None:
    """No FIN and no close_notify: to whoever waits for the connection's end they would be the answer's."""
    dying = Dying(HALF[framing], how)

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(GET.replace(b"1.1", b"1.0"))
            await gone(s, how)
            came, orderly = await asyncio.to_thread(everything, client)
            assert not orderly
            assert BODY.startswith(came.partition(b"\r\n\r\n")[2])

    run(main())


@TLS
def test_nothing_sent_is_a_failure_said_in_full(tls: bool) -> None:
    """Half a head is none: 502, and the connection goes on."""
    script = Dying(b"HTTP/1.1 200 OK\r\nContent-Le", "closes").script

    async def main() -> None:
        async with stage(script) as s, reader(s, tls=tls) as client:
            client.settimeout(PATIENCE_S)
            client.sendall(GET)
            answer = b"HTTP/1.1 502 Bad Gateway\r\n"
            assert await asyncio.to_thread(client.recv, len(answer)) == answer
            assert s.watch.failed == ["truncated"]

    run(main())


def _pouring(size: int) -> Script:
    async def script(call: Call) -> None:
        await call.head()
        await call.say(LENGTH % (2 * size))
        await call.say(BODY * (size // len(BODY)))

    return script


def test_what_waits_for_a_slow_reader_stays_below_the_bound() -> None:
    """The backend has sent more than that before it died: the rest waits in the kernel, and comes."""
    size = 10 * len(BODY)

    async def main() -> None:
        async with stage(_pouring(size), rules=RULES) as s, reader(s, tls=False) as client:
            client.sendall(GET)
            await asked(s)
            await until(lambda: connection(s)._congested)
            transport, reading, most = connection(s)._transport, asyncio.to_thread(everything, client), 0
            task = asyncio.ensure_future(reading)
            while not task.done():
                most = max(most, transport.get_write_buffer_size())
                await asyncio.sleep(0)
            came, orderly = await task
            assert orderly
            is_half(came, BODY * 10)
            assert BUFFER_BYTES <= most <= 2 * BUFFER_BYTES

    run(main())


@TLS
@pytest.mark.parametrize("upload", [0, 10_000], ids=["", "with an upload"])
def test_who_reads_at_the_least_rate_gets_it_all(upload: int, tls: bool) -> None:
    """As of any answer: 200 seconds long, where a client that has been answered is shown out after two."""
    dying = Dying(HALF["by length"], "closes")

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(POST % (2 * upload) + b"u" * upload)
            await gone(s)
            ticker, left = s.listener.ticker, len(HALF["by length"]) + len(b"Connection: close\r\n") * bool(upload)
            while left > 20 * RATE and (got := await asyncio.to_thread(take, client, 2 * RATE)):
                left -= got
                ticker.tick(ticker.now_s + 1)
            came, orderly = await asyncio.to_thread(send, client, b"u" * upload)
            assert orderly
            assert len(came) == left

    run(main())


@TLS
def test_what_only_the_kernel_holds_is_waited_for_too(tls: bool) -> None:
    """Its reader begins late, and sends in between: the reset that answers that would take what it has not read."""
    dying = Dying(LENGTH % 9_000 + BODY[:8_000], "closes")

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(POST % 20_000 + b"u" * 5_000)
            await gone(s)
            transport, ticker = connection(s)._transport, s.listener.ticker
            assert transport.get_write_buffer_size() == 0
            assert unacknowledged(transport) > 1
            for _ in range(11):
                ticker.tick(ticker.now_s + 5)
            client.sendall(b"u" * 5_000)
            await until(lambda: connection(s)._drained_bytes == 5_000)
            came, orderly = await asyncio.to_thread(send, client, b"u" * 10_000)
            assert orderly
            is_half(came, BODY[:8_000], b"POST")

    run(main())


def test_the_end_of_tls_has_no_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop would cut off whoever reads for longer than half a minute; here it is told a time that nobody needs."""
    dying = Dying(HALF["by length"], "closes")
    assert doorman.ENDLESS_S > 24 * 3600
    monkeypatch.setattr(doorman, "ENDLESS_S", 0.1)

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=True) as client:
            client.sendall(GET)
            await gone(s)
            await until(lambda: s.listener.connections == 0)
            came, orderly = await asyncio.to_thread(everything, client)
            assert not orderly
            assert len(came) < len(HALF["by length"])

    run(main())


@TLS
def test_who_reads_nothing_is_let_go_after_the_time_that_all_have(tls: bool) -> None:
    """A minute, and no more: what is cut then is a reset."""
    dying = Dying(HALF["by length"], "closes")

    async def main() -> None:
        async with stage(dying.script, rules=RULES) as s, reader(s, tls=tls) as client:
            client.sendall(GET)
            await gone(s)
            ticker = s.listener.ticker
            for _ in range(11):
                ticker.tick(ticker.now_s + 5)
            assert s.listener.connections == 1
            for _ in range(3):
                ticker.tick(ticker.now_s + 5)
            await until(lambda: s.listener.connections == 0)
            _, orderly = await asyncio.to_thread(everything, client)
            assert not orderly

    run(main())
