"""The backends: name, connection, certificate, health path, clock; all of them at once, each within its time-outs.

Law: a backend is asked as a newcomer's request would reach it. What is wrong is told by its first cause.
"""

import asyncio
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp

from waitroom import clock
from waitroom.errors import SettingsError
from waitroom.proxy.dialler import tls_context
from waitroom.server.checks import PROBE, Patient, ask
from waitroom.server.doctor.finding import Found, ok, problem, warning
from waitroom.server.front import target_of
from waitroom.server.keyfiles import EXPIRES_SOON_MS
from waitroom.settings.addresses import BackendUrl
from waitroom.settings.advice import about
from waitroom.settings.model import Pool, Settings

SKEW_S = 5
"""An exam opens here by one clock and there by the other."""

SLOW_MS = 1_000


async def look_at_backend(settings: Settings, pool: Pool, name: str, target: str) -> list[Found]:
    """Everything about one backend; `target` is what it is called."""
    try:
        url = target_of(pool.backends[name])
        tls = tls_context(url.ca_pem) if url.scheme == "https" else None
    except (SettingsError, OSError) as error:
        return [problem("backends", f"{target}: {error}", "correct its ca")]
    shown = f"{target}: {url}"
    failure = await _unreached(url, tls, settings.timeouts.connect_ms / 1_000)
    if failure is not None:
        said, remedy = failure
        return [problem("backends", f"{shown}: {said}", remedy)]
    found = [await _asked(settings, pool, url, tls, shown)]
    if found[0].level == "ok" and tls is not None:
        found += await _certificate(url, tls, shown)
    return found


async def _unreached(url: BackendUrl, tls: ssl.SSLContext | None, within_s: float) -> tuple[str, str] | None:
    """Why no connection can be had, and what to do; None where one can."""
    late = "no connection"
    try:
        async with asyncio.timeout(within_s):
            (await _connected(url, None)).close()
            late = "it connects, but no TLS"
            writer = await _connected(url, tls)
    except (OSError, TimeoutError) as error:
        at, kind = url.unix or f"{url.host}:{url.port}", type(error)
        known = (
            (socket.gaierror, f"the name {url.host} has no address", "correct its url, or DNS"),
            (TimeoutError, f"{late} within {within_s:g} s", "is a firewall in between? or correct its url"),
            ((ConnectionRefusedError, FileNotFoundError), f"nobody listens at {at}", "start it, or correct its url"),
            (
                ssl.SSLCertVerificationError,
                f"its certificate does not verify: {str(getattr(error, 'verify_message', '')).rstrip('.')}",
                "ca: or server_name: beside its url",
            ),
            (ssl.SSLError, f"no TLS there ({getattr(error, 'reason', '')})", "http:// in its url, if it has no TLS"),
            (OSError, f"no way there: {error.strerror or error}", "correct its url, or the route to it"),
        )
        return next((said, remedy) for kinds, said, remedy in known if issubclass(kind, kinds))
    writer.close()
    return None


async def _connected(url: BackendUrl, tls: ssl.SSLContext | None) -> asyncio.StreamWriter:
    name = (url.server_name or url.host or "localhost") if tls else None
    if url.unix:
        return (await asyncio.open_unix_connection(url.unix, ssl=tls, server_hostname=name))[1]
    return (await asyncio.open_connection(url.host, url.port, ssl=tls, server_hostname=name))[1]


async def _asked(settings: Settings, pool: Pool, url: BackendUrl, tls: ssl.SSLContext | None, shown: str) -> Found:
    """What it says to the health check of its pool, or to a request for / where there is none."""
    health = pool.health or PROBE
    patient = Patient(url, pool.health, settings.hosts[0] if settings.hosts else "")
    began_ms = clock.monotonic_ms()
    try:
        status, date = await ask(patient, health, tls)
    except TimeoutError:
        said = f"{shown}: no answer to {health.path} within {health.timeout_ms} ms"
        return problem("backends", said, "a health.path that answers quickly, or a longer health.timeout")
    except (OSError, aiohttp.ClientError, ValueError) as error:
        return problem("backends", f"{shown}: {error or type(error).__name__}", "is it a web server?")
    return _judged(pool, status, date, clock.monotonic_ms() - began_ms, f"{shown}{health.path}")


def _judged(pool: Pool, status: int, date: str, took_ms: int, shown: str) -> Found:
    if pool.health is not None and status >= HTTPStatus.BAD_REQUEST:
        said = f"{shown} answers {status}: the health check would take it out"
        return problem("backends", said, "health.path: a page that answers below 400 without a log-in")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem("backends", f"{shown} answers {status}", "repair the exam server")
    skew_s = _skew_s(date)
    if skew_s is not None and abs(skew_s) > SKEW_S:
        said = (
            f"{shown} answers {status}, but its clock is {abs(skew_s)} s {'ahead of' if skew_s > 0 else 'behind'} ours"
        )
        return warning("backends", said, "synchronise both (NTP): an exam opens here by one and there by the other")
    if took_ms > SLOW_MS:
        return warning(
            "backends", f"{shown} answers {status} after {took_ms} ms", "is it busy, or its health.path heavy?"
        )
    return ok("backends", f"{shown} answers {status} in {took_ms} ms")


def _skew_s(date: str) -> int | None:
    """How far its Date is from ours; the header has whole seconds."""
    try:
        return round(parsedate_to_datetime(date).timestamp() - clock.now_ms() / 1_000)
    except (ValueError, TypeError):
        return None


async def _certificate(url: BackendUrl, tls: ssl.SSLContext, shown: str) -> list[Found]:
    """How long it still holds; it has just been verified."""
    writer = await _connected(url, tls)
    peer = writer.get_extra_info("peercert") or {}
    writer.close()
    ends = peer.get("notAfter")
    if ends is None:
        return []
    until_ms = int(ssl.cert_time_to_seconds(ends)) * 1_000
    day = datetime.fromtimestamp(until_ms / 1_000, UTC).strftime("%Y-%m-%d")
    left_ms = until_ms - clock.now_ms()
    if left_ms < EXPIRES_SOON_MS:
        said = f"{shown}: its certificate expires in {about(left_ms)} ({day}); then nobody is let through to it"
        return [warning("backends", said, "renew it")]
    return [ok("backends", f"{shown}: its certificate verifies, until {day}")]
