"""Input nobody can process becomes a dead letter with its reason and origin; the good events around it go on."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from observe import eventually, get, read, rows, scored, settled
from shop import Payment, Record, send

from app.sandbox import Sandbox
from app.sandbox.worker_process import WorkerProcess

#: Headers a dead letter has on top of its own.
PROVENANCE = {"reason", "detail", "consumer", "topic", "partition", "offset", "time"}


def without(field: str) -> bytes:
    event = json.loads(Payment("bad-missing", "bad-customer").structured().value or b"")
    del event["data"][field]
    return json.dumps(event).encode()


BAD: dict[str, tuple[str, bytes | None]] = {
    "half-json": ("invalid_json", b'{"specversion": "1.0", "id": '),
    "no-json": ("invalid_json", b"payment of 25 EUR"),
    "tombstone": ("tombstone", None),
    "not-utf8": ("invalid_utf8", b"\xff\xfe caf\xe9"),
    "no-envelope": ("invalid_envelope", b'{"amount_minor": 2500}'),
    "list": ("invalid_envelope", b"[1, 2, 3]"),
    "field-missing": ("invalid_data", without("amount_minor")),
    "wrong-type": (
        "invalid_data",
        Payment("bad-type", "bad-customer", data={"amount_minor": "2500"}).structured().value,
    ),
    "money-as-float": (
        "invalid_data",
        Payment("bad-float", "bad-customer", data={"amount_minor": 25.0}).structured().value,
    ),
    "six-hundred-kilobytes": (
        "too_large",
        Payment("bad-large", "bad-customer", data={"note": "x" * 600_000}).structured().value,
    ),
}
#: Larger than what is kept of any record.
LARGE = Payment("bad-larger", "bad-customer", data={"note": "x" * 2_000_000}).structured().value or b""


@dataclass(frozen=True)
class Aftermath:
    """What the test's records came to; dead letters by the key they were sent with."""

    letters: dict[str, ConsumerRecord]
    table: dict[str, dict[str, Any]]
    scores: dict[str, list[dict[str, Any]]]
    sent: dict[str, ConsumerRecord]


@pytest.fixture(scope="module")
def aftermath(sandbox: Sandbox, first_worker: WorkerProcess) -> Aftermath:
    """Good payments with a bad record between every two of them, all in the order of one producer."""
    first_worker.start()
    records, good = [], []
    for number, (name, (_, value)) in enumerate(BAD.items()):
        good.append(Payment(f"good-{number}", "good-customer", number))
        records += [good[-1].structured(), Record(value, (("origin", b"till-7"),), name.encode())]
    records.append(Record(LARGE, (("origin", b"till-7"),), b"two-megabytes"))
    good.append(Payment("good-last", "good-customer", len(BAD)))
    records.append(good[-1].structured())
    asyncio.run(send(sandbox.kafka, records))
    settled(sandbox.database_url, [payment.event_id for payment in good])
    letters = eventually(
        lambda: {(record.key or b"").decode(): record for record in read(sandbox.kafka, "dead-letters")},
        lambda found: {*BAD, "two-megabytes"} <= found.keys(),
    )
    columns = [
        "name",
        "id",
        "reason",
        "detail",
        "topic",
        "partition",
        "offset",
        "recorded_at",
        "value",
        "headers",
        "truncated",
    ]
    table = rows(
        sandbox.database_url,
        "SELECT convert_from(key, 'UTF8'), id::text, reason, detail, topic, partition, \"offset\", recorded_at, value,"
        " headers, truncated FROM dead_letters WHERE consumer = 'router' AND key IS NOT NULL",
    )
    return Aftermath(
        letters=letters,
        table={row[0]: dict(zip(columns, row, strict=True)) for row in table},
        scores=scored(sandbox.kafka),
        sent={(record.key or b"").decode(): record for record in read(sandbox.kafka, "payments")},
    )


@pytest.mark.parametrize("name", BAD)
def test_a_dead_letter_is_the_original_with_its_reason_and_origin(aftermath: Aftermath, name: str) -> None:
    reason, value = BAD[name]
    letter, origin = aftermath.letters[name], aftermath.sent[name]
    at = datetime.fromtimestamp(origin.timestamp / 1000, UTC)

    assert letter.value == value
    assert letter.headers[0] == ("origin", b"till-7")
    headers = {key: content.decode() for key, content in letter.headers[1:]}
    assert headers.keys() == PROVENANCE
    assert (headers["reason"], headers["consumer"]) == (reason, "router")
    assert (headers["topic"], headers["partition"], headers["offset"]) == (
        "payments",
        str(origin.partition),
        str(origin.offset),
    )
    assert datetime.fromisoformat(headers["time"]) == at


@pytest.mark.parametrize("name", BAD)
def test_a_dead_letter_has_a_row_with_the_same_story(aftermath: Aftermath, name: str) -> None:
    reason, value = BAD[name]
    row, origin = aftermath.table[name], aftermath.sent[name]

    assert row["reason"] == reason
    assert (row["topic"], row["partition"], row["offset"]) == ("payments", origin.partition, origin.offset)
    assert row["recorded_at"] == datetime.fromtimestamp(origin.timestamp / 1000, UTC)
    assert (None if row["value"] is None else bytes(row["value"])) == value


def test_of_a_record_larger_than_any_event_the_beginning_the_length_and_the_hash_are_kept(aftermath: Aftermath) -> None:
    letter, row = aftermath.letters["two-megabytes"], aftermath.table["two-megabytes"]
    headers = {key: content.decode() for key, content in letter.headers[1:]}
    sha256 = hashlib.sha256(LARGE).hexdigest()

    assert letter.value == bytes(row["value"]) == LARGE[: 64 * 1024]
    assert headers.keys() == PROVENANCE | {"value_bytes", "value_sha256"}
    assert (headers["value_bytes"], headers["value_sha256"]) == (str(len(LARGE)), sha256)
    assert row["truncated"] == {"value": {"bytes": len(LARGE), "sha256": sha256}}


