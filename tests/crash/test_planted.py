"""What is planted into the real Kafka and PostgreSQL after a clean run is found, each thing by its name.

A checker that cannot fail is worth nothing: the same witness and the same audit that pass every crash run see a clean
run here first and then the same run with every kind of broken promise in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from arena import Arena
from audit import Evidence, Logged, audit
from load import BROKEN, Load
from settling import settle
from witness import gather, rows

pytestmark = pytest.mark.apache

Headers = tuple[tuple[str, bytes], ...]


def test_everything_planted_is_found_and_a_clean_run_is_clean(
    make_arena: Callable[[int], Arena], seed: int, *, fenced: bool
) -> None:
    arena = make_arena(1)
    arena.start(0)
    with Load(arena.sandbox.kafka, seed=seed, name="clean", limit=300, per_second=200) as load:
        load.wait()
        settle(arena, load)
    arena.stop_workers()
    kafka, url, due = arena.sandbox.kafka, arena.sandbox.database_url, load.acknowledged.due

    def look() -> Evidence:
        return gather(kafka, url, acknowledged=due, read_committed=fenced)

    clean = look()
    assert audit(clean, []).broken() == {}

    # Decisions of which each is spoilt in one way; the first two share a key.
    earlier, later = _of_one_key(clean)
    lost, doubled, wrong, altered = [row.event_id for row in clean.decisions if row.event_id not in {earlier, later}][
        :4
    ]
    _spoil_postgresql(url, earlier=earlier, later=later, lost=lost, doubled=doubled, wrong=wrong)
    message = next(row.messages[0]["id"] for row in clean.decisions if row.event_id == altered)
    original = next(one for one in clean.payments if one.value is not None and message.encode() in one.value)
    dropped = _spoil_kafka(kafka, original)
    late = next(row.messages[0]["id"] for row in clean.decisions if row.event_id == later)

    assert audit(look(), []).broken() == {
        "undecided": ["planted"],
        "decided_twice": [doubled],
        "unpublished": [f"never-sent-{lost}"],
        "uncommitted": ["never-committed"],
        "out_of_order": [late],
        "altered": [message, message],
        "repeated_for_no_reason": [message],
        "wrong_history": [wrong],
        "dropped": [dropped],
    }


def _of_one_key(clean: Evidence) -> tuple[str, str]:
    seen: dict[str, str] = {}
    for row in clean.decisions:
        key = row.messages[0]["key"]
        if key in seen:
            return seen[key], row.event_id
        seen[key] = row.event_id
    raise AssertionError("no two messages share a key")


def _spoil_postgresql(url: str, *, earlier: str, later: str, lost: str, doubled: str, wrong: str) -> None:
    at = dict(rows(url, "SELECT event_id, committed_at FROM decisions WHERE event_id IN (%s, %s)", earlier, later))
    for event_id, other in ((earlier, later), (later, earlier)):
        rows(url, "UPDATE decisions SET committed_at = %s WHERE event_id = %s", at[other], event_id)
    never = json.dumps([{"id": f"never-sent-{lost}", "topic": "payments", "key": "o", "value": {}}])
    rows(url, "UPDATE decisions SET messages = messages || %s::jsonb WHERE event_id = %s", never, lost)
    rows(url, "ALTER TABLE decisions DROP CONSTRAINT decisions_agent_event_id_key, DROP CONSTRAINT decisions_pkey")
    rows(
        url,
        "INSERT INTO decisions SELECT (jsonb_populate_record(d, '{\"messages\": []}')).*"
        " FROM decisions AS d WHERE event_id = %s",
        doubled,
    )
    digest = json.dumps("0" * 64)
    rows(url, "UPDATE decisions SET history = jsonb_set(history, '{sha256}', %s) WHERE event_id = %s", digest, wrong)


def _spoil_kafka(kafka: str, original: Logged) -> str:
    """Plant messages; returns where the broken one is."""
    lost = {"specversion": "1.0", "id": "planted", "source": "urn:shop", "type": "PaymentSucceeded"}
    uncommitted = {"id": "never-committed", "source": "urn:innervate:agent:fraud", "type": "FraudScored"}
    assert original.value is not None
    respelt = json.dumps({**json.loads(original.value), "specversion": "1.1"}).encode()
    return asyncio.run(
        _send(
            kafka,
            [
                (json.dumps(lost).encode(), ()),
                (json.dumps(uncommitted).encode(), ()),
                (respelt, original.headers),
                (b"{", (BROKEN,)),
            ],
            original.key,
        )
    )


async def _send(kafka: str, messages: Sequence[tuple[bytes, Headers]], key: bytes | None) -> str:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for value, headers in messages:
            place = await producer.send_and_wait("payments", value=value, key=key, headers=list(headers))
    return f"payments/{place.partition}/{place.offset}"
