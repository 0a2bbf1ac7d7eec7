"""The student's page: the answer to a person who is not let in yet.

Law: it is shown in place, at the URL that was asked for, and needs nothing else: no asset, no storage, no redirect.
Every value in it is escaped where it is put in. It never says more than is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from html import escape
from pathlib import Path

from waitroom.admission.line import State
from waitroom.admission.view import View
from waitroom.proxy.decisions import Header, Respond
from waitroom.settings.model import Help, Settings
from waitroom.web.forms import KeptForm
from waitroom.web.languages import LANGUAGES, pick, switcher
from waitroom.web.look import Look, look_of
from waitroom.web.status import status_text
from waitroom.web.stillness import choice_url
from waitroom.web.templates import Library, Template, page_key
from waitroom.web.wording import Shared, own_slots, shared_slots

LEAST_REFRESH_S = 10
"""Without script the whole page is loaded: not as often as the script may ask at the head of the line."""

BOUND_REMEMBERED = 256
"""Pages with everyone's words in them, 24 kB each: languages, exams and polling times in use at a time."""

UNAVAILABLE = 503
_UNAVAILABLE_STATES = (State.HELD, State.CLOSED, State.DOWN)


class Lost(Enum):
    """A form that no page can carry: too large, with a file, or not to be reproduced exactly."""

    LOST = "lost"


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What the pages need of the settings."""

    prefix: str
    queue_status: int
    help_line: Help
    titles: Mapping[str, Mapping[str, str]]
    look: Look = field(default_factory=Look)

    @classmethod
    def of(cls, settings: Settings) -> "PageSettings":
        """Pick it out."""
        titles = {name: exam.title for name, exam in settings.exams.items()}
        return cls(settings.prefix, settings.queue_status, settings.help, titles, look_of(settings))


class Pages:
    """Makes pages. Everything is rendered when it is built; a page afterwards costs a few microseconds."""

    def __init__(self, settings: PageSettings, static: Path) -> None:
        self._prefix = settings.prefix
        self._queue_status = settings.queue_status
        self._library = Library(static, settings.help_line, settings.look)
        self._look = settings.look
        self._titles = {
            (exam, language): escape(pick(texts, language))
            for exam, texts in settings.titles.items()
            for language in LANGUAGES
        }
        self._bound = lru_cache(maxsize=BOUND_REMEMBERED)(self._bind)

    def page(
        self,
        view: View,
        *,
        language: str,
        target: bytes = b"/",
        form: KeptForm | Lost | None = None,
        still: bool = False,
        head_only: bool = False,
    ) -> Respond:
        """The page for one visitor. `target` is the request's; `still`: the browser asked for no automatic loading."""
        kind = "kept" if isinstance(form, KeptForm) else "lost" if form else "still" if still else ""
        title = self._titles.get((view.exam, language), "")
        said = Shared(view.state, title, view.notice, view.stale, view.opens_ms, view.resume_ms)
        retry_s = max(1, -(-view.next_poll_ms // 1000))
        template, headers = self._bound(language, kind, said, (view.pool, view.exam), retry_s)
        status = UNAVAILABLE if view.state in _UNAVAILABLE_STATES else self._queue_status
        body = b""
        if not head_only:
            values = own_slots(self._library.catalogues[language], view)
            values["first"] = status_text(view)
            if isinstance(form, KeptForm):
                values["charset"], values["fields"] = form.charset, form.fields()
            elif not form:
                values["choice"] = choice_url(self._prefix, target, auto=still)
                values["languages"] = switcher(self._prefix, target, language)
            body = template.fill(values)
        return Respond(status, headers, body, view.cookies)

    def _bind(
        self, language: str, kind: str, said: Shared, where: tuple[str, str], retry_s: int
    ) -> tuple[Template, tuple[Header, ...]]:
        """What all pages of this kind share now: the template with their words in it, and their headers."""
        words, (pool, exam) = self._library.catalogues[language], where
        values = shared_slots(words, said)
        values["status_url"] = f"{self._prefix}status?pool={pool}"
        values["note"] = note = self._look.note_for(exam, language)
        values["note_hidden"] = "" if note else " hidden"
        # What a browser without script needs. A page with a form or in place of one has no slot for it: refreshed, the
        # form is lost.
        every_s = max(LEAST_REFRESH_S, retry_s)
        values["every"], values["every_said"] = str(every_s), words.count("plain.auto", every_s)
        headers = (*self._head(language, said.state, kind), (b"Retry-After", b"%d" % retry_s))
        return self._library.pages[page_key(language, said.state, kind)].bind(values), headers

    def _head(self, language: str, state: State, kind: str) -> tuple[Header, ...]:
        return (
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Content-Language", language.encode()),
            (b"Vary", b"Accept-Language, Cookie"),
            (b"Cache-Control", b"no-store"),
            (b"Content-Security-Policy", self._library.policy_with_form if kind == "kept" else self._library.policy),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Referrer-Policy", b"same-origin"),
            (b"X-Waitroom", state.encode()),
        )
