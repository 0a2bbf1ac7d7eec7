"""Rules match all of what they state; doors are opened only by paths with one reading."""

import pytest

from tests.support.requests import Asked
from waitroom.admission.routing import ExamRoutes, PaceRoutes, RuleSet, compile_rule, has_second_reading, host_name
from waitroom.settings.model import Match


@pytest.mark.parametrize(
    ("match", "asked", "fits"),
    [
        ({"path": "/mod/quiz/*"}, Asked(target=b"/mod/quiz/view.php?id=7"), True),
        ({"path": "/mod/quiz/*"}, Asked(target=b"/mod/quiz/"), True),
        ({"path": "/mod/quiz/*"}, Asked(target=b"/mod/quiz"), False),
        ({"path": "/mod/quiz/*"}, Asked(target=b"/mod/%71uiz/a/b"), True),
        ({"path": "/mod/quiz/*"}, Asked(target=b"/MOD/quiz/a"), False),
        ({"path": "/mod/%71uiz/*"}, Asked(target=b"/mod/quiz/a"), True),
        ({"path": "/a.b"}, Asked(target=b"/aXb"), False),
        ({"path": "*/end"}, Asked(target=b"/long/way/end"), True),
        ({"path": "/x"}, Asked(target=b"http://exam.example/x?y"), True),
        ({"query": {"cmid": "4711"}}, Asked(target=b"/any?a=1&cmid=4711"), True),
        ({"query": {"cmid": "4711"}}, Asked(target=b"/any?cmid=47%311"), True),
        ({"query": {"cmid": "4711"}}, Asked(target=b"/any?cmid=47110"), False),
        ({"query": {"cmid": "4711"}}, Asked(target=b"/any?cmid=1&cmid=4711"), True),
        ({"query": {"cmid": ""}}, Asked(target=b"/any?cmid="), True),
        ({"query": {"a": "1", "b": "2"}}, Asked(target=b"/?b=2&a=1"), True),
        ({"query": {"a": "1", "b": "2"}}, Asked(target=b"/?b=2"), False),
        ({"host": "Math.Exam.example"}, Asked(headers=[(b"Host", b"math.exam.EXAMPLE:8443")]), True),
        ({"host": "math.exam.example"}, Asked(headers=[(b"Host", b"other.example")]), False),
        ({"host": "math.exam.example"}, Asked(), False),
        ({"header": {"X-Exam": "m1"}}, Asked(headers=[(b"x-exam", b"m1")]), True),
        ({"header": {"X-Exam": "m1"}}, Asked(headers=[(b"x-exam", b"m12")]), False),
        ({"method": "POST", "path": "/s"}, Asked(b"POST", b"/s"), True),
        ({"method": "POST", "path": "/s"}, Asked(b"GET", b"/s"), False),
    ],
)
def test_a_rule_fits_what_it_states(match: dict[str, object], asked: Asked, fits: bool) -> None:
    """Each row is one promise."""
    assert compile_rule(Match.model_validate(match)).fits(asked) is fits


@pytest.mark.parametrize(
    "path",
    [
        b"/auth/saml2/../../mod/quiz/",
        b"/auth/saml2/%2e%2e/mod",
        b"/auth/saml2/%2E./mod",
        b"/auth/saml2/..%2fmod",
        b"/auth/saml2/..;/mod",
        b"/auth/saml2/./x",
        b"/auth/saml2//x",
        b"/auth/saml2/..\\mod",
        b"/auth/saml2/%5c..",
        b"/auth/saml2/x%00",
        b"/auth/saml2/%252e%252e/mod",
        b"/auth/saml2/..",
        b"/auth/saml2/..%3b/mod",
        b"/auth/saml2/x%3f/../../mod",
        b"/auth/saml2/x%23",
        b"/auth/saml2/x%0d%0a",
        b"/auth/saml2/x%1F",
        b"/auth/saml2/%c0%ae%c0%ae/mod",
        b"/auth/saml2/\xc0\xae\xc0\xae/mod",
        b"/auth/saml2/%u002e%u002e/mod",
    ],
)
def test_a_door_is_not_opened_by_a_path_with_two_readings(path: bytes) -> None:
    """What another server might normalise away never passes a bypass rule."""
    assert has_second_reading(path)
    assert not RuleSet([Match(path="/auth/saml2/*")], opens_door=True).fits(Asked(target=path))


