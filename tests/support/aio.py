"""Runs a test's coroutine on the loop the product runs on.

Law: nothing is lost on the way. A warning is an error, and what the loop could only report (a task that failed with
nobody waiting, a callback that raised) fails the test too.
"""

import asyncio
import gc
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class LoopError(AssertionError):
    """Something failed where only the loop could see it."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on a fresh uvloop and return its result."""
    reports: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda _loop, report: reports.append(report))
            result = runner.run(work)
        gc.collect()  # a future dropped with an exception in it reports when it is collected
    if reports:
        raise LoopError(str(reports)) from reports[0].get("exception")
    return result
