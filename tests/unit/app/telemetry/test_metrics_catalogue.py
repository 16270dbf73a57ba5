"""The catalogue of metrics keeps to the names Prometheus asks for, and docs/metrics.md is what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shop_catalogue import CATALOGUE as SHOP

from app.telemetry.metrics.catalogue import CATALOGUE, LABELS, LIBRARY
from app.telemetry.metrics.instruments import measured_as
from app.telemetry.metrics.metric import Metric, family
from app.telemetry.metrics.rendering import rendered

ROOT = Path(__file__).parents[4]
DECLARED = [metric for metrics in CATALOGUE.values() for metric in metrics]
MEASURES = [measured_as(domain.name, measure) for domain in SHOP.domains for measure in domain.measures]
#: Units that Prometheus does not want: seconds and bytes are the base.
NOT_BASE = re.compile(r"_(ms|millis|milliseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|percent)(_|$)")


def named(metrics: list[Metric]) -> list[str]:
    return [metric.name for metric in metrics]


def test_the_page_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == rendered(SHOP)


def test_every_name_is_there_once_and_begins_with_the_products() -> None:
    names = named([*DECLARED, *MEASURES])
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"innervate_[a-z][a-z0-9_]*", name)] == []


@pytest.mark.parametrize("metric", [*DECLARED, *MEASURES], ids=lambda metric: metric.name)
def test_a_name_ends_with_its_base_unit_and_a_counter_with_total(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not NOT_BASE.search(metric.name)
    if metric.unit in {"seconds", "bytes"}:
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    assert metric.help.endswith(".") or ": " in metric.help or "; " in metric.help
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(metric.buckets)


def test_every_label_says_what_bounds_it_and_none_is_an_id() -> None:
    labels = {label for metric in DECLARED for label in metric.labels}
    assert labels == set(LABELS)
    of_domains = {label for metric in MEASURES for label in metric.labels}
    assert [label for label in labels | of_domains if label == "id" or label.endswith("_id")] == []


def test_money_given_back_is_told_by_currency_and_declared_by_the_shop_itself() -> None:
    assert named(MEASURES) == [
        "innervate_shop_refunds_total",
        "innervate_shop_refunded_minor_total",
        "innervate_shop_given_back_by_others_minor_total",
    ]
    assert MEASURES[1].labels == ("currency",)


def test_no_name_of_the_library_is_taken() -> None:
    assert not set(LIBRARY) & set(named(DECLARED))


def test_a_sample_without_one_of_its_labels_is_refused() -> None:
    metric = Metric(name="innervate_x", kind="gauge", help="X.", unit="", labels=("agent", "topic"))
    with pytest.raises(ValueError, match="innervate_x has the labels agent, topic"):
        family(metric, [(("fraud",), 1)])
