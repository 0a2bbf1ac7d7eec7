"""The page as bytes with holes: rendered once for each language, state and kind of form, filled for each visitor.

Law: a visitor costs a join of bytes. Whatever depends on one is a slot, and all such slots stand in the page's last
part; whatever depends on language, state or the settings is rendered when the process starts, and what all visitors of
an exam share at a time is bound, and packed, once. Style and scripts are the same on every page, so their hashes in the
Content-Security-Policy are too.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log1p
from pathlib import Path

import rjsmin
from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from waitroom.admission.line import State
from waitroom.settings.model import Help
from waitroom.web import catalogue
from waitroom.web.catalogue import Catalogue
from waitroom.web.languages import LANGUAGES, direction, pick
from waitroom.web.look import Look

OURS, OWN = "page.html.j2", "own.html.j2"
"""Our template, and the operator's, which may extend ours."""

RAIL_FULL = 3_000
"""People ahead at the rail's left end. The rail is logarithmic and fixed, so that a reload changes nothing on it."""

RAIL_STOPS = ((1_000, False), (300, True), (100, False), (30, True), (10, False), (3, True))
"""People ahead at each stop, and whether its name gives way on a narrow screen."""

KINDS = ("", "still", "kept", "lost")
"""The plain page; the same for a browser that asked for no automatic loading; one that carries a form; one in place of
a form that cannot be carried.
"""

_SLOT = re.compile("\0([a-z_]+)\0")
_OWN = "\0:own:\0"
"""Where the visitor's own part begins; two slots side by side must not look like it."""
_SCRIPT_KEY = re.compile(r"'([a-z]+\.[a-z_]+)'")
_STATE_PARTS = ("h1", "lead", "tab")
_FOUND_BY_SCRIPT = ("offline", "away", "cookies", "postponed")
_PAGE_ONLY = (State.PACED, State.BUSY)
"""Never the answer to a poll."""
_LOST_WORDS = ("lost", "lostin", "lostdown")
_OF_KIND = {"kept": ("form.sent",), "lost": ("lost.back",)}
"""What only the script of such a page says."""


@dataclass(frozen=True, slots=True)
class Template:
    """A rendered page, or a part of one: its pieces, and which of them are slots."""

    pieces: tuple[str, ...]
    slots: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, text: str) -> "Template":
        """Split a rendered text at its slots."""
        parts = _SLOT.split(text)
        slots = tuple((place, parts[place]) for place in range(1, len(parts), 2))
        return cls(tuple("" if place % 2 else part for place, part in enumerate(parts)), slots)

    def bind(self, values: Mapping[str, str]) -> "Template":
        """The same page with these values (HTML already) in their slots, and the other slots open."""
        pieces, slots, names = [""], list[tuple[int, str]](), dict(self.slots)
        for place, piece in enumerate(self.pieces):
            name = names.get(place)
            if name is None or name in values:
                pieces[-1] += piece if name is None else values[name]
            else:
                slots.append((len(pieces), name))
                pieces += ("", "")
        return Template(tuple(pieces), tuple(slots))

    def fill(self, values: Mapping[str, str]) -> bytes:
        """The page with `values` (HTML already) in the slots."""
        pieces = list(self.pieces)
        for place, name in self.slots:
            pieces[place] = values[name]
        return "".join(pieces).encode()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page: the part that everyone in the same situation sees, and the visitor's own."""

    shared: Template
    own: Template

    @classmethod
    def of(cls, text: str) -> "Sheet":
        """Split a rendered text where the visitor's own part begins."""
        shared, _, own = text.partition(_OWN)
        return cls(Template.of(shared), Template.of(own))


