"""Checks of backends: what counts as well, how often, and by whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import look_again, until
from tests.support.site import listening
from waitroom.server.checks import PROBE, Checks, Patient, Pulse, check
from waitroom.settings.addresses import BackendUrl
from waitroom.settings.care import Health

USUAL = {"path": "/up?x=%7E", "interval": "100ms", "fall": 2, "rise": 2}
HEALTH = Health.model_validate(USUAL | {"timeout": "1m"})
HASTY = Health.model_validate(USUAL | {"timeout": "300ms"})
"""For who never answers: whoever does may take longer than that on a busy machine."""


PATIENT_PROBE = PROBE.model_copy(update={"timeout_ms": HEALTH.timeout_ms})


@asynccontextmanager
async def answering(status: int, unix: Path | None = None) -> AsyncIterator[tuple[BackendUrl, list[str]]]:
    """A server that answers so (0: never), and who asked what."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.headers['Host']} {request.raw_path}")
        if not status:
            await asyncio.get_running_loop().create_future()
        return web.Response(status=status, headers={"Location": "https://elsewhere.example/"})

    application = web.Application()
    application.router.add_get("/{tail:.*}", answer)
    path = str(unix) if unix else None
    async with listening(application, unix=path) as port:
        yield BackendUrl("http", "127.0.0.1", port, unix=path), asked


@pytest.mark.parametrize(
    ("status", "with_health", "without"),
    [(200, "", ""), (302, "", ""), (404, "answered 404", ""), (500, "answered 500", "answered 500"),
     (503, "answered 503", "answered 503"), (0, "no answer within 300 ms", "no answer within 2000 ms")],
)  # fmt: skip
def test_what_is_well(status: int, with_health: str, without: str) -> None:
    """With `health` an answer below 400, not followed; where nobody named a page, any below 500."""

    async def main() -> None:
        health, probe = (HEALTH, PATIENT_PROBE) if status else (HASTY, PROBE)
        async with answering(status) as (url, asked):
            assert await check(Patient(url, health, "exam.example"), health, None) == with_health
            assert await check(Patient(url), probe, None) == without
            assert asked[0] == "exam.example /up?x=%7E"

    run(main())


def test_nobody_there(tmp_path: Path) -> None:
    """Refused, or no such socket; a socket that is there is asked like any other."""

    async def main() -> None:
        assert "onnect" in await check(Patient(BackendUrl("http", "127.0.0.1", free_port()), HEALTH), HEALTH, None)
        socket = tmp_path / "s"
        assert await check(Patient(BackendUrl("http", "", 80, unix=str(socket)), HEALTH), HEALTH, None)
        async with answering(200, socket) as (url, _):
            assert await check(Patient(url, HEALTH), HEALTH, None) == ""

    run(main())


def test_some_in_a_row_count() -> None:
    """`fall` bad ones take it out, `rise` good ones bring it back; one of the other kind begins anew."""
    pulse = Pulse()
    for fault, failed, answers in [
        ("x", False, False), ("", False, False), ("x", False, False), ("x", True, False), ("x", True, False),
        ("", False, False), ("", False, True),
    ]:  # fmt: skip
        pulse.note(fault)
        assert (pulse.failed(HEALTH), pulse.answers(HEALTH)) == (failed, answers)


def test_only_a_conductor_checks_and_only_what_needs_it() -> None:
    """Without `health` a backend is asked while it is down, and not before; nobody is asked once the lease is gone."""

    async def main() -> None:
        async with answering(200) as (checked, asked), answering(200) as (other, probed):
            checks = Checks({"p/a": Patient(checked, HEALTH), "p/b": Patient(other)})
            await checks.run(on=True)

            async def known() -> bool:
                return checks.answers("p/a")

            await until(known, what="two good checks")
            assert not checks.failed("p/a")
            assert not probed
            checks.adopt({"p/a": Patient(checked, HEALTH, "new.example"), "p/b": Patient(other)})
            assert not checks.answers("p/a")
            await checks.run(on=True)
            await until(known, what="two good checks in the new way")
            assert asked[-1].startswith("new.example ")
            checks.down.add("p/b")

            async def probe_answered() -> bool:
                return checks.answers("p/b")

            await until(probe_answered, what="two good probes")
            await checks.run(on=False)
            await look_again(HEALTH.interval_ms / 1000)  # what was on its way has come
            before = len(asked)
            assert not checks.answers("p/b")
            assert not checks.answers("p/a")
            await look_again(3 * HEALTH.interval_ms / 1000)
            assert len(asked) == before

    run(main())
