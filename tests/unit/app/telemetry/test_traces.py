"""An event is followed from its producer through router, agent, model and relay, or not at all."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from decisions import decision
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from waiting import PATIENCE_SECONDS

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.model.errors import BrainUnavailable, DecisionFailed, Unavailable
from app.sandbox.process import clean_environment
from app.telemetry.logs.formatting import LogFormat, write_by
from app.telemetry.traces import TracesUnusable, followers_of, is_on
from app.telemetry.traces.following import DecisionTraces, PublishTraces, RouterTraces
from app.telemetry.traces.logged import SpanIds
from app.telemetry.traces.models import TracedClient
from app.telemetry.traces.tracer import Tracer
from outbox.outcomes import NotPublished, Refused
from outbox.records import Hold, Message
from tables.event import Event

TRACE, SENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FOLLOWED = f"00-{TRACE}-{SENT}-01"
NOT_FOLLOWED = f"00-{TRACE}-{SENT}-00"


@dataclass(frozen=True)
class Fetched:
    """A record as it was fetched, and a batch of it."""

    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = "payments"
    partition: int = 3
    offset: int = 7
    key: bytes | None = b"c-1"
    value: bytes | None = b"{}"
    timestamp: int | None = 0


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported: InMemorySpanExporter) -> Tracer:
    return Tracer(SimpleSpanProcessor(exported), Resource({"service.name": "test"}))


def event(traceparent: str | None = None, **extensions: str) -> Event:
    return Event(
        id="pay-1",
        source="urn:shop:till",
        type="PaymentSucceeded",
        time=datetime(2025, 3, 1, tzinfo=UTC),
        data={"name": "Ann Smith"},
        traceparent=traceparent,
        extensions=extensions,
    )


def header(value: str = FOLLOWED, name: str = "traceparent") -> tuple[tuple[str, bytes], ...]:
    return ((name, value.encode()),)


def named(exported: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [span for span in exported.get_finished_spans() if span.name == name]
    return found


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else format_span_id(span.parent.span_id)


def ids_of(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def route(tracer: Tracer, record: Fetched, routed: Event) -> Mapping[str, bytes]:
    traces = RouterTraces(tracer)
    routing = traces.routing(record, routed)
    traces.routed([routing])
    return dict(routing.carried)


@pytest.mark.parametrize(
    ("record", "routed"),
    [
        (Fetched(header()), event()),
        (Fetched(header(name="Traceparent")), event()),
        (Fetched(header()), event(f"00-{'1' * 32}-{SENT}-01")),
        (Fetched(), event(FOLLOWED)),
        (Fetched(header("rubbish")), event(FOLLOWED)),
        (Fetched((("traceparent", b"\xff\xfe"),)), event(FOLLOWED)),
    ],
    ids=["header", "however it is spelt", "header before event", "event", "no rubbish", "no bytes"],
)
def test_an_event_is_routed_within_the_trace_of_its_producer(
    tracer: Tracer, exported: InMemorySpanExporter, record: Fetched, routed: Event
) -> None:
    carried = route(tracer, record, routed)
    span = named(exported, "route payments")
    assert (ids_of(span)[0], parent_of(span), span.kind) == (TRACE, SENT, SpanKind.CONSUMER)
    assert carried == {"traceparent": f"00-{TRACE}-{ids_of(span)[1]}-01".encode()}
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "route",
        "messaging.operation.type": "process",
        "messaging.destination.name": "payments",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
        "messaging.message.id": "pay-1",
        "cloudevents.event_id": "pay-1",
        "cloudevents.event_source": "urn:shop:till",
        "cloudevents.event_type": "PaymentSucceeded",
    }


@pytest.mark.parametrize("record", [Fetched(header() + header("shop=1", "tracestate")), Fetched()])
def test_what_others_keep_in_the_trace_is_carried_on(tracer: Tracer, record: Fetched) -> None:
    assert route(tracer, record, event(FOLLOWED, tracestate="shop=1"))["tracestate"] == b"shop=1"


def test_nobody_follows_what_its_producer_does_not_want_followed_and_that_is_carried_on(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    carried = route(tracer, Fetched(header(NOT_FOLLOWED)), event())
    trace = DecisionTraces(tracer).deciding("fraud", Fetched(), Fetched(tuple(carried.items())), event())
    record = trace.decided(decision("pay-1"))
    trace.ended(outcome=True)
    assert exported.get_finished_spans() == ()
    assert all(dict(one.headers)["traceparent"].endswith(b"-00") for one in record.messages)


def test_an_event_of_nobody_begins_a_trace(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    carried = route(tracer, Fetched(), event())
    span = named(exported, "route payments")
    assert parent_of(span) is None
    # The last two digits are flags: it is followed, and its id is random.
    assert carried["traceparent"] == "00-{}-{}-03".format(*ids_of(span)).encode()


def test_events_that_are_routed_together_have_a_span_with_a_link_to_each_that_is_followed(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    traces = RouterTraces(tracer)
    others = [f"00-{number:032x}-{SENT}-01" for number in range(1, 200)]
    traces.routed([traces.routing(Fetched(header(each)), event()) for each in [*others, NOT_FOLLOWED]])
    together = named(exported, "route batch")
    assert {format_trace_id(link.context.trace_id) for link in together.links} == {each[3:35] for each in others}
    assert together.attributes is not None
    assert together.attributes["messaging.batch.message_count"] == 200
    routed = [span for span in exported.get_finished_spans() if span.name == "route payments"]
    assert {tuple(format_span_id(link.context.span_id) for link in span.links) for span in routed} == {
        (ids_of(together)[1],)
    }


def test_a_decision_its_commit_and_its_messages_are_in_the_trace_of_the_event(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    traces = DecisionTraces(tracer)
    made = decision("pay-1")
    held = Hold(reason="review", expires_in=timedelta(days=1), otherwise=made.messages)
    made = replace(made, otherwise=made.messages, status="held", hold=held)
    trace = traces.deciding("fraud", Fetched(topic="timeline-customer"), Fetched(header()), event())
    record = trace.decided(made)
    with traces.together("fraud", Fetched(topic="timeline-customer"), [trace]):
        trace.ended(outcome=True)

    span, commit, together = (
        named(exported, name) for name in ("invoke_agent fraud", "commit", "process timeline-customer")
    )
    assert (ids_of(span)[0], parent_of(span)) == (TRACE, SENT)
    assert (ids_of(commit)[0], parent_of(commit)) == ids_of(span)
    assert [format_span_id(link.context.span_id) for link in together.links] == [ids_of(span)[1]]
    carried = ("traceparent", "00-{}-{}-01".format(*ids_of(span)).encode())
    assert record.hold is not None
    messages = [*record.messages, *record.otherwise, *record.hold.otherwise]
    assert len(messages) == 3 * len(made.messages) > 0
    assert all(carried in one.headers for one in messages)
    # What is written is the same but for the headers.
    assert [replace(one, headers=()) for one in record.messages] == [replace(one, headers=()) for one in made.messages]
    assert span.attributes is not None
    told = {name: span.attributes[name] for name in ("gen_ai.operation.name", "gen_ai.agent.name")}
    assert told == {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "fraud"}
    assert span.attributes["innervate.decision.id"] == str(made.id)


def test_what_cannot_be_decided_fails_by_its_reason_and_quotes_nothing(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    trace = DecisionTraces(tracer).deciding("fraud", Fetched(), Fetched(header()), event())
    trace.ended(DecisionFailed("no rule for Ann Smith"))
    [span] = exported.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.attributes is not None
    assert span.attributes["error.type"] == "decision_failed"
    assert "Ann Smith" not in span.to_json()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_what_is_logged_of_an_event_says_in_which_span_and_nothing_else_does(
    tracer: Tracer, exported: InMemorySpanExporter, log_format: LogFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = DecisionTraces(tracer).deciding("fraud", Fetched(), Fetched(header()), event())
    unfollowed = DecisionTraces(tracer).deciding("fraud", Fetched(), Fetched(header(NOT_FOLLOWED)), event())
    stream, logger = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(stream)])
    write_by(log_format, SpanIds())

    logger.warning("before")
    with trace.asking():
        logger.warning("within")
    with unfollowed.asking():
        logger.warning("unfollowed")
    trace.ended(DecisionFailed("no rule"))

    [span] = exported.get_finished_spans()
    before, within, elsewhere = stream.getvalue().splitlines()
    assert all(one in within for one in ids_of(span))
    assert "trace_id" in within
    assert "span_id" in within
    assert "trace_id" not in before + elsewhere


class Client:
    """A model that answers this, or fails so."""

    def __init__(self, answer: Reply | BrainUnavailable) -> None:
        self._answer = answer

    def check(self) -> None:
        """Let everything through."""

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:  # noqa: ARG002
        if isinstance(self._answer, BrainUnavailable):
            raise self._answer
        return self._answer


PROMPT = Prompt(system="You judge.", user="Ann Smith paid.")
REPLY = Reply(text="Ann Smith is fine", model="tiny-2", prompt_tokens=12, completion_tokens=None, latency_seconds=0.1)


@pytest.mark.parametrize(
    ("answer", "told", "status"),
    [
        (REPLY, {"gen_ai.response.model": "tiny-2", "gen_ai.usage.input_tokens": 12}, StatusCode.UNSET),
        (BrainUnavailable(Unavailable.TIMEOUT, "Ann Smith"), {"error.type": "timeout"}, StatusCode.ERROR),
    ],
)
async def test_a_model_is_asked_within_the_decision_and_nothing_of_what_is_said_is_told(
    tracer: Tracer, exported: InMemorySpanExporter, answer: Any, told: dict[str, object], status: StatusCode
) -> None:
    client = TracedClient(Client(answer), tracer, model="tiny", url="http://127.0.0.1:8123/v1")
    trace = DecisionTraces(tracer).deciding("fraud", Fetched(), Fetched(header()), event())
    with trace.asking():
        client.check()
        with pytest.raises(BrainUnavailable) if isinstance(answer, BrainUnavailable) else nullcontext():
            assert await client.complete(PROMPT, {}, deadline_seconds=1.0) is answer
    trace.ended(outcome=True)
    chat, decided = named(exported, "chat tiny"), named(exported, "invoke_agent fraud")
    assert (ids_of(chat)[0], parent_of(chat), chat.kind) == (*ids_of(decided), SpanKind.CLIENT)
    assert chat.status.status_code is status
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.output.type": "json",
        "server.address": "127.0.0.1",
        "server.port": 8123,
        **told,
    }
    assert "Ann Smith" not in chat.to_json()


def message(number: int, headers: Sequence[tuple[str, bytes]] = ()) -> Message:
    return Message(id=f"m-{number}", topic="payments", key=b"o-1", value=b"{}", headers=tuple(headers))


def test_a_message_is_sent_behind_its_decision_and_what_carries_nothing_is_not_followed(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    batch = {1: message(1, header()), 2: message(2), 3: message(3, header(NOT_FOLLOWED)), 4: message(4, header())}
    PublishTraces(tracer).publishing(9, batch).ended({1: None, 2: None, 3: None, 4: Refused("too large: Ann Smith")})
    sent = [span for span in exported.get_finished_spans() if span.name == "send payments"]
    assert [(ids_of(span)[0], parent_of(span), span.kind) for span in sent] == [(TRACE, SENT, SpanKind.PRODUCER)] * 2
    assert [span.status.status_code for span in sent] == [StatusCode.UNSET, StatusCode.ERROR]
    together = named(exported, "send batch")
    assert {format_span_id(link.context.span_id) for link in together.links} == {ids_of(span)[1] for span in sent}
    assert "Ann Smith" not in "".join(span.to_json() for span in sent)


def test_a_message_that_kafka_does_not_take_now_fails_and_is_followed_again(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    for outcome in (NotPublished("no broker"), None):
        PublishTraces(tracer).publishing(9, {1: message(1, header())}).ended({1: outcome})
    sent = [span.status.status_code for span in exported.get_finished_spans() if span.name == "send payments"]
    assert sent == [StatusCode.ERROR, StatusCode.UNSET]


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "True"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_SAMPLER": "always_on"}, False),
    ],
)
def test_traces_are_on_where_the_environment_names_a_collector(environment: Mapping[str, str], asked: bool) -> None:
    assert is_on(environment) is asked
    if not asked:
        assert followers_of(environment, "all") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_what_there_is_not_stops_the_start_with_one_line(name: str, value: str) -> None:
    with pytest.raises(TracesUnusable):
        is_on({**ENDPOINT, name: value})
    with pytest.raises(SystemExit, match=r"^innervate: OTEL_[A-Z_]+: expected [^\n]+$"):
        followers_of({**ENDPOINT, name: value}, "all")


def test_a_worker_that_follows_nothing_loads_nothing_of_opentelemetry(tmp_path: Path) -> None:
    built = "import app, sys; assert app.app.runtime.followers is None; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", built],
        cwd=tmp_path,
        env=clean_environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert [name for name in done.stdout.split() if name.startswith(("opentelemetry", "google.protobuf"))] == []
