"""Tracer: makes spans of what router, agents, models and relay say, and hands them to an exporter.

Whether an event is followed is said by who sent it; where nobody did, by `OTEL_TRACES_SAMPLER`. The answer is carried
on, so a trace is there whole or not at all. Events that are handled together have a span of their own besides, a trace
of one span with a link to each of them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, Self
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.util.types import AttributeValue

#: What the library of instrumentation is called.
SCOPE: Final = "innervate"
#: Links of a span: the most events that are routed together (`agents.engine.intake.BATCH_RECORDS`).
LINKS: Final = 500
#: How long the spans that are left may take to leave when a worker stops, in seconds.
STOP_SECONDS: Final = 5.0


class Tracer:
    """The spans of one worker. `processor` gets them when they end."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self._processor = processor
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        # Those of batches are made only where an event among them is followed, whatever the share of traces is.
        together = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, span_limits=SpanLimits(max_links=LINKS), shutdown_on_exit=False
        )
        provider.add_span_processor(processor)
        together.add_span_processor(processor)
        release = version("innervate")
        self._tracer = provider.get_tracer(SCOPE, release)
        self._together = together.get_tracer(SCOPE, release)

    @classmethod
    def exporting(cls, agent_set: str) -> Self:
        """A tracer that exports by OTLP over HTTP, as OpenTelemetry's variables say."""
        usual = {"service.name": f"innervate-{agent_set}", "service.version": version("innervate")}
        # What the environment says of the service comes first.
        resource = Resource({**usual, "service.instance.id": str(uuid4())}).merge(Resource.create())
        said = resource.attributes.get("service.name", "")
        if str(said).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": usual["service.name"]}))
        return cls(BatchSpanProcessor(OTLPSpanExporter()), resource)

    def begin(
        self,
        name: str,
        parent: Context,
        attributes: dict[str, AttributeValue],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        started_at: int | None = None,
    ) -> Span:
        """A span of the trace of its parent, or the first of one; `started_at` in nanoseconds since 1970."""
        return self._tracer.start_span(name, parent, kind, attributes, start_time=started_at)

    def begin_together(
        self, name: str, spans: Sequence[Span], attributes: dict[str, AttributeValue], *, kind: SpanKind
    ) -> Span | None:
        """A span of a trace of its own for what happens to these at once; None when none of them is followed."""
        links = [Link(span.get_span_context()) for span in spans if span.is_recording()]
        if not links:
            return None
        together = self._together.start_span(name, Context(), kind, attributes, links=links)
        for span in spans:
            span.add_link(together.get_span_context())
        return together

    def stop(self) -> threading.Thread:
        """Export what is left, in a thread that ends with the process; it is to be joined for `STOP_SECONDS`."""
        thread = threading.Thread(target=self._processor.shutdown, name="spans", daemon=True)
        thread.start()
        return thread
