"""The addresses to listen on: free, ours already, or somebody else's; and whether cookies go there in the clear."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from waitroom.server.doctor.finding import Found, ok, problem, warning
from waitroom.server.sockets import ListenError, open_door
from waitroom.settings.addresses import EVERY_ADDRESS
from waitroom.settings.model import Settings

ANSWER_S = 10.0
"""A service with too much to do is still ours, not another program at our address."""
IN_USE = "the address is in use"


async def look_at_ports(settings: Settings) -> list[Found]:
    """Each address in turn."""
    found = [await _tcp("listen.admin", settings.listen.admin.host, settings.listen.admin.port, "http", "/healthz")]
    for listen in settings.listen.public:
        if listen.unix:
            found.append(await _unix(listen.unix))
        else:
            scheme = "https" if listen.tls else "http"
            found.append(await _tcp("listen.public", listen.host, listen.port, scheme, f"{settings.prefix}status"))
    return found


async def _tcp(key: str, host: str, port: int, scheme: str, path: str) -> Found:
    shown = f"{key} {f'[{host}]' if ':' in host else host}:{port}"
    try:
        door, _ = open_door(host, port)
    except ListenError as error:
        why = str(error).partition(": ")[2]
        if why.startswith(IN_USE) and await _is_ours(host, port, scheme, path):
            return ok("ports", f"{shown} is ours: a waiting room answers there")
        said, _, remedy = why.partition(": ")
        return problem("ports", f"{shown}: {said}", remedy or "choose an address of this machine")
    door.close()
    return ok("ports", f"{shown} is free")


async def _is_ours(host: str, port: int, scheme: str, path: str) -> bool:
    """Whether a waiting room answers there: its admin listener by name, its public one with its own endpoint."""
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - a name
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{scheme}://{near}:{port}{path}", ssl=False, allow_redirects=False) as answer,
        ):
            named = answer.headers.get("Server") == "waitroom"
            return named or (answer.status == 401 and answer.content_type == "application/problem+json")
    except (OSError, aiohttp.ClientError, TimeoutError, ValueError):
        return False


async def _unix(path: str) -> Found:
    shown, folder = f"listen.public unix:{path}", Path(path).parent
    if not folder.is_dir():
        return problem("ports", f"{shown}: {folder} is not there", f"mkdir -p {folder}")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_unix_connection(path), ANSWER_S)
    except (OSError, TimeoutError):
        return ok("ports", f"{shown} is free")
    writer.close()
    return ok("ports", f"{shown} answers: the service runs, or another program has it")


def look_at_cookies(settings: Settings) -> Iterator[Found]:
    """A place in line is a cookie: whoever reads it on the way has the place."""
    plain = [str(listen.address) for listen in settings.listen.public if listen.tls is None]
    reached = [text for text in plain if not text.startswith("unix:")]
    if not plain:
        yield ok("cookies", "cookies are Secure: every public listener has TLS")
    elif settings.trusted_proxies:
        said = "cookies are Secure where a trusted proxy says https (X-Forwarded-Proto, Forwarded)"
        yield ok("cookies", said)
        wide = [text for text in reached if text.rpartition(":")[0].strip("[]") in EVERY_ADDRESS]
        if wide:
            said = f"{', '.join(wide)} speaks plain http to every network, past the proxy too"
            yield warning("cookies", said, "listen.public on an address that only the proxy reaches, or a firewall")
    else:
        said = f"{', '.join(plain)} speaks plain http and no proxy is trusted: places can be read on the way"
        remedy = "listen.public with tls, or trusted_proxies with the proxy that ends TLS"
        yield warning("cookies", said, remedy)
