"""What differs between two settings: by meaning, key by key, no secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from waitroom.settings.differences import differences, tree_differences
from waitroom.settings.effective import masked, tree
from waitroom.settings.load import from_mapping

BACKEND = {"url": "http://10.0.0.1", "max_sessions": 5}
POOLS = {"main": {"backends": {"a": BACKEND}}}
EXAM = {"pool": "main", "match": [{"path": "/e"}]}


def said(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [str(each) for each in differences(*(from_mapping({"pools": POOLS} | each) for each in (old, new)))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"queue_status": 429, "listen": {"public": "0.0.0.0:8080"}}),
        ({"timeouts": {"idle": "75s"}}, {"timeouts": {"idle": "1m15s"}}),
        ({"hosts": ["Exam.uni.example"]}, {"hosts": ["exam.uni.example"]}),
        ({"exams": {"E": EXAM | {"opens": "2026-06-01T09:00:00+02:00"}}},
         {"exams": {"E": EXAM | {"opens": "2026-06-01T07:00:00Z"}}}),
    ],
    ids=["defaults", "spelling", "case", "zone"],
)  # fmt: skip
def test_the_same_in_other_words_is_no_difference(old: dict[str, Any], new: dict[str, Any]) -> None:
    """What counts is what is in force."""
    assert said(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ({}, {"queue_status": 503}, "queue_status: 429 -> 503"),
        ({}, {"hosts": ["b.example", "a.example"]}, "hosts: [] -> [b.example, a.example]"),
        ({}, {"pools": {"main": {"backends": {"a": BACKEND | {"max_sessions": 9}}}}},
         "pools.main.backends.a.max_sessions: 5 -> 9"),
        ({}, {"pools": {"main": {"backends": {"a": BACKEND, "b": {"url": "http://b", "max_sessions": 1}}}}},
         "pools.main.backends.b: (none) -> {url: http://b, max_sessions: 1}"),
        ({"pools": {"main": POOLS["main"] | {"health": {"path": "/up"}}}}, {},
         "pools.main.health: {path: /up} -> (none)"),
        ({"exams": {"E": EXAM, "F": EXAM | {"match": [{"path": "/f"}]}}},
         {"exams": {"F": EXAM | {"match": [{"path": "/f"}]}, "E": EXAM}},
         "exams: in the order E, F -> F, E"),
        ({"store": {"url": "redis://:hunter2@h"}}, {"store": {"url": "redis://:hunter3@h"}},
         "store.url: redis://***@h -> redis://***@h (another)"),
        ({"admin": {"tokens": [{"name": "a", "sha256": "a" * 64}]}},
         {"admin": {"tokens": [{"name": "a", "sha256": "b" * 64}]}},
         'admin.tokens: [{name: a, sha256: "***"}] -> [{name: a, sha256: "***"}] (another)'),
    ],
    ids=["value", "list", "below", "added", "gone", "order", "password", "token"],
)  # fmt: skip
def test_a_difference_is_one_line(old: dict[str, Any], new: dict[str, Any], line: str) -> None:
    """The key, old -> new; a part that comes or goes is told as one, without its defaults."""
    assert said(old, new) == [line]


def test_what_is_in_force_elsewhere_is_compared_without_secrets() -> None:
    """As the admin API gives it: stars on both sides."""
    old, new = (
        from_mapping({"pools": POOLS, "store": {"url": f"redis://:{word}@h"}, "queue_status": status})
        for word, status in (("hunter2", 429), ("hunter3", 503))
    )
    elsewhere = json.loads(json.dumps(masked((), tree(old))))
    assert [str(each) for each in tree_differences(elsewhere, tree(new))] == ["queue_status: 429 -> 503"]


def test_other_contents_of_a_file_are_a_difference(tmp_path: Path) -> None:
    """The names that settings enclose travel with them; what stands there is not told."""
    style, roster = tmp_path / "own.css", tmp_path / "roster"
    pool = {"main": POOLS["main"] | {"priority": {"roster": str(roster)}}}
    data = {"pools": pool, "pages": {"style": str(style)}, "identity": {"cookie": "name"}}
    style.write_text("a {}")
    roster.write_text("alice\n")
    old = from_mapping(data)
    style.write_text("b {}")
    roster.write_text("bob\n")
    assert [str(each) for each in differences(old, from_mapping(data))] == [
        "pools.main.priority.roster: contents -> other contents",
        "pages.style: contents -> other contents",
    ]
