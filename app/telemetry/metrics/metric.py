"""Metric: a name with its kind, unit, labels and meaning; and its samples as Prometheus takes them.

Names follow https://prometheus.io/docs/practices/naming/: base units at the end, `_total` behind counters. No label is
an id of an entity, an event or a decision; what bounds each label is said in `LABELS` of the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

__all__ = ["Family", "Kind", "Metric", "Sample", "family", "single"]

Kind = Literal["counter", "gauge", "histogram"]
#: The values of the labels, in their order, and the number.
Sample = tuple[tuple[str, ...], float]

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """What one number says."""

    name: str
    kind: Kind
    help: str
    #: What it is counted in; empty where it is a yes or no.
    unit: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram.
    buckets: tuple[float, ...] = ()


def family(metric: Metric, samples: Iterable[Sample]) -> Family:
    """Samples of a counter or a gauge."""
    made: Family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for words, number in samples:
        if len(words) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {', '.join(metric.labels)}, got {words}")
        # Built by hand: `add_metric` would look at each again.
        made.add_sample(metric.name, dict(zip(metric.labels, words, strict=True)), number)
    return made


def single(metric: Metric, number: float) -> Family:
    """The one sample of a metric without labels."""
    return family(metric, [((), number)])
