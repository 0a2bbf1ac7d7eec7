"""A student's browser: a cookie jar, page loads that end in a page or in nothing, and questions of scripts.

Law: it knows of the exam server and of the waiting room only what stands in their pages. It never raises for a network
that fails: a student sees that as "nothing".
"""

import asyncio
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Accept-Language": "en",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
SCRIPT = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "X-Requested-With": "XMLHttpRequest"}

CONNECTIONS = 6
"""Connections of a browser to one host."""

MAX_REDIRECTS = 8

WAITING, NOTHING, TROUBLE = "waiting", "nothing", "trouble"

_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
_PAGE = re.compile(r'data-page="([a-z]+)"')
_STATUS = re.compile(r'data-status="([^"]+)"')
_FIELD = re.compile(r'data-([a-z-]+)="(\d+)"')


@dataclass(frozen=True, slots=True)
class Ask:
    """What a click asks for; a form makes it a POST."""

    path: str
    form: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a student looks at. `name` is the exam server's own word for its page, or one of ours for the others."""

    name: str
    status: int = 0
    text: str = ""

    @property
    def status_url(self) -> str:
        """Where the waiting page asks for its state."""
        found = _STATUS.search(self.text)
        return html.unescape(found[1]) if found else "/_waitroom/status"

    def number(self, name: str) -> int:
        """A number that the page carries on its body."""
        return int(dict(_FIELD.findall(self.text)).get(name, 0))


@dataclass(frozen=True, slots=True)
class Said:
    """An answer to a script: its status and its JSON; status 0 for none."""

    status: int
    body: Mapping[str, Any]


class Browser:
    """One browser at one address."""

    def __init__(self, base: str, *, patience_s: float) -> None:
        self._base = URL(base)
        self._client = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # the demo's host is an address, not a name
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=patience_s),
        )

    async def close(self) -> None:
        """The window is shut."""
        await self._client.close()

    async def open(self, ask: Ask) -> Page:
        """Load a page, following redirects. A connection that fails or a server that is silent is a page too."""
        method = "GET" if ask.form is None else "POST"
        try:
            async with self._client.request(
                method, self._url(ask.path), data=ask.form, headers=NAVIGATION, max_redirects=MAX_REDIRECTS
            ) as answer:
                return _read(answer.status, answer.headers, await answer.text())
        except _FAILURES:
            return Page(NOTHING)

    async def ask(self, path: str, form: Mapping[str, str] | None = None) -> Said:
        """What a script in the page asks for."""
        method = "GET" if form is None else "POST"
        try:
            async with self._client.request(method, self._url(path), data=form, headers=SCRIPT) as answer:
                return Said(answer.status, _json(await answer.text()))
        except _FAILURES:
            return Said(0, {})

    def _url(self, path: str) -> URL:
        return self._base.join(URL(path))


def _read(status: int, headers: Mapping[str, str], text: str) -> Page:
    if "X-Waitroom" in headers:
        return Page(WAITING, status, text)
    found = _PAGE.search(text)
    if status >= 500 or found is None:
        return Page(TROUBLE, status, text)
    return Page(found[1], status, text)


def _json(text: str) -> Mapping[str, Any]:
    body = json.loads(text)
    return body if isinstance(body, dict) else {}


async def pause(seconds: float) -> None:
    """A student waits, thinks or types."""
    await asyncio.sleep(seconds)
