"""Excerpts: the right place, nothing secret, nothing that a terminal would obey, never wider than asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.cli.excerpts import MIN_WIDTH, STARS, Excerpt, excerpt
from waitroom.settings.problems import Problem


def _excerpt(line: str, col: int, key: str = "", width: int = 100) -> Excerpt:
    found = excerpt(Problem("f", 1, col, key, "x"), line, width)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("line", "col", "under"),
    [
        ("workers: four", 10, "four"),
        ("  a: {url: \"http://x/y, z\", b: 1}", 12, '"http://x/y, z"'),
        ("key: plain text # and more", 6, "plain text"),
        ("match: [{path: \"}\"}, {host: b}]", 9, '{path: "}"}'),
        ("match: {path: a,", 8, "{"),
        ("it's: 'it''s'", 7, "'it''s'"),
        ("a: b", 5, ""),
        ("workers: ${WORKERS}", 10, "${WORKERS}"),
    ],
)  # fmt: skip
def test_carets_stand_under_what_is_meant(line: str, col: int, under: str) -> None:
    """A value, a key or a whole mapping; at the end of a line one caret behind it."""
    found = _excerpt(line, col)
    assert found.line[found.at : found.at + found.span] == under
    assert found.span == max(1, len(under))


def test_wide_characters_take_two_columns() -> None:
    """The carets count columns, not characters; a combining accent takes none."""
    found = _excerpt("title: 数学 e\u0301, x: oops", 18)
    assert (found.at, found.span) == (18, 4)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('store: {url: "redis://me:hunter2@h/0"}', "store.url"),
        ("store: {url: redis://me:hun@ter2@h:port}", ""),
        ("url: redis+sentinel://s1/n?sentinel_password=hunter2&x=1", ""),
        ("  password: hunter2", "help"),
        ("  - {name: ops, sha265: hunter2}", "admin.tokens[0].sha265"),
        ("  - {name: ops, sha256: hunter2", ""),
        ('    hunter2_is: "hunter2"', "admin.tokens[0].x"),
        ("secrets: hunter2", "secrets"),
        ("  hunter2", "secrets"),
        ("secrets: {key: hunter2}", "secrets.key"),
        ("secrets: {key: hunter2", ""),
        ("admin: {tokens: [hunter2]}", "admin.tokens[0]"),
        ("  - hunter2", "admin.tokens[0]"),
        ("  tokens: [{name: a}, hunter2, 'hunter2']", "admin.tokens[1]"),
        ("  - {name: ops, sha256:hunter2}", "admin.tokens[0].sha256"),
        ("store: redis://:hunter2@h", "store"),
    ],
)
def test_secrets_are_stars(line: str, key: str) -> None:
    """Whatever stands in a URL before the host, or behind a key that may hold a secret, or among tokens."""
    for col in range(1, len(line) + 1):
        shown = _excerpt(line, col, key).line.replace("hunter2_is", "")
        assert STARS in shown
        assert not any(part in shown for part in ("hunter2", "ter2"))


@given(st.text(max_size=200), st.integers(1, 220), st.integers(MIN_WIDTH, 120))
def test_it_fits_and_says_nothing_to_the_terminal(line: str, col: int, width: int) -> None:
    """Any line: no control character, no wider than it may be, the carets under it."""
    found = excerpt(Problem("f", 1, col, "", "x"), line, width)
    if found is not None:
        assert all(char.isprintable() or char == "\N{REPLACEMENT CHARACTER}" for char in found.line)
        assert len(found.line) <= width
        assert 0 <= found.at < width
        assert found.at + found.span <= width + 1


def test_lines_are_those_of_an_editor() -> None:
    """A line separator or a form feed within a text ends no line; a carriage return alone does."""
    found = excerpt(Problem("f", 2, 1, "b", "x"), "a: one\u2028two\u0085three\rb: 1")
    assert found is not None
    assert found.line == "b: 1"


def test_a_place_outside_the_text_has_no_excerpt() -> None:
    """Such as that of a flag."""
    assert excerpt(Problem("", 0, 0, "--listen", "x"), "a: b") is None
    assert excerpt(Problem("f", 9, 1, "a", "x"), "a: b") is None
