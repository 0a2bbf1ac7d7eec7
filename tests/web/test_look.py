"""The operator's own words and look: what fits is on the page, what does not is named with its place."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.web.samples import HELP, STATIC, TITLES, view
from waitroom.admission.line import State
from waitroom.settings.load import from_mapping
from waitroom.settings.model import Settings
from waitroom.settings.problems import BadSettingsError
from waitroom.web.catalogue import read
from waitroom.web.colours import PAIRS, contrast, page_colours
from waitroom.web.inspection import inspect
from waitroom.web.look import look_of
from waitroom.web.pages import Pages, PageSettings

CSS = (STATIC / "page.css").read_text("utf-8")
TEMPLATE = (STATIC / "page.html.j2").read_text("utf-8")
POOLS = {"main": {"backends": {"a": {"url": "http://10.0.0.1", "max_sessions": 5}}}}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4" fill="#f00"/></svg>'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc0f01f0005000"
    "1ff56c72f0d0000000049454e44ae426082"
)  # fmt: skip


def _settings(**look: object) -> Settings:
    exams = {
        "MATH0001": {
            "pool": "main",
            "match": [{"path": "/m"}],
            "note": {"fr": "Carte d’étudiant <visible>.", "en": "B"},
        },
        "HIST0042": {"pool": "main", "match": [{"path": "/h"}]},
    }
    return from_mapping({"pools": POOLS, "exams": exams, "pages": look})


def _pages(settings: Settings) -> Pages:
    return Pages(PageSettings.of(settings), STATIC)


def _faults(**look: object) -> list[str]:
    """What is wrong, in a line each, as `check` puts it together."""
    found = inspect(_settings(**look))
    return [
        str(each) if hasattr(each, "source") else f"{each.wrong}; {each.allowed}; {each.suggestion}" for each in found
    ]


def _file(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_nothing_set_is_our_page(tmp_path: Path) -> None:
    """Without `pages` the page is byte for byte the one we ship; our own template given as the operator's too."""
    plain = Pages(PageSettings("/_waitroom/", 429, HELP, TITLES), STATIC).page(view(), language="fr").body
    own = replace(look_of(_settings(template=_file(tmp_path, "t.j2", TEMPLATE))), notes={})
    same = PageSettings("/_waitroom/", 429, HELP, TITLES, own)
    assert Pages(same, STATIC).page(view(), language="fr").body == plain


