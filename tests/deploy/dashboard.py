"""Writes the Grafana dashboard: `python -m tests.deploy.dashboard > deploy/monitoring/grafana.json`.

Law: every panel says what it shows and in which unit, and asks only for the machines that were chosen.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = 'job=~"$job", instance=~"$instance"'
WIDTH, HEIGHT = 24, 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: queries with the name of each line. `#` in a query stands for the machines that were chosen."""

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    width: int = 8
    kind: str = "timeseries"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Are we all right?": (
        Panel("Waiting", "Present tickets in line, all pools.", "short",
              (("sum(max by (pool, lane) (waitroom_waiting{#}))", "waiting"),), 4, "stat"),
        Panel("Inside", "Live sessions, all pools.", "short",
              (("sum(max by (pool, backend) (waitroom_sessions{#}))", "inside"),), 4, "stat"),
        Panel("Backends down", "Down, or held by staff.", "short",
              (("count(max by (pool, backend) (waitroom_backend_up{#}) == 0) or vector(0)", "down"),), 4, "stat"),
        Panel("Pools on hold", "Admissions stopped by staff.", "short",
              (("sum(max by (pool) (waitroom_held{#}))", "held"),), 4, "stat"),
        Panel("Store", "Whether the line can be read; least of all machines.", "bool_on_off",
              (("min(waitroom_store_up{#})", "store"),), 4, "stat"),
        Panel("Workers", "That accept connections, all machines.", "short",
              (("sum(waitroom_workers{#})", "workers"),), 4, "stat"),
    ),
    "Line": (
        Panel("Line by pool and lane", "Present tickets. Return lane first, then priority, then standard.", "short",
              (("max by (pool, lane) (waitroom_waiting{#})", "{{pool}} {{lane}}"),
               ("max by (pool, exam) (waitroom_lobby{#})", "{{pool}} lobby {{exam}}"))),
        Panel("Arrivals and admissions", "A second. The line grows while arrivals are above admissions.", "ops",
              (("sum by (pool) (rate(waitroom_arrivals_total{#}[$__rate_interval]))", "{{pool}} arrivals"),
               ("sum by (pool, way) (rate(waitroom_admissions_total{#}[$__rate_interval]))", "{{pool}} {{way}}"))),
        Panel("Admission rate", "What each pool allows a second; no line: no limit.", "ops",
              (("max by (pool) (waitroom_admission_rate{#}) < Inf", "{{pool}}"),)),
        Panel("Waits of those who entered", "Median and 95th percentile.", "s",
              (("histogram_quantile(0.5, sum by (pool, le) (rate(waitroom_wait_seconds_bucket{#}[$__rate_interval])))",
                "{{pool}} median"),
               ("histogram_quantile(0.95, sum by (pool, le) (rate(waitroom_wait_seconds_bucket{#}[$__rate_interval])))",
                "{{pool}} 95 %"))),
        Panel("Wait / estimate", "1: as shown on arrival. Above: longer.", "none",
              ((("histogram_quantile(0.5, sum by (pool, le) "
                "(rate(waitroom_wait_estimate_ratio_bucket{#}[$__rate_interval])))"), "{{pool}} median"),)),
        Panel("Departures", "Ends of sessions and places, by reason.", "ops",
              (("sum by (pool, reason) (rate(waitroom_departures_total{#}[$__rate_interval]))",
                "{{pool}} {{reason}}"),)),
    ),
    "Backends": (
        Panel("Sessions / limit", "1 is full.", "percentunit",
              (("max by (pool, backend) (waitroom_sessions{#}) / max by (pool, backend) (waitroom_sessions_limit{#})",
                "{{pool}} {{backend}}"),)),
        Panel("Answers", "By class of status.", "reqps",
              (('sum by (backend, code) (rate(waitroom_requests_total{#, backend!=""}[$__rate_interval]))',
                "{{backend}} {{code}}"),)),
        Panel("Answer time", "95th percentile, from the request's head to the answer's last byte.", "s",
              ((("histogram_quantile(0.95, sum by (backend, le) "
                "(rate(waitroom_request_duration_seconds_bucket{#}[$__rate_interval])))"), "{{backend}}"),)),
        Panel("In flight", "Requests at each backend, those that wait for a place there, and the bound.", "short",
              (("sum by (backend) (waitroom_inflight{#})", "{{backend}} in flight"),
               ("sum by (backend) (waitroom_inflight_waiting{#})", "{{backend}} waiting"),
               ("sum by (backend) (waitroom_inflight_limit{#}) < Inf", "{{backend}} limit"))),
        Panel("Failures", "Requests that a backend failed, by the way it failed.", "ops",
              (("sum by (backend, kind) (rate(waitroom_backend_failures_total{#}[$__rate_interval])) > 0",
                "{{backend}} {{kind}}"),)),
        Panel("Coming back", "Students with a session who wait to return after an outage.", "short",
              (("max by (pool, backend) (waitroom_returning{#})", "{{pool}} {{backend}}"),)),
        Panel("Waits for a place in flight", "By how they ended; late and crowded were turned away.", "ops",
              (("sum by (backend, end) (rate(waitroom_inflight_waits_total{#}[$__rate_interval]))",
                "{{backend}} {{end}}"),)),
        Panel("Paced requests", "By outcome.", "ops",
              (("sum by (name, outcome) (rate(waitroom_paced_total{#}[$__rate_interval]))", "{{name}} {{outcome}}"),)),
        Panel("Return rate", "How many a second may come back; no line: no ramp.", "ops",
              (("max by (pool, backend) (waitroom_return_rate{#}) < Inf", "{{pool}} {{backend}}"),)),
    ),
    "Service": (
        Panel("Own answers", "Pages, status and refusals of ours, by class of status.", "reqps",
              (('sum by (code) (rate(waitroom_requests_total{#, backend=""}[$__rate_interval]))', "{{code}}"),)),
        Panel("Store calls", "99th percentile of one batch there and back.", "s",
              ((("histogram_quantile(0.99, sum by (instance, le) "
                "(rate(waitroom_store_call_seconds_bucket{#}[$__rate_interval])))"), "{{instance}}"),)),
        Panel("Restarts and refusals", "Workers and embedded stores replaced, store failures, bad cookies.", "short",
              (("sum(increase(waitroom_worker_restarts_total{#}[$__rate_interval]))", "workers"),
               ("sum(increase(waitroom_store_restarts_total{#}[$__rate_interval]))", "stores"),
               ("sum by (cause) (increase(waitroom_store_failures_total{#}[$__rate_interval])) > 0", "store {{cause}}"),
               ("sum by (pool) (increase(waitroom_cookies_refused_total{#}[$__rate_interval]))", "{{pool}} cookies"))),
        Panel("Settings applied", "When each machine last took its settings.", "dateTimeAsIso",
              (("waitroom_config_last_reload_timestamp_seconds{#} * 1000", "{{instance}}"),), 8, "stat"),
        Panel("Last reload", "1: applied; 0: refused, the old settings are in force.", "bool_yes_no",
              (("waitroom_config_reload_success{#}", "{{instance}}"),), 8, "stat"),
        Panel("Versions", "Machines of each version; two at once: an upgrade is half done.", "short",
              (("count by (version) (waitroom_build_info{#})", "{{version}}"),), 8, "stat"),
    ),
}  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The whole of it."""
    return {
        "title": "Waiting room",
        "uid": "waitroom",
        "description": "The line, the backends and the service itself. docs/metrics.md says what each metric means.",
        "tags": ["waitroom"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 38,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_source(), _choice("job", "Job", "waitroom_workers"),
                                _choice("instance", "Machine", 'waitroom_workers{job=~"$job"}')]},
        "panels": _panels(),
    }  # fmt: skip


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for title, panels in ROWS.items():
        made.append(_row(len(made) + 1, title, top))
        top, left = top + 1, 0
        height = HEIGHT // 2 if panels[0].kind == "stat" else HEIGHT
        for panel in panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + height
            made.append(_panel(len(made) + 1, panel, {"x": left, "y": top, "w": panel.width, "h": height}))
            left += panel.width
        top += height
    return made


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    at = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": at, "panels": []}


def _panel(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": panel.unit, **({"min": 0} if panel.kind == "timeseries" else {})},
                        "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
        if panel.kind == "timeseries" else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "expr": query.replace("#", CHOSEN),
             "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _choice(name: str, label: str, series: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({series}, {name})", "refId": name},
        "definition": f"label_values({series}, {name})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def written() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(written())
