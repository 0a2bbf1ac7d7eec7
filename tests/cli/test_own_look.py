"""`waitroom check` and `serve` on an operator's own words and look: every fault, where it is, in one go."""

from pathlib import Path

from tests.cli.test_commands import waitroom
from waitroom.assets import static_dir

POOLS = 'pools: {main: {backends: {a: {url: "http://10.0.0.1", max_sessions: 5}}}}\n'

MANY = f"""{POOLS}pages:
  texts: words
  logo: logo.svg
  style: own.css
  colours:
    light: {{digit: "#203447"}}
"""

SAID = """\
waitroom.yaml:4:9: pages.logo: logo.svg: is an SVG with a script element; allowed: a PNG, or an SVG without scripts \
and references
    4 |   logo: logo.svg
      |         ^^^^^^^^
waitroom.yaml:5:10: pages.style: own.css: contains @import; allowed: rules that fetch nothing
    5 |   style: own.css
      |          ^^^^^^^
waitroom.yaml:7:20: pages.colours.light.digit: digit (#203447) on board (#0e1d2b) has a contrast of 1.33:1; \
allowed: at least 4.5:1 (WCAG 2.2 AA)
    7 |     light: {digit: "#203447"}
      |                    ^^^^^^^^^
waitroom.yaml:7:20: pages.colours.light.digit: digit (#203447) on tile (#203447) has a contrast of 1.00:1; \
allowed: at least 4.5:1 (WCAG 2.2 AA)
    7 |     light: {digit: "#203447"}
      |                    ^^^^^^^^^
words/ar.po:1:1: untill.now: unknown key; allowed: the keys of static/locale/en.po; did you mean until.now?
words/fr.po:1:1: say.place: lacks the placeholder {n}; allowed: {n}
waitroom.yaml: 6 problems
"""


def _lay_out(folder: Path) -> None:
    (folder / "words").mkdir()
    (folder / "words" / "ar.po").write_text('msgid "untill.now"\nmsgstr "x"\n', encoding="utf-8")
    (folder / "words" / "fr.po").write_text('msgid "say.place"\nmsgstr "place"\n', encoding="utf-8")
    (folder / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', encoding="utf-8")
    (folder / "own.css").write_text("@import 'x';", encoding="utf-8")
    (folder / "waitroom.yaml").write_text(MANY, encoding="utf-8")


def test_every_fault_is_named_where_it_is(tmp_path: Path) -> None:
    """Of the settings with line and column, of the .po files with theirs; `serve` says the same and starts nothing."""
    _lay_out(tmp_path)
    checked, served = (waitroom(command, "waitroom.yaml", cwd=tmp_path) for command in ("check", "serve"))
    assert checked.stdout == SAID
    assert (checked.returncode, served.returncode, served.stderr) == (1, 1, checked.stdout)


def test_a_look_without_fault_is_clean(tmp_path: Path) -> None:
    """A copy of our own template, catalogue and colours is accepted."""
    words = tmp_path / "words"
    words.mkdir()
    for language in ("fr", "ar"):
        ours = static_dir() / "locale" / f"{language}.po"
        (words / ours.name).write_bytes(ours.read_bytes())
    (tmp_path / "own.j2").write_bytes((static_dir() / "page.html.j2").read_bytes())
    look = 'pages: {texts: words, template: own.j2, colours: {light: {board: "#0e1d2b"}}}\n'
    (tmp_path / "waitroom.yaml").write_text(POOLS + look, encoding="utf-8")
    checked = waitroom("check", "waitroom.yaml", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "waitroom.yaml: OK: 1 pool, 1 backend, 0 exams\n")
