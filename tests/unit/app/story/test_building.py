"""A story of hand-written records and decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from shop_catalogue import CATALOGUE

from agents.model.history import agent_source
from agents.replay.records import TimelineRecord
from app.story.belonging import Belongings
from app.story.building import build
from app.story.material import KeptDecision, KeptMessage, Material, Part, Told, kept, told
from app.story.model import DecisionEntry, EventEntry, GapEntry, GroupEntry, SourceState, Story

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NAMING = {name: model.refers_to for name, model in CATALOGUE.types.events.items() if model.refers_to}


def event(event_id: str, kind: str = "PaymentSucceeded", *, source: str = "urn:shop", **more: Any) -> dict[str, Any]:
    data = more.pop("data", {"order_id": "o-1"})
    return {"id": event_id, "source": source, "type": kind, "time": "2024-05-01T12:00:00Z", "data": data, **more}


def record(offset: int, document: dict[str, Any], *, minutes: float = 0, topic: str = "timeline-order") -> Any:
    value = orjson.dumps(document)
    read = told(value)
    assert read is not None
    at = NOON + timedelta(minutes=minutes)
    return TimelineRecord(topic=topic, partition=0, offset=offset, at=at, key=b"o-1", value=value), read


def decision(
    on: dict[str, Any], *messages: dict[str, Any], agent: str = "fraud", minutes: float = 0, **more: Any
) -> Any:
    fields = {
        "id": hashlib.sha256(f"{agent}{on['id']}".encode()).hexdigest()[:32],
        "agent": agent,
        "event_source": on["source"],
        "event_id": on["id"],
        "event_type": on["type"],
        "event_at": NOON,
        "entity": "order",
        "entity_id": "o-1",
        "topic": "timeline-order",
        "partition": 0,
        "offset": 1,
        "history_offsets": (),
        "history_sha256": "00",
        "brain": "rules",
        "model": None,
        "outcome": "refund",
        "reason": "because",
        "confidence": 0.8,
        "fallback_reason": None,
        "status": "committed",
        "decided_at": NOON + timedelta(minutes=minutes),
        "committed_at": NOON + timedelta(minutes=minutes),
        "correlation_id": "corr",
        "chain_depth": 0,
        "messages": tuple(KeptMessage(id=each["id"], topic="t", key="o-1", event=kept(each)) for each in messages),
    }
    return KeptDecision(**{**fields, **more})


def story(records: Sequence[Any], decisions: Sequence[KeptDecision] = (), **more: Any) -> Story:
    belongings = Belongings(NAMING)
    for _, read in records:
        belongings.own(read)
    for each in decisions:
        belongings.own_decision(each)
    material = {
        "entity": "order",
        "entity_id": "o-1",
        "records": list(records),
        "decisions": list(decisions),
        "belongs": belongings.events,
        "parts": [Part(topic="timeline-order", partition=0, first=0, read=((0, 1000),))],
        "told_at": NOON,
    }
    return build(Material(**{**material, **more}), entities=CATALOGUE.entities, naming=NAMING)


def ids(told: Story) -> list[str]:
    found = []
    for each in told.entries:
        if isinstance(each, EventEntry):
            found.append(each.event_id)
        elif isinstance(each, DecisionEntry):
            found.append(f"{each.agent}({each.event_id})")
        elif isinstance(each, GroupEntry):
            found.append(f"{len(each.entries)} {each.type}")
        elif isinstance(each, GapEntry):
            found.append(each.reason)
        else:
            found.append(each.kind)
    return found


def test_what_follows_never_stands_before_its_cause_whatever_the_clocks_say() -> None:
    paid, refunded = event("e-1"), event("m-1", "RefundIssued", source=agent_source("fraud"), causationid="e-1")

    told = story([record(1, paid, minutes=5), record(2, refunded, minutes=3)], [decision(paid, refunded, minutes=4)])

    assert ids(told) == ["e-1", "fraud(e-1)", "m-1"]
    assert [link.kind for link in told.links] == ["decided", "published"]


def test_records_of_one_partition_stand_in_the_order_of_the_log() -> None:
    told = story([record(n, event(f"e-{n}", f"Type{n}"), minutes=1 if n == 2 else 0) for n in (3, 1, 2)])

    assert ids(told) == ["e-1", "e-2", "e-3"]


def test_an_id_that_two_sources_have_is_no_cause() -> None:
    told = story(
        [
            record(1, event("1", source="urn:a")),
            record(2, event("1", source="urn:b")),
            record(3, event("2", causationid="1")),
        ]
    )

    assert told.links == []


def test_events_that_name_each_other_as_causes_are_told_all_the_same() -> None:
    told = story([record(1, event("a", causationid="b")), record(2, event("b", causationid="a"), minutes=1)])

    assert sorted(ids(told)) == ["a", "b"]
    assert len(told.links) == 2


def test_runs_of_one_type_are_one_group_unless_something_is_said_about_one() -> None:
    failures = [record(n, event(f"e-{n}", "LabelFailed"), minutes=n) for n in range(1, 7)]

    assert ids(story(failures)) == ["6 LabelFailed"]
    decided = decision(event("e-4", "LabelFailed"), minutes=4.5)
    assert ids(story(failures, [decided])) == ["3 LabelFailed", "e-4", "fraud(e-4)", "e-5", "e-6"]


def test_copies_are_counted_and_told_once() -> None:
    told = story([record(1, event("e-1")), record(2, event("e-1"), minutes=1)])

    [entry] = told.entries
    assert isinstance(entry, EventEntry)
    assert (entry.copies, [place.offset for place in entry.places]) == (1, [1, 2])


def test_gaps_are_told_where_something_is_missing() -> None:
    lost, late = event("e-lost"), event("e-late", "PaymentFailed", causationid="e-nobody")

    told = story(
        [record(900, late, minutes=200)],
        [decision(lost, minutes=1, offset=3, history_offsets=(1, 2), agent="recovery")],
        parts=[Part(topic="timeline-order", partition=0, first=100, read=((100, 1000),))],
    )

    assert ids(told) == ["dropped", "e-lost", "dropped", "recovery(e-lost)", "silence", "cause_unknown", "e-late"]
    sentences = [each.sentence for each in told.entries if isinstance(each, GapEntry)]
    assert sentences == [
        "Kafka no longer has PaymentSucceeded e-lost: what is known of it is in the decisions on it",
        "agents knew 2 events that Kafka no longer has: timeline-order[0], offsets 1 to 2",
        "nothing for 3 h 19 min",
        "PaymentFailed e-late names e-nobody as its cause, which was not found",
    ]


def test_an_event_nobody_looked_for_is_not_said_to_be_gone() -> None:
    told = story([], [decision(event("e-1"), offset=5000)], parts=[])

    assert [each.state for each in told.entries if isinstance(each, EventEntry)] == ["unread"]


def test_what_never_happened_is_no_event_of_the_story() -> None:
    paid, wish = event("e-1"), event("m-1", "RefundIssued", source=agent_source("fraud"))
    for status, fate in (("held", "withheld"), ("rejected", "given_up"), ("refused", "given_up"), ("shadow", "shadow")):
        told = story([record(1, paid)], [decision(paid, wish, status=status)])

        assert ids(told) == ["e-1", "fraud(e-1)"], status
        [decided] = [each for each in told.entries if isinstance(each, DecisionEntry)]
        assert [message.state for message in decided.messages] == [fate]
        assert decided.messages[0].data == {"order_id": "o-1"}


def test_content_that_is_too_large_is_left_out_and_its_hash_stays() -> None:
    large = event("e-1", data={"order_id": "o-1", "text": "x" * 20_000})

    [entry] = story([record(1, large)]).entries

    assert isinstance(entry, EventEntry)
    assert (entry.data, entry.sha256) == (None, hashlib.sha256(orjson.dumps(large)).hexdigest())
    assert entry.data_bytes is not None
    assert entry.data_bytes > 20_000


def test_an_event_of_another_story_does_not_belong_because_it_has_the_same_cause() -> None:
    belongings = Belongings(NAMING)
    belongings.own(as_told(event("e-1", causationid="deploy")))

    assert belongings.event(as_told(event("deploy", "ServiceDeployed", data={"service": "s"})))
    assert not belongings.event(as_told(event("other", causationid="deploy")))
    assert belongings.event(as_told(event("after", causationid="e-1")))


def test_decisions_belong_by_what_they_were_made_on_and_by_what_they_published() -> None:
    belongings = Belongings(NAMING)
    first, second = event("e-1"), event("m-1", source=agent_source("fraud"), causationid="e-0")
    belongings.own(as_told(first))
    belongings.own(as_told(second))

    assert belongings.decision(decision(first, agent="recovery", correlation_id="x"))
    assert belongings.decision(decision(event("e-0"), second, correlation_id="y"))
    assert not belongings.decision(
        decision(event("e-1", source="urn:another"), agent="bookkeeping", correlation_id="z")
    )
    assert not belongings.decision(decision(event("e-9"), event("m-1"), agent="incident", correlation_id="z"))


def test_the_headline_says_what_a_source_that_is_away_would_have_told() -> None:
    away = SourceState(
        source="kafka", state="absent", details=["Kafka was not read to the end in time: timeline-order"]
    )

    told = story([], [decision(event("e-1"))], sources=[away], parts=[])

    assert "Not all could be looked at: Kafka was not read to the end in time: timeline-order." in told.headline.open


def test_the_same_material_gives_the_same_story_in_whatever_order_it_was_found() -> None:
    paid = event("e-1")
    records, decisions = [record(n, event(f"e-{n}"), minutes=n % 2) for n in range(5)], [decision(paid)]

    one = story(records, decisions).model_dump_json()

    assert one == story(records[::-1], decisions).model_dump_json()


def as_told(document: dict[str, Any]) -> Told:
    read = kept(document)
    assert read is not None
    return read
