"""What a store may say, and what it means."""

import asyncio
import socket
from select import select

import hiredis
import pytest

from tests.store.driver import Server
from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import START_S
from waitroom.errors import StoreAwayError
from waitroom.store.wire import AWAY, Answer, Wire, away, parse_url


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LOADING Valkey is loading the dataset in memory", "loading"),
        ("BUSY Valkey is busy running a script.", "busy"),
        ("READONLY You can't write against a read only replica.", "readonly"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
        ("MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk.", "full"),
        ("ERR max number of clients reached", "full"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "unready"),
        ("CLUSTERDOWN Hash slot not served", "unready"),
        ("NOREPLICAS Not enough good replicas to write.", "unready"),
        ("MOVED 3999 127.0.0.1:6381", "moved"),
        ("ASK 3999 127.0.0.1:6381", "moved"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "moved"),
        ("NOAUTH Authentication required.", "denied"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "denied"),
        ("NOPERM User default has no permissions to run the 'fcall' command", "denied"),
    ],
)
def test_a_store_that_cannot_work_now(text: str, kind: str) -> None:
    """A typed failure that says what is wrong and that a retry makes sense."""
    found = away(hiredis.ReplyError(text))
    assert found is not None
    assert (found.kind, found.retry) == (kind, True)
    assert text in str(found)


@pytest.mark.parametrize(
    "reply",
    [
        hiredis.ReplyError("ERR Function not found"),
        hiredis.ReplyError("ERR wrong number of arguments"),
        hiredis.ReplyError("BUSYKEY Target key name already exists."),
        b"LOADING",
        [0, 1],
        None,
    ],
)
def test_what_is_none_of_its_troubles(reply: object) -> None:
    """Errors of ours, other errors that begin alike, and replies."""
    assert away(reply) is None


def test_every_kind_is_a_label() -> None:
    """The metric has a place for each."""
    assert set(AWAY.values()) <= set(StoreAwayError.KINDS)


def test_nobody_there() -> None:
    """Refused at once, and by name."""

    async def main() -> None:
        with pytest.raises(StoreAwayError) as caught:
            await Wire.open(parse_url(f"redis://127.0.0.1:{free_port()}"))
        assert caught.value.kind == "unreachable"

    run(main())


def test_what_came_while_nobody_could_read_counts(server: Server) -> None:
    """A worker that was stopped for longer than an answer may take reads what has come before it calls it late."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Answer] = loop.create_future()
        wire = await Wire.open(parse_url(f"unix://{server.path}"))
        here, there = socket.socketpair()

        def stand_still() -> None:
            loop.remove_reader(here)
            until_s = loop.time() + 1
            assert select([wire._transport.get_extra_info("socket")], [], [], START_S)[0], "the answer did not come"
            while loop.time() < until_s:
                pass

        with here, there:
            loop.add_reader(here, stand_still)  # the loop looks at its clock before it reads anything else
            wire.ask([("BLPOP", "nothing", "0.1")], 0.2, told.set_result)
            for _ in range(3):
                await asyncio.sleep(0)
            there.send(b"!")
            assert await told == [None]
        wire.close()

    run(main())
