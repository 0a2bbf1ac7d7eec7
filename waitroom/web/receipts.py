"""The record of a wait as a student sees it: a page to show, print or photograph, and a file to keep.

Law: it says what is signed and no more, with every instant in the server's zone and that zone named. It needs no script
and no asset. What all records of a language begin with is packed once; the rest is one visitor's and sent as it is.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from waitroom.admission.receipts import Receipt, Wait
from waitroom.proxy.decisions import Header, Respond
from waitroom.web.catalogue import Catalogue
from waitroom.web.languages import direction, pick
from waitroom.web.look import our_catalogues
from waitroom.web.packing import PACKINGS, Packed
from waitroom.web.pages import PageSettings
from waitroom.web.templates import compact, policy
from waitroom.web.wayback import leads_back

MAX_QUERY = 2_048
"""Bytes of a query that are looked at: the way back is the longest part of it."""

_OWN = "\0"
"""Where the visitor's own part begins."""

_PRIVATE: tuple[Header, ...] = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"same-origin"),
)


class Look(NamedTuple):
    """In which language and packing somebody wants it."""

    language: str
    encoding: str


class Asked(NamedTuple):
    """What the query of a request for a record says."""

    download: bool
    back: str
    """The path that the way back leads to, on this host."""

    @classmethod
    def of(cls, query: bytes, referer: bytes | None, host: bytes | None) -> "Asked":
        """Read it; a way back that is no path of this host leads to the start."""
        asked = parse_qs(query[:MAX_QUERY].decode("latin-1"), encoding="latin-1")
        back = leads_back(asked.get("to", [""])[0], referer, host) or b"/"
        return cls(asked.get("download") == ["1"], back.decode("latin-1"))


class Fact(NamedTuple):
    """One line of a record: what it is, what it says, and the instant as ISO 8601 if it is one."""

    name: str
    text: str
    iso: str = ""


