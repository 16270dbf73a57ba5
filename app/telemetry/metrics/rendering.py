"""Rendering: the catalogue as Markdown, with what the loaded domains add. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.model.catalogue import Catalogue
from app.telemetry.metrics.catalogue import CATALOGUE, LABELS, LIBRARY
from app.telemetry.metrics.instruments import measured_as
from app.telemetry.metrics.metric import Metric

_OPENING: Final = """\
# Metrics

What `GET /metrics` of a worker tells Prometheus; see [operations](operations.md#metrics-and-alerts) for who may ask,
the alerts and the dashboard. This page is written by `faust -A app metrics > docs/metrics.md`, of the code.

Numbers of the cluster are read from PostgreSQL at most every 10 s; every worker tells the same, so take their `max`.
All others are the worker's own, and begin anew with each start. No label is the id of anything."""


def rendered(catalogue: Catalogue) -> str:
    """The page, with the measures of these domains."""
    parts: list[str] = [_OPENING]
    for subject, metrics in CATALOGUE.items():
        parts += [f"## {subject}", _table(metrics)]
    for domain in catalogue.domains:
        if domain.measures:
            parts += [
                f"## The domain `{domain.name}`",
                "What effects have done, counted by the worker that committed them. The tables are the books.",
                _table([measured_as(domain.name, measure) for measure in domain.measures]),
            ]
    parts += ["## Of the process", "\n".join(_rows(("metric", "meaning"), LIBRARY.items(), codes=1))]
    parts += ["## Labels", "\n".join(_rows(("label", "values"), LABELS.items(), codes=1))]
    return "\n\n".join(parts) + "\n"


def _table(metrics: Sequence[Metric]) -> str:
    cells = [(m.name, m.kind, m.unit, ", ".join(f"`{label}`" for label in m.labels), m.help) for m in metrics]
    return "\n".join(_rows(("metric", "kind", "unit", "labels", "meaning"), cells, codes=1))


def _rows(titles: Sequence[str], cells: Iterable[Sequence[str]], *, codes: int) -> Iterator[str]:
    """A table whose first `codes` columns are code."""
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in cells:
        shown = [f"`{cell}`" if number < codes else cell for number, cell in enumerate(row)]
        yield f"| {' | '.join(shown)} |"
