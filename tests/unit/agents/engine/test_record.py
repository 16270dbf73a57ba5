"""From a verdict to what is written: stable ids, the envelope of what is emitted, references instead of events."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from fakes import NOON, history_of, paid

from agents.engine.record import decision_record
from agents.model.decision import Decision, Verdict
from agents.model.history import History
from agents.shop.events import DomainEvent, FraudScored, ServiceDeployed
from agents.shop.fraud.rules import fraud
from outbox.records import DecisionRecord, Message, Origin, decision_id
from tables.event import Event, InvalidEvent, chain_depth, parse

ORIGIN = Origin(topic="timeline-customer", partition=3, offset=17, at=NOON)
DECIDED_AT = NOON + timedelta(seconds=2)
SCORED = FraudScored(payment_id="p-1", order_id="o-1", customer_id="ada", score=45, verdict="review", reasons=("x",))
DEPLOYED = ServiceDeployed(service="scoring", version="2")


def record_of(
    cause: Event, *emit: DomainEvent, earlier: Sequence[Event] = (), history: History | None = None, **verdict: Any
) -> DecisionRecord:
    decision = Decision(outcome="review", reason="because", confidence=0.7, emit=emit)
    return decision_record(
        fraud,
        history or history_of(cause, *earlier),
        replace(Verdict(decision=decision, brain="rules"), **verdict),
        origin=ORIGIN,
        entity_id="ada",
        decided_at=DECIDED_AT,
    )


def read(message: Message) -> Event:
    return parse(message.value, message.headers)


def test_a_record_says_who_decided_what_on_which_event_and_why() -> None:
    record = record_of(paid("e-1"), brain="llm", model="m-1", fallback_reason="timeout")
    assert (record.agent, record.entity, record.entity_id) == ("fraud", "customer", "ada")
    assert (record.event_id, record.event_source, record.event_type) == ("e-1", "urn:test:shop", "PaymentSucceeded")
    assert (record.event_at, record.decided_at, record.origin) == (NOON, DECIDED_AT, ORIGIN)
    assert (record.outcome, record.reason, record.confidence) == ("review", "because", 0.7)
    assert (record.brain, record.model, record.fallback_reason) == ("llm", "m-1", "timeout")
    assert (record.status, record.messages) == ("committed", ())


def test_the_history_is_kept_as_offsets_and_a_digest_that_can_be_recomputed() -> None:
    before = history_of(paid("e-1"), paid("e-0"))
    [entry] = before.entries
    history = replace(before, entries=[replace(entry, offset=258)])
    digest = hashlib.sha256(b"\0\0\0\0\0\0\x01\x02" + len(entry.payload).to_bytes(4, "big") + entry.payload)
    assert record_of(paid("e-1"), history=history).history == {"offsets": [258], "sha256": digest.hexdigest()}


def test_the_id_of_a_message_is_the_uuid_of_its_place_in_the_decision() -> None:
    record = record_of(paid("e-1"), SCORED, SCORED)
    decision = decision_id("fraud", "urn:test:shop", "e-1")
    assert [message.id for message in record.messages] == [str(uuid.uuid5(decision, place)) for place in ("0", "1")]


def test_an_emitted_event_is_a_structured_cloudevent_that_names_its_cause() -> None:
    [message] = record_of(paid("e-1"), SCORED).messages
    assert message.topic == "payments"
    assert message.key == b"o-1"
    assert message.headers == (("content-type", b"application/cloudevents+json"),)
    assert orjson.loads(message.value or b"") == {
        "specversion": "1.0",
        "id": message.id,
        "source": "urn:innervate:agent:fraud",
        "type": "FraudScored",
        "time": "2024-05-01T12:00:00Z",
        "subject": "o-1",
        "correlationid": "e-1",
        "causationid": "e-1",
        "chaindepth": 1,
        "data": {
            "payment_id": "p-1",
            "order_id": "o-1",
            "customer_id": "ada",
            "score": 45,
            "verdict": "review",
            "reasons": ["x"],
        },
    }


def test_correlation_and_trace_of_the_cause_are_carried_on() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    cause = replace(paid("e-1"), correlationid="story-7", causationid="e-0", traceparent=trace)
    [message] = record_of(cause, SCORED).messages
    event = read(message)
    assert (event.correlationid, event.causationid, event.traceparent) == ("story-7", "e-1", trace)


@pytest.mark.parametrize(
    ("said", "depth"),
    [
        ({}, 0),
        ({"chaindepth": 7}, 7),
        ({"chaindepth": "7"}, 7),
        ({"chaindepth": "x"}, 1_000_000),
        ({"chaindepth": -1}, 1_000_000),
    ],
)
def test_a_message_is_one_decision_deeper_than_its_cause_and_no_forged_depth_begins_anew(
    said: dict[str, Any], depth: int
) -> None:
    record = record_of(replace(paid("e-1"), correlationid="story-7", extensions=said), SCORED)
    assert (record.correlation_id, record.chain_depth) == ("story-7", depth)
    [message] = record.messages
    assert chain_depth(read(message)) == min(depth + 1, 1_000_000)
    assert record_of(paid("e-1")).correlation_id == "e-1"


def test_messages_keep_the_order_they_were_emitted_in_and_have_ids_of_their_own() -> None:
    messages = record_of(paid("e-1"), SCORED, DEPLOYED, SCORED).messages
    assert [read(message).type for message in messages] == ["FraudScored", "ServiceDeployed", "FraudScored"]
    assert [message.key for message in messages] == [b"o-1", b"scoring", b"o-1"]
    assert [message.topic for message in messages] == ["payments", "platform", "payments"]
    assert len({message.id for message in messages}) == 3


def test_deciding_again_gives_the_same_ids_whatever_the_clock_says() -> None:
    first, again = record_of(paid("e-1"), SCORED, SCORED), record_of(paid("e-1"), SCORED, SCORED)
    later = replace(again, decided_at=DECIDED_AT + timedelta(days=1))
    assert first.id == later.id
    assert [message.id for message in first.messages] == [message.id for message in again.messages]
    # Written into databases and Kafka: a change of these ids doubles what is redelivered across the upgrade.
    assert str(first.id) == "4973901c-cb19-5cbe-83f6-b53d0a2153d6"
    assert first.messages[0].id == "34f5160f-41f0-50e0-abd0-0102125467f8"


@pytest.mark.parametrize("other", [paid("e-2"), replace(paid("e-1"), source="urn:test:elsewhere")])
def test_another_event_gives_other_ids(other: Event) -> None:
    one, another = record_of(paid("e-1"), SCORED), record_of(other, SCORED)
    assert one.id != another.id
    assert one.messages[0].id != another.messages[0].id


def test_an_event_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InvalidEvent):
        record_of(paid("e-1"), ServiceDeployed(service="scoring", version="a\0b"))


def test_what_is_published_when_postgresql_refuses_is_what_a_rejection_would_publish() -> None:
    decision = Decision(outcome="review", reason="because", emit=(SCORED,), otherwise=(DEPLOYED,))
    committed, held = record_of(paid("e-1"), decision=decision), record_of(paid("e-1"), decision=decision, hold="x")
    refused = committed.refused("no room")

    assert held.hold is not None
    assert (refused.status, refused.published) == ("rejected", held.hold.otherwise)
    assert (refused.id, refused.messages, refused.outcome) == (committed.id, committed.messages, committed.outcome)


def test_a_verdict_that_asks_for_a_person_is_held_with_what_happens_otherwise() -> None:
    decision = Decision(outcome="review", reason="because", emit=(SCORED,), otherwise=(DEPLOYED, SCORED))
    record = record_of(paid("e-1"), decision=decision, hold="amount")
    assert record.status == "held"
    assert record.published == ()
    assert record.hold is not None
    assert (record.hold.reason, record.hold.expires_in) == ("amount", timedelta(days=1))
    assert [read(message).type for message in record.hold.otherwise] == ["ServiceDeployed", "FraudScored"]
    ids = [message.id for message in (*record.messages, *record.hold.otherwise)]
    assert len(set(ids)) == 3
    again = record_of(paid("e-1"), decision=decision, hold="amount")
    assert again.hold == record.hold


def test_a_verdict_that_asks_for_nobody_is_committed_without_an_otherwise() -> None:
    record = record_of(paid("e-1"), decision=Decision(outcome="review", reason="because", otherwise=(SCORED,)))
    assert (record.status, record.hold) == ("committed", None)