def test_a_message_replaces_ours_one_by_one(tmp_path: Path) -> None:
    """In its language alone; everything else stays; an empty message is one that nobody has translated yet."""
    _file(
        tmp_path,
        "po/fr.po",
        'msgid "site"\nmsgstr "Examens de l’ULiège"\n\nmsgid "know.reload"\nmsgstr ""\n\n'
        'msgid "board.people"\nmsgid_plural "board.people"\nmsgstr[0] "{n} étudiant"\nmsgstr[1] "{n} étudiants"\n',
    )
    settings = _settings(texts=str(tmp_path / "po"))
    assert inspect(settings) == []
    pages = _pages(settings)
    french, english = (pages.page(view(), language=language).body.decode() for language in ("fr", "en"))
    assert "Examens de l’ULiège" in french
    assert "311 étudiants" in french
    assert str(read(STATIC / "locale" / "fr.po").messages["know.reload"]) in french
    assert "Waiting room" in english
    assert "311 people" in english


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("fr.po", 'msgid "know.relod"\nmsgstr "x"\n',
         "fr.po:1:1: know.relod: unknown key; allowed: the keys of static/locale/en.po; did you mean know.reload?"),
        ("fr.po", '# ours\n\nmsgid "say.place"\nmsgstr "x"\n',
         "fr.po:3:1: say.place: lacks the placeholder {n}; allowed: {n}"),
        ("fr.po", 'msgid "eta.between"\nmsgstr "{low} {hi} {high}"\n',
         "fr.po:1:1: eta.between: has a placeholder {hi} that nothing fills; allowed: {high} {low}; did you mean high?"),  # noqa: E501 - one line, as it is printed
        ("fr.po", 'msgid "say.place"\nmsgstr "{n} {n.x}"\n',
         "fr.po:1:1: say.place: has a brace that belongs to no placeholder; allowed: {n}"),
        ("fr.po", 'msgid "say.place"\nmsgstr "{n} \\x00h1\\x00"\n',
         "fr.po:1:1: say.place: contains a control character; allowed: text"),
        ("ar.po", 'msgid "board.people"\nmsgid_plural "board.people"\nmsgstr[0] "{n}"\nmsgstr[1] "{n}"\n',
         "ar.po:1:1: board.people: has 2 plural forms; allowed: 6 (msgid_plural, msgstr[0] to msgstr[5])"),
        ("fr.po", 'msgid "board.people"\nmsgstr "{n}"\n',
         "fr.po:1:1: board.people: has no plural forms; allowed: 2 (msgid_plural, msgstr[0] to msgstr[1])"),
        ("fr.po", 'msgid "site"\nmsgid_plural "site"\nmsgstr[0] "a"\nmsgstr[1] "b"\n',
         "fr.po:1:1: site: has 2 plural forms; allowed: none, one msgstr"),
        ("fr.po", 'msgid "board.people"\nmsgid_plural "board.people"\nmsgstr[0] "{n}"\nmsgstr[1] ""\n',
         "fr.po:1:1: board.people: has an empty plural form; allowed: all of them, or none"),
        ("fr.po", 'msgid ""\nmsgstr "Plural-Forms: nplurals=3; plural=(n>1);\\n"\n',
         "fr.po:1:1: states 3 plural forms; allowed: 2, as fr has here"),
        ("fr.po", 'msgid "site"\nmsgstr "a\n', "fr.po:2:1: neither a comment nor a keyword with a quoted string"),
        ("fr.po", 'msgid "site"\nmsgstr "a"\nmsgid "site"\nmsgstr "b"\n', "fr.po:3:1: site is there twice"),
        ("nl-BE.po", "", "nl-BE.po: not a language we have; en, fr, nl, de, es, it, pt, ar; nl"),
    ],
)  # fmt: skip
def test_a_message_that_does_not_fit(tmp_path: Path, name: str, text: str, fault: str) -> None:
    """File, line, key, what is wrong, what is allowed, what may be meant."""
    _file(tmp_path, f"po/{name}", text)
    (found,) = _faults(texts=str(tmp_path / "po"))
    assert found.removeprefix(f"{tmp_path}/po/") == fault


def test_faults_of_two_files_are_all_named(tmp_path: Path) -> None:
    """The same fault on the same line of two files is two faults."""
    for name in ("fr", "nl"):
        _file(tmp_path, f"po/{name}.po", 'msgid "no.such"\nmsgstr "x"\n')
    faults = inspect(_settings(texts=str(tmp_path / "po")))
    assert len(BadSettingsError(faults).problems) == 2  # type: ignore[arg-type] # both are problems with a place


def test_the_pairs_are_the_pages_own_and_ours_can_be_read() -> None:
    """Every pair names colours that page.css has, and passes in both themes as we ship it."""
    for theme, colours in page_colours(CSS).items():
        for front, ground, least in PAIRS:
            assert contrast(colours[front], colours[ground]) >= least, (theme, front, ground)


