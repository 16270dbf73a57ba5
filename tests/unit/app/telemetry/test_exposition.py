"""A part that cannot be read costs none of the others, and what is written is what the scraper asked for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from app.telemetry.metrics.catalogue import DECISIONS, PUBLISHED
from app.telemetry.metrics.exposition import Exposition
from app.telemetry.metrics.metric import Family, family, single

HOSTILE = 'approve"\n\\{}'


def broken() -> Iterable[Family]:
    yield single(PUBLISHED, 7)
    raise RuntimeError("the table is gone")


def works() -> Iterable[Family]:
    yield family(DECISIONS, [(("fraud", HOSTILE, "rules", "", "committed"), 3)])


def test_a_part_that_fails_is_left_out_whole_and_said_in_a_metric_and_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exposition = Exposition({"broken": broken, "works": works})

    for _ in range(2):
        body, _ = exposition.written("")

    samples = [sample for each in plain_text(body.decode()) for sample in each.samples]
    found = {sample.name: sample for sample in samples}
    assert "innervate_outbox_published_total" not in found
    assert found["innervate_decisions_total"].value == 3
    assert found["innervate_decisions_total"].labels["outcome"] == HOSTILE
    assert "process_resident_memory_bytes" in found
    up = {sample.labels["source"]: sample.value for sample in samples if sample.name == "innervate_metrics_source_up"}
    assert up == {"broken": 0, "works": 1, "process": 1}
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_the_content_type_is_the_one_that_was_asked_for_and_the_body_is_of_it(accept: str, expected: str) -> None:
    body, content_type = Exposition({"works": works}).written(accept)

    assert content_type.startswith(expected)
    read = open_metrics if "openmetrics" in expected else plain_text
    names = {sample.name for each in read(body.decode()) for sample in each.samples}
    assert {"innervate_decisions_total", "process_cpu_seconds_total"} <= names
