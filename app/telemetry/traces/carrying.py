"""Carrying: where an event comes from, as its record says it, and what is written for it says in turn.

W3C Trace Context in the headers `traceparent` and `tracestate` of a record, where Kafka clients that OpenTelemetry
instruments put them too; else in the attributes of the event (CloudEvents' distributed tracing extension). What cannot
be read is none. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agents.engine.tracing import Carried
from tables.event import Event

_W3C: Final = TraceContextTextMapPropagator()
_NAMES: Final = frozenset(["traceparent", "tracestate"])


def origin_of(headers: Sequence[tuple[str, bytes | None]], event: Event | None = None) -> Context:
    """The context that a record continues, by its headers or else by its event; an empty one when neither says any."""
    carried = {name.lower(): value.decode(errors="replace") for name, value in headers if _is_one(name) and value}
    if context := _read(carried):
        return context
    if event is None or event.traceparent is None:
        return Context()
    state = event.extensions.get("tracestate")
    said = {"traceparent": event.traceparent, **({"tracestate": state} if isinstance(state, str) else {})}
    return _read(said) or Context()


def carried_from(span: Span) -> Carried:
    """The headers of what is written for an event while this span lasts."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, set_span_in_context(span, Context()))
    return tuple((name, value.encode()) for name, value in carrier.items())


def _is_one(name: str) -> bool:
    return name.lower() in _NAMES


def _read(carrier: Mapping[str, str]) -> Context | None:
    context = _W3C.extract(carrier, Context())
    return context if get_current_span(context).get_span_context().is_valid else None
