"""Strangers on the wire: whatever they do, a backend has few of them, and students inside do not wait for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.proxy.slow import Slow, get, post, time_passes, waiting
from tests.proxy.wire import OK, TARGET, Call, Client, Stage, stage, until
from tests.support.aio import run
from waitroom.proxy import guard as guard_module
from waitroom.proxy.decisions import Relay, Request
from waitroom.proxy.guard import STREAM_S
from waitroom.proxy.pool import FRESH_S
from waitroom.proxy.rules import MaxInflight, ProxyRules
from waitroom.proxy.strangers import PART, STRANGERS, Strangers
from waitroom.settings.addresses import BackendUrl

TWO = ProxyRules(bypass=2)


def _choose(request: Request) -> Relay:
    """Who asks for /s... has no pass."""
    return Relay(TARGET, stranger=request.target.startswith(b"/s"))


@asynccontextmanager
async def _stage(rules: ProxyRules) -> AsyncIterator[tuple[Stage, Slow]]:
    slow = Slow()
    async with stage(slow.script, _choose, rules) as s:
        try:
            yield s, slow
        finally:
            slow.let_all_go()


def _strangers(s: Stage) -> Strangers:
    pool = s.listener.pools.get(TARGET)
    assert pool is not None
    return pool.strangers


async def _asks(s: Stage, request: bytes) -> Client:
    client = await s.connect()
    await client.send(request)
    return client


async def _parked(s: Stage, request: bytes) -> Client:
    """A stranger who waits for a place among strangers."""
    before = _strangers(s).line.waiting
    client = await _asks(s, request)
    await until(lambda: _strangers(s).line.waiting == before + 1)
    return client


def test_students_do_not_wait_for_strangers() -> None:
    """Two strangers at a time, in the order of their coming; a student goes past all who wait."""

    async def main() -> None:
        async with _stage(TWO) as (s, slow):
            clients = [await _asks(s, get(f"/s{n}")) for n in range(2)]
            await until(lambda: len(slow.asked) == 2)
            clients += [await _parked(s, post(f"/s{n}")) for n in (2, 3)]
            student = await _asks(s, get("/page"))
            await slow.has("/page")
            slow.let_go("/page")
            assert await student.answer() == OK
            for n in range(4):
                await slow.has(f"/s{n}")
                slow.let_go(f"/s{n}")
                assert await clients[n].answer() == OK
            assert slow.most == 3
            assert s.watch.waits == ["served"] * 2
            assert (s.watch.strangers, len(s.watch.done)) == (4, 5)
            assert (_strangers(s).line.held, s.inflight) == (0, 0)
            for client in (student, *clients):
                client.close()

    run(main())


def test_strangers_cannot_fill_the_line_of_students(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the backend is full and many wait, a student's page is not turned away for what strangers want saved."""
    monkeypatch.setattr(guard_module, "PLACES", 3)

    async def main() -> None:
        async with _stage(ProxyRules(bypass=1, max_inflight={TARGET: 1})) as (s, slow):
            first = await _asks(s, get("/first"))
            await slow.has("/first")
            clients = [await _asks(s, post("/s0"))]
            await until(lambda: waiting(s) == 1)
            clients += [await _parked(s, post(f"/s{n}")) for n in (1, 2, 3)]
            assert (await (await _asks(s, post("/s4"))).answer()).endswith(b"busy")
            page = await _asks(s, get("/page"))
            await until(lambda: waiting(s) == 2)
            for target in ("/first", "/s0"):
                await slow.has(target)
                slow.let_go(target)
            await slow.has("/page")
            assert slow.asked == ["/first", "/s0", "/page"], "no stranger got in before, however many came before"
            slow.let_go("/page")
            assert (await first.answer(), await page.answer()) == (OK, OK)
            for client in (first, page, *clients):
                client.close()

    run(main())


def test_who_streams_goes_when_others_wait() -> None:
    """Uploads that trickle count to their end; the one that has done so longest is told to go, and only for others."""

    async def main() -> None:
        async with _stage(replace(TWO, body_grace_ms=60_000)) as (s, slow):
            halves = []
            for n in range(2):
                halves.append(await _asks(s, post(f"/s{n}", b"x" * 4)[:-3]))
                await until(lambda: s.inflight == len(halves))
                await until(lambda: all(each._exchange._uploaded for each in s.listener._connections))
                for _ in range(2):
                    time_passes(s, STREAM_S)
            assert (s.inflight, _strangers(s).line.held, s.watch.done) == (2, 2, [])
            late = await _parked(s, get("/s-late"))
            time_passes(s, 1)
            assert b" 503 " in await halves[0].head()
            await slow.has("/s-late")
            await halves[1].send(b"xxx")
            await until(lambda: len(s.backend.bodies) == 1)
            slow.let_all_go()
            for client in (halves[1], late):
                assert await client.answer() == OK
            for client in (late, *halves):
                client.close()

    run(main())


