"""The whole examination of one machine and its settings."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from waitroom.server.doctor.backends import look_at_backend
from waitroom.server.doctor.finding import Examination, Found, Look
from waitroom.server.doctor.machine import (
    clock_state,
    file_limit,
    file_system,
    kernel_number,
    look_at_clock,
    look_at_file_system,
    look_at_files,
    look_at_folder,
    look_at_kernel,
    look_at_processors,
)
from waitroom.server.doctor.ports import look_at_cookies, look_at_ports
from waitroom.server.doctor.store import look_at_store
from waitroom.settings.model import Settings


def examinations(settings: Settings, *, backends: bool = True) -> Iterator[Examination]:
    """All parts, each to be waited for on its own. Without `backends`: only the machine, its ports and the store."""
    yield Examination("ports", partial(look_at_ports, settings))
    yield Examination("the machine", _now(lambda: _machine(settings)))
    yield Examination("the store", partial(look_at_store, settings))
    if not backends:
        return
    yield Examination("cookies", _now(lambda: look_at_cookies(settings)))
    for pool_name, pool in settings.pools.items():
        for name in pool.backends:
            target = f"{pool_name}/{name}"
            yield Examination(f"backend {target}", partial(look_at_backend, settings, pool, name, target))


def _now(look: Callable[[], Iterable[Found]]) -> Look:
    async def looked() -> list[Found]:
        return [*look()]

    return looked


def _machine(settings: Settings) -> Iterator[Found]:
    embedded = settings.store.url is None
    yield from look_at_files(settings, file_limit(_running(settings)), expected(settings))
    yield from look_at_processors(settings)
    yield from look_at_kernel(
        kernel_number("net/core/somaxconn"), kernel_number("vm/overcommit_memory"), embedded=embedded
    )
    if embedded:
        folder = settings.store.data_dir
        yield from look_at_folder(folder)
        yield from look_at_file_system(folder, file_system(folder))
    yield from look_at_clock(clock_state())


def expected(settings: Settings) -> int:
    """Students who may be connected at once: those expected, or else as many as the backends hold."""
    held = sum(backend.max_sessions or 0 for pool in settings.pools.values() for backend in pool.backends.values())
    return max(held, sum(exam.expected or 0 for exam in settings.exams.values()))


def _running(settings: Settings) -> int | None:
    """The process of the service that has this data folder, if it runs (store/embedded.py keeps its number there)."""
    try:
        pid = int((settings.store.data_dir / "store.lock").read_text("ascii"))
        return pid if b"waitroom" in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None
