"""Whether the operator's own page template can take the place of ours.

Law: nothing is guessed from the template's text. Every page is made with it, of each state and kind, as for a visitor,
and compared with ours: what the script looks for is there, its words, style and script are in it unchanged, and nothing
is in it that the page's policy would keep from working.
"""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from jinja2 import TemplateSyntaxError

from waitroom.admission.line import State
from waitroom.admission.view import View
from waitroom.assets import static_dir
from waitroom.settings.look import TEMPLATE
from waitroom.settings.model import Settings
from waitroom.settings.problems import Finding, Problem
from waitroom.web.forms import KeptForm
from waitroom.web.owntexts import Faults
from waitroom.web.pages import Lost, Pages, PageSettings

KINDS: tuple[tuple[KeptForm | Lost | None, bool], ...] = (
    (None, False),
    (None, True),
    (KeptForm("utf-8", (("a-field", "a-value"),)), False),
    (Lost.LOST, False),
)
"""The form, and whether the browser asked for no automatic loading."""

CHECKED = ("en", "ar")
"""One language of each direction; the others differ from them in words alone, and are rendered too."""

_VISITOR = "abcdefghijklmnop"
_BLOCKED_TAGS = frozenset({"iframe", "object", "embed", "audio", "video", "base"})


def template_faults(settings: Settings) -> Faults:
    """What is wrong with the template of settings whose look has no other fault."""
    told = PageSettings.of(settings)
    if not told.look.template:
        return []
    path = str(settings.pages.template)
    ours = Pages(replace(told, look=replace(told.look, template="")), static_dir())
    try:
        return list(_compared(Pages(told, static_dir()), ours, path))
    except TemplateSyntaxError as error:
        return [Problem(path, error.lineno, 1, "", f"{error.message}")]
    except Exception as error:  # noqa: BLE001 - a template can raise anything that Python can
        return [Problem(path, _line(error, told.look.template), 1, "", f"cannot be rendered: {_reason(error)}")]


def _compared(theirs: Pages, ours: Pages, path: str) -> Iterator[Finding | Problem]:
    script = "".join((static_dir() / name).read_text("utf-8") for name in ("page.js", "rescue.js"))
    told = set[str]()
    for language in CHECKED:
        for state in State:
            for form, still in KINDS:
                page = _read(theirs, language, state, form, still)
                model = _read(ours, language, state, form, still)
                for wrong in page.differences(model, script):
                    if wrong not in told:
                        told.add(wrong)
                        yield Finding(("pages", TEMPLATE), f"{path}: {wrong}{_where(state, form)}")


def _read(pages: Pages, language: str, state: State, form: KeptForm | Lost | None, still: bool) -> "Outline":
    view = View(state, "pool", "exam", _VISITOR, 1, 1, 2)
    outline = Outline()
    outline.feed(pages.page(view, language=language, form=form, still=still).body.decode())
    outline.close()
    return outline


@dataclass(eq=False)
class Outline(HTMLParser):
    """What of a page script, style and policy depend on."""

    ids: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    """Attributes of html and body."""
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    _into: list[str] | None = None

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        found = {key: value or "" for key, value in attrs}
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "textarea":
            self.fields.append(found.get("name", ""))
        if tag in {"html", "body"}:
            self.data.update({f"{tag} {key}": value for key, value in found.items()})
        if tag == "script" and not found.get("type", "").endswith("json"):
            self._into = self.scripts
        elif tag == "style":
            self._into = self.styles
        if self._into is not None and tag in {"script", "style"}:
            self._into.append("")
        self.blocked.extend(_blocked(tag, found))

    def handle_endtag(self, tag: str) -> None:
        """Note it."""
        if tag in {"script", "style"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        """Note the text of scripts and styles."""
        if self._into is not None:
            self._into[-1] += data

    def differences(self, model: "Outline", script: str) -> Iterator[str]:
        """What is missing or amiss, compared with our page."""
        for name in model.ids:
            if name not in self.ids and (f"'{name}'" in script or f"#{name} " in script):
                yield f"has no element with id={name}, which the script needs"
        for name in sorted({name for name in self.ids if self.ids.count(name) > 1}):
            yield f"has id={name} more than once"
        for name, value in model.data.items():
            tag, _, attribute = name.partition(" ")
            if self.data.get(name) != value:
                yield f"has no {attribute}={value or '(empty)'} on <{tag}>"
        if self.fields != model.fields:
            yield "does not carry the fields of a kept form ({{ slot('fields') }})"
        if self.scripts != model.scripts:
            yield "must have <script>{{ js }}</script><script>{{ rescue }}</script>; the policy allows no other script"
        if self.styles != model.styles:
            yield "must have <style>{{ css }}</style>; the policy allows no other style"
        yield from self.blocked


def _blocked(tag: str, attributes: dict[str, str]) -> Iterator[str]:
    """What the Content-Security-Policy would keep from working."""
    if tag in _BLOCKED_TAGS:
        yield f"has <{tag}>, which the page's policy blocks"
    for key, value in attributes.items():
        fetched = key in {"src", "srcset", "poster"} or (tag == "link" and key == "href")
        if fetched and not value.startswith("data:"):
            yield f"fetches {value[:60]}, which the page's policy blocks; data: URLs only"
        if key.startswith("on") or key == "style":
            yield f"has {key}= on <{tag}>, which the page's policy blocks"


def _where(state: State, form: KeptForm | Lost | None) -> str:
    kind = ", with a form" if isinstance(form, KeptForm) else ", in place of a form" if form else ""
    return f" (state {state}{kind})"


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no message or slot {error.args[0]} here; what is a visitor's own stands after {{{{ own }}}}"
    return f"{error or type(error).__name__}"


def _line(error: Exception, template: str) -> int:
    """The template's line in which it came to pass, or which names what is missing; else 1."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    if lines or not isinstance(error, KeyError):
        return lines[-1] or 1 if lines else 1
    before, named, _ = template.partition(f'"{error.args[0]}"')
    return before.count("\n") + 1 if named else 1
