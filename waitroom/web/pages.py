"""The student's page: the answer to a person who is not let in yet.

Law: it is shown in place, at the URL that was asked for, and needs nothing else: no asset, no storage, no redirect.
Every value in it is escaped where it is put in. It never says more than is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from html import escape
from pathlib import Path

from waitroom.admission.line import State
from waitroom.admission.view import View
from waitroom.proxy.decisions import Header, Respond
from waitroom.settings.model import Help, Settings
from waitroom.web.forms import KeptForm
from waitroom.web.languages import LANGUAGES, pick
from waitroom.web.status import status_body
from waitroom.web.stillness import choice_url
from waitroom.web.templates import KINDS, Library, page_key
from waitroom.web.wording import slots

LEAST_REFRESH_S = 10
"""Without script the whole page is loaded: not as often as the script may ask at the head of the line."""

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

    @classmethod
    def of(cls, settings: Settings) -> "PageSettings":
        """Pick it out."""
        titles = {name: exam.title for name, exam in settings.exams.items()}
        return cls(settings.prefix, settings.queue_status, settings.help, titles)


class Pages:
    """Makes pages. Everything is rendered when it is built; a page afterwards costs a few microseconds."""

    def __init__(self, settings: PageSettings, static: Path) -> None:
        self._prefix = settings.prefix
        self._queue_status = settings.queue_status
        self._library = Library(static, settings.help_line)
        self._titles = {
            (exam, language): escape(pick(texts, language))
            for exam, texts in settings.titles.items()
            for language in LANGUAGES
        }
        self._heads = {
            page_key(language, state, kind): self._head(language, state, kind)
            for language in LANGUAGES
            for state in State
            for kind in KINDS
        }

    def page(
        self,
        view: View,
        *,
        language: str,
        target: bytes = b"/",
        form: KeptForm | Lost | None = None,
        still: bool = False,
        head_only: bool = False,
        cookies: tuple[bytes, ...] = (),
    ) -> Respond:
        """The page for one visitor. `target` is the request's; `still`: the browser asked for no automatic loading."""
        kind = "kept" if isinstance(form, KeptForm) else "lost" if form else "still" if still else ""
        key = page_key(language, view.state, kind)
        retry = (b"Retry-After", b"%d" % max(1, -(-view.next_poll_ms // 1000)))
        status = UNAVAILABLE if view.state in _UNAVAILABLE_STATES else self._queue_status
        body = b""
        if not head_only:
            values = self._values(view, language)
            if isinstance(form, KeptForm):
                values["charset"], values["fields"] = form.charset, form.fields()
            elif not form:
                self._add_refresh(values, view, language, choice_url(self._prefix, target, auto=still))
            body = self._library.pages[key].fill(values)
        return Respond(status, (*self._heads[key], retry, *((b"Set-Cookie", cookie) for cookie in cookies)), body)

    def _values(self, view: View, language: str) -> dict[str, str]:
        values = slots(self._library.catalogues[language], view, self._titles.get((view.exam, language), ""))
        values["first"] = status_body(view).decode("ascii")
        values["status_url"] = f"{self._prefix}status?pool={view.pool}"
        return values

    def _add_refresh(self, values: dict[str, str], view: View, language: str, choice: str) -> None:
        """What a browser without script needs. Not on a page with a form or in place of one: refreshed, it is lost."""
        every_s = max(LEAST_REFRESH_S, -(-view.next_poll_ms // 1000))
        values["every"] = str(every_s)
        values["every_said"] = self._library.catalogues[language].count("plain.auto", every_s)
        values["choice"] = choice

    def _head(self, language: str, state: State, kind: str) -> tuple[Header, ...]:
        return (
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Content-Language", language.encode()),
            (b"Cache-Control", b"no-store"),
            (b"Content-Security-Policy", self._library.policy_with_form if kind == "kept" else self._library.policy),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Referrer-Policy", b"same-origin"),
            (b"X-Waitroom", state.encode()),
        )
