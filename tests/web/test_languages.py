"""Who is answered in which language, and whether every language says everything."""

import re
from pathlib import Path

import pytest

from tests.web.samples import STATIC
from waitroom.admission.line import State
from waitroom.web import catalogue
from waitroom.web.catalogue import Catalogue, CatalogueError, Message
from waitroom.web.languages import LANGUAGES, choose, pick
from waitroom.web.templates import KINDS, script_keys

HEADER = 'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
WEB = Path(catalogue.__file__).parent


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        (b"", "en"),
        (b"fr", "fr"),
        (b"fr-BE,fr;q=0.9,en;q=0.8", "fr"),
        (b"NL-be, en;q=0.5", "nl"),
        (b"en;q=0.3, de-AT ; q=0.9", "de"),
        (b"pt-BR,pt;q=0.9,fr;q=0.4", "fr"),
        (b"pt-BR", "en"),
        (b"*", "en"),
        (b"*;q=0.1, de;q=0.5", "de"),
        (b"fr;q=0, nl;q=0.1", "nl"),
        (b"fr;q=nonsense, nl", "nl"),
        (b"fr;q=1.5, nl;q=0.9", "fr"),
        (b"fr;q=\xb2, de", "de"),
        (b"zh;q=0.9" + b",zh;q=0.9" * 10_000, "en"),
        (b"french", "en"),
        (b"\xff\xfe,;;q=,=", "en"),
    ],
)
def test_choice(header: bytes | None, language: str) -> None:
    """The heaviest range that we speak wins; nonsense is English."""
    assert choose(header) == language


@pytest.mark.parametrize(
    ("texts", "language", "text"),
    [
        ({"fr": "Un", "en": "One"}, "fr", "Un"),
        ({"fr": "Un", "en": "One"}, "nl", "One"),
        ({"": "MATH0001"}, "nl", "MATH0001"),
        ({"fr-BE": "Un"}, "fr", "Un"),
        ({"es": "Uno"}, "nl", "Uno"),
        ({}, "nl", ""),
    ],
)
def test_operators_texts(texts: dict[str, str], language: str, text: str) -> None:
    """An operator's text is shown in the visitor's language if it is there, else in a sensible one."""
    assert pick(texts, language) == text


def _catalogue(language: str) -> Catalogue:
    return catalogue.read(STATIC / "locale" / f"{language}.po")


def _names(message: Message) -> set[str]:
    texts = message if isinstance(message, tuple) else (message,)
    return {name for text in texts for name in re.findall(r"\{(\w+)\}", text)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    """Same keys, same placeholders, same messages with plural forms, and no message empty."""
    english, other = _catalogue("en").messages, _catalogue(language).messages
    assert other.keys() == english.keys()
    for key, message in other.items():
        assert _names(message) == _names(english[key]), key
        assert isinstance(message, tuple) == isinstance(english[key], tuple), key
        assert all(message), key


def test_no_message_is_missing_or_unused() -> None:
    """Each key that template, script or code names is in the catalogues, and each in the catalogues is named."""
    script = (STATIC / "page.js").read_text("utf-8")
    sources = [(STATIC / "page.html.j2").read_text("utf-8"), *(path.read_text("utf-8") for path in WEB.glob("*.py"))]
    named = {key for state in State for kind in KINDS for key in script_keys(script, state, kind)} | {
        f"{group}.{name}" for text in sources for group, name in re.findall(r'"([a-z]+)\.([a-z_]+)"', text)
    }
    others = {"page.css", "page.js", "rescue.js", "wr.still"}
    known = set(_catalogue("en").messages)
    assert named - others <= known, "missing"
    assert known - named == {"site"}, "unused (the name on top is asked for without a dot)"
    assert {f"state.{state}.h1" for state in State} <= known


def test_plural_rules() -> None:
    """French counts zero as one thing, English as many."""
    assert [_catalogue("fr").count("board.people", n) for n in (0, 1, 2)] == ["0 personne", "1 personne", "2 personnes"]
    assert [_catalogue("en").count("board.people", n) for n in (0, 1, 2)] == ["0 people", "1 person", "2 people"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('msgid "a"\nmsgstr "b"\nnonsense\n', "xx.po:3: neither a comment nor a keyword"),
        ('msgid ""\nmsgstr ""\n', "no Plural-Forms"),
        ('msgid "a"\nmsgstr "b"\nmsgid "a"\nmsgstr "c"\n', "xx.po:3: a is there twice"),
        (
            f'{HEADER}msgid "a"\nmsgid_plural "a"\nmsgstr[0] "one"\n',
            "a has 1 plural forms, not 2",
        ),
    ],
)
def test_a_broken_catalogue_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """A catalogue that cannot be read says where."""
    path = tmp_path / "xx.po"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=re.escape(complaint)):
        catalogue.read(path)


def test_continued_strings(tmp_path: Path) -> None:
    """Editors fold long messages over lines; they are one message."""
    path = tmp_path / "xx.po"
    path.write_text(HEADER + 'msgid "a"\nmsgstr ""\n"one \\"two\\" "\n"three"\n')
    assert catalogue.read(path).say("a") == 'one "two" three'
