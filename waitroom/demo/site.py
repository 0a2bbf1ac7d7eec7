"""The sample exam server's pages, at the addresses Moodle uses.

Law: every page costs the machine its work before it is made; only the style sheet, the script and the status are free.
A page says on its body what it is (`data-page`), so that a crowd can read it as a student would.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NoReturn

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from waitroom import clock
from waitroom.demo.engine import Engine
from waitroom.demo.exam import EXAMS, Attempt, Exam, Records
from waitroom.demo.model import AUTOSAVE, LOGIN, LOGOUT, PAGE, START, SUBMIT, Verdict, Work

SESSION_COOKIE = "MoodleSession"
MAX_FORM_BYTES = 64 * 1024
_FOLDER = Path(__file__).parent / "pages"
_ASSETS = {"exam.css": "text/css", "exam.js": "text/javascript"}

Page = Callable[["Site", web.Request, str], Awaitable[web.Response]]
Handler = Callable[["Site", web.Request], Awaitable[web.StreamResponse]]


def _costs(work: Work, *, signed_in: bool = True) -> Callable[[Page], Handler]:
    """Do the work first, or answer as a server that cannot; send those who are not signed in to sign in."""

    def decorate(page: Page) -> Handler:
        @functools.wraps(page)
        async def handler(site: "Site", request: web.Request) -> web.StreamResponse:
            student = site.student(request)
            verdict = await site.engine.perform(work if student or not signed_in else PAGE)
            if verdict is Verdict.DOWN:
                return _cut(request)
            if verdict is Verdict.REFUSED:
                return site.trouble(503, "Service unavailable", "The server cannot take your request now.")
            if signed_in and not student:
                raise web.HTTPSeeOther(f"/login/index.php?wantsurl={_safe(request)}")
            return await page(site, request, student)

        return handler

    return decorate


class Site:
    """Pages over the records and the machine."""

    def __init__(self, engine: Engine, records: Records) -> None:
        self.engine = engine
        self.records = records
        # Templates of the package, filled with text of students: escaped.
        self._pages = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)

    def application(self) -> web.Application:
        """Everything under its address."""
        application = web.Application(client_max_size=MAX_FORM_BYTES)
        for method, path, handler in (
            ("GET", "/", Site.index),
            ("GET", "/login/index.php", Site.login_form),
            ("POST", "/login/index.php", Site.login),
            ("GET", "/login/logout.php", Site.logout),
            ("GET", "/mod/quiz/view.php", Site.view),
            ("POST", "/mod/quiz/startattempt.php", Site.start),
            ("GET", "/mod/quiz/attempt.php", Site.attempt),
            ("POST", "/mod/quiz/autosave.ajax.php", Site.autosave),
            ("POST", "/mod/quiz/processattempt.php", Site.submit),
            ("GET", "/mod/quiz/review.php", Site.review),
            ("GET", "/theme/{name}", Site.asset),
        ):
            for each in (method, "HEAD") if method == "GET" else (method,):
                application.router.add_route(each, path, functools.partial(handler, self))
        return application

    def student(self, request: web.Request) -> str:
        """Who is signed in here; nobody is empty."""
        return self.records.sessions.get(request.cookies.get(SESSION_COOKIE, ""), "")

    @_costs(PAGE, signed_in=False)
    async def index(self, _request: web.Request, student: str) -> web.Response:
        """The list of exams."""
        return self._page("index", student, exams=EXAMS.values())

    @_costs(PAGE, signed_in=False)
    async def login_form(self, request: web.Request, student: str) -> web.Response:
        """Who are you?"""
        return self._page("login", student, wants=_local(request.query.get("wantsurl", "/")))

    @_costs(LOGIN, signed_in=False)
    async def login(self, request: web.Request, _student: str) -> web.Response:
        """Any name will do. A new session takes its memory now."""
        form = await request.post()
        name = _text(form, "username").strip()[:40]
        if not name:
            raise web.HTTPSeeOther("/login/index.php")
        self._end_session(request)
        answer = web.HTTPSeeOther(_local(_text(form, "wantsurl")))
        cookie = self.records.sign_in(name)
        answer.set_cookie(SESSION_COOKIE, cookie, path="/", httponly=True, samesite="Lax")
        self.engine.machine.sign_in()
        raise answer

    @_costs(LOGOUT, signed_in=False)
    async def logout(self, request: web.Request, _student: str) -> web.Response:
        """The session gives its memory back."""
        self._end_session(request)
        answer = self._page("bye", "")
        answer.del_cookie(SESSION_COOKIE, path="/")
        return answer

    @_costs(PAGE)
    async def view(self, request: web.Request, student: str) -> web.Response:
        """An exam, before it begins."""
        exam = self._exam(request.query.get("id", ""))
        return self._page("view", student, exam=exam, sesskey=request.cookies[SESSION_COOKIE][:10])

    @_costs(START)
    async def start(self, request: web.Request, student: str) -> web.Response:
        """The heavy one: everybody does it in the same minute."""
        exam = self._exam(_text(await request.post(), "cmid"))
        attempt = self.records.start(student, exam, clock.now_ms())
        raise web.HTTPSeeOther(_attempt_url(attempt))

    @_costs(PAGE)
    async def attempt(self, request: web.Request, student: str) -> web.Response:
        """The questions."""
        attempt = self._attempt(request.query.get("attempt", ""), student)
        if attempt.submitted:
            raise web.HTTPSeeOther(f"/mod/quiz/review.php?attempt={attempt.number}")
        ends_ms = attempt.started_ms + attempt.exam.minutes * 60_000
        return self._page("attempt", student, attempt=attempt, ends_ms=ends_ms)

    @_costs(AUTOSAVE)
    async def autosave(self, request: web.Request, student: str) -> web.Response:
        """What a script sends while the student works."""
        form = await request.post()
        attempt = self._attempt(_text(form, "attempt"), student)
        attempt.take({name: _text(form, name) for name in form})
        return web.json_response({"status": "OK", "answered": attempt.answered, "timems": clock.now_ms()})

    @_costs(SUBMIT)
    async def submit(self, request: web.Request, student: str) -> web.Response:
        """The end of an attempt."""
        form = await request.post()
        attempt = self._attempt(_text(form, "attempt"), student)
        attempt.take({name: _text(form, name) for name in form})
        attempt.submitted = True
        raise web.HTTPSeeOther(f"/mod/quiz/review.php?attempt={attempt.number}")

    @_costs(PAGE)
    async def review(self, request: web.Request, student: str) -> web.Response:
        """The receipt."""
        return self._page("review", student, attempt=self._attempt(request.query.get("attempt", ""), student))

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """Served from the front end's memory."""
        name = request.match_info["name"]
        if name not in _ASSETS:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "max-age=3600", "Content-Type": _ASSETS[name]}
        return web.FileResponse(_FOLDER / name, headers=headers)

    def trouble(self, status: int, heading: str, text: str) -> web.Response:
        """An error page."""
        answer = self._page("trouble", "", heading=heading, text=text)
        answer.set_status(status)
        return answer

    def _page(self, name: str, student: str, **words: object) -> web.Response:
        html = self._pages.get_template(f"{name}.html.j2").render(student=student, **words)
        return web.Response(text=html, content_type="text/html", headers={"Cache-Control": "no-store"})

    def _end_session(self, request: web.Request) -> None:
        if self.records.sign_out(request.cookies.get(SESSION_COOKIE, "")):
            self.engine.machine.sign_out()

    def _exam(self, cmid: str) -> Exam:
        exam = EXAMS.get(int(cmid)) if cmid.isdecimal() and len(cmid) < 10 else None
        return exam if exam is not None else self._missing("There is no such exam.")

    def _attempt(self, number: str, student: str) -> Attempt:
        attempt = self.records.attempt(number, student)
        return attempt if attempt is not None else self._missing("There is no such attempt of yours.")

    def _missing(self, text: str) -> NoReturn:
        page = self.trouble(404, "Not found", text)
        raise web.HTTPNotFound(text=page.text, content_type="text/html")


def _cut(request: web.Request) -> web.Response:
    """The machine died under this request: nobody gets an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _text(form: Mapping[str, object], name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _local(url: str) -> str:
    """A path of this server, or the list of exams: never another host."""
    return url if url.startswith("/") and not url.startswith(("//", "/\\")) else "/"


def _safe(request: web.Request) -> str:
    """Where to go after signing in: the page asked for; after a form the list, and its text is lost."""
    if request.method != "GET":
        return "/"
    return request.path_qs.replace("%", "%25").replace("&", "%26").replace("#", "%23").replace("+", "%2B")


def _attempt_url(attempt: Attempt) -> str:
    return f"/mod/quiz/attempt.php?attempt={attempt.number}&cmid={attempt.exam.cmid}"