def test_the_good_events_around_them_are_decided(aftermath: Aftermath) -> None:
    good = [f"good-{number}" for number in range(len(BAD))] + ["good-last"]

    assert [len(aftermath.scores[event_id]) for event_id in good] == [1] * len(good)


def test_the_good_events_around_them_are_all_remembered(aftermath: Aftermath, worker: WorkerProcess) -> None:
    _, window = get(worker.url, "/agents/fraud/windows/good-customer")

    remembered = [entry["event"]["id"] for entry in window["events"]]
    assert sorted(remembered) == sorted([f"good-{number}" for number in range(len(BAD))] + ["good-last"])


def test_what_is_wrong_is_said_without_the_data(aftermath: Aftermath) -> None:
    assert aftermath.table["wrong-type"]["detail"] == (
        "PaymentSucceeded data.amount_minor: input should be a valid integer"
    )
    assert "field required" in aftermath.table["field-missing"]["detail"]


def test_a_payment_sent_twice_is_decided_once(sandbox: Sandbox, worker: WorkerProcess) -> None:
    payment, next_one = Payment("twice", "twice-customer"), Payment("after-twice", "twice-customer", 1)
    asyncio.run(send(sandbox.kafka, [payment.structured(), payment.structured(), payment.binary()]))
    asyncio.run(send(sandbox.kafka, [next_one.structured()]))
    settled(sandbox.database_url, ["twice", "after-twice"])

    found = scored(sandbox.kafka)

    assert (len(found["twice"]), len(found["after-twice"])) == (1, 1)
    [(history,)] = rows(
        sandbox.database_url,
        "SELECT plain_history(history)->'offsets' FROM decisions WHERE event_id = 'after-twice' AND agent = 'fraud'",
    )
    assert len(history) == 1


def test_the_same_id_from_three_sources_is_three_events(sandbox: Sandbox, worker: WorkerProcess) -> None:
    declined = Payment("1001", "thrice-customer", kind="PaymentFailed", data=MappingProxyType({"reason": "declined"}))
    said = json.loads(declined.structured().value or b"")
    sources = ["//shop-a", "//shop-b", "//shop-c"]
    failures = [Record(json.dumps(said | {"source": source}).encode(), key=b"thrice") for source in sources]
    paid = json.loads(Payment("1001", "thrice-customer").structured().value or b"")
    payments = [Record(json.dumps(paid | {"source": source}).encode(), key=b"thrice") for source in ("//d", "//e")]

    asyncio.run(send(sandbox.kafka, [*failures, *failures, *payments, *payments]))

    found = eventually(
        lambda: rows(
            sandbox.database_url,
            "SELECT agent, event_source, jsonb_array_length(plain_history(history)->'offsets') FROM decisions"
            " WHERE event_id = '1001' AND entity_id = 'thrice-customer' ORDER BY agent, event_source",
        ),
        lambda found: len(found) == 4,
    )
    assert found == [(agent, s, n) for agent in ("confirmation", "fraud") for s, n in (("//d", 3), ("//e", 4))]
    assert rows(sandbox.database_url, "SELECT 1 FROM dead_letters WHERE key = 'thrice-customer'") == []


def test_a_type_that_no_agent_wants_is_only_in_the_timeline_it_was_asked_for(
    sandbox: Sandbox, worker: WorkerProcess
) -> None:
    unknown = Payment("loyalty", "loyal-customer", kind="LoyaltyPointsEarned")
    # Of the same order, so of the same partition: when the second one is decided the first one has been routed.
    asyncio.run(send(sandbox.kafka, [unknown.structured(), Payment("bought", "loyal-customer").structured()]))
    settled(sandbox.database_url, ["bought"])

    def in_timeline(name: str) -> list[str]:
        ids = [json.loads(record.value or b"{}").get("id") for record in read(sandbox.kafka, name)]
        return [each for each in ids if each in {"loyalty", "bought"}]

    assert eventually(lambda: in_timeline("timeline-customer"), lambda found: "bought" in found) == [
        "loyalty",
        "bought",
    ]
    assert eventually(lambda: in_timeline("timeline-order"), lambda found: "bought" in found) == ["bought"]
    assert rows(sandbox.database_url, "SELECT 1 FROM decisions WHERE event_id = 'loyalty'") == []
    assert rows(sandbox.database_url, "SELECT 1 FROM dead_letters WHERE position(%s IN value) > 0", b"loyalty") == []


def test_an_event_of_no_entity_is_no_dead_letter_and_goes_nowhere(sandbox: Sandbox, worker: WorkerProcess) -> None:
    event = {**Payment("nobody", "").attributes(), "type": "StoreOpened", "data": {"store": "Bremen"}}
    follower = Payment("after-nobody", "somebody")
    # Same key, same partition: when the second one is decided the first one has been routed.
    asyncio.run(send(sandbox.kafka, [Record(json.dumps(event).encode(), key=b"order-after-nobody")]))
    asyncio.run(send(sandbox.kafka, [follower.structured()]))
    settled(sandbox.database_url, ["after-nobody"])

    timelines = read(sandbox.kafka, "timeline-customer", "timeline-order", "timeline-service")

    assert [record for record in timelines if b"StoreOpened" in (record.value or b"")] == []
    assert rows(sandbox.database_url, "SELECT 1 FROM dead_letters WHERE key = %s", b"order-after-nobody") == []
