"""A waiting room of one page, for the tests of the page: it says what the test tells it to, and notes what it heard.

It runs beside the browser in a thread of its own; a test changes `view` and `answers` between steps.
"""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.site import everywhere, listening
from tests.web.samples import pages, view
from waitroom.admission.line import State
from waitroom.admission.view import View
from waitroom.proxy.decisions import Respond
from waitroom.web.encodings import choose_encoding
from waitroom.web.forms import KeptForm
from waitroom.web.languages import choose
from waitroom.web.languages import make_choice as make_language_choice
from waitroom.web.pages import Lost
from waitroom.web.problems import no_ticket
from waitroom.web.status import status_response
from waitroom.web.stillness import is_still, make_choice

EXAM = "<!doctype html><title>Exam</title><h1>The exam itself</h1>"


@dataclass
class Site:
    """What is said next, and what was asked."""

    view: View = field(default_factory=view)
    answers: deque[View | Respond] = field(default_factory=deque)
    """What the next polls get; the last one stays. Polls take from it meanwhile: a test appends, or puts another."""
    inside: bool = False
    cookies: bool = True
    lost: bool = False
    documents: dict[str, bytes] = field(default_factory=dict)
    """Pages of the exam server that need no pass, by path: the bytes with their charset declared inside."""
    loads: list[tuple[str, str, bytes]] = field(default_factory=list)
    polls: list[str] = field(default_factory=list)
    news: dict[str, object] = field(default_factory=lambda: {"message": None, "held": False, "next_ms": 4_000})
    news_asked: int = 0
    url: str = ""

    async def serve(self, request: web.Request) -> web.Response:
        """Answer anything."""
        path = request.raw_path
        if path.startswith("/_waitroom/"):
            return self._own(request, path.partition("?")[0].removeprefix("/_waitroom/"))
        if request.path == "/favicon.ico" and self.inside:
            return web.Response(status=404)  # the exam's page has no icon; ours asks for none
        if request.path in self.documents:
            return web.Response(body=self.documents[request.path], content_type="text/html")
        body = await request.read()
        self.loads.append((request.method, path, body))
        if self.inside:
            return web.Response(text=EXAM, content_type="text/html")
        return _sent(self._page(request, body))

    def _own(self, request: web.Request, name: str) -> web.Response:
        if name == "status":
            return _sent(self._status(request))
        if name == "news":
            self.news_asked += 1
            return web.json_response(self.news)
        referer, host = request.headers.get("Referer", "").encode(), request.headers["Host"].encode()
        if name == "language":
            return _sent(make_language_choice(request.rel_url.raw_query_string.encode(), referer, host, secure=False))
        assert name == "refresh"
        return _sent(make_choice(request.rel_url.raw_query_string.encode(), referer, host, secure=False))

    def _page(self, request: web.Request, body: bytes) -> Respond:
        header = request.headers.get("Accept-Language")
        form: KeptForm | Lost | None = None
        if request.method == "POST":
            form = KeptForm.parse(body, request.headers["Content-Type"].encode()) or Lost.LOST
        cookie_headers = [value.encode() for value in request.headers.getall("Cookie", [])]
        cookies = (b"wr_sciences=ticket; Path=/; HttpOnly; SameSite=Lax",) if self.cookies else ()
        return SITE_PAGES.page(
            self.view._replace(cookies=cookies),
            language=choose(cookie_headers, header.encode() if header else None),
            encoding=choose_encoding(request.headers.get("Accept-Encoding", "").encode()),
            form=Lost.LOST if self.lost else form,
            still=is_still(cookie_headers),
        )

    def _status(self, request: web.Request) -> Respond:
        self.polls.append(request.rel_url.raw_query_string)
        if "wr_sciences" not in request.cookies:
            return no_ticket()
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0] if self.answers else self.view
        if isinstance(answer, Respond):
            return answer
        self.inside |= answer.state is State.ADMITTED
        return status_response(answer)


SITE_PAGES = pages()


def _sent(answer: Respond) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in answer.headers:
        response.headers.add(name.decode(), value.decode())
    for cookie in answer.cookies:
        response.headers.add("Set-Cookie", cookie.decode())
    return response


class Running:
    """A site on a free port of this machine, in a thread with a loop of its own."""

    def __init__(self) -> None:
        self.site = Site()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="site")

    def __enter__(self) -> Site:
        self._thread.start()
        assert self._ready.wait(60)
        return self.site

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def _run(self) -> None:
        async def serve() -> None:
            async with listening(everywhere(self.site.serve)) as port:
                self.site.url = f"http://127.0.0.1:{port}"
                self._ready.set()
                await self._over.wait()

        self._loop.run_until_complete(serve())
        self._loop.close()