class ReceiptPages:
    """Makes records. They are asked for seldom, so each is rendered for its visitor."""

    def __init__(self, settings: PageSettings, static: Path) -> None:
        environment = Environment(
            loader=FileSystemLoader(static),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("receipt.html.j2")
        self._prefix = settings.prefix
        self._titles = settings.titles
        self._logo = settings.look.logo
        self._catalogues = {language: settings.look.words(ours) for language, ours in our_catalogues().items()}
        ours = [(static / name).read_text("utf-8") for name in ("page.css", "receipt.css")]
        self._css = compact("\n".join([*ours, settings.look.css]))
        self._policy = policy(self._css, (), forms="'none'")
        self._beginnings: dict[Look, Packed] = {}
        """At most one a language and packing."""

    def receipt(self, receipt: Receipt, line: str, asked: Asked, look: Look) -> Respond:
        """The record; `line` is its signed text."""
        words = self._catalogues[look.language]
        found = facts(words, receipt, self._title(receipt.exam, look.language))
        if asked.download:
            return _saved(words, receipt.code, found, line)
        values = {"facts": found, "line": line, "save": f"{self._prefix}receipt?pool={receipt.pool}&download=1"}
        values["draw"] = f"{self._prefix}draw?exam={receipt.exam}" if receipt.drawn else ""
        return self._page(200, asked.back, look, values)

    def none(self, asked: Asked, look: Look) -> Respond:
        """The page of somebody who has no ticket here. RFC 9110 section 15.5.2 wants a challenge; see problems.py."""
        challenge = ((b"WWW-Authenticate", b"Waitroom"),)
        return self._page(401, asked.back, look, {"facts": (), "line": "", "save": "", "draw": ""}, challenge)

    def _title(self, exam: str, language: str) -> str:
        """The exam's title with its name, since staff may know it by either."""
        title = pick(self._titles.get(exam, {}), language)
        return f"{title} ({exam})" if title and title != exam else exam

    def _page(
        self, status: int, back: str, look: Look, values: Mapping[str, object], more: tuple[Header, ...] = ()
    ) -> Respond:
        text = self._render(look.language, {**values, "back": back})
        beginning, _, own = text.partition(_OWN)
        packed = self._beginnings.get(look)
        if packed is None:
            packed = self._beginnings[look] = PACKINGS[look.encoding](beginning.encode())
        headers = (
            (b"Content-Type", b"text/html; charset=utf-8"),
            *(((b"Content-Encoding", look.encoding.encode()),) if look.encoding else ()),
            (b"Content-Language", look.language.encode()),
            (b"Vary", b"Accept-Encoding, Accept-Language, Cookie"),
            (b"Content-Security-Policy", self._policy),
            *_PRIVATE,
            *more,
        )
        return Respond(status, headers, packed.followed_by(own.encode()))

    def _render(self, language: str, values: Mapping[str, object]) -> str:
        return self._template.render(
            lang=language,
            dir=direction(language),
            logo=self._logo,
            t=self._catalogues[language].say,
            css=Markup(self._css),  # noqa: S704 - our own files, and the operator's that web/look.py has judged
            own=Markup(_OWN),  # noqa: S704 - our own mark
            **values,
        )


def facts(words: Catalogue, receipt: Receipt, exam: str) -> tuple[Fact, ...]:
    """What a record says, line by line."""
    return (
        *((Fact(words.say("receipt.exam"), exam),) if exam else ()),
        Fact(words.say("receipt.code"), receipt.code),
        _instant(words, "receipt.arrived", receipt.arrival_us // 1000),
        *_outcome(words, receipt),
        Fact(words.say("receipt.waited"), _span(words, receipt.wait_s)),
        _position(words, "receipt.first", receipt.first),
        *((Fact(words.say("receipt.drawn"), str(receipt.drawn)),) if receipt.drawn else ()),
        _instant(words, "receipt.made", receipt.issued_ms),
    )


def _outcome(words: Catalogue, receipt: Receipt) -> tuple[Fact, ...]:
    name = words.say("receipt.outcome")
    match receipt.state:
        case Wait.ADMITTED:
            return (_instant(words, "receipt.admitted", receipt.admitted_ms),)
        case Wait.LOBBY:
            said = Fact(name, words.say("receipt.lobby"))
        case Wait.RETURNING:
            said = Fact(name, words.say("receipt.returning"))
        case Wait.WAITING:
            said = Fact(name, words.say("receipt.waiting"))
    return said, _position(words, "receipt.last", receipt.last)


def _position(words: Catalogue, key: str, position: int) -> Fact:
    return Fact(words.say(key), str(position) if position else words.say("receipt.unknown"))


def _instant(words: Catalogue, key: str, at_ms: int) -> Fact:
    there = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
    text = words.say(
        "clock.date", d=there.day, m=f"{there.month:02}", y=there.year, time=f"{there:%H:%M:%S}", zone=there.tzname()
    )
    return Fact(words.say(key), text, there.isoformat(timespec="milliseconds"))


def _span(words: Catalogue, seconds: int) -> str:
    minutes, s = divmod(seconds, 60)
    h, m = divmod(minutes, 60)
    if h:
        return words.say("receipt.hours", h=h, m=m, s=s)
    return words.say("receipt.minutes", m=m, s=s) if m else words.say("receipt.seconds", s=s)


def _saved(words: Catalogue, code: str, found: tuple[Fact, ...], line: str) -> Respond:
    """The same as a text file."""
    told = [f"{fact.name}: {fact.text}{f' = {fact.iso}' if fact.iso else ''}" for fact in found]
    text = "\r\n".join([words.say("receipt.title"), "", *told, "", line, "", words.say("receipt.check"), ""])
    headers = (
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Disposition", f'attachment; filename="waitroom-{code}.txt"'.encode()),
        *_PRIVATE,
    )
    return Respond(200, headers, text.encode())
