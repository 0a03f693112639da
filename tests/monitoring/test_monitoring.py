"""The alert rules and the dashboard in docs/: Prometheus takes them, and the agent has their metrics."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundplane.agent.metrics import Metrics
from tests.agent.test_metrics import families

RULES = Path("docs/groundplane.rules.yml")
DASHBOARD = Path("docs/grafana.json")
HERE = Path(__file__).parent
METRIC = re.compile(r"\b(?:kubeproxy|groundplane|process)_\w+|\bup\b")


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        ["promtool", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def sample_names() -> set[str]:
    """Return every name that a sample of the agent may have, and Prometheus' own `up`."""
    names = {"up"}
    for family in families(Metrics("n1", "1.0")):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def panels() -> Iterator[dict[str, Any]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        if panel["type"] != "row":
            yield panel


def without_labels(expression: str) -> str:
    return re.sub(r"\{[^}]*\}", "", expression)


def test_prometheus_takes_the_rules() -> None:
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", str(RULES))


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    for file in (RULES, HERE / "rules_test.yml"):
        shutil.copy(file, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "rules_test.yml"))


def test_each_alert_says_what_it_is_and_what_it_means() -> None:
    for rule in rules():
        assert {"summary", "description"} == rule["annotations"].keys()
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["alert"].startswith("Groundplane")


def test_alerts_use_only_metrics_that_there_are() -> None:
    used = {name for rule in rules() for name in METRIC.findall(without_labels(rule["expr"]))}
    assert set() == used - sample_names()
    assert 10 < len(used)


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_the_dashboard_uses_only_metrics_that_there_are_and_shows_each_of_ours() -> None:
    used = {name for text in expressions() for name in METRIC.findall(without_labels(text))}
    assert set() == used - sample_names()
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in sample_names()}
    assert {name for name in families if not name.startswith("process_")} <= shown


@pytest.mark.parametrize("expression", expressions())
def test_prometheus_takes_what_the_dashboard_asks(expression: str, tmp_path: Path) -> None:
    asked = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
    file = tmp_path / "rules.yml"
    rule = {"record": "asked", "expr": asked}
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [rule]}]}))
    assert "SUCCESS: 1 rules found" in promtool("check", "rules", str(file))


def test_panels_have_the_chosen_source_and_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert ["datasource", "instance"] == [each["name"] for each in board["templating"]["list"]]
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        own = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not cells & own
        assert place["x"] + place["w"] <= 24
        cells |= own
    assert {"${datasource}"} == {panel["datasource"]["uid"] for panel in panels()}
    identities = [panel["id"] for panel in board["panels"]]
    assert len(identities) == len(set(identities))
