"""Alerts and the dashboard speak only of metrics and labels that exist."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_common.bus.permissions import ACCOUNT
from fairlead_common.bus.topology import DURABLES, STREAMS
from fairlead_common.outcomes import CallState
from faststream.nats.prometheus import NatsPrometheusMiddleware
from prometheus_client import CollectorRegistry, ProcessCollector

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "fairlead.json"
SUFFIXES = {"Counter": ["_total"], "Gauge": [""], "Histogram": ["_bucket", "_sum", "_count"]}
OTHERS = {
    "up",  # Prometheus itself
    # prometheus-nats-exporter -jsz=all -prefix=nats: collector/jsz.go of its repository
    "nats_consumer_num_pending",
    "nats_stream_total_messages",
    "nats_account_storage_used",
    "nats_server_max_storage",
}
WORDS = set("by without on ignoring group_left group_right and or unless bool offset sum max min avg".split())


def declared() -> Iterator[str]:
    """Series of the metrics that are made anywhere in the services' and libraries' source."""
    for path in sorted(ROOT.glob("*/*/src/**/*.py")):
        if "import" not in path.read_text() or "prometheus_client" not in path.read_text():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SUFFIXES:
                name = node.args[0] if node.args else None
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield from (name.value.removesuffix("_total") + end for end in SUFFIXES[node.func.id])


def registered() -> Iterator[str]:
    """Series of FastStream and of the process, from real registries."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    NatsPrometheusMiddleware(registry=registry)
    for metric in registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
        yield from (metric.name + end for end in ends)


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules()), *asked]


def series(expression: str) -> set[str]:
    """Names of series in a PromQL expression: what is left without matchers, ranges, label lists and functions."""
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    text = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", r"\1", text)
    names = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b(?!\s*\()", text)
    return {name for name in names if name not in WORDS and not re.fullmatch(r"e\d+", name)}


@pytest.mark.parametrize("expression", expressions())
def test_each_series_exists(expression: str) -> None:
    known = {*declared(), *registered(), *OTHERS, *(rule["record"] for rule in rules() if "record" in rule)}
    found = series(expression)
    assert found
    assert found <= known


@pytest.mark.parametrize("expression", expressions())
def test_each_value_that_is_matched_exists(expression: str) -> None:
    values = {
        "state": {state.value for state in CallState},
        "failover": {"true", "false"},
        "account_name": {ACCOUNT},
        "stream_name": {stream.name for stream in STREAMS},
        "consumer_name": {durable.name for durable in DURABLES},
        "job": {"fairlead", "nats"},
        "service": {path.name for path in (ROOT / "services").iterdir()},
    }
    for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', expression):
        alternatives = value.split("|") if "~" in operator else [re.escape(value)]
        for each in alternatives:
            assert any(re.fullmatch(each, known) for known in values[label]), f"{label}: {each}"


def test_every_durable_is_watched() -> None:
    (watch,) = [rule for rule in alerts() if rule["alert"] == "FairleadConsumerBehind"]
    (pattern,) = re.findall(r'consumer_name=~"([^"]*)"', watch["expr"])
    assert all(re.fullmatch(pattern, durable.name) for durable in DURABLES)


def test_each_alert_says_how_bad_what_and_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    for rule in alerts():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    found = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_dashboard_takes_any_data_source() -> None:
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    assert [each["name"] for each in variables] == ["datasource"]
    for panel in panels():
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_the_provisioning_finds_it() -> None:
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/fairlead.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in mounts