def test_contrast_is_that_of_wcag() -> None:
    """The ends of the scale, and the grey that just passes and the one that just fails on white."""
    assert contrast("#000000", "#ffffff") == contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#123456", "#123456") == 1
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize(
    ("colours", "fault"),
    [
        ({"light": {"ink": "#777777", "card": "#ffffff"}, "dark": {}},
         "ink (#777777) on card (#ffffff) has a contrast of 4.47:1; at least 4.5:1 (WCAG 2.2 AA); "),
        ({"dark": {"tile": "#ffd479"}},
         "digit (#ffd479) on tile (#ffd479) has a contrast of 1.00:1; at least 4.5:1 (WCAG 2.2 AA); "),
        ({"light": {"focus": "#c0c0c0"}},
         "focus (#c0c0c0) on bg (#e6ecf1) has a contrast of 1.52:1; at least 3.0:1 (WCAG 2.2 AA); "),
    ],
)  # fmt: skip
def test_colours_that_cannot_be_read(colours: dict[str, dict[str, str]], fault: str) -> None:
    """The pair is named, with both colours and the ratio, also where half of the pair is ours."""
    assert fault in _faults(colours=colours)


def test_an_unknown_colour() -> None:
    """Named with what there is and what may be meant."""
    (fault,) = _faults(colours={"light": {"bord": "#000000"}})
    assert fault.startswith("unknown colour; bg, card, ink, ")
    assert fault.endswith("; board")


def test_colours_and_style_come_after_ours_and_are_allowed_by_the_policy(tmp_path: Path) -> None:
    """Dark keeps our dark for what only light states; the hash of the policy is that of what is sent."""
    settings = _settings(
        colours={"light": {"board": "#102030"}, "dark": {"digit": "#ffffff"}},
        style=_file(tmp_path, "own.css", "h1{letter-spacing:0}\n.x{background:url(data:image/png;base64,AA)}"),
    )
    assert inspect(settings) == []
    answer = _pages(settings).page(view(), language="en")
    css = answer.body.decode().partition("<style>")[2].partition("</style>")[0]
    assert "@media screen{:root{--board:#102030}}" in css
    ours = page_colours(CSS)["dark"]["board"]
    assert f"@media screen and (prefers-color-scheme:dark){{:root{{--board:{ours};--digit:#ffffff}}}}" in css
    assert css.rstrip().endswith("base64,AA)}")
    plain = Pages(PageSettings("/_waitroom/", 429, HELP, TITLES), STATIC).page(view(), language="en")
    policies = [dict(each.headers)[b"Content-Security-Policy"] for each in (answer, plain)]
    assert policies[0] != policies[1]


@pytest.mark.parametrize(
    ("css", "fault"),
    [
        ("@import 'x.css';", "contains @import"),
        ("@\\69mport 'x.css';", "contains @import"),
        ("a{background:url(https://evil.example/x.png)}", "contains url(https://evil.example/x.png)"),
        ("a{background:URL( '//evil.example/x' )}", "contains url(//evil.example/x)"),
        ("a{background:u\\72l(/x)}", "contains url(/x)"),
        ("a{background:image-set('x' 1x)}", "contains image-set"),
        ("</style><script>", "contains HTML"),
        ("a{}\0", "contains a control character"),
        ("a" * 8_193, "is larger than 8 KiB"),
    ],
)
def test_a_style_that_fetches(tmp_path: Path, css: str, fault: str) -> None:
    """Whatever would ask somebody for something is refused, also in CSS's own disguises."""
    path = _file(tmp_path, "own.css", css)
    try:
        (found,) = _faults(style=path)
    except BadSettingsError as error:
        found = str(error).removeprefix("pages.style: ")
    assert found.removeprefix(f"{path}: ").startswith(fault)


@pytest.mark.parametrize(("name", "content"), [("logo.svg", SVG), ("logo.png", PNG)])
def test_a_logo_is_part_of_the_page(tmp_path: Path, name: str, content: str | bytes) -> None:
    """It is in the page itself: a data: URL where the template puts it, and nothing is fetched."""
    template = TEMPLATE.replace("<main", '<img src="{{ logo }}" alt=""><main')
    settings = _settings(logo=_file(tmp_path, name, content), template=_file(tmp_path, "own.j2", template))
    assert inspect(settings) == []
    body = _pages(settings).page(view(), language="ar").body.decode()
    assert f'<img src="data:image/{"png;base64," if name == "logo.png" else "svg+xml,%3Csvg"}' in body


