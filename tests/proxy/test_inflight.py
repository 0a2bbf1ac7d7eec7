"""The guard on the wire: a backend never has more than it may, and who waits for it is served or told."""

from dataclasses import replace

import pytest

from tests.proxy.slow import ONE, first, get, parked, post, slow_stage, time_passes, waiting
from tests.proxy.wire import OK, TARGET, Client, until
from tests.support.aio import run
from waitroom.proxy import guard as guard_module
from waitroom.proxy.rules import ProxyRules
from waitroom.settings.addresses import BackendUrl

BUSY = b"HTTP/1.1 502 Bad Gateway\r\n"
"""The stage's answer to a failure, with its kind as the body."""


def _close(*clients: Client) -> None:
    for client in clients:
        client.close()


def test_answers_are_saved_before_pages_are_loaded() -> None:
    """In the order of what would be lost, whatever came first; one at a time all the while."""

    async def main() -> None:
        async with slow_stage() as (s, slow):
            clients = [
                await first(s, slow),
                await parked(s, get("/image", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")),
                await parked(s, get("/page")),
                await parked(s, get("/script", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")),
                await parked(s, post("/save")),
                await parked(s, post("/save-too")),
            ]
            order = ["/first", "/save", "/save-too", "/script", "/page", "/image"]
            for target in order:
                await slow.has(target)
                assert s.inflight == 1
                slow.let_go(target)
            for client in clients:
                assert await client.answer() == OK
            assert (slow.asked, slow.most, waiting(s), s.inflight) == (order, 1, 0, 0)
            assert s.watch.waits == ["served"] * 5
            assert s.backend.bodies.count(b"a=1") == 2
            _close(*clients)

    run(main())


def test_nobody_waits_past_the_bound() -> None:
    """The answer is ours, the request was not sent, and the connection stays usable."""

    async def main() -> None:
        async with slow_stage(replace(ONE, inflight_wait_ms=10_000)) as (s, slow):
            one = await first(s, slow)
            page, save = await parked(s, get("/page")), await parked(s, post("/save"))
            time_passes(s, 9)
            assert waiting(s) == 2
            time_passes(s, 2)
            for client in (page, save):
                answer = await client.answer()
                assert answer.startswith(BUSY)
                assert answer.endswith(b"busy")
            assert (s.watch.failed, s.watch.waits, s.finished) == (["busy"] * 2, ["late"] * 2, [0, 0])
            slow.let_go("/first")
            assert await one.answer() == OK
            await page.send(get("/again"))
            await slow.has("/again")
            slow.let_go("/again")
            assert await page.answer() == OK
            assert slow.asked == ["/first", "/again"]
            _close(one, page, save)

    run(main())


def test_where_too_many_wait_the_least_important_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page makes room for an answer that is to be saved, the last one first; such an answer makes room for nobody."""
    monkeypatch.setattr(guard_module, "PLACES", 2)

    async def main() -> None:
        async with slow_stage() as (s, slow):
            one = await first(s, slow)
            early, late = await parked(s, get("/early")), await parked(s, get("/late"))
            assert (await s.say(get("/later", "Connection: close", "Accept: text/html"))).endswith(b"busy")
            saves = [await s.connect(), await s.connect(), await s.connect()]
            await saves[0].send(post("/save-0"))
            assert (await late.answer()).endswith(b"busy")
            await saves[1].send(post("/save-1"))
            assert (await early.answer()).endswith(b"busy")
            await saves[2].send(post("/save-2"))
            assert (await saves[2].answer()).endswith(b"busy")
            assert s.watch.waits == ["crowded"] * 4
            for target in ("/first", "/save-0", "/save-1"):
                await slow.has(target)
                slow.let_go(target)
            assert slow.asked == ["/first", "/save-0", "/save-1"]
            _close(one, early, late, *saves)

    run(main())


def test_many_who_are_told_at_once_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand pages in one turn of the loop would be a pause for everybody else."""
    monkeypatch.setattr("waitroom.proxy.pool.TURNED_AWAY", 3)

    async def main() -> None:
        async with slow_stage() as (s, slow):
            one = await first(s, slow)
            clients = [await parked(s, get(f"/{n}")) for n in range(8)]
            time_passes(s, 11)
            assert s.watch.waits == ["late"] * 3
            await until(lambda: s.watch.waits == ["late"] * 8)
            _close(one, *clients)

    run(main())


def test_who_leaves_leaves_the_queue() -> None:
    """By closing or by a reset, as a reload does, and nothing of it is sent afterwards."""

    async def main() -> None:
        async with slow_stage() as (s, slow):
            one = await first(s, slow)
            gone, reset = await parked(s, post("/gone")), await parked(s, get("/reset"))
            stays = await parked(s, get("/stays"))
            gone.close()
            reset.reset()
            await until(lambda: waiting(s) == 1)
            slow.let_go("/first")
            await slow.has("/stays")
            slow.let_go("/stays")
            assert await stays.answer() == OK
            assert (slow.asked, s.watch.waits) == (["/first", "/stays"], ["left", "left", "served"])
            assert (s.watch.done, s.watch.own) == ([(TARGET, 200)] * 2, [499] * 2)
            _close(one, stays)

    run(main())


def test_requests_in_a_row_take_a_place_each() -> None:
    """Of one connection: the second waits for its turn like anybody, behind what is more urgent."""

    async def main() -> None:
        async with slow_stage() as (s, slow):
            both = await s.connect()
            await both.send(get("/first") + get("/second") + get("/third"))
            await slow.has("/first")
            save = await parked(s, post("/save"))
            for target in ("/first", "/save", "/second", "/third"):
                await slow.has(target)
                assert (s.inflight, slow.now) == (1, 1)
                slow.let_go(target)
            assert [await both.answer() for _ in range(3)] == [OK] * 3
            assert slow.asked == ["/first", "/save", "/second", "/third"]
            assert (s.inflight, waiting(s)) == (0, 0)
            _close(both, save)

    run(main())


def test_a_body_that_waits_is_not_read() -> None:
    """Beyond what was on its way; once there is a place it arrives whole."""
    body = b"x" * (16 << 20)

    async def main() -> None:
        async with slow_stage() as (s, slow):
            one = await first(s, slow)
            client = await s.connect_narrow()
            client.writer.write(post("/upload", body))
            await until(lambda: waiting(s) == 1)
            await until(lambda: any(each._holds for each in s.listener._connections))
            for connection in s.listener._connections:
                exchange = connection._exchange
                assert len(connection._buffer) + len(exchange._collected) < 1 << 20
            slow.let_go("/first")
            await until(lambda: len(s.backend.bodies) == 2)
            assert s.backend.bodies[-1] == body
            slow.let_go("/upload")
            assert await client.answer() == OK
            _close(one, client)

    run(main())


def test_an_offered_body_is_not_asked_for_in_the_queue() -> None:
    """`Expect: 100-continue`: no 100 before there is a place, and none at all for who is turned away."""

    async def main() -> None:
        async with slow_stage() as (s, slow):
            one = await first(s, slow)
            client = await parked(s, post("/offered", b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 9"))
            time_passes(s, 11)
            answer = await client.rest()
            assert answer.startswith(BUSY)
            assert answer.endswith(b"busy")
            assert b"\r\nConnection: close\r\n" in answer
            _close(one, client)

    run(main())


def test_a_limit_that_falls_cuts_nobody_off() -> None:
    """And one that rises lets in who waits, at once; so does one that is taken away."""

    async def main() -> None:
        async with slow_stage(ProxyRules(max_inflight={TARGET: 2})) as (s, slow):
            target = {TARGET: BackendUrl("http", "127.0.0.1", s.backend.port)}
            clients = [await s.connect() for _ in range(2)]
            for number, client in enumerate(clients):
                await client.send(get(f"/{number}"))
                await slow.has(f"/{number}")
            s.listener.adopt(ONE, target)
            clients += [await parked(s, get(f"/{number}")) for number in (2, 3, 4, 5)]
            slow.let_go("/0")
            assert await clients[0].answer() == OK
            assert (s.inflight, waiting(s)) == (1, 4)
            s.listener.adopt(ProxyRules(max_inflight={TARGET: 3}), target)
            await slow.has("/3")
            assert (s.inflight, waiting(s)) == (3, 2)
            s.listener.adopt(ProxyRules(), target)
            await slow.has("/5")
            assert (s.inflight, waiting(s)) == (5, 0)
            for number in range(1, 6):
                slow.let_go(f"/{number}")
                assert await clients[number].answer() == OK
            assert s.inflight == 0
            _close(*clients)

    run(main())


def test_a_limit_that_comes_counts_who_is_there() -> None:
    """Requests that began without one: nobody is sent on top of them."""

    async def main() -> None:
        async with slow_stage(ProxyRules()) as (s, slow):
            clients = [await first(s, slow)]
            s.listener.adopt(ONE, {TARGET: BackendUrl("http", "127.0.0.1", s.backend.port)})
            clients.append(await parked(s, get("/next")))
            slow.let_go("/first")
            await slow.has("/next")
            slow.let_go("/next")
            assert slow.most == 1
            _close(*clients)

    run(main())


def test_who_waits_follows_a_backend_that_moves() -> None:
    """After a reload to the new address; where there is none any more, they are told."""

    async def main() -> None:
        async with slow_stage() as (s, slow), slow_stage() as (there, other):
            one = await first(s, slow)
            moves = await parked(s, post("/moves"))
            s.listener.adopt(ONE, {TARGET: BackendUrl("http", "127.0.0.1", there.backend.port)})
            await other.has("/moves")
            lost = await parked(s, get("/lost"))
            s.listener.adopt(ONE, {})
            assert (await lost.answer()).endswith(b"unreachable")
            other.let_go("/moves")
            assert await moves.answer() == OK
            slow.let_go("/first")
            assert await one.answer() == OK
            assert there.backend.bodies == [b"a=1"]
            _close(one, moves, lost)

    run(main())


def test_workers_share_the_limit() -> None:
    """Each takes its part: at first by what is known of this machine, then by rank among all who are alive."""

    async def main() -> None:
        async with slow_stage(ProxyRules(max_inflight={TARGET: 7}, workers=2)) as (s, slow):
            pools = s.listener.pools
            assert pools.levels()[TARGET].limit == 3
            shares = []
            for rank in range(3):
                pools.share(3, rank)
                shares.append(pools.levels()[TARGET].limit)
            assert sorted(shares) == [2, 2, 3]
            pools.share(100, 4)
            one = await first(s, slow)
            two = await parked(s, get("/two"))
            assert pools.levels()[TARGET][:4] == (1, 1, 1, False)
            s.listener.ticker.tick()
            assert pools.levels()[TARGET].saturated
            pools.share(1, 0)
            await slow.has("/two")
            s.listener.ticker.tick()
            assert pools.levels()[TARGET][:4] == (2, 3, 0, False), "the other one of this machine is about to come"
            _close(one, two)

    run(main())
