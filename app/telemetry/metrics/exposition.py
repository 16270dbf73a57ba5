"""Exposition: what was read, as the text Prometheus takes; one part that cannot be read costs none of the others.

https://prometheus.io/docs/instrumenting/exposition_formats/ and OpenMetrics 1.0, as the scraper asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from app.telemetry.metrics.catalogue import SOURCE_UP
from app.telemetry.metrics.metric import Family, family

log = logging.getLogger(__name__)

#: Reads the metrics of one part.
Read = Callable[[], Iterable[Family]]


class Exposition:
    """Writes out the metrics of these parts, by name, with those of the process."""

    def __init__(self, sources: Mapping[str, Read]) -> None:
        process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=process)
        self._sources: Final[Mapping[str, Read]] = {**sources, "process": process.collect}
        #: The sources that could not be read the last time, so that it is said once.
        self._failing: set[str] = set()

    def written(self, accept: str) -> tuple[bytes, str]:
        """The text and its content type, for a request that accepts this. Never raises for a part that does."""
        families: list[Family] = []
        works: dict[str, bool] = {}
        for name, read in self._sources.items():
            found = self._read(name, read)
            works[name] = found is not None
            families += found or ()
        families.append(family(SOURCE_UP, [((name,), float(works[name])) for name in works]))
        encode, content_type = choose_encoder(accept)
        return encode(_Read(families)), content_type

    def _read(self, name: str, read: Read) -> Sequence[Family] | None:
        try:
            found = list(read())
        except Exception:
            if name not in self._failing:
                self._failing.add(name)
                log.exception("the metrics of %s cannot be read, the others are told", name)
            return None
        self._failing.discard(name)
        return found


class _Read:
    """What an encoder takes for a registry."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        """What was read."""
        return self._families
