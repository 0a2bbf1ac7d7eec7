"""Documentation, rules and dashboard of the metrics: complete, and free of what the usual linters find."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.deploy import dashboard
from tests.deploy.places import DEPLOY, ROOT, told
from waitroom.errors import BackendError, StoreAwayError
from waitroom.metrics.catalogue import CATALOGUE, CODES, ENDS, OUTCOMES, PREFIX, REASONS, WAYS, Kind, Source

MONITORING = DEPLOY / "monitoring"
ADVICE = 20
"""Characters that it takes at least to say what to do."""

SUFFIXES = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}


def exported() -> set[str]:
    """Names of series as Prometheus stores them."""
    made = [m for m in CATALOGUE.values() if m.source is not Source.LATER]
    return {PREFIX + m.name + suffix for m in made for suffix in SUFFIXES.get(m.kind, ("",))}


def expressions() -> list[str]:
    """Every expression that is shipped."""
    rules = [yaml.safe_load((MONITORING / name).read_text()) for name in ("recording.yml", "alerts.yml")]
    found = [rule["expr"] for file in rules for group in file["groups"] for rule in group["rules"]]
    return found + [target["expr"] for panel in panels() for target in panel["targets"]]


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that show something."""
    return [panel for panel in shipped()["panels"] if panel["type"] != "row"]


def shipped() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads((MONITORING / "grafana.json").read_text())
    return found


def test_every_metric_is_documented_as_it_is() -> None:
    """One row a metric, in the order of the catalogue: type, labels and meaning as exported, a unit, and what to do."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| `waitroom_.*$", text, re.MULTILINE)
    ]
    wanted = [
        [f"`{PREFIX}{m.name}`", str(m.kind), ", ".join(m.labels) or "none", m.help]
        for m in CATALOGUE.values()
        if m.source is not Source.LATER
    ]
    assert [[name, kind, labels, help_] for name, kind, _, labels, help_, _ in rows] == wanted
    for name, _, unit, _, _, what_to_do in rows:
        assert unit, name
        assert unit.startswith("s") or "_seconds`" not in name, name
        assert len(what_to_do) > ADVICE, name


@pytest.mark.parametrize(
    ("label", "values"),
    [("way", WAYS), ("reason", REASONS), ("end", ENDS), ("outcome", OUTCOMES), ("kind", BackendError.KINDS),
     ("cause", StoreAwayError.KINDS), ("code", (CODES[0], "499", CODES[-1]))],
)  # fmt: skip
def test_every_value_of_a_label_is_documented(label: str, values: tuple[str, ...]) -> None:
    """What a label can say is listed, each by its name."""
    (row,) = re.findall(rf"^\| {label} \|.*$", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    assert set(values) <= set(re.findall(r"`([^`]+)`", row))


def test_rules_are_clean_and_do_what_they_say() -> None:
    """`promtool` checks both files, and runs their unit tests."""
    told("promtool", "check", "rules", "--lint-fatal", MONITORING / "recording.yml", MONITORING / "alerts.yml")
    told("promtool", "test", "rules", MONITORING / "alerts_test.yml")


def test_every_alert_has_a_quiet_and_a_firing_case() -> None:
    """Each alert was seen to fire and to keep quiet, and says how grave it is and what to do."""
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    cases = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    seen: dict[str, set[bool]] = {}
    for case in cases:
        for each in case.get("promql_expr_test", ()):
            if (name := re.search(r'alertname="(\w+)", alertstate="firing"', each["expr"])) is not None:
                seen.setdefault(name[1], set()).add(bool(each["exp_samples"]))
    assert seen == {alert["alert"]: {False, True} for alert in alerts}
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(alert["annotations"]) == {"summary", "action"}


def test_only_metrics_that_there_are() -> None:
    """No rule or panel asks for a series that nobody exports, and nearly every family is looked at by one of them."""
    recorded = {
        rule["record"]
        for group in yaml.safe_load((MONITORING / "recording.yml").read_text())["groups"]
        for rule in group["rules"]
    }
    asked = {name for text in expressions() for name in re.findall(r"(?<![\w:])waitroom_\w+", text)}
    assert asked <= exported()
    assert {name for text in expressions() for name in re.findall(r"\b\w+:waitroom_\w+:\w+", text)} <= recorded
    families = {PREFIX + m.name for m in CATALOGUE.values() if m.source is not Source.LATER}
    unseen = {name for name in families if not any(each.startswith(name) for each in asked)}
    assert unseen == {"waitroom_inflight_wait_seconds"}  # how many are turned away says it sooner


def test_the_dashboard_is_the_one_that_is_written() -> None:
    """Whoever changes it changes tests/deploy/dashboard.py and writes it again."""
    assert (MONITORING / "grafana.json").read_text() == dashboard.written()


def test_dashboard_variables() -> None:
    """dashboard-linter: a data source to choose, a job and a machine, many at a time, looked up anew."""
    variables = {each["name"]: each for each in shipped()["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert variables["datasource"]["label"] == "Data source"
    for name in ("job", "instance"):
        each = variables[name]
        assert (each["type"], each["multi"], each["allValue"], each["refresh"]) == ("query", True, ".+", 2)
        assert each["label"]
        assert each["datasource"]["uid"] == "${datasource}"
    assert shipped()["editable"] is False
    assert shipped()["uid"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_panel(panel: dict[str, Any]) -> None:
    """dashboard-linter: title, description, unit, source, queries; counters are rates; machines are chosen."""
    assert panel["type"] in {"timeseries", "stat"}  # no deprecated ones: graph, singlestat, table-old
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        query = target["expr"]
        selectors = re.findall(r"waitroom_(\w+)(\{[^}]*\})(\[[^\]]*\])?", query)
        assert len(selectors) == len(re.findall(r"waitroom_", query)), query
        for name, matchers, span in selectors:
            assert 'job=~"$job", instance=~"$instance"' in matchers
            assert span in {"", "[$__rate_interval]"}
            assert bool(span) is name.endswith(("_total", "_bucket")), query
        assert target["legendFormat"]


def test_panels_do_not_overlap() -> None:
    """Each has its place, and its number."""
    cells = [
        (x, y)
        for panel in shipped()["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < dashboard.WIDTH
    numbers = [panel["id"] for panel in shipped()["panels"]]
    assert len(numbers) == len(set(numbers))
