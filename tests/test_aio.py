"""What fails where only the loop can see it fails the test; what is told elsewhere does not."""

import asyncio
from asyncio import StreamReader, StreamReaderProtocol

import pytest

from tests.support.aio import LoopError, run


def test_an_error_nobody_looks_at() -> None:
    """A future dropped with an exception in it."""

    async def work() -> None:
        asyncio.get_running_loop().create_future().set_exception(ValueError("lost"))

    with pytest.raises(LoopError, match="lost"):
        run(work())


def test_a_cut_stream_tells_its_reader_alone() -> None:
    """Its error is raised where it is read; the copy for wait_closed() is not reported, though it goes first."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        reader = StreamReader(loop=loop)
        protocol = StreamReaderProtocol(reader, loop=loop)
        protocol.connection_lost(ConnectionResetError("cut"))
        with pytest.raises(ConnectionResetError, match="cut"):
            await reader.read()
        protocol._closed = loop.create_future()

    run(work())
