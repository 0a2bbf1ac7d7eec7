"""The operator's own texts: .po files whose messages replace ours one by one.

Law: a message of theirs fits where ours stood, or the settings are refused: the key is one of ours, it has the same
placeholders, and as many plural forms as the language has. An empty message is one not translated yet: ours stays.
"""

import re
from collections.abc import Iterator, Mapping

from waitroom.settings.look import TEXTS
from waitroom.settings.problems import Finding, Problem
from waitroom.settings.spelling import LANGUAGES, close
from waitroom.web.catalogue import Catalogue, CatalogueError, Entry, Message, parse, plural_forms

MAX_MESSAGE_CHARS = 1_000
"""Of one message; our longest has 300."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

Faults = list[Finding | Problem]
Messages = dict[str, Message]


def own_texts(
    files: Mapping[str, str], folder: str, catalogues: Mapping[str, Catalogue]
) -> tuple[dict[str, Messages], Faults]:
    """The messages by language and key that are in `files` (content by name), and all that is wrong with them."""
    messages, faults = dict[str, Messages](), Faults()
    for name, text in files.items():
        language = name.removesuffix(".po")
        if language not in LANGUAGES:
            wrong = f"{name}: not a language we have"
            faults.append(Finding(("pages", TEXTS), wrong, ", ".join(LANGUAGES), _meant(language)))
            continue
        found, amiss = _own(f"{folder}/{name}", text, catalogues[language])
        messages[language] = found
        faults.extend(amiss)
    return messages, faults


def _own(source: str, text: str, ours: Catalogue) -> tuple[Messages, Faults]:
    try:
        entries = parse(source, text)
    except CatalogueError as error:
        return {}, [Problem(source, error.line or 1, 1, "", error.wrong)]
    faults: Faults = [
        Problem(source, entry.line, 1, entry.key, *complaint)
        for entry in entries
        for complaint in (_header(entry, ours) if not entry.key else _complaints(entry, ours))
    ]
    found = {entry.key: entry.message for entry in entries if entry.key and any(entry.message)}
    return found, faults


Complaint = tuple[str, str, str]
"""What is wrong, what is allowed, what may be meant."""


def _header(entry: Entry, ours: Catalogue) -> Iterator[Complaint]:
    """A header need not be there; if it states a plural rule, forms are counted by it and must be counted alike."""
    stated = plural_forms(entry.message)
    if stated is not None and stated[0] != ours.forms:
        yield f"states {stated[0]} plural forms", f"{ours.forms}, as {ours.language} has here", ""


def _complaints(entry: Entry, ours: Catalogue) -> Iterator[Complaint]:
    model = ours.messages.get(entry.key)
    if model is None:
        yield "unknown key", "the keys of static/locale/en.po", close(entry.key, list(ours.messages))
        return
    theirs = entry.message if isinstance(entry.message, tuple) else (entry.message,)
    if isinstance(model, tuple) != isinstance(entry.message, tuple) or len(theirs) != _number(model):
        wanted = _number(model) if isinstance(model, tuple) else 0
        allowed = f"{wanted} (msgid_plural, msgstr[0] to msgstr[{wanted - 1}])" if wanted else "none, one msgstr"
        number = len(theirs) if isinstance(entry.message, tuple) else 0
        yield f"has {number or 'no'} plural form{'s' if number != 1 else ''}", allowed, ""
        return
    if not any(theirs):
        return
    if not all(theirs):
        yield "has an empty plural form", "all of them, or none", ""
    yield from _texts(theirs, model)


def _texts(theirs: tuple[str, ...], model: Message) -> Iterator[Complaint]:
    wanted, there = names_in(model), names_in(theirs)
    listed = " ".join(f"{{{name}}}" for name in sorted(wanted)) or "none"
    for name in sorted(there - wanted):
        yield f"has a placeholder {{{name}}} that nothing fills", listed, close(name, sorted(wanted))
    for name in sorted(wanted - there):
        yield f"lacks the placeholder {{{name}}}", listed, ""
    for text in theirs:
        if set("{}") & set(_PLACEHOLDER.sub("", text)):
            yield "has a brace that belongs to no placeholder", listed, ""
        if any(character < " " and character != "\n" for character in text):
            yield "contains a control character", "text", ""
        if len(text) > MAX_MESSAGE_CHARS:
            yield f"has {len(text)} characters", f"at most {MAX_MESSAGE_CHARS}", ""


def names_in(message: Message) -> set[str]:
    """The placeholders of a message, in any of its forms."""
    texts = message if isinstance(message, tuple) else (message,)
    return {name for text in texts for name in _PLACEHOLDER.findall(text)}


def _meant(tag: str) -> str:
    """The language that was most likely meant: that of `nl-BE` is nl."""
    primary = tag.lower().replace("_", "-").partition("-")[0]
    return primary if primary in LANGUAGES else close(tag, LANGUAGES)


def _number(message: Message) -> int:
    return len(message) if isinstance(message, tuple) else 1
