"""The admin listener: what Prometheus scrapes, what a load balancer asks, the API, and the dashboard that shows it.

Law: it answers whatever has happened to the store, the backends or the workers; readiness says whether this machine
can serve students, so it depends on none of what all machines share. Anything it does not know is a problem document.
"""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Protocol

import structlog
from aiohttp import web

from waitroom.admin.access import Access
from waitroom.admin.announcements import Announcements
from waitroom.admin.announcements import Store as Notices
from waitroom.admin.audit import AuditApi
from waitroom.admin.audit import Store as Audited
from waitroom.admin.callers import Callers
from waitroom.admin.dashboard import Dashboard
from waitroom.admin.endpoints import Part, routes
from waitroom.admin.holds import Holds
from waitroom.admin.holds import Store as Lives
from waitroom.admin.inforce import SettingsApi
from waitroom.admin.limits import Limits
from waitroom.admin.openapi import PATH as OPENAPI
from waitroom.admin.openapi import document
from waitroom.admin.pools import PoolsApi
from waitroom.admin.pulse import Pulse
from waitroom.admin.pulse import Store as Felt
from waitroom.admin.receipts import Receipts
from waitroom.admin.refusals import RefusedError, problem
from waitroom.admin.scrape import line_readings
from waitroom.admin.sight import Sight, Snapshots
from waitroom.admin.tickets import Store as Movable
from waitroom.admin.tickets import Tickets
from waitroom.admin.waits import Waits, WaitsApi
from waitroom.metrics.totals import Reading, exposition
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Secrets

log = structlog.get_logger(__name__)

SHUTDOWN_S = 1.0
"""What an answer in progress gets when the listener closes."""

BACKLOG = 128

MAX_BODY_BYTES = 64 * 1024

_HEADERS = {
    "Server": "waitroom",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

_HTTP = logging.getLogger("waitroom.admin.http")
_HTTP.setLevel(logging.CRITICAL)
"""aiohttp's own word about a request that is not HTTP: a traceback each, which anybody could fill the disk with."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class House(Protocol):
    """What the listener asks of the process that it runs in."""

    def readings(self) -> Iterable[Reading]:
        """All series that do not come from the store."""

    def pools(self) -> Sequence[str]:
        """The pools of the settings in force."""

    @property
    def settings(self) -> Settings:
        """Those in force."""

    @property
    def secrets(self) -> Secrets:
        """The keys in use."""

    def not_ready(self) -> str | None:
        """Why students cannot be served here now, or None."""


class Store(Snapshots, Notices, Waits, Lives, Movable, Audited, Felt, Protocol):
    """All that the listener asks of the store."""


class AdminListener:
    """The listener, from its socket to its answers."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store
        application = web.Application(middlewares=[self._count, _finish], client_max_size=MAX_BODY_BYTES)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/readyz", self._readiness)
        access = Access(lambda: house.settings, lambda: house.secrets.local_token)
        sight, ours = Sight(lambda: house.settings, store), version("waitroom")
        self._pulse = Pulse(sight, store)
        receipts = Receipts(lambda: house.secrets, access)
        parts: list[Part] = [
            PoolsApi(sight, self._pulse, store, ours),
            Limits(sight, store),
            Holds(sight, store),
            Announcements(sight, store),
            Tickets(sight, store),
            AuditApi(sight, store),
            SettingsApi(sight),
            WaitsApi(sight, store),
            receipts,
        ]
        endpoints = [each for part in parts for each in part.endpoints()]
        self._document = json.dumps(document(endpoints, ours))
        application.router.add_get(OPENAPI, self._openapi)
        application.router.add_routes([*routes(endpoints, access), *receipts.routes(), *Dashboard().routes()])
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_S, logger=_HTTP, auto_decompress=False
        )
        self._callers: Callers | None = None
        self._server: asyncio.Server | None = None

    async def start(self, door: socket.socket) -> None:
        """Answer on this listening socket."""
        await self._runner.setup()
        assert self._runner.server is not None
        self._callers = Callers(self._runner.server)
        self._server = await asyncio.get_running_loop().create_server(self._callers, sock=door, backlog=BACKLOG)
        self._pulse.start()

    async def stop(self) -> None:
        """Close the socket and finish."""
        await self._pulse.close()
        if self._callers is not None and self._server is not None:
            self._callers.close()
            self._server.close()
        await self._runner.cleanup()

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who is being answered is left alone."""
        assert self._callers is not None
        answered = self._callers.asks(request.protocol)
        try:
            return await handler(request)
        finally:
            answered()

    async def _metrics(self, request: web.Request) -> web.Response:
        lines = await line_readings(self._store, self._house.pools())
        body, content_type = exposition([*self._house.readings(), *lines], request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        why = self._house.not_ready()
        if why is None:
            return web.Response(text="ready\n")
        return web.Response(text=f"not ready: {why}\n", status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(text=self._document)


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Problem documents for what is not here (RFC 9457), and the headers that every answer carries; the dashboard's
    files have a policy of their own.
    """
    try:
        response = await handler(request)
    except RefusedError as error:
        response = problem(error.status, str(error), error.headers)
    except web.HTTPException as error:
        response = problem(error.status, "", {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None)
    except Exception:  # whatever it was: the answer is a problem document, and the log has the rest
        log.exception("admin_request_broke", path=request.path)
        response = problem(500, "A defect of ours; the log says more.")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
