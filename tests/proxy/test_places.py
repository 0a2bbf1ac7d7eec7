"""A place at a backend, on the wire: what holds one and for how long, and that it is given back once."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from tests.proxy.slow import ONE, first, get, parked, post, slow_stage, time_passes, waiting
from tests.proxy.wire import OK, TARGET, Call, Client, stage, until
from tests.support.aio import run
from waitroom.proxy.decisions import Collect, Respond
from waitroom.proxy.guard import STREAM_S
from waitroom.proxy.rules import ProxyRules


def _close(*clients: Client) -> None:
    for client in clients:
        client.close()


def test_a_tunnel_holds_no_place() -> None:
    """It gives its place back with the 101, and is counted as in flight while it lives."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    async def script(call: Call) -> None:
        while head := await call.head():
            await call.say(switch if b"Upgrade: websocket" in head else OK)

    async def main() -> None:
        async with stage(script, rules=ONE) as s:
            tunnels = [await s.connect() for _ in range(3)]
            for tunnel in tunnels:
                await tunnel.send(get("/kernel", "Connection: Upgrade", "Upgrade: websocket"))
                assert (await tunnel.head()).startswith(b"HTTP/1.1 101 ")
            page = await s.connect()
            await page.send(get("/page"))
            assert await page.answer() == OK
            assert (s.inflight, s.watch.waits) == (3, [])
            _close(*tunnels, page)
            await until(lambda: s.listener.tunnels == 0)
            assert s.inflight == 0

    run(main())


def test_a_stream_of_events_holds_no_place() -> None:
    """Three of them for hours, and the one place is free."""
    events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\nevent"

    async def script(call: Call) -> None:
        while head := await call.head():
            await call.say(events if b"/events" in head else OK)

    async def main() -> None:
        async with stage(script, rules=ONE) as s:
            streams = [await s.connect() for _ in range(3)]
            for stream in streams:
                await stream.send(get("/events"))
                assert (await stream.head()).startswith(b"HTTP/1.1 200 ")
            page = await s.connect()
            await page.send(get("/page"))
            assert await page.answer() == OK
            assert (s.inflight, s.watch.waits) == (3, [])
            _close(*streams, page)
            await until(lambda: s.inflight == 0)

    run(main())


def test_a_long_download_gives_its_place_back() -> None:
    """Not at once, since a page of a busy server comes in pieces too; then others have it."""

    async def script(call: Call) -> None:
        while head := await call.head():
            long = b"/long" in head
            await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin" if long else OK)

    async def main() -> None:
        async with stage(script, rules=ONE) as s:
            long = await s.connect()
            await long.send(get("/long"))
            await long.head()
            page = await parked(s, get("/page"))
            time_passes(s, 1)
            time_passes(s, STREAM_S - 1)
            assert waiting(s) == 1
            time_passes(s, 1)
            assert await page.answer() == OK
            assert s.inflight == 1
            long.reset()
            _close(page)
            await until(lambda: s.inflight == 0)

    run(main())


def test_a_long_upload_gives_its_place_back_until_it_is_complete() -> None:
    """Then it is the server's work, and counts again."""

    async def main() -> None:
        async with slow_stage() as (s, slow):
            upload = await s.connect()
            await upload.send(post("/upload", b"12345").replace(b"Length: 5", b"Length: 9"))
            await slow.has("/upload")
            page, more = await parked(s, get("/page")), await parked(s, get("/more"))
            time_passes(s, 1)
            time_passes(s, STREAM_S)
            await slow.has("/page")
            await upload.send(b"6789")
            await until(lambda: s.backend.bodies[-1:] == [b"123456789"])
            slow.let_go("/page")
            assert await page.answer() == OK
            assert (s.inflight, waiting(s)) == (1, 1), "the upload has the place now"
            slow.let_go("/upload")
            assert await upload.answer() == OK
            await slow.has("/more")
            _close(upload, page, more)

    run(main())


def test_a_second_attempt_has_the_same_place() -> None:
    """An idle connection that dies under a request: it is sent again, nobody comes in between, nothing counts twice."""

    async def script(call: Call) -> None:
        await call.head()
        await call.say(OK)
        if call.backend.connections == 1:
            await call.head()
            call.reset()
            return
        while await call.head():
            await call.say(OK)

    async def main() -> None:
        async with stage(script, rules=ONE) as s:
            client = await s.connect()
            for _ in range(3):
                await client.send(get("/"))
                assert await client.answer() == OK
                assert s.inflight == 0
            assert s.backend.connections == 2
            _close(client)

    run(main())


