"""The operator's own words and look, ready for the page: messages, notes, logo, style, template.

Law: made from the settings alone, which carry the files' contents, so that every process makes the same. It exists only
if nothing is wrong with it; what is wrong is named, all of it, by `look_faults`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape

from waitroom.assets import static_dir
from waitroom.errors import SettingsError
from waitroom.settings.look import LOGO, STYLE, TEMPLATE, TEXTS
from waitroom.settings.model import Settings
from waitroom.settings.problems import Finding
from waitroom.settings.spelling import LANGUAGES
from waitroom.web import catalogue
from waitroom.web.catalogue import Catalogue
from waitroom.web.colours import colour_css, colour_faults
from waitroom.web.languages import pick
from waitroom.web.ownfiles import logo_faults, logo_url, style_faults
from waitroom.web.owntexts import Faults, Messages, own_texts

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """What differs from the page that we ship; nothing, by default."""

    messages: Mapping[str, Messages] = field(default_factory=dict)
    """By language and key."""
    note: Texts = field(default_factory=dict)
    notes: Mapping[str, Texts] = field(default_factory=dict)
    """By exam."""
    logo: str = ""
    """A data: URL."""
    css: str = ""
    """Comes after ours."""
    template: str = ""

    def words(self, ours: Catalogue) -> Catalogue:
        """A catalogue with the operator's messages in it."""
        own = self.messages.get(ours.language)
        return replace(ours, messages={**ours.messages, **own}) if own else ours

    def note_for(self, exam: str, language: str) -> str:
        """The operator's line under good to know, as HTML; empty for none."""
        return escape(pick(self.notes.get(exam) or self.note, language), quote=False)


def look_of(settings: Settings) -> Look:
    """The look that the settings ask for. Raises SettingsError where it cannot be had."""
    look, faults = _made(settings)
    if faults:
        raise SettingsError("; ".join(_told(fault) for fault in faults))
    return look


def look_faults(settings: Settings) -> Faults:
    """All that is wrong with the files and colours of the settings, a template's rendering excepted."""
    return _made(settings)[1]


@cache
def our_catalogues() -> Mapping[str, Catalogue]:
    """The words as we ship them."""
    return {language: catalogue.read(static_dir() / "locale" / f"{language}.po") for language in LANGUAGES}


def _made(settings: Settings) -> tuple[Look, Faults]:
    part, files = settings.pages, settings.enclosed
    ours = (static_dir() / "page.css").read_text("utf-8")
    texts = {name.removeprefix(f"{TEXTS}/"): text for name, text in files.items() if name.startswith(f"{TEXTS}/")}
    messages, faults = own_texts(texts, str(part.texts), our_catalogues())
    faults.extend(colour_faults(part.colours, ours))
    if LOGO in files:
        faults.extend(logo_faults(files[LOGO], str(part.logo)))
    if STYLE in files:
        faults.extend(style_faults(files[STYLE], str(part.style)))
    if faults:
        return Look(), faults
    look = Look(
        messages,
        part.note,
        {name: exam.note for name, exam in settings.exams.items() if exam.note},
        logo_url(files[LOGO]) if LOGO in files else "",
        colour_css(part.colours, ours) + ("\n" + files[STYLE] if STYLE in files else ""),
        files.get(TEMPLATE, ""),
    )
    return look, faults


def _told(fault: object) -> str:
    return f"{'.'.join(str(step) for step in fault.path)}: {fault.wrong}" if isinstance(fault, Finding) else str(fault)