@pytest.mark.parametrize("name", ["X-Original-URL", "X_Original_URL", "x-rewrite_url", "X-HTTP-Method-Override"])
def test_a_door_is_not_opened_beside_another_url_or_method(name: str) -> None:
    """Some servers take the field's word for the request line's."""
    asked = Asked(target=b"/auth/saml2/acs", headers=[(name.encode(), b"/mod/quiz/")])
    assert not RuleSet([Match(path="/auth/saml2/*")], opens_door=True).fits(asked)
    assert RuleSet([Match(path="/auth/saml2/*")]).fits(asked)


@pytest.mark.parametrize(
    "query", ["r_o=in&r_o=quiz", "r_o=quiz&r_o=in", "r_o=in&r.o=quiz", "r_o=in&%72_o[]=quiz", "r_o=in&a;r_o=quiz"]
)
def test_a_door_is_not_opened_by_a_parameter_said_twice(query: str) -> None:
    """Servers take the first, the last or a list of them; PHP takes `r.o` and `r_o[]` for `r_o`."""
    door = RuleSet([Match(path="/index.php", query={"r_o": "in"})], opens_door=True)
    assert not door.fits(Asked(target=b"/index.php?" + query.encode()))
    assert door.fits(Asked(target=b"/index.php?a=1&a=2&r_o=in"))


def test_a_door_is_opened_by_what_it_names() -> None:
    """Plain paths, encoded letters and any query pass."""
    door = RuleSet([Match(path="/auth/saml2/*")], opens_door=True)
    assert door.fits(Asked(target=b"/auth/saml2/acs?RelayState=%2F..%2Fx//y"))
    assert door.fits(Asked(target=b"/auth/saml2/%61cs"))
    assert not door.fits(Asked(target=b"/auth/saml"))


def test_the_first_exam_that_matches_wins_and_is_remembered() -> None:
    """Order is the file's; asking twice gives the same answer."""
    routes = ExamRoutes([("A", [Match(path="/q/*", query={"id": "1"})]), ("B", [Match(path="/q/*")])])
    for _ in range(2):
        assert routes.find(Asked(target=b"/q/x?id=1")) == "A"
        assert routes.find(Asked(target=b"/q/x?id=2")) == "B"
        assert routes.find(Asked(target=b"/other")) is None


def test_a_rule_by_host_is_not_remembered_by_target() -> None:
    """The same target on two hosts names two exams."""
    routes = ExamRoutes([("A", [Match(host="a.example")]), ("B", [Match(host="b.example")])])
    assert routes.find(Asked(target=b"/", headers=[(b"Host", b"a.example")])) == "A"
    assert routes.find(Asked(target=b"/", headers=[(b"Host", b"b.example")])) == "B"


@pytest.mark.parametrize(
    ("value", "name"), [(b"A.example:80", "a.example"), (b"[::1]:80", "[::1]"), (None, ""), (b"a", "a")]
)
def test_host_name(value: bytes | None, name: str) -> None:
    """Ports and case do not matter."""
    assert host_name(value) == name


def test_a_pace_is_found_by_all_that_its_rule_states() -> None:
    """What stands in the target is tried once for each target, the rest for each request."""
    rules = [
        ("start", Match(path="/start", method="POST")),
        ("night", Match(path="/start", header={"X-Night": "1"})),
        ("quiz", Match(host="quiz.example", query={"way": "in"})),
    ]
    routes = PaceRoutes(rules)
    for _ in range(2):
        assert routes.find(Asked(b"POST", b"/start")) == "start"
        assert routes.find(Asked(b"GET", b"/start")) is None
        assert routes.find(Asked(b"GET", b"/start", [(b"X-Night", b"1")])) == "night"
        assert routes.find(Asked(b"GET", b"/other?way=in", [(b"Host", b"quiz.example")])) == "quiz"
        assert routes.find(Asked(b"GET", b"/other?way=in", [(b"Host", b"else.example")])) is None
        assert routes.find(Asked(b"POST", b"/%73tart?x")) == "start"
        assert routes.find(Asked(b"GET", b"/elsewhere")) is None
