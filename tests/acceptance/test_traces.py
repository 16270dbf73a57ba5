"""One trace from a producer's `traceparent` through two agents and a model to the confirmation's record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from observe import eventually, read, rows, settled
from shop import Payment, send

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess
from app.scripted_model.process import ScriptedModelProcess
from benchmarks.collector import Collector, Exported

TRACE, SENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
#: The producer says it in a header and in the event, of which the header is nearer; in the event; that nobody follows.
FOLLOWED = Payment("traced", "traced-customer")
BY_EVENT = Payment("traced-by-event", "traced-other")
LEFT_ALONE = Payment("untraced", "untraced-customer")
OTHER = "0af7651916cd43dd8448eb211c80319c"
UNSAMPLED = "11111111111111111111111111111111"


@dataclass(frozen=True)
class Seen:
    spans: list[Exported]
    confirmation: ConsumerRecord
    names: set[str]

    def named(self, name: str) -> Exported:
        [found] = [span for span in self.spans if span.name == name]
        return found

    def beneath(self, parent: Exported, name: str) -> Exported:
        [found] = [span for span in self.spans if (span.parent_id, span.name) == (parent.span_id, name)]
        return found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="module")
def services(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Services without any other test's workers, whose routers would follow nothing."""
    with Sandbox(tmp_path_factory.mktemp("services"), provider) as running:
        yield running


@pytest.fixture(scope="module")
def seen(services: Sandbox, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    directory: Path = tmp_path_factory.mktemp("traces")
    model = ScriptedModelProcess(directory / "model", seed=1, misbehave=0.0)
    model.start()
    worker = WorkerProcess(
        services,
        directory / "worker",
        {
            "AGENTS": "confirmation,fraud,fulfilment",
            "LLM_URL": model.url,
            "LLM_MODEL": "scripted",
            "BRAINS": "fraud=rules,fulfilment=rules",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        },
    )
    try:
        worker.start()
        followed = FOLLOWED.structured(traceparent=f"00-{TRACE}-{'a' * 16}-01")
        header = ("traceparent", f"00-{TRACE}-{SENT}-01".encode())
        asyncio.run(
            send(
                services.kafka,
                [
                    replace(followed, headers=(*followed.headers, header)),
                    BY_EVENT.binary(traceparent=f"00-{OTHER}-{SENT}-01"),
                    LEFT_ALONE.structured(traceparent=f"00-{UNSAMPLED}-{SENT}-00"),
                ],
            )
        )
        settled(services.database_url, [FOLLOWED.event_id, BY_EVENT.event_id, LEFT_ALONE.event_id])
        # Its score is decided on in turn, in the same trace.
        eventually(
            lambda: rows(
                services.database_url,
                "SELECT 1 FROM decisions WHERE agent = 'fulfilment' AND event_type = 'FraudScored' AND entity_id = %s",
                f"order-{FOLLOWED.event_id}",
            )
        )
        worker.stop()
        [record] = [
            record
            for record in read(services.kafka, "support")
            if json.loads(record.value or b"{}").get("causationid") == FOLLOWED.event_id
        ]
        yield Seen(collector.trace(TRACE), record, {span.name for span in collector.spans})
    finally:
        worker.release()
        model.release()


def test_the_trace_goes_from_the_producer_through_the_router_to_every_agent(seen: Seen) -> None:
    routed = [span for span in seen.spans if span.parent_id == SENT]
    assert [span.name for span in routed] == ["route payments"]
    agents = {span.name for span in seen.spans if span.parent_id == routed[0].span_id}
    assert agents == {"invoke_agent confirmation", "invoke_agent fraud", "invoke_agent fulfilment"}


def test_a_model_is_asked_and_a_decision_committed_and_published_within_it(seen: Seen) -> None:
    confirmation = seen.named("invoke_agent confirmation")
    chat = seen.beneath(confirmation, "chat scripted")
    commit = seen.beneath(confirmation, "commit")
    sent = seen.beneath(confirmation, "send support")
    assert confirmation.started_at <= chat.started_at < chat.ended_at <= commit.started_at < sent.ended_at
    told = ("gen_ai.operation.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.usage.output_tokens")
    assert {name: chat.attributes.get(name) is not None for name in told} == dict.fromkeys(told, True)
    assert commit.attributes["innervate.decision.is_new"] is True
    assert sent.attributes["messaging.destination.name"] == "support"


def test_it_goes_on_through_the_record_of_one_agent_to_the_decision_of_the_next(seen: Seen) -> None:
    fraud = seen.named("invoke_agent fraud")
    assert seen.beneath(fraud, "send payments").attributes["innervate.outbox.lane"] in range(64)
    routed = seen.beneath(fraud, "route payments")
    fulfilment = seen.beneath(routed, "invoke_agent fulfilment")
    assert fulfilment.attributes["cloudevents.event_type"] == "FraudScored"


def test_the_record_says_whose_decision_it_is_and_the_event_is_what_it_is_without_traces(seen: Seen) -> None:
    carried = dict(seen.confirmation.headers)["traceparent"].decode()
    assert carried == f"00-{TRACE}-{seen.named('invoke_agent confirmation').span_id}-01"
    assert json.loads(seen.confirmation.value or b"")["traceparent"] == f"00-{TRACE}-{'a' * 16}-01"


def test_what_is_handled_together_is_a_trace_of_its_own_with_links_both_ways(seen: Seen, collector: Collector) -> None:
    fraud = seen.named("invoke_agent fraud")
    together = [span for span in collector.spans if span.name == "process timeline-customer"]
    [found] = [span for span in together if (TRACE, fraud.span_id) in span.links]
    assert (found.trace_id, found.span_id) in fraud.links
    assert found.trace_id != TRACE
    assert {"route batch", "send batch"} <= seen.names


def test_an_event_says_it_where_its_record_does_not_and_what_nobody_samples_is_not_followed(
    seen: Seen, collector: Collector
) -> None:
    assert {span.name for span in collector.trace(OTHER)} >= {"route payments", "invoke_agent fraud", "send payments"}
    assert collector.trace(UNSAMPLED) == []


def test_a_span_has_nothing_of_what_an_event_holds(collector: Collector, seen: Seen) -> None:
    told = " ".join(f"{span.name} {span.attributes}" for span in collector.spans)
    assert FOLLOWED.event_id in told
    assert [value for value in ("traced-customer", "pay-traced", "device-1") if value in told] == []
