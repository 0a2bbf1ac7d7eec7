"""A reverse proxy as a team would write it in an afternoon: aiohttp's server in front, its client behind.

It stands for what one gets from a well-made library without further thought. It reads as a tutorial would and is tuned
nowhere; what it does not do (timeouts, framing errors, tunnels) it does not pay for either.
"""

import argparse
import ssl
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

OF_THE_CONNECTION = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade",
})  # fmt: skip
"""Headers that end here (RFC 9110, section 7.6.1)."""

CHUNK_BYTES = 64 * 1024
IDLE_S = 600
CLIENT = web.AppKey("client", aiohttp.ClientSession)
BACKEND = web.AppKey("backend", str)


async def relay(request: web.Request) -> web.StreamResponse:
    """One request to the backend, its answer to the client."""
    headers = _passed_on(request.headers)
    headers["X-Forwarded-For"] = request.remote or ""
    headers["X-Forwarded-Proto"] = request.scheme
    async with request.app[CLIENT].request(
        request.method, URL(request.app[BACKEND] + request.raw_path, encoded=True), headers=headers,
        data=request.content if request.can_read_body else None, allow_redirects=False,
    ) as answer:  # fmt: skip
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_passed_on(answer.headers))
        await response.prepare(request)
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            await response.write(chunk)
        await response.write_eof()
        return response


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in OF_THE_CONNECTION)


async def _client(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as app[CLIENT]:
        yield


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plain_proxy", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("backend", help="such as http://127.0.0.1:8000")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    context = None
    if arguments.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.cert, arguments.key)
    app = web.Application()
    app[BACKEND] = arguments.backend
    app.cleanup_ctx.append(_client)
    app.router.add_route("*", "/{path:.*}", relay)
    web.run_app(
        app, host="127.0.0.1", port=arguments.port, ssl_context=context, access_log=None, print=None, backlog=4096,
        keepalive_timeout=IDLE_S,
    )  # fmt: skip


if __name__ == "__main__":
    main()
