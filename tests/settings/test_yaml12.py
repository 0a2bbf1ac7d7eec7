"""YAML 1.2: what a scalar means, where it stands, and what is refused in words of our own."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.settings.yaml12 import MAX_BYTES, load_yaml, scalar_value
from waitroom.settings.yamlfaults import Place, YamlFaultError

SCALARS = [
    # what YAML 1.1 gets wrong for us
    ("9:00", "9:00"),
    ("1:30:00", "1:30:00"),
    ("NO", "NO"),
    ("no", "no"),
    ("yes", "yes"),
    ("Yes", "Yes"),
    ("on", "on"),
    ("Off", "Off"),
    ("y", "y"),
    ("010", 10),
    ("0o10", 8),
    ("0x1F", 31),
    ("0b101", "0b101"),
    ("1_000", "1_000"),
    ("2026-06-01", "2026-06-01"),
    ("2026-06-01T09:00:00+02:00", "2026-06-01T09:00:00+02:00"),
    ("=", "="),
    ("<<", "<<"),
    # the core schema, section 10.3.2
    ("null", None),
    ("Null", None),
    ("NULL", None),
    ("~", None),
    ("nULL", "nULL"),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("tRUE", "tRUE"),
    ("false", False),
    ("0", 0),
    ("-19", -19),
    ("+12", 12),
    ("0o7", 7),
    ("0o8", "0o8"),
    ("-0x1F", "-0x1F"),
    ("0x3A", 58),
    ("0.", 0.0),
    ("-0.0", -0.0),
    (".5", 0.5),
    ("+12e03", 12_000.0),
    ("-2E+05", -200_000.0),
    (".inf", float("inf")),
    ("-.Inf", float("-inf")),
    ("1e3", 1_000.0),
    ("1.2.3", "1.2.3"),
    ("10.0.0.1", "10.0.0.1"),
    ("20/s", "20/s"),
    ("30m", "30m"),
    ("٣", "٣"),
    ("9" * 40, "9" * 40),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_plain_scalars_mean_what_version_1_2_says(text: str, value: object) -> None:
    """The core schema, and text for everything else."""
    found = load_yaml(f"key: {text}\n".encode()).data
    assert isinstance(found, dict)
    assert (type(found["key"]), found["key"]) == (type(value), value)


@pytest.mark.parametrize("text", [text for text, _ in SCALARS])
@pytest.mark.parametrize("form", ["'{}'", '"{}"', "!!str {}", "! {}", "|-\n  {}"])
def test_quotes_and_tags_make_text(text: str, form: str) -> None:
    """Whatever stands within them."""
    assert load_yaml(f"key: {form.format(text)}\n".encode()).data == {"key": text}


def test_keys_are_text() -> None:
    """An exam may be called 4711, NO or 010."""
    assert load_yaml(b"{4711: a, NO: b, 010: c, null: d, true: e, ~: f}").data == {
        "4711": "a", "NO": "b", "010": "c", "null": "d", "true": "e", "~": "f",
    }  # fmt: skip


def test_every_key_and_every_value_has_its_place() -> None:
    """Line and column, counted from 1, in characters; an alias has the place of its mention."""
    document = load_yaml("é: {b: &x [1, 22]}\nc:\n  - *x\n".encode())
    assert document.data == {"é": {"b": (1, 22)}, "c": ((1, 22),)}
    assert document.keys == {("é",): Place(1, 1), ("é", "b"): Place(1, 5), ("c",): Place(2, 1)}
    assert document.values == {
        (): Place(1, 1),
        ("é",): Place(1, 4),
        ("é", "b"): Place(1, 8),
        ("é", "b", 0): Place(1, 12),
        ("é", "b", 1): Place(1, 15),
        ("c",): Place(3, 3),
        ("c", 0): Place(3, 5),
        ("c", 0, 0): Place(1, 12),
        ("c", 0, 1): Place(1, 15),
    }


def test_repeated_keys_are_all_named_and_the_first_counts() -> None:
    """Also inside an alias, once."""
    document = load_yaml(b"a: &x {k: 1, k: 2}\nb: *x\na: 3\nc: {k: 1}\n")
    assert document.data == {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1}}
    assert [(fault.place, fault.path) for fault in document.faults] == [
        (Place(1, 14), ("a", "k")),
        (Place(3, 1), ("a",)),
    ]


def test_an_anchor_may_be_defined_anew() -> None:
    """Section 6.9.2: an alias means the latest anchor before it."""
    assert load_yaml(b"a: &x 1\nb: *x\nc: &x 2\nd: *x\n").data == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_a_bomb_of_aliases_is_defused() -> None:
    """Ten to the ninth values from 300 bytes are refused before they are made."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in pairwise("abcdefghi"):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 10)}]")
    with pytest.raises(YamlFaultError, match="aliases make the file too large"):
        load_yaml("\n".join(lines).encode())


@pytest.mark.parametrize("depth", [33, 5_000])
@pytest.mark.parametrize("opened", ["[", "{a: ", "- ", "? "])
def test_nesting_is_bounded(opened: str, depth: int) -> None:
    """A deep file is a fault, never a RecursionError."""
    with pytest.raises(YamlFaultError):
        load_yaml((opened * depth).encode())


def test_the_file_is_bounded() -> None:
    """One MiB and no more."""
    load_yaml(b"#" * MAX_BYTES)
    with pytest.raises(YamlFaultError, match="larger than 1 MiB"):
        load_yaml(b"#" * (MAX_BYTES + 1))


@given(st.binary(max_size=200))
def test_no_bytes_bring_an_error_of_the_library(raw: bytes) -> None:
    """Whatever the file holds, it is read or it has a fault at a place inside it."""
    fault = _fault(raw)
    if fault is not None:
        assert 1 <= fault.place.line <= raw.count(b"\n") + raw.count(b"\r") + 3
        assert "yaml" not in fault.wrong.lower() or fault.wrong.startswith(("not YAML: ", "the file asks for"))


@given(st.text("ab:{}[],&*!|>'\"%@`#-? \n\t\\<=~01", max_size=60))
def test_no_punctuation_brings_an_error_of_the_library(text: str) -> None:
    """Nor any play with the indicators."""
    fault = _fault(text.encode())
    assert fault is None or fault.place.line <= text.count("\n") + 2


texts = st.text(st.characters(exclude_categories=["C"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts,
    lambda inside: (
        st.lists(inside, max_size=3).map(tuple) | st.dictionaries(st.text("abc", min_size=1), inside, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_json_is_read_as_json(data: object) -> None:
    """YAML 1.2 contains JSON; every value keeps its type and has a place."""
    again = load_yaml(json.dumps(data, ensure_ascii=False).encode())
    assert again.data == data
    assert set(again.keys) <= set(again.values)


def test_a_number_too_long_stays_text() -> None:
    """No quadratic conversion of digits, no surprise."""
    assert scalar_value("1" * 5_000) == "1" * 5_000


def _fault(raw: bytes) -> YamlFaultError | None:
    try:
        load_yaml(raw)
    except YamlFaultError as fault:
        return fault
    return None
