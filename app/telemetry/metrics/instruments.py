"""Instruments: what is measured when it happens, and read when somebody scrapes.

None of it is on the path of an event: the loop's delay is looked at twice a second, a collection of garbage is rare, a
call of a model takes longer than anything here, and of decisions only those with effects are looked at.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics

from agents.model.catalogue import Catalogue
from agents.model.effect import Effect
from agents.model.errors import RejectedReply, Unavailable
from agents.model.measure import Measure
from app.telemetry.metrics.catalogue import GC_PAUSE, LOOP_DELAY, MODEL_CALLS, MODEL_SECONDS, MODEL_TOKENS
from app.telemetry.metrics.metric import Family, Metric, family
from outbox.journal import LlmCall
from outbox.records import Effect as RecordedEffect
from outbox.tally import OTHER, Tally

log = logging.getLogger(__name__)

#: How often the delay of the event loop is looked at, in seconds.
LOOK_SECONDS: Final = 0.5
#: Different names of models that are told apart: a server says what it likes.
MOST_MODELS: Final = 20
#: Characters of such a name.
_LONGEST_MODEL: Final = 100
_RESULTS: Final = frozenset({*map(str, Unavailable), *map(str, RejectedReply)})
#: What a call is counted as whose reply can be used.
VALID: Final = "valid"


def measured_as(domain: str, measure: Measure) -> Metric:
    """The metric of a domain's measure."""
    unit = f"_{measure.unit}" if measure.unit else ""
    return Metric(
        name=f"innervate_{domain}_{measure.name}{unit}_total",
        kind="counter",
        help=measure.help,
        unit=measure.unit or measure.effect.kind,
        labels=tuple(measure.labels),
    )


class Measures:
    """What the measures of the loaded domains have added up to."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._tallies = [
            (measured_as(domain.name, measure), measure, Tally())
            for domain in catalogue.domains
            for measure in domain.measures
        ]
        self._has_failed = False

    def note(self, effects: Sequence[RecordedEffect]) -> None:
        """Take in what a decision has done. Never raises: its transaction is over."""
        for effect in effects:
            for metric, measure, tally in self._tallies:
                if isinstance(effect, measure.effect):
                    self._add(metric, measure, tally, effect)

    def _add(self, metric: Metric, measure: Measure, tally: Tally, effect: Effect) -> None:
        try:
            tally.add_amount(*measure.of(effect))
        except Exception:
            # An effect is a domain's own code.
            if not self._has_failed:
                self._has_failed = True
                log.exception("%s is not counted", metric.name)

    def families(self) -> Iterable[Family]:
        """What was added up."""
        for metric, _, tally in self._tallies:
            yield family(metric, tally.counts().items())


class Instruments:
    """Those of one worker."""

    def __init__(self, catalogue: Catalogue) -> None:
        # When each histogram was made says nothing, and would be a series of its own for each.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._loop_delay = self._histogram(LOOP_DELAY)
        self._gc_pause = self._histogram(GC_PAUSE)
        self._model_seconds = self._histogram(MODEL_SECONDS)
        self._model_calls = Tally()
        self._model_tokens = Tally()
        self._models: set[str] = set()
        self._gc_began_at = 0.0
        self.measures = Measures(catalogue)

    def families(self) -> Iterable[Family]:
        """Everything that was measured until now."""
        yield from self._registry.collect()
        yield family(MODEL_CALLS, self._model_calls.counts().items())
        yield family(MODEL_TOKENS, self._model_tokens.counts().items())
        yield from self.measures.families()

    def start(self) -> None:
        """Begin to look at the garbage collector."""
        gc.callbacks.append(self._collecting)

    def stop(self) -> None:
        """End that."""
        if self._collecting in gc.callbacks:
            gc.callbacks.remove(self._collecting)

    async def watch_loop(self) -> None:
        """Look for ever by how much the event loop is late."""
        while True:
            began_at = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            self._loop_delay.observe(max(time.monotonic() - began_at - LOOK_SECONDS, 0.0))

    def model_call(self, call: LlmCall) -> None:
        """Take in a call of a language model."""
        model = self._known(call.model)
        reason = (call.error or VALID).partition(":")[0]
        result = reason if reason in _RESULTS or reason == VALID else OTHER
        self._model_calls.add([(call.agent, model, result)])
        self._model_seconds.labels(call.agent, model).observe(call.latency_ms / 1000)
        for kind, tokens in (("prompt", call.prompt_tokens), ("completion", call.completion_tokens)):
            if tokens is not None and tokens > 0:
                self._model_tokens.add_amount((call.agent, model, kind), tokens)

    def _known(self, name: str) -> str:
        model = name[:_LONGEST_MODEL]
        if len(self._models) < MOST_MODELS:
            self._models.add(model)
        return model if model in self._models else OTHER

    def _collecting(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            self._gc_began_at = time.perf_counter()
        else:
            self._gc_pause.labels(str(info["generation"])).observe(time.perf_counter() - self._gc_began_at)

    def _histogram(self, metric: Metric) -> Histogram:
        labels: Collection[str] = metric.labels
        return Histogram(metric.name, metric.help, labels, registry=self._registry, buckets=metric.buckets)