@pytest.mark.parametrize(
    ("svg", "fault"),
    [
        ("GIF89a", "is neither a PNG nor an SVG: "),
        (b"\x89PNG\r\n\x1a\ncut", "is a PNG that is cut off"),
        (b"\xff\xd8\xff", "is neither a PNG nor an SVG in UTF-8"),
        ("<html/>", "is no SVG but html"),
        (SVG.replace("<circle", "<script>alert(1)</script><circle"), "is an SVG with a script element"),
        (SVG.replace("<circle", '<circle onload="x()"'), "is an SVG with an onload attribute"),
        (
            SVG.replace("<circle", '<image href="https://evil.example/x"/><circle'),
            "is an SVG that refers to https://evil.e",
        ),
        (SVG.replace("#f00", "url(https://evil.example/x)"), "is an SVG that refers to https://evil.example/x"),
        (SVG.replace("<circle", "<style>@import 'x'</style><circle"), "is an SVG whose style contains @import"),
        (SVG.replace("<circle", "<foreignObject/><circle"), "is an SVG with a foreignobject element"),
        (f'<!DOCTYPE svg [<!ENTITY a "b">]>{SVG}', "is an SVG with a DOCTYPE"),
        (f'<?xml-stylesheet href="x.css"?>{SVG}', "is an SVG with a style sheet from elsewhere"),
    ],
)
def test_a_logo_that_does_more_than_being_looked_at(tmp_path: Path, svg: str | bytes, fault: str) -> None:
    """Refused with the reason."""
    path = _file(tmp_path, "logo.svg", svg)
    (found,) = _faults(logo=path)
    assert found.removeprefix(f"{path}: ").startswith(fault)


def test_an_svg_may_use_itself(tmp_path: Path) -> None:
    """Gradients and symbols by fragment, data images, and words that merely look dangerous."""
    inside = '<defs><linearGradient id="g"/></defs><use href="#g"/><path fill="url(#g)" style="fill:url(#g)"/>'
    assert _faults(logo=_file(tmp_path, "logo.svg", SVG.replace("<circle", f"{inside}<circle"))) == []


def test_notes_are_shown_per_exam_and_language(tmp_path: Path) -> None:
    """The exam's own, else that of all pages; in the visitor's language; markup stays text."""
    template = TEMPLATE.replace("</ul>", '<li id="note"{{ slot("note_hidden") }}>{{ slot("note") }}</li></ul>', 1)
    settings = _settings(template=_file(tmp_path, "own.j2", template), note="Bring <paper>.")
    assert inspect(settings) == []
    pages = _pages(settings)

    def line(exam: str, language: str) -> str:
        body = pages.page(view(exam=exam), language=language).body.decode()
        return body.partition('id="note"')[2].partition("</li>")[0]

    assert line("MATH0001", "fr") == ">Carte d’étudiant &lt;visible&gt;."
    assert line("MATH0001", "nl") == ">B"
    assert line("HIST0042", "fr") == ">Bring &lt;paper&gt;."
    assert _note_hidden(tmp_path, template)