def test_a_strangers_tunnel_goes_when_others_wait() -> None:
    """Both ends of it."""
    over: list[bytes] = []

    async def script(call: Call) -> None:
        head = await call.head()
        if b"/s-tunnel" in head:
            await call.say(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            over.append(await call.reader.read())
        else:
            await call.say(OK)

    async def main() -> None:
        async with stage(script, _choose, ProxyRules(bypass=1)) as s:
            tunnel = await _asks(s, get("/s-tunnel", "Connection: upgrade", "Upgrade: x"))
            assert b" 101 " in await tunnel.head()
            other = await _parked(s, get("/s-other"))
            time_passes(s, 1)
            with pytest.raises(ConnectionResetError):
                await tunnel.rest()
            assert await other.answer() == OK
            await until(lambda: over == [b""] and s.listener.tunnels == 0)
            assert s.inflight == 0
            other.close()

    run(main())


def test_strangers_wait_no_longer_than_others() -> None:
    """Then they are told, and nothing of theirs was sent."""

    async def main() -> None:
        async with _stage(ProxyRules(bypass=1)) as (s, slow):
            first = await _asks(s, get("/s-first"))
            await slow.has("/s-first")
            late, gone = await _parked(s, post("/s-late")), await _parked(s, get("/s-gone"))
            gone.close()
            await until(lambda: _strangers(s).line.waiting == 1)
            time_passes(s, 11)
            assert (await late.answer()).endswith(b"busy")
            assert (slow.asked, s.watch.waits) == (["/s-first"], ["left", "late"])
            first.close()
            late.close()

    run(main())


def test_strangers_follow_a_backend_that_moves() -> None:
    """Those who wait among strangers, and those who wait for a place among all; each is counted at the new one."""

    async def main() -> None:
        rules = ProxyRules(bypass=2, max_inflight={TARGET: 1})
        async with _stage(rules) as (s, slow), _stage(rules) as (there, other):
            clients = [await _asks(s, get("/s0"))]
            await slow.has("/s0")
            clients.append(await _asks(s, get("/s1")))
            await until(lambda: waiting(s) == 1)
            clients.append(await _parked(s, get("/s2")))
            old = _strangers(s).line
            s.listener.adopt(rules, {TARGET: BackendUrl("http", "127.0.0.1", there.backend.port)})
            assert (old.held, _strangers(s).line.held) == (1, 2)
            slow.let_go("/s0")
            await until(lambda: bool(other.asked))
            for target in sorted(("/s1", "/s2"), key=lambda each: each not in other.asked):
                await other.has(target)
                other.let_go(target)
            for client in clients:
                assert await client.answer() == OK
                client.close()
            assert (old.held, old.waiting, _strangers(s).line.held) == (0, 0, 0)

    run(main())


def test_idle_connections_of_strangers_are_few() -> None:
    """A server keeps a thread for each: those of a dozen strangers are no more than their requests may be."""

    async def main() -> None:
        async with _stage(TWO) as (s, slow):
            pool = s.listener.pools.get(TARGET)
            assert pool is not None
            clients = []
            for n in range(6):
                clients.append(await _asks(s, post(f"/{'s' if n else 'one-inside'}{n}")))
                await slow.has(f"/{'s' if n else 'one-inside'}{n}")
                slow.let_go(f"/{'s' if n else 'one-inside'}{n}")
                assert await clients[-1].answer() == OK
            assert pool.idle == 3
            time_passes(s, FRESH_S + 1)
            assert pool.idle == 0
            for client in clients:
                client.close()

    run(main())


@pytest.mark.parametrize(
    ("bypass", "total", "shares"),
    [
        (None, None, STRANGERS),
        (None, 80, 80 // PART),
        (None, 2, 2),
        (None, "auto", None),
        (7, None, 7),
        (7, 80, 7),
        (7, "auto", 7),
    ],
)
def test_workers_share_the_bound(bypass: int | None, total: MaxInflight | None, shares: int | None) -> None:
    """A quarter of what the backend takes, or what the settings say; never less than one a worker."""

    async def main() -> None:
        rules = ProxyRules(bypass=bypass, max_inflight={} if total is None else {TARGET: total})
        async with _stage(rules) as (s, _):
            found = []
            for rank in range(2):
                s.listener.pools.share(2, rank)
                time_passes(s, 1)
                found.append(_strangers(s).line.limit)
            if shares is None:
                pool = s.listener.pools.get(TARGET)
                assert pool is not None
                assert found == [max(1, pool.guard.limit // PART)] * 2
            else:
                assert sum(found) == max(2, shares)

    run(main())
