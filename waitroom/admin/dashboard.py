"""The dashboard at `/`: a page, its styles and its scripts, as files of the package.

Law: everything comes from here and nothing from elsewhere, nothing inline runs, and no other site may frame it. A
browser asks each time whether a file is still the same, so that no page mixes two versions. What the page knows, it
asks the API, with a token that only its tab has.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from waitroom.assets import static_dir

PAGE = "index.html"

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

_POLICY = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class File(NamedTuple):
    """One file, as it is sent."""

    body: bytes
    content_type: str
    tag: str


class Dashboard:
    """All files, read once."""

    def __init__(self, folder: Path | None = None) -> None:
        self._files = _read(folder or static_dir() / "dashboard")

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [web.get("/", self._page), web.get("/dashboard/{name:.+}", self._file)]

    async def _page(self, request: web.Request) -> web.Response:
        return _answer(request, self._files[PAGE])

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file)


def _read(folder: Path) -> Mapping[str, File]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TYPES:
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:32]
            found[path.relative_to(folder).as_posix()] = File(body, _TYPES[path.suffix], tag)
    return found


def _answer(request: web.Request, file: File) -> web.Response:
    known = any(tag.value in {file.tag, "*"} for tag in request.if_none_match or ())
    response = web.Response(headers=_POLICY, status=304) if known else _whole(file)
    response.etag = file.tag
    return response


def _whole(file: File) -> web.Response:
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=_POLICY)