def _note_hidden(tmp_path: Path, template: str) -> bool:
    pages = _pages(_settings(template=_file(tmp_path, "own.j2", template)))
    return 'id="note" hidden></li>' in pages.page(view(exam="HIST0042"), language="fr").body.decode()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('id="pos"', ""), "has no element with id=pos, which the script needs (state "),
        (
            ("{{ js }}", "{{ js }};alert(1)"),
            "must have <script>{{ js }}</script><script>{{ rescue }}</script>; the policy",
        ),
        (
            ("{{ css }}", "{{ css }}h1{color:red}"),
            "must have <style>{{ css }}</style>; the policy allows no other style",
        ),
        (('{{ slot("fields") }}', ""), "does not carry the fields of a kept form ({{ slot('fields') }})"),
        ((' dir="{{ dir }}"', ""), "has no dir=ltr on <html>"),
        ((' data-status="{{ slot("status_url") }}"', ""), "has no data-status=/_waitroom/status?pool=pool on <body>"),
        (
            ("<main", '<img src="https://cdn.example/x.png" alt=""><main'),
            "fetches https://cdn.example/x.png, which the page's",
        ),
        (("<main", '<p onclick="x()"></p><main'), "has onclick= on <p>, which the page's policy blocks"),
        (("<h1", '<p id="h"></p><h1'), "has id=h more than once"),
    ],
)
def test_a_template_that_cannot_take_our_place(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    """What the script, the forms, the reader or the policy would miss is named, with a state in which it is missing."""
    path = _file(tmp_path, "own.j2", TEMPLATE.replace(*change))
    found = _faults(template=path)
    assert found
    assert found[0].removeprefix(f"{path}: ").startswith(fault)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{% for %}", "Expected an expression, got 'end of statement block'"),
        ("{{ nothing }}", "cannot be rendered: 'nothing' is undefined"),
        ('{{ t("no.such") }}', "cannot be rendered: there is no message or slot no.such here"),
        ('{{ slot("no_such") }}', "cannot be rendered: there is no message or slot no_such here"),
        (
            '{{ "".__class__.__mro__ }}',
            "cannot be rendered: access to attribute '__class__' of 'str' object is unsafe.",
        ),
        ("{% for i in range(10**9) %}{% endfor %}", "cannot be rendered: Range too big."),
        ('{% include "/etc/passwd" %}', "cannot be rendered: /etc/passwd"),
        ("{{ 1 / 0 }}", "cannot be rendered: division by zero"),
    ],
)
def test_a_template_that_fails(tmp_path: Path, line: str, fault: str) -> None:
    """Its file, the line, and why; it runs in a sandbox and reads no file but ours."""
    path = _file(tmp_path, "own.j2", f"{TEMPLATE}\n{line}\n")
    (found,) = _faults(template=path)
    at = TEMPLATE.count("\n") + 2
    assert found.startswith(f"{path}:{at}:1: {fault}")


def test_a_template_may_extend_ours(tmp_path: Path) -> None:
    """`{% extends "page.html.j2" %}` is our page, and slots may stand side by side."""
    assert _faults(template=_file(tmp_path, "own.j2", '{% extends "page.html.j2" %}')) == []
    beside = TEMPLATE.replace("<main", '<p>{{ slot("exam") }}{{ slot("exam_hidden") }}{{ slot("exam") }}</p><main')
    settings = _settings(template=_file(tmp_path, "own.j2", beside))
    assert inspect(settings) == []
    assert b"<p> hidden</p>" in _pages(settings).page(view(State.LOBBY), language="nl").body


def test_what_is_a_visitors_own_stands_at_the_end(tmp_path: Path) -> None:
    """The part that is packed once for all cannot hold a position; the message says where it may stand."""
    path = _file(tmp_path, "own.j2", TEMPLATE.replace("<main", '<p>{{ slot("position") }}</p><main'))
    (found,) = _faults(template=path)
    assert found.endswith("no message or slot position here; what is a visitor's own stands after {{ own }}")


def test_the_look_travels_with_the_settings(tmp_path: Path) -> None:
    """What a worker makes is what was read when the settings were loaded, whatever became of the files."""
    logo = Path(_file(tmp_path, "logo.svg", SVG))
    _file(tmp_path, "po/ar.po", 'msgid "site"\nmsgstr "جامعة"\n')
    settings = _settings(logo=str(logo), texts=str(tmp_path / "po"), colours={"light": {"board": "#000000"}})
    logo.unlink()
    again = Settings.from_json(settings.model_copy(update={"queue_status": 503}).to_json())
    assert look_of(again) == look_of(settings)
    assert look_of(again).messages == {"ar": {"site": "جامعة"}}