def test_every_failure_gives_its_place_back() -> None:
    """Closed before its answer, within it, no HTTP at all, and a client that leaves in the middle."""
    endings = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"SSH-2.0-x\r\n\r\n"]

    async def script(call: Call) -> None:
        head = await call.head()
        await call.say(endings[int(head[5:6])])

    async def main() -> None:
        async with stage(script, rules=ONE) as s:
            for number in range(len(endings)):
                client = await s.connect()
                await client.send(get(f"/{number}", "Connection: close", "Accept: text/html"))
                with suppress(ConnectionResetError):  # half an answer is cut
                    await client.rest()
                assert s.inflight == 0
                client.close()
        async with slow_stage() as (s, slow):
            client, after = await first(s, slow), await parked(s, get("/after"))
            client.reset()
            await slow.has("/after")
            assert s.inflight == 1
            _close(after)

    run(main())


def test_a_form_that_was_not_sent_can_be_kept() -> None:
    """The handler may ask for the body: it has come already, or comes now, and is given once."""

    async def main() -> None:
        async with slow_stage(replace(ONE, body_grace_ms=60_000)) as (s, slow):
            s.brain.on_failure = lambda: Collect(100, lambda body: Respond(503, (), b"kept " + (body or b"nothing")))
            one = await first(s, slow)
            whole = await parked(s, post("/whole", b"a=1&b=2"))
            half = await parked(s, post("/half", b"a=1").replace(b"Length: 3", b"Length: 7"))
            chunks = post("/chunks", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            chunked = await parked(s, chunks + b"3\r\na=1\r\n4\r\n&b=2\r\n0\r\n\r\n")
            large = await parked(s, post("/large", b"x" * 101))
            time_passes(s, 11)
            for client in (whole, chunked):
                assert (await client.answer()).endswith(b"kept a=1&b=2")
            assert (await large.answer()).endswith(b"kept nothing")
            await half.send(b"&b=2")
            assert (await half.answer()).endswith(b"kept a=1&b=2")
            assert (s.finished, slow.asked) == ([0] * 4, ["/first"])
            _close(one, whole, half, chunked, large)

    run(main())


@dataclass
class Notes:
    """A limiter that writes down what it is told, and whose limit a test sets."""

    limit: int = 1
    workers: int = 1
    fellows: float | None = None
    taken_s: float = 0.0
    alone_s: float = 0.0
    told: list[tuple[int, float, int, bool]] = field(default_factory=list)
    adjusted: int = 0

    def observe(self, request_class: int, seconds: float, inflight: int, ok: bool) -> None:
        self.told.append((request_class, seconds, inflight, ok))

    def adjust(self, now_ms: int) -> None:
        assert now_ms > 0
        self.adjusted += 1


def test_a_limit_that_is_found() -> None:
    """`auto`: whoever finds it is told how long the backend took, whether it did its part, and of what kind it was."""
    notes = Notes()

    async def main() -> None:
        rules = ProxyRules(max_inflight={TARGET: "auto"}, new_limiter=lambda: notes)
        async with slow_stage(rules) as (s, slow):
            s.listener.pools.share(3, 1)
            s.listener.pools.compare({TARGET: 2.5})
            assert (notes.workers, notes.fellows) == (3, 2.5)
            one, two = await first(s, slow), await parked(s, post("/two"))
            slow.answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
            slow.let_go("/first")
            await slow.has("/two")
            notes.limit = 2
            three = await parked(s, get("/three"))
            time_passes(s, 1)
            await slow.has("/three")
            slow.answer = OK
            slow.let_go("/two")
            assert await two.answer() == OK
            three.reset()
            await until(lambda: s.inflight == 0)
            await one.answer()
            _close(one, two)
        (first_kind, seconds, inflight, ok), (other_kind, _, both, fine) = notes.told
        assert (inflight, ok, both, fine) == (1, False, 2, True), "who left at once says nothing"
        assert first_kind != other_kind
        assert seconds >= 0
        assert notes.adjusted >= 1

    run(main())
