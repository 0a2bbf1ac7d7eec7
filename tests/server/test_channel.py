"""The channel between supervisor and worker, and what crosses it."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.support.aio import run
from waitroom.metrics.layout import Layout
from waitroom.server.channel import HEAD_BYTES, MAX_FRAME_BYTES, Channel
from waitroom.server.orders import Orders, labels_of, read_orders, write_orders
from waitroom.settings.load import Flags, load
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Key, Secrets


def settings() -> Settings:
    """Settings with as little as can be."""
    return load(None, Flags(backend="http://127.0.0.1:9000", max_sessions=7, data_dir="/srv/var"))


def test_messages_arrive_whole_and_in_order() -> None:
    """A message of some MB and a small one behind it arrive as they were sent; then the end is seen."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        one, other = await Channel.over(ours), await Channel.over(theirs)
        one.send("begin", settings="é" * 3_000_000)
        one.send("ping", id=1)
        first = await other.receive()
        assert first is not None
        assert first["settings"] == "é" * 3_000_000
        assert await other.receive() == {"kind": "ping", "id": 1}
        one.close()
        assert await other.receive() is None
        other.send("pong")
        await other.flush()
        other.close()

    run(main())


@pytest.mark.parametrize(
    "sent",
    [
        (MAX_FRAME_BYTES + 1).to_bytes(HEAD_BYTES) + b"x",
        (3).to_bytes(HEAD_BYTES) + b"{{{",
        (9).to_bytes(HEAD_BYTES) + b"{}",
        b"\0",
    ],
    ids=["too long", "no JSON", "cut", "half a head"],
)
def test_nonsense_ends_the_channel(sent: bytes) -> None:
    """A frame beyond the bound, nonsense and half a frame all mean that the other end is gone."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        channel = await Channel.over(ours)
        theirs.sendall(sent)
        theirs.close()
        assert await asyncio.wait_for(channel.receive(), 60) is None
        channel.close()

    run(main())


def test_orders_cross_unchanged(tmp_path: Path) -> None:
    """Settings, keys and the places of counters are the same at the other end."""
    file = tmp_path / "waitroom.yaml"
    file.write_text(
        "pools: {a: {backends: {a-1: {url: 'http://10.0.0.1', max_sessions: 4}}, admission: {rate: 20/s}}}\n"
        "exams: {X: {title: {fr: Analyse, en: Calculus}, pool: a, match: [{path: '/x/*'}],\n"
        "            closes: 2026-06-01T12:00:00+02:00}}\n"
        "timeouts: {drain: 90s}\n"
    )
    there = load(file)
    layout = Layout()
    layout.extend(labels_of(there))
    keys = Secrets((Key("k1", b"\0\xff" * 16), Key("k0", b"x" * 32)))
    seen = read_orders(write_orders(Orders(there, keys, layout, human=True)))
    assert (seen.settings, seen.secrets, seen.human) == (there, keys, True)
    assert list(seen.layout.items()) == list(layout.items())


def test_labels_are_those_of_the_settings() -> None:
    """Every pool and backend of the settings has its counters."""
    layout = Layout()
    layout.extend(labels_of(settings()))
    assert ("requests_total", "main", "main-1", "2xx") in layout.keys
    assert ("arrivals_total", "main") in layout.keys
