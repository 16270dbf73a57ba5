"""What is planted into the real Kafka and PostgreSQL after a clean run is found, each thing by its name.

A checker that cannot fail is worth nothing: the same witness and the same audit that pass every crash run see a clean
run here first and then the same run with every kind of broken promise in it.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from arena import Arena
from audit import audit
from evidence import BROKEN, DecisionRow, Evidence, Logged, RefundRow
from load import Load
from settling import settle
from witness import gather, rows

pytestmark = pytest.mark.apache

Headers = tuple[tuple[str, bytes], ...]
#: Topic, value and headers.
Message = tuple[str, bytes, Headers]

#: What is written past all constraints.
STRANGER, UNTOLD = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def test_everything_planted_is_found_and_a_clean_run_is_clean(
    make_arena: Callable[[int], Arena], seed: int, *, fenced: bool
) -> None:
    arena = make_arena(1)
    arena.start(0)
    with Load(arena.sandbox.kafka, seed=seed, name="clean", limit=400, per_second=200) as load:
        load.wait()
        settle(arena, load)
    arena.stop_workers()
    kafka, url = arena.sandbox.kafka, arena.sandbox.database_url

    def look() -> Evidence:
        return gather(kafka, url, [load.acknowledged])

    clean = look()
    findings = audit(clean, [])
    assert findings.broken() == {}, findings.details[:10]
    assert findings.failures_refunded == len(clean.to_refund) > 1
    # The clean run has met what is strange and right.
    assert any(name == r"trace\xff\xfe" for record in clean.domain for name, _ in record.headers)
    assert any(record.is_broken and record.at < 0 for record in clean.domain)
    assert len({row.event_source for row in clean.decisions if row.agent == "fraud"}) > 1

    # Decisions of which each is spoilt in one way; the first two share a key.
    earlier, later = _of_one_key(clean)
    scored = [row.event_id for row in _scored_once(clean)]
    lost, doubled, wrong, altered = [one for one in scored if one not in {earlier, later}][:4]
    misled = next(
        row.event_id for row in clean.decisions if row.agent == "root_cause" and "ErrorOccurred" in row.event_id
    )
    _spoil_decisions(url, earlier=earlier, later=later, lost=lost, doubled=doubled, wrong=wrong, misled=misled)
    changed, orphaned, *_ = (row for row in clean.refunds if clean.to_refund.get(row.order_id) == row.payment_id)
    entry = next(row.entry_id for row in clean.entries if row.refund_id == changed.refund_id)
    _spoil_money(url, changed=changed, orphaned=orphaned)
    [message] = _messages(clean, "fraud", altered)
    original = next(one for one in clean.domain if (one.message or {}).get("id") == message)
    dropped = _spoil_kafka(kafka, original, changed)
    [late] = _messages(clean, "fraud", later)
    unfounded, *_ = (row for row in clean.decisions if row.id == orphaned.decision_id)

    named = {(row.agent, row.event_id): str(row) for row in clean.decisions}
    stranger = next(event["source"] for record in look().domain if (event := record.event) and event["id"] == "planted")

    found = {name: sorted(each) for name, each in audit(look(), []).broken().items()}
    assert found == {
        "undecided": sorted(
            [str(unfounded), *(f"planted of {stranger} by {each}" for each in ("confirmation", "fraud", "fulfilment"))]
        ),
        "decided_twice": [named["fraud", doubled]],
        "routed_from_nothing": ["never-sent of urn:shop"],
        "unpublished": [f"never-sent-{lost}"],
        "uncommitted": sorted(["never-committed", "never-refunded", *(one["id"] for one in unfounded.messages)]),
        "out_of_order": [late],
        "altered": [message, message],
        "repeated_for_no_reason": [message],
        "wrong_history": sorted([named["fraud", wrong], named["root_cause", misled]]),
        "dropped": [dropped],
        "refund_undecided": [orphaned.refund_id],
        # The refund nobody was told of, and that it is not booked either.
        "money_untold": [UNTOLD],
        # The refund nobody made, and the entry that was published with another amount than its row has now.
        "money_invented": sorted([STRANGER, entry]),
        "refunded_twice": [changed.payment_id],
        "refunds_over_captures": [changed.payment_id],
        "ledger_unbalanced": sorted([changed.refund_id, UNTOLD]),
        "captures_wrong": [changed.payment_id],
    }


def _scored_once(clean: Evidence) -> list[DecisionRow]:
    """Decisions on events whose id no other source has used."""
    scored = [row for row in clean.decisions if row.agent == "fraud"]
    times = Counter(row.event_id for row in scored)
    return [row for row in scored if times[row.event_id] == 1]


def _of_one_key(clean: Evidence) -> tuple[str, str]:
    seen: dict[str, str] = {}
    for row in _scored_once(clean):
        key = row.messages[0]["key"]
        if key in seen:
            return seen[key], row.event_id
        seen[key] = row.event_id
    raise AssertionError("no two messages share a key")


def _messages(clean: Evidence, agent: str, event_id: str) -> list[str]:
    return [
        message["id"]
        for row in clean.decisions
        if (row.agent, row.event_id) == (agent, event_id)
        for message in row.messages
    ]


def _spoil_decisions(url: str, *, earlier: str, later: str, lost: str, doubled: str, wrong: str, misled: str) -> None:
    of = "WHERE agent = %s AND event_id = %s"
    [(first,)] = rows(url, f"SELECT committed_at FROM decisions {of}", "fraud", earlier)
    [(second,)] = rows(url, f"SELECT committed_at FROM decisions {of}", "fraud", later)
    rows(url, f"UPDATE decisions SET committed_at = %s {of}", second, "fraud", earlier)
    rows(url, f"UPDATE decisions SET committed_at = %s {of}", first, "fraud", later)
    never = json.dumps([{"id": f"never-sent-{lost}", "topic": "payments", "key": "o", "value": {}}])
    rows(url, f"UPDATE decisions SET messages = messages || %s::jsonb {of}", never, "fraud", lost)
    rows(url, "ALTER TABLE refunds DROP CONSTRAINT refunds_decision_id_fkey")
    rows(url, "ALTER TABLE approvals DROP CONSTRAINT approvals_decision_id_fkey")
    rows(
        url,
        "ALTER TABLE decisions"
        " DROP CONSTRAINT decisions_agent_event_source_event_id_key, DROP CONSTRAINT decisions_pkey CASCADE",
    )
    rows(
        url,
        f"INSERT INTO decisions SELECT (jsonb_populate_record(d, '{{\"messages\": []}}')).* FROM decisions AS d {of}",
        "fraud",
        doubled,
    )
    digest = json.dumps("0" * 64)
    for agent, event_id in (("fraud", wrong), ("root_cause", misled)):
        rows(url, f"UPDATE decisions SET history = jsonb_set(history, '{{sha256}}', %s) {of}", digest, agent, event_id)


def _spoil_money(url: str, *, changed: RefundRow, orphaned: RefundRow) -> None:
    """A decision less, another amount in the books, and a second refund that nobody is told of and that is too much."""
    # A session of its own may pass over triggers, and the constraints of foreign keys are triggers.
    past_triggers = "SET session_replication_role = replica;"
    rows(url, "DELETE FROM decisions WHERE id = %s", orphaned.decision_id)
    rows(url, past_triggers + "UPDATE ledger_entries SET amount_minor = 1 WHERE refund_id = %s", changed.refund_id)
    rows(
        url,
        past_triggers + "INSERT INTO refunds SELECT (jsonb_populate_record(r, %s)).* FROM refunds AS r"
        " WHERE refund_id = %s",
        json.dumps({"refund_id": UNTOLD}),
        changed.refund_id,
    )


def _spoil_kafka(kafka: str, original: Logged, refund: RefundRow) -> str:
    """Plant messages; returns where the broken one is."""
    ids = {"customer_id": "c", "order_id": "o"}
    lost = _event("planted", "urn:shop", "PaymentSucceeded", {**ids, "payment_id": "p", "amount_minor": 1})
    uncommitted = _event("never-committed", "urn:innervate:agent:fraud", "FraudScored", {})
    told = {"refund_id": STRANGER, "payment_id": refund.payment_id, "amount_minor": 1}
    invented = _event("never-refunded", "urn:innervate:agent:recovery", "RefundIssued", told)
    assert original.value is not None
    respelt = json.dumps({**json.loads(original.value), "specversion": "1.1"}).encode()
    planted: list[Message] = [
        ("payments", lost, ()),
        ("payments", uncommitted, ()),
        ("payments", invented, ()),
        (original.topic, respelt, original.headers),
        ("timeline-customer", _event("never-sent", "urn:shop", "OrderAdmired", ids), ()),
        ("payments", b"{", (BROKEN,)),
    ]
    return asyncio.run(_send(kafka, planted, original.key))


def _event(event_id: str, source: str, kind: str, data: dict[str, Any]) -> bytes:
    event = {"specversion": "1.0", "id": event_id, "source": source, "type": kind, "time": "2025-03-01T09:00:00Z"}
    return json.dumps({**event, "data": data}).encode()


async def _send(kafka: str, messages: Sequence[Message], key: bytes | None) -> str:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for topic, value, headers in messages:
            place = await producer.send_and_wait(topic, value=value, key=key, headers=list(headers))
    return f"{place.topic}/{place.partition}/{place.offset}"