class Library:
    """Every rendered page, the catalogues behind them, and the policy they are served under."""

    def __init__(self, static: Path, help_line: Help, prefix: str, look: Look) -> None:
        self._css = compact((static / "page.css").read_text("utf-8") + look.css)
        self._js = rjsmin.jsmin((static / "page.js").read_text("utf-8"))
        self._rescue = rjsmin.jsmin((static / "rescue.js").read_text("utf-8"))
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([DictLoader({OWN: look.template}), FileSystemLoader(static)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["bare"] = lambda url: url.split("://", 1)[-1].rstrip("/")
        self._environment.filters["dial"] = lambda phone: re.sub(r"[^+0-9]", "", phone)
        self._help = help_line
        self._prefix = prefix
        self._look = look
        read = (catalogue.read(static / "locale" / f"{language}.po") for language in LANGUAGES)
        self.catalogues = {words.language: look.words(words) for words in read}
        self.pages = {
            page_key(language, state, kind): self._render(self.catalogues[language], state, kind)
            for language in LANGUAGES
            for state in State
            for kind in KINDS
        }
        scripts = (self._js, self._rescue)
        self.policy = policy(self._css, scripts, forms="'self'")
        self.policy_with_form = policy(self._css, scripts, forms=None)

    def _render(self, words: Catalogue, state: State, kind: str) -> Sheet:
        return Sheet.of(
            self._environment.get_template(OWN if self._look.template else OURS).render(
                lang=words.language,
                dir=direction(words.language),
                logo=self._look.logo,
                state=str(state),
                kind=kind,
                words=state_words(state, kind),
                t=words.say,
                slot=lambda name: _trusted(f"\0{name}\0"),
                own=_trusted(_OWN),
                hidden=_trusted(" hidden"),
                still=_trusted(" data-still"),
                current=_trusted(' aria-current="true"'),
                prefix=self._prefix,
                tongue=words.say("tongue.name"),
                tongues=[(code, each.say("tongue.name")) for code, each in self.catalogues.items()],
                css=_trusted(self._css),
                js=_trusted(self._js),
                rescue=_trusted(self._rescue),
                words_json=_trusted(self._script_words(words, state, kind)),
                stations=[(ahead, round(2 + 93 * rail_share(ahead), 1), minor) for ahead, minor in RAIL_STOPS],
                help=self._help,
                help_text=pick(self._help.text or {}, words.language),
            )
        )

    def _script_words(self, words: Catalogue, state: State, kind: str) -> str:
        """The messages that the script may come to use on this page, as JSON that cannot end its element."""
        said = {key: words.messages[key] for key in script_keys(self._js, state, kind)}
        return json.dumps(said, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def page_key(language: str, state: State, kind: str) -> str:
    """A page's name: text, because an enum member is hashed in Python and this is done for every visitor."""
    return f"{language} {state} {kind}"


def state_words(state: State, kind: str) -> str:
    """Which of the catalogue's `state.` messages a page starts with."""
    if kind != "lost":
        return str(state)
    return {State.ADMITTED: "lostin", State.DOWN: "lostdown"}.get(state, "lost")


def script_keys(script: str, state: State, kind: str) -> list[str]:
    """The keys of the messages that the script says: every dotted word in quotes, and those of the situations that may
    follow on a page that begins with this one.
    """
    names = _LOST_WORDS if kind == "lost" else (*(each for each in State if each not in _PAGE_ONLY), *_FOUND_BY_SCRIPT)
    stated = {f"state.{name}.{part}" for name in {*names, state} for part in _STATE_PARTS}
    others = {key for of, keys in _OF_KIND.items() if of != kind for key in keys}
    return sorted({*_SCRIPT_KEY.findall(script), *stated} - others)


def rail_share(ahead: int) -> float:
    """How far along the rail somebody with `ahead` people before them is, 0 to 1; page.js computes the same."""
    return 1 - min(1.0, log1p(ahead) / log1p(RAIL_FULL))


def compact(style: str) -> str:
    """A style sheet without indentation and empty lines."""
    return "\n".join(line.strip() for line in style.splitlines() if line.strip())


def policy(css: str, scripts: Sequence[str], *, forms: str | None) -> bytes:
    """The Content-Security-Policy. `forms` None: a kept form may be answered with a redirect to a sign-on elsewhere,
    which browsers hold against form-action (CSP 3 section 6.4.1), so nothing is said about it.
    """
    hashes = " ".join(f"'{_hash(each)}'" for each in scripts)
    sources = [
        "default-src 'none'",
        f"style-src '{_hash(css)}'",
        f"script-src {hashes}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    ]
    if forms:
        sources.append(f"form-action {forms}")
    return "; ".join(sources).encode()


def _trusted(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - our own files and slot names, never a visitor's or operator's text


def _hash(source: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(source.encode()).digest()).decode()
