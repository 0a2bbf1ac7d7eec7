"""The student's page: the answer to a person who is not let in yet.

Law: it is shown in place, at the URL that was asked for, and needs nothing else: no asset, no storage, no redirect.
Every value in it is escaped where it is put in. It never says more than is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from html import escape
from pathlib import Path
from typing import NamedTuple

from waitroom import clock
from waitroom.admission.line import State
from waitroom.admission.view import SAID, WHERE, View
from waitroom.proxy.decisions import Header, Respond
from waitroom.settings.model import Help, Settings
from waitroom.web.forms import KeptForm
from waitroom.web.languages import LANGUAGES, pick
from waitroom.web.look import Look, look_of
from waitroom.web.packing import PACKINGS, Packed
from waitroom.web.status import status_text, who_text
from waitroom.web.templates import Library, Template, page_key
from waitroom.web.wording import own_slots, shared_slots

REFRESH_S = (10, 20, 30)
"""When a page without script is loaded anew: not as often as the script may ask at the head of the line, and in few
steps, since each makes a page of its own."""

_REFRESH_AFTER_S = {after: next(step for step in REFRESH_S if after <= step) for after in range(1, REFRESH_S[-1] + 1)}

BOUND_REMEMBERED = 2_048
"""Pages with everyone's words in them, packed, 12 kB each: languages, exams, codings and refreshing times in use."""

PACKED_A_SECOND = 32
"""To pack a page takes 4 ms, a hundred times what a visitor costs otherwise. Whoever asks for page after page that
nobody has asked for yet gets them unpacked beyond this, so that it cannot be used against us."""

UNAVAILABLE = 503
_UNAVAILABLE_STATES = (State.HELD, State.CLOSED, State.DOWN, State.BUSY)


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

    def __init__(
        self, settings: PageSettings, static: Path, second: Callable[[], int] = lambda: clock.monotonic_ms() // 1000
    ) -> None:
        self._prefix = settings.prefix
        self._queue_status = settings.queue_status
        self._library = Library(static, settings.help_line, settings.prefix, settings.look)
        self._look = settings.look
        self._titles = {
            (exam, language): escape(pick(texts, language))
            for exam, texts in settings.titles.items()
            for language in LANGUAGES
        }
        self._bound: dict[tuple[object, ...], Bound] = {}
        self._second = second
        self._packing_second = self._packed = 0

    def page(
        self,
        view: View,
        *,
        language: str,
        encoding: str = "",
        form: KeptForm | Lost | None = None,
        still: bool = False,
    ) -> Respond:
        """The page for one visitor.

        `encoding` is one of `packing.PACKINGS`; `still`: the browser asked for no automatic loading.
        """
        kind = "kept" if isinstance(form, KeptForm) else "lost" if form else "still" if still else ""
        retry_s = max(1, -(-view.next_poll_ms // 1000))
        refresh_s = 0 if kind else _REFRESH_AFTER_S.get(retry_s, REFRESH_S[-1])
        situation = (language, encoding, kind, refresh_s, view[WHERE], view[SAID])  # plain: made for each visitor
        bound = self._bound.get(situation)
        if bound is None or not bound.final:
            bound = self._bound[situation] = self._bind(Situation(language, encoding, kind, refresh_s, view))
        values = own_slots(self._library.catalogues[language], view)
        values["first"] = status_text(view, language, who_text(values["code"], view.arrival_us))
        if isinstance(form, KeptForm):
            values["charset"], values["fields"] = form.charset, form.fields()
        headers = bound.heads.get(retry_s) or bound.head(retry_s)
        return Respond(bound.status, headers, bound.packed.followed_by(bound.own.fill(values)), view.cookies)

    def _bind(self, now: "Situation") -> "Bound":
        """What all pages of this situation share."""
        words = self._library.catalogues[now.language]
        state, pool, exam = now.view.state, now.view.pool, now.view.exam
        values = shared_slots(words, now.view, self._titles.get((exam, now.language), ""))
        values["record_url"] = f"{self._prefix}receipt?pool={pool}"
        values["status_url"] = f"{self._prefix}status?pool={pool}"
        values["news_url"] = f"{self._prefix}news?pool={pool}" + (f"&amp;exam={exam}" if exam else "")
        values["note"] = note = self._look.note_for(exam, now.language)
        values["note_hidden"] = "" if note else " hidden"
        # What a browser without script needs. A page with a form or in place of one has no slot for it: refreshed, the
        # form is lost.
        values["every"], values["every_said"] = str(now.refresh_s), words.count("plain.auto", now.refresh_s)
        sheet = self._library.pages[page_key(now.language, state, now.kind)]
        encoding = now.encoding if self._may_pack() else ""
        if len(self._bound) >= BOUND_REMEMBERED:
            self._bound.clear()
        return Bound(
            UNAVAILABLE if state in _UNAVAILABLE_STATES else self._queue_status,
            self._headers(now, encoding),
            PACKINGS[encoding](sheet.shared.bind(values).fill({})),
            sheet.own.bind(values),
            final=encoding == now.encoding,
        )

    def _may_pack(self) -> bool:
        """Whether there is time for one more; it is taken."""
        second = self._second()
        if second != self._packing_second:
            self._packing_second, self._packed = second, 0
        self._packed += 1
        return self._packed <= PACKED_A_SECOND

    def _headers(self, now: "Situation", encoding: str) -> tuple[Header, ...]:
        library = self._library
        return (
            (b"Content-Type", b"text/html; charset=utf-8"),
            *(((b"Content-Encoding", encoding.encode()),) if encoding else ()),
            (b"Content-Language", now.language.encode()),
            (b"Cache-Control", b"no-store"),
            (b"Vary", b"Accept-Encoding, Accept-Language, Cookie"),
            (b"Content-Security-Policy", library.policy_with_form if now.kind == "kept" else library.policy),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Referrer-Policy", b"same-origin"),
            (b"X-Waitroom", now.view.state.encode()),
        )


class Situation(NamedTuple):
    """What a page is made from besides its visitor; of the view, that is what stands in `WHERE` and `SAID`."""

    language: str
    encoding: str
    kind: str
    refresh_s: int
    view: View


@dataclass(slots=True, eq=False)
class Bound:
    """All that the pages of one situation share: status, headers, the packed beginning, the template of the end."""

    status: int
    headers: tuple[Header, ...]
    packed: Packed
    own: Template
    final: bool
    """False: it is to be packed yet, when there is time."""
    heads: dict[int, tuple[Header, ...]] = field(default_factory=dict)
    """The headers with their Retry-After: a memory, by seconds (`next_poll_ms` has a bound)."""

    def head(self, retry_s: int) -> tuple[Header, ...]:
        """The headers of a page after which one may come back in `retry_s`."""
        return self.heads.setdefault(retry_s, (*self.headers, (b"Retry-After", b"%d" % retry_s)))
