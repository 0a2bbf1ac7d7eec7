"""Background tasks that are kept alive and whose failure is seen.

Law: no other module calls `create_task`. asyncio holds tasks weakly, and an exception in a task that nobody awaits is
reported only when the task is collected, if ever.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_running: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Run `work` beside the caller; a failure is logged at once as `task_failed`."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


async def stop(task: asyncio.Task[Any] | None) -> None:
    """Cancel `task` and wait until it is gone."""
    if task is None or task.done():
        return
    task.cancel()
    await asyncio.wait([task])


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_failed", task=task.get_name(), exc_info=error)
