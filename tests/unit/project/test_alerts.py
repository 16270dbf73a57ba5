"""Alerts watch metrics that there are, somebody woken by one finds what to do, and each is shown to fire."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from shop_catalogue import CATALOGUE as SHOP

from app.telemetry.metrics.catalogue import CATALOGUE, LIBRARY
from app.telemetry.metrics.instruments import measured_as

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
RULES = (DEPLOY / "prometheus" / "rules" / "innervate.yml").read_text(encoding="utf-8")
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
METRIC = re.compile(r"\b(?:innervate|process|python)_[a-z0-9_]+")
#: What a histogram becomes.
SERIES = ("_bucket", "_sum", "_count")


def known() -> set[str]:
    """Every name that a query may use."""
    declared = [metric for metrics in CATALOGUE.values() for metric in metrics]
    measures = [measured_as(domain.name, measure) for domain in SHOP.domains for measure in domain.measures]
    names = {metric.name for metric in (*declared, *measures)} | set(LIBRARY)
    histograms = {metric.name for metric in declared if metric.kind == "histogram"}
    return names - histograms | {f"{name}{series}" for name in histograms for series in SERIES}


def test_rules_name_only_metrics_that_there_are() -> None:
    assert set(METRIC.findall(RULES)) - known() == set()


def queries(dashboard: Path) -> list[str]:
    document = json.loads(dashboard.read_text(encoding="utf-8"))
    return [target["expr"] for panel in document["panels"] for target in panel.get("targets", ())]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
def test_dashboards_show_only_metrics_that_there_are_by_labels_that_they_have(dashboard: Path) -> None:
    asked = queries(dashboard)
    assert len(asked) > 40
    assert set(METRIC.findall(" ".join(asked))) - known() == set()
    document = json.loads(dashboard.read_text(encoding="utf-8"))
    sources = {target["datasource"]["uid"] for panel in document["panels"] for target in panel.get("targets", ())}
    assert sources == {"prometheus"}
    provisioned = (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    assert "uid: prometheus\n" in provisioned


def test_the_dashboard_shows_every_metric_of_the_catalogue_but_offsets() -> None:
    shown = {name for dashboard in DASHBOARDS for name in METRIC.findall(" ".join(queries(dashboard)))}
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in shown}
    declared = {metric.name for metrics in CATALOGUE.values() for metric in metrics}
    assert declared - shown == {"innervate_partition_position", "innervate_partition_end"}


def test_every_alert_has_a_severity_a_summary_and_its_own_runbook_entry() -> None:
    assert len(ALERTS) == len(set(ALERTS)) > 30
    entries = re.split(r"^ +- alert: ", RULES, flags=re.MULTILINE)[1:]
    for entry, alert in zip(entries, ALERTS, strict=True):
        assert re.search(r"labels: \{severity: (critical|warning)\}", entry), alert
        assert "summary: " in entry, alert
        assert f"runbook: docs/operations.md#{alert.lower()}\n" in entry, alert


@pytest.mark.parametrize("alert", ALERTS)
def test_somebody_woken_finds_what_it_means_where_to_look_and_what_to_do(alert: str) -> None:
    entry = RUNBOOK.partition(f"\n### {alert}\n")[2].partition("\n#")[0]
    assert "- **Means**: " in entry
    assert "- **Look**: " in entry or "- **Look and do**: " in entry
    assert "- **Do**: " in entry or "- **Look and do**: " in entry


def test_the_runbook_has_no_entry_of_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (Innervate\w+)$", RUNBOOK, re.MULTILINE)) == set(ALERTS)


def test_a_runbook_leads_only_to_headings_that_there_are() -> None:
    headings = re.findall(r"^##+ (.*)$", RUNBOOK, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    entries = RUNBOOK.partition("\n## Runbook\n")[2].partition("\n## ")[0]
    led_to = set(re.findall(r"\]\(#([^)]+)\)", entries))
    assert len(led_to) > 10
    assert led_to - anchors == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_shown_to_fire_and_not_to_fire(alert: str) -> None:
    tests = "".join(
        file.read_text(encoding="utf-8") for file in sorted((DEPLOY / "prometheus" / "tests").glob("*.yaml"))
    )
    shown = re.findall(rf"- alertname: {alert}\n +eval_time: \w+\n +exp_alerts:( \[\])?", tests)
    assert set(shown) == {" []", ""}
