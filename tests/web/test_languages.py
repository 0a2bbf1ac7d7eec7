"""Who is answered in which language, and whether every language says everything."""

import re
from pathlib import Path

import pytest

from tests.web.samples import STATIC
from waitroom.admission.line import State
from waitroom.web import catalogue
from waitroom.web.catalogue import Catalogue, CatalogueError
from waitroom.web.languages import LANGUAGES, choices, choose, direction, make_choice, pick, switcher
from waitroom.web.owntexts import names_in
from waitroom.web.templates import script_keys

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
        (b"zh-TW,zh;q=0.9,fr;q=0.4", "fr"),
        (b"zh-TW", "en"),
        (b"ar-EG", "ar"),
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
    ("cookies", "header", "default", "language"),
    [
        ([b"wr.lang=ar"], b"fr", "nl", "ar"),
        ([b"a=b; wr.lang=it; c=d"], b"fr", "nl", "it"),
        ([b"a=b", b"wr.lang=pt"], None, "nl", "pt"),
        ([b"wr.lang=xx"], b"fr", "nl", "fr"),
        ([b"wr.lang="], None, "nl", "nl"),
        ([b"wr.lang=arabic"], None, "nl", "nl"),
        ([b"xwr.lang=ar"], b"fr", "nl", "fr"),
        ([b"a=wr.lang=ar"], b"fr", "nl", "fr"),
        ([], b"zh, ja;q=0.5", "nl", "nl"),
        ([], b"zh, *;q=0.5", "nl", "nl"),
        ([], b"", "de", "de"),
        ([], None, "de", "de"),
    ],
)
def test_order_of_choice(cookies: list[bytes], header: bytes | None, default: str, language: str) -> None:
    """The visitor's choice, then Accept-Language, then the exam's or site's language; nonsense is no choice."""
    assert choose(header, cookies, default) == language


def test_a_choice_is_a_cookie_and_the_way_back() -> None:
    """303 to where the visitor was, on this host; a year, for every path, not for scripts."""
    answer = make_choice(b"lang=ar&to=/mod/quiz/view.php%3Fid%3D4711%26x%3D%25C3%25A9", secure=True)
    assert (answer.status, dict(answer.headers)[b"Location"]) == (303, b"/mod/quiz/view.php?id=4711&x=%C3%A9")
    assert answer.cookies == (b"wr.lang=ar; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax; Secure",)
    assert dict(make_choice(b"lang=ar", secure=False).headers)[b"Location"] == b"/"
    assert dict(make_choice(b"lang=ar&to=//evil.example/", secure=False).headers)[b"Location"] == b"/.//evil.example/"


@pytest.mark.parametrize(
    "query",
    [b"", b"lang=xx&to=/", b"lang=AR&to=/", b"to=/", b"lang=ar&to=https://evil.example", b"lang=ar&to=/%0d%0aX: y"],
)
def test_a_bad_choice_is_refused(query: bytes) -> None:
    """400, no cookie, and no way to another host or into another header."""
    answer = make_choice(query, secure=False)
    assert (answer.status, answer.cookies) == (400, ())


@pytest.mark.parametrize("target", [b"/", b"/a?b=1&c=%20'\"<x>", b"/" + b"x" * 2_000])
def test_switcher(target: bytes) -> None:
    """Every language by its own name; its link leads back to the very target; markup in a target stays text."""
    assert [(choice.tag, choice.name) for choice in choices("/_w/", b"/")][-2:] == [
        ("pt", "Português"),
        ("ar", "العربية"),
    ]
    links = switcher("/_w/", target, "ar")
    assert links.count("<a ") == links.count("</a>") == len(LANGUAGES)
    assert re.findall(r'lang="(\w+)" hreflang="\w+" dir="(?:ltr|rtl)" rel="nofollow" aria-current', links) == ["ar"]
    for choice in choices("/_w/", target):
        back = dict(make_choice(choice.url.partition("?")[2].encode(), secure=False).headers)
        expected = target.replace(b'"', b"").replace(b"<", b"")
        assert back[b"Location"].replace(b'"', b"").replace(b"<", b"") == expected


def test_direction() -> None:
    """Arabic runs from right to left."""
    assert {language for language in LANGUAGES if direction(language) == "rtl"} == {"ar"}


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
    sources = [(STATIC / "page.html.j2").read_text("utf-8"), *(path.read_text("utf-8") for path in WEB.glob("*.py"))]
    named = set(script_keys(script)) | {
        f"{group}.{name}" for text in sources for group, name in re.findall(r'"([a-z]+)\.([a-z_]+)"', text)
    }
    others = {"page.css", "page.js", "wr.still", "wr.lang"}
    known = set(_catalogue("en").messages)
    assert named - others <= known, "missing"
    assert known - named == {"site"}, "unused (the name on top is asked for without a dot)"
    assert {f"state.{state}.h1" for state in State} <= known


def test_every_catalogue_is_listed() -> None:
    """A file without its language in the list would be answered to nobody."""
    assert {path.stem for path in (STATIC / "locale").glob("*.po")} == set(LANGUAGES)


NUMBERS = (0, 1, 2, 3, 11, 100, 1_000_000)
CATEGORIES = {2: ("one", "other"), 6: ("zero", "one", "two", "few", "many", "other")}
"""What each form of a catalogue is called by CLDR; `many` of French, Spanish, Italian and Portuguese, for round
millions, is written like `other`."""

CLDR = {
    "en": ("other", "one", "other", "other", "other", "other", "other"),
    "fr": ("one", "one", "other", "other", "other", "other", "other"),
    "nl": ("other", "one", "other", "other", "other", "other", "other"),
    "de": ("other", "one", "other", "other", "other", "other", "other"),
    "es": ("other", "one", "other", "other", "other", "other", "other"),
    "it": ("other", "one", "other", "other", "other", "other", "other"),
    "pt": ("one", "one", "other", "other", "other", "other", "other"),
    "ar": ("zero", "one", "two", "few", "many", "other", "other"),
}
"""Unicode CLDR 46, plurals.xml (cardinal), by hand."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_forms_are_those_of_cldr(language: str) -> None:
    """Each catalogue's rule takes the form that CLDR names, so server and script say the same."""
    words = _catalogue(language)
    assert tuple(CATEGORIES[words.forms][words.form(n)] for n in NUMBERS) == CLDR[language]
    assert str(3) in words.count("board.people", 3)


def test_arabic_counts_in_six_ways() -> None:
    """One and two have words of their own; three to ten, eleven and more, and hundreds have different nouns."""
    said = [_catalogue("ar").count("board.people", n) for n in (1, 2, 3, 10, 11, 99, 100, 102, 103, 111)]
    assert said == [
        "شخص واحد", "شخصان", "3 أشخاص", "10 أشخاص", "11 شخصًا", "99 شخصًا", "100 شخص", "102 شخص", "103 أشخاص", "111 شخصًا",
    ]  # fmt: skip


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
