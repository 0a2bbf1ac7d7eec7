"""Rules that get in each other's way: what is said agrees with how requests are really routed."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.admission.routing import ExamRoutes
from waitroom.settings.load import from_mapping
from waitroom.settings.model import Settings
from waitroom.settings.overlaps import _both, _stated, covers, overlaps
from waitroom.settings.pools import Match
from waitroom.settings.problems import Finding

POOLS = {"main": {"backends": {"a": {"url": "http://10.0.0.1", "max_sessions": 5}}}}


@dataclass(frozen=True)
class Asked:
    """A request by its target."""

    target: bytes
    method: bytes = b"GET"

    def first(self, _name: bytes) -> bytes | None:
        return None


def _settings(*rules: list[dict[str, object]], **more: object) -> Settings:
    exams = {f"E{number}": {"pool": "main", "match": match} for number, match in enumerate(rules, start=1)}
    return from_mapping({"pools": POOLS, "exams": exams, **more})


def _said(*rules: list[dict[str, object]], **more: object) -> list[Finding]:
    return [*overlaps(_settings(*rules, **more))]


paths = st.lists(st.sampled_from(["a", "b", "/", "*"]), max_size=5).map(lambda parts: "/" + "".join(parts))
texts = st.lists(st.sampled_from(["a", "b", "/"]), max_size=6).map(lambda parts: "/" + "".join(parts))
queries = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]), max_size=2)
rules = st.builds(lambda path, query: {"path": path, "query": query}, paths, queries)


@given(rules, rules, texts, queries)
def test_what_covers_takes_every_request(wide: dict, narrow: dict, path: str, query: dict) -> None:
    """Whatever fits the narrow rule fits the wide one."""
    one, other = (_stated("", (), Match.model_validate(rule)) for rule in (wide, narrow))
    target = f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}".encode()
    fits = [ExamRoutes([("E", [Match.model_validate(rule)])]).find(Asked(target)) for rule in (wide, narrow)]
    if covers(one, other):
        assert fits[0] or not fits[1]


@given(rules, rules)
def test_the_example_fits_both_and_the_first_wins(first: dict, second: dict) -> None:
    """The request in a warning is one that shows it."""
    example = _both(*(_stated("", (), Match.model_validate(rule)) for rule in (first, second)))
    agree = all(second["query"].get(name, value) == value for name, value in first["query"].items())
    if example is None or not agree:
        return
    target = example.encode()
    matches = [Match.model_validate(rule) for rule in (first, second)]
    for match in matches:
        assert ExamRoutes([("E", [match])]).find(Asked(target)) == "E", example
    assert ExamRoutes([("E1", [matches[0]]), ("E2", [matches[1]])]).find(Asked(target)) == "E1"


@given(paths, paths, texts)
def test_paths_that_meet_nowhere_are_apart(one: str, other: str, text: str) -> None:
    """No example is given only where no path fits both."""
    found = _both(*(_stated("", (), Match(path=path)) for path in (one, other)))
    if found is None:
        both = [ExamRoutes([("E", [Match(path=path)])]).find(Asked(text.encode())) for path in (one, other)]
        assert both.count("E") < 2


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"path": "/quiz/phys/*"}, {"path": "/quiz/*"}),
        ({"path": "/quiz/*", "query": {"cmid": "1"}}, {"path": "/quiz/*", "query": {"cmid": "2"}}),
        ({"path": "/view.php", "query": {"id": "1"}}, {"path": "/*.php", "query": {"cmid": "2"}}),
        ({"host": "maths.example"}, {"path": "/quiz/*"}),
        ({"host": "a.example", "path": "/*"}, {"host": "b.example", "path": "/*"}),
    ],
    ids=["wider later", "other value", "other parameter", "nothing in common", "other host"],
)
def test_what_is_meant_brings_no_word(first: dict, later: dict) -> None:
    """A rule for all the others after a special one; exams told apart by a parameter, by hosts."""
    assert _said([first], [later]) == []


def test_five_thousand_exams_are_looked_at_quickly() -> None:
    """With a path each; that two of them meet is found among them all."""
    match = [[{"path": f"/exam/{number}/*"}] for number in range(4_998)]
    found = _said(*match, [{"path": "/exam/*/view"}], [{"path": "/exam/77/x*"}])
    assert [each.path[1] for each in found if "can never win" in each.wrong] == ["E5000"]
    assert any(each.path[1] == "E4999" for each in found)
