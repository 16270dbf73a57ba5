"""Following: one event through the router, through an agent's decision and its commit, and a message to Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from agents.engine.ports import Record
from agents.engine.tracing import Carried, Deciding, Place, RoutedRecord, Routing
from app.telemetry.traces import names
from app.telemetry.traces.carrying import carried_from, origin_of
from app.telemetry.traces.tracer import Tracer
from outbox.errors import Permanent
from outbox.outcomes import Outcome
from outbox.records import DecisionRecord, Message
from tables.event import Event

Attributes = dict[str, AttributeValue]


class _Routing:
    def __init__(self, span: Span) -> None:
        self.span = span
        self.carried: Carried = carried_from(span)


class RouterTraces:
    """A span for each event that is routed (`agents.engine.tracing.RouterTracing`)."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def routing(self, record: RoutedRecord, event: Event) -> Routing:
        """Begin it; what its producer says of it is its parent."""
        attributes = {**_of_message("route", record.topic, record.partition, record.offset), **_of_event(event)}
        parent = origin_of(record.headers, event)
        return _Routing(self._tracer.begin(f"route {record.topic}", parent, attributes, kind=SpanKind.CONSUMER))

    def routed(self, events: Sequence[Routing]) -> None:
        """End them, and tell that they were written together."""
        spans = [cast("_Routing", each).span for each in events]
        attributes: Attributes = {
            names.MESSAGING_SYSTEM: names.KAFKA,
            names.MESSAGING_OPERATION_NAME: "route",
            names.MESSAGING_OPERATION_TYPE: names.PROCESS,
            names.MESSAGING_BATCH_COUNT: len(spans),
        }
        together = self._tracer.begin_together("route batch", spans, attributes, kind=SpanKind.CONSUMER)
        for span in spans:
            span.end()
        if together is not None:
            together.end()


class _Deciding:
    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self.span = span
        self._decided_at: int | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        token = attach(set_span_in_context(self.span))
        try:
            yield
        finally:
            detach(token)

    def decided(self, record: DecisionRecord) -> DecisionRecord:
        self._decided_at = time.time_ns()
        self.span.set_attributes(
            {
                names.DECISION_ID: str(record.id),
                names.DECISION_OUTCOME: record.outcome,
                names.DECISION_STATUS: record.status,
                names.DECISION_BRAIN: record.brain,
                **({names.DECISION_FALLBACK: record.fallback_reason} if record.fallback_reason else {}),
            }
        )
        carried = carried_from(self.span)
        hold = record.hold and replace(record.hold, otherwise=_carrying(record.hold.otherwise, carried))
        return replace(
            record,
            messages=_carrying(record.messages, carried),
            otherwise=_carrying(record.otherwise, carried),
            hold=hold,
        )

    def ended(self, outcome: bool | Permanent) -> None:
        if self._decided_at is not None and self.span.is_recording():
            attributes: Attributes = {names.DB_SYSTEM: names.POSTGRESQL, names.DB_OPERATION: "INSERT"}
            if isinstance(outcome, bool):
                attributes[names.DECISION_IS_NEW] = outcome
            parent = set_span_in_context(self.span, Context())
            commit = self._tracer.begin("commit", parent, attributes, kind=SpanKind.CLIENT, started_at=self._decided_at)
            _fail(commit, outcome)
            commit.end()
        _fail(self.span, outcome)
        self.span.end()


class DecisionTraces:
    """A span for each event that an agent decides on (`agents.engine.tracing.DecisionTracing`)."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def deciding(self, agent: str, batch: Place, record: Record, event: Event) -> Deciding:
        """Begin it, behind the router's."""
        attributes = {
            **_of_message("decide", batch.topic, batch.partition, record.offset),
            **_of_event(event),
            names.GEN_AI_OPERATION: names.INVOKE_AGENT,
            names.GEN_AI_AGENT: agent,
        }
        parent = origin_of(record.headers, event)
        span = self._tracer.begin(f"{names.INVOKE_AGENT} {agent}", parent, attributes, kind=SpanKind.CONSUMER)
        return _Deciding(self._tracer, span)

    @contextmanager
    def together(self, agent: str, batch: Place, events: Sequence[Deciding]) -> Iterator[None]:
        """A span while the decisions on these are committed."""
        spans = [cast("_Deciding", each).span for each in events]
        attributes: Attributes = {
            **_of_message("decide", batch.topic, batch.partition),
            names.GEN_AI_AGENT: agent,
            names.MESSAGING_BATCH_COUNT: len(spans),
        }
        name = f"{names.PROCESS} {batch.topic}"
        together = self._tracer.begin_together(name, spans, attributes, kind=SpanKind.CONSUMER)
        try:
            yield
        finally:
            if together is not None:
                together.end()


class _Publishing:
    def __init__(self, spans: Mapping[int, Span], together: Span | None) -> None:
        self._spans = spans
        self._together = together

    def ended(self, outcomes: Mapping[int, Outcome]) -> None:
        for seq, span in self._spans.items():
            _fail(span, outcomes.get(seq))
            span.end()
        if self._together is not None:
            self._together.end()


class PublishTraces:
    """A span for each message that is published (`outbox.relay.PublishTracing`), behind the decision that it is of."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def publishing(self, lane: int, batch: Mapping[int, Message]) -> _Publishing:
        """Begin them; messages that carry nothing (dead letters, those of before) have none."""
        spans: dict[int, Span] = {}
        for seq, message in batch.items():
            if parent := origin_of(message.headers):
                attributes = {
                    **_of_message(names.SEND, message.topic),
                    names.MESSAGING_OPERATION_TYPE: names.SEND,
                    names.MESSAGING_MESSAGE_ID: message.id,
                    names.LANE: lane,
                }
                name = f"{names.SEND} {message.topic}"
                spans[seq] = self._tracer.begin(name, parent, attributes, kind=SpanKind.PRODUCER)
        attributes = {
            names.MESSAGING_SYSTEM: names.KAFKA,
            names.MESSAGING_OPERATION_NAME: names.SEND,
            names.MESSAGING_OPERATION_TYPE: names.SEND,
            names.MESSAGING_BATCH_COUNT: len(batch),
            names.LANE: lane,
        }
        together = self._tracer.begin_together("send batch", [*spans.values()], attributes, kind=SpanKind.PRODUCER)
        return _Publishing(spans, together)


def _of_message(operation: str, topic: str, partition: int | None = None, offset: int | None = None) -> Attributes:
    return {
        names.MESSAGING_SYSTEM: names.KAFKA,
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: names.PROCESS,
        names.MESSAGING_DESTINATION: topic,
        **({} if partition is None else {names.MESSAGING_PARTITION: str(partition)}),
        **({} if offset is None else {names.MESSAGING_OFFSET: offset}),
    }


def _of_event(event: Event) -> Attributes:
    return {
        names.MESSAGING_MESSAGE_ID: event.id,
        names.CLOUDEVENTS_ID: event.id,
        names.CLOUDEVENTS_SOURCE: event.source,
        names.CLOUDEVENTS_TYPE: event.type,
    }


def _carrying(messages: tuple[Message, ...], carried: Carried) -> tuple[Message, ...]:
    return tuple([replace(message, headers=(*message.headers, *carried)) for message in messages])


def _fail(span: Span, outcome: object) -> None:
    """Say that it went wrong, and how it is called; not what it says, which may quote an event."""
    if isinstance(outcome, Exception):
        span.set_attribute(names.ERROR_TYPE, getattr(outcome, "reason", type(outcome).__name__))
        span.set_status(Status(StatusCode.ERROR))
