"""Runs a test's coroutine on the loop the product runs on.

Law: nothing is lost on the way. A warning is an error, and what the loop could only report (a task that failed with
nobody waiting, a callback that raised) fails the test too.
"""

import asyncio
import gc
import warnings
from asyncio import StreamReaderProtocol
from collections.abc import Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

import uvloop

T = TypeVar("T")


class LoopError(AssertionError):
    """Something failed where only the loop could see it."""


_stream_lost = StreamReaderProtocol.connection_lost


def _told_once(stream: StreamReaderProtocol, error: Exception | None) -> None:
    """The end of a stream, without the report of an error that the stream's reader and writer raise anyway.

    asyncio keeps the error once more, for wait_closed(), and means to drop that copy unreported when the protocol is
    finalized (its `__del__`). The garbage collector may finalize the copy first, since they are in one cycle.
    """
    _stream_lost(stream, error)
    if error is not None and stream._closed.done() and not stream._closed.cancelled():
        stream._closed.exception()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on a fresh uvloop and return its result."""
    reports: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lost = patch.object(StreamReaderProtocol, "connection_lost", _told_once)
        with lost, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda _loop, report: reports.append(report))
            result = runner.run(work)
        gc.collect()  # a future dropped with an exception in it reports when it is collected
    if reports:
        raise LoopError(str(reports)) from reports[0].get("exception")
    return result
