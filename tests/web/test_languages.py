"""Who is answered in which language, and whether every language says everything."""

import re
from pathlib import Path

import pytest

from tests.web.samples import STATIC
from waitroom.admission.line import State
from waitroom.web import catalogue
from waitroom.web.catalogue import Catalogue, CatalogueError
from waitroom.web.languages import LANGUAGES, choose, direction, make_choice, pick
from waitroom.web.owntexts import names_in
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
        (b"pt-BR,pt;q=0.9,fr;q=0.4", "pt"),
        (b"da-DK,da;q=0.9,fr;q=0.4", "fr"),
        (b"da-DK", "en"),
        (b"ar-MA,ar;q=0.9", "ar"),
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
    assert choose([], header) == language


@pytest.mark.parametrize(
    ("cookies", "header", "default", "language"),
    [
        ([], b"da", "nl", "nl"),
        ([], b"da, *;q=0.1", "nl", "nl"),
        ([], None, "de", "de"),
        ([], b"fr", "de", "fr"),
        ([b"wr.lang=ar"], b"fr", "de", "ar"),
        ([b"a=b; wr.lang=it; c=d"], b"fr", "de", "it"),
        ([b"a=b", b"wr.lang=es;"], None, "de", "es"),
        ([b"wr.lang=xx"], b"fr", "de", "fr"),
        ([b"wr.lang="], None, "de", "de"),
        ([b'wr.lang="fr"; x'], None, "de", "de"),
    ],
)
def test_order_of_wishes(cookies: list[bytes], header: bytes | None, default: str, language: str) -> None:
    """What was chosen, then what the browser asks for, then the default; a choice that we did not make is none."""
    assert choose(cookies, header, default) == language


CHOICES: list[tuple[bytes, bytes | None, bytes | None]] = [
    (b"lang=fr&to=/mod/quiz/view.php%3Fid%3D%257E7%26%26b", None, b"/mod/quiz/view.php?id=%7E7&&b"),
    (b"lang=fr&to=/", b"http://exam.example/other", b"/"),
    (b"lang=fr", b"http://exam.example/a?b=%2F#c", b"/a?b=%2F"),
    (b"lang=fr", b"https://EXAM.example/a", b"/a"),
    (b"lang=fr", b"http://exam.example", b"/"),
    (b"lang=fr", b"http://evil.example/a", b"/"),
    (b"lang=fr", b"http://exam.example@evil.example/a", b"/"),
    (b"lang=fr", b"http://exam.example//evil.example", b"/.//evil.example"),
    (b"lang=fr", b"http://[", b"/"),
    (b"lang=fr", None, b"/"),
    (b"lang=fr&to=//evil.example/", None, b"/.//evil.example/"),
    (b"lang=fr&to=/%5Cevil.example/", None, b"/./\\evil.example/"),
    (b"lang=fr&to=http://evil.example/", None, None),
    (b"lang=fr&to=/a%0d%0aSet-Cookie:x", None, None),
    (b"lang=xx&to=/", None, None),
    (b"to=/", None, None),
    (b"", None, None),
]


@pytest.mark.parametrize(("query", "referer", "location"), CHOICES)
def test_a_choice_leads_back(query: bytes, referer: bytes | None, location: bytes | None) -> None:
    """To the page it was made on, on this host and no other; anything else is refused and chooses nothing."""
    answer = make_choice(query, referer, b"exam.example", secure=True)
    if location is None:
        assert (answer.status, answer.cookies) == (400, ())
        return
    assert answer.status == 303
    assert dict(answer.headers)[b"Location"] == location
    assert answer.cookies == (b"wr.lang=fr; Max-Age=15552000; Path=/; HttpOnly; SameSite=Lax; Secure",)


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


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    """Same keys, same placeholders, same messages with plural forms, and no message empty."""
    english, other = _catalogue("en").messages, _catalogue(language).messages
    assert other.keys() == english.keys()
    for key, message in other.items():
        assert names_in(message) == names_in(english[key]), key
        assert isinstance(message, tuple) == isinstance(english[key], tuple), key
        assert all(message), key


def test_no_message_is_missing_or_unused() -> None:
    """Each key that template, script or code names is in the catalogues, and each in the catalogues is named."""
    script = (STATIC / "page.js").read_text("utf-8")
    sources = [path.read_text("utf-8") for path in (*STATIC.glob("*.j2"), *WEB.glob("*.py"))]
    named = {key for state in State for kind in KINDS for key in script_keys(script, state, kind)} | {
        f"{group}.{name}" for text in sources for group, name in re.findall(r'"([a-z]+)\.([a-z_]+)"', text)
    }
    others = {"page.css", "receipt.css", "page.js", "rescue.js", "wr.still", "wr.lang"}
    known = set(_catalogue("en").messages)
    assert named - others <= known, "missing"
    assert known - named == {"site"}, "unused (the name on top is asked for without a dot)"
    assert {f"state.{state}.h1" for state in State} <= known


FORMS = {
    "en": ("one", "other"), "fr": ("one", "other"), "nl": ("one", "other"), "de": ("one", "other"),
    "es": ("one", "other"), "it": ("one", "other"), "pt": ("one", "other"),
    "ar": ("zero", "one", "two", "few", "many", "other"),
}  # fmt: skip
"""CLDR's names of the forms, in the order of the catalogue; page.js finds them by these names."""

NUMBERS = (0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 111, 1_000, 1_000_000)

CATEGORIES = {
    "en": ("other", "one", *["other"] * 11),
    "nl": ("other", "one", *["other"] * 11),
    "de": ("other", "one", *["other"] * 11),
    "it": ("other", "one", *["other"] * 11),
    "es": ("other", "one", *["other"] * 11),
    "fr": ("one", "one", *["other"] * 11),
    "pt": ("one", "one", *["other"] * 11),
    "ar": (
        "zero", "one", "two", "few", "few", "many", "many", "other", "other", "few", "many", "other", "other",
    ),
}  # fmt: skip
"""Of CLDR 45, `many` of round millions (es, fr, it, pt) counted as `other`: our catalogues have no such form."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_rules(language: str) -> None:
    """Each number takes the form that CLDR gives it: the script, which asks the browser, says the same."""
    form = _catalogue(language).form
    assert tuple(FORMS[language][form(n)] for n in NUMBERS) == CATEGORIES[language]


def test_every_catalogue_is_listed() -> None:
    """A file without its language in the list would be answered to nobody."""
    assert {path.stem for path in (STATIC / "locale").glob("*.po")} == set(LANGUAGES)


def test_every_language_has_a_name_and_a_direction() -> None:
    """A visitor finds their own language by its own name, and Arabic is written from the right."""
    assert len({_catalogue(language).say("tongue.name") for language in LANGUAGES}) == len(LANGUAGES)
    assert [language for language in LANGUAGES if direction(language) == "rtl"] == ["ar"]


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
        (f'{HEADER}msgstr "b"\n', "xx.po:5: msgstr is there twice for one msgid"),
        ('msgstr "b"\n', "xx.po:1: stands before the first msgid"),
        ('msgid "a"\n', "xx.po:1: a has no msgstr"),
        ('msgid "a"\nmsgstr "b\\"\n', "xx.po:2: is not one quoted string"),
        ('msgid "a"\nmsgid_plural "a"\nmsgstr[1] "b"\n', "xx.po:1: a has no msgstr, or not all"),
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
