"""Logged: what is logged within a span says which one, by the names OpenTelemetry gives its ids in logs."""

from __future__ import annotations

import logging

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span


class SpanIds(logging.Filter):
    """Adds `trace_id` and `span_id` to what is logged within a span that is exported; lets everything through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True."""
        context = get_current_span().get_span_context()
        if context.trace_flags.sampled:
            record.trace_id = format_trace_id(context.trace_id)
            record.span_id = format_span_id(context.span_id)
        return True
