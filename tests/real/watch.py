"""All that one browser saw: exchanges, complaints in its console, sockets and service workers.

Law: two runs are comparable. What differs between runs by nature (origins, ids, counters) is written the same way.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Request, Response, WebError, Worker

OWN = "/_waitroom/"

_HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ORIGIN = re.compile(r"https?://127\.0\.0\.1:\d+")
_NUMBER = re.compile(r"(?<=/)\d+(?=/|$)")


def same(text: str) -> str:
    """A text with all that differs from run to run replaced."""
    return _NUMBER.sub("N", _HEX.sub("ID", _ORIGIN.sub("", text)))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answered request."""

    method: str
    path: str
    kind: str
    status: int
    content_type: str
    state: str | None

    @property
    def scripted(self) -> bool:
        """Asked by a script, which cannot make anything of a page."""
        return self.kind in {"xhr", "fetch"}

    @property
    def own(self) -> bool:
        """Answered by the waiting room itself."""
        return self.state is not None or self.path.startswith(OWN)

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.kind}) -> {self.status} {self.content_type or '-'}"


@dataclass  # no slots: Playwright keeps a mark of its own on the owner of a handler
class Watch:
    """Attached to a browser context, it notes everything until the context closes."""

    exchanges: list[Exchange] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        """Listen to every page of a context."""
        context.on("response", self._response)
        context.on("requestfailed", self._failed)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("serviceworker", self._worker)
        context.on("page", lambda page: page.on("websocket", lambda socket: self.sockets.append(same(socket.url))))

    def scripts_given_html(self) -> list[Exchange]:
        """Answers that would break the page that asked."""
        return [one for one in self.exchanges if one.scripted and "html" in one.content_type]

    def refusals(self) -> list[Exchange]:
        """What the waiting room answered in place of the platform."""
        return [one for one in self.exchanges if one.own and one.status >= 400]

    def shapes(self) -> set[tuple[str, str, int, str]]:
        """The kinds of exchange there were with the platform."""
        return {(one.method, one.path, one.status, one.content_type) for one in self.exchanges if not one.own}

    def _response(self, response: Response) -> None:
        url, headers = urlsplit(response.url), response.headers
        if url.scheme not in {"http", "https"}:
            return
        content_type = headers.get("content-type", "").partition(";")[0]
        request = response.request
        self.exchanges.append(
            Exchange(
                request.method,
                same(url.path),
                request.resource_type,
                response.status,
                content_type,
                headers.get("x-waitroom"),
            )
        )

    def _failed(self, request: Request) -> None:
        self.failures.append(f"{request.method} {same(urlsplit(request.url).path)}: {request.failure}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            where = same(urlsplit(message.location.get("url", "")).path)
            self.complaints.append(f"{same(message.text)} at {where}")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {same(str(error.error))}")

    def _worker(self, worker: Worker) -> None:
        self.workers.append(same(worker.url))
