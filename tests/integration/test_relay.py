"""Relay on PostgreSQL with a publisher that fails as told: at least once, in order, nothing dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox import Postgres
from outbox.buried import redrive_buried
from outbox.database import Database
from outbox.operator_actions import Operator
from outbox.outcomes import NotPublished, Refused
from outbox.parameters import headers_from
from outbox.records import Message
from outbox.relay import LANE_BATCH

PENDING = "SELECT message_id FROM outbox_messages ORDER BY seq"


async def drained(worker: Any, query: Callable[..., Any]) -> None:
    """Drain until nothing is pending; a lane that failed pauses in between."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while query(PENDING):
            await worker.relay.drain()
            await asyncio.sleep(0.02)


async def test_a_message_is_published_as_it_was_committed(
    worker: Any, commit: Callable[..., None], message: Callable[..., Any]
) -> None:
    key, value = b"\xff\x00", bytes(range(256))
    commit(message("m-1", key=key, value=value), message("m-2", key=key, value=None))

    assert await worker.relay.drain() == 2

    headers = (("content-type", b"text/x"), ("again", b""))
    assert worker.publisher.batches == [
        [
            Message(id="m-1", topic="payments", key=key, value=value, headers=headers),
            Message(id="m-2", topic="payments", key=key, value=None, headers=headers),
        ]
    ]


async def test_messages_of_a_key_leave_in_the_order_they_were_committed(worker: Any, query: Callable[..., Any]) -> None:
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
        "SELECT n % 7, n::text, 'payments', (n % 7)::text::bytea, '', '[]' FROM generate_series(1, 1234) AS n"
    )

    assert await worker.relay.drain() == 1234

    assert max(len(batch) for batch in worker.publisher.batches) <= LANE_BATCH
    for key in range(7):
        sent = [int(m.id) for batch in worker.publisher.batches for m in batch if m.key == b"%d" % key]
        assert sent == [n for n in range(1, 1235) if n % 7 == key]
    assert query(PENDING) == []


async def test_a_message_is_deleted_only_after_its_acknowledgement(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any]
) -> None:
    commit("m-1")
    pending: list[Any] = []

    async def look(_: object) -> None:
        pending.extend(query(PENDING))

    worker.publisher.meanwhile = look
    await worker.relay.drain()

    assert pending == [("m-1",)]
    assert query(PENDING) == []


async def test_what_kafka_did_not_acknowledge_stays_and_is_sent_again_in_order(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any]
) -> None:
    commit("m-1", "m-2", "m-3")
    worker.publisher.outcomes = {name: [NotPublished("away"), NotPublished("away")] for name in ("m-2", "m-3")}

    await worker.relay.drain()
    assert query(PENDING) == [("m-2",), ("m-3",)]

    await drained(worker, query)

    assert worker.publisher.sent == ["m-1", "m-2", "m-3", "m-2", "m-3", "m-2", "m-3"]
    assert query(PENDING) == []


async def test_a_round_ends_when_kafka_is_away(worker: Any, commit: Callable[..., None]) -> None:
    commit("m-1")
    worker.publisher.outcomes = {"m-1": [NotPublished("away")] * 9}

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await worker.relay.drain() == 0

    assert worker.publisher.sent == ["m-1"]


async def test_what_kafka_refuses_is_buried_with_the_reason_and_the_rest_goes_on(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], message: Callable[..., Any]
) -> None:
    commit("m-1", message("m-2", value=b"large"), "m-3")
    [(seq, committed_at)] = query("SELECT seq, committed_at FROM outbox_messages WHERE message_id = 'm-2'")
    worker.publisher.outcomes = {"m-2": [Refused("MessageSizeTooLargeError: 5 bytes")]}

    await worker.relay.drain()

    assert worker.publisher.sent == ["m-1", "m-2", "m-3"]
    assert (worker.relay.acknowledged, worker.relay.buried) == (2, 1)
    assert query(PENDING) == []
    [row] = query("SELECT seq, lane, message_id, topic, key, value, headers, committed_at, reason FROM outbox_dead")
    assert row[:4] == (seq, 56, "m-2", "payments")
    assert (bytes(row[4]), bytes(row[5])) == (b"customer-1", b"large")
    assert headers_from(row[6]) == [("content-type", b"text/x"), ("again", b"")]
    assert row[7:] == (committed_at, "MessageSizeTooLargeError: 5 bytes")


async def test_a_buried_message_that_is_put_back_is_published_under_its_old_id(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], database: Database
) -> None:
    commit("m-1", "m-2")
    worker.publisher.outcomes = {"m-1": [Refused("InvalidTopicError")]}
    await worker.relay.drain()
    [(message_id, topic, reason)] = query("SELECT message_id, topic, reason FROM outbox_dead")
    assert (message_id, topic, reason) == ("m-1", "payments", "InvalidTopicError")

    assert await redrive_buried(database, by=Operator(name="ada")) == ["m-1"]
    assert query("SELECT count(*) FROM outbox_dead") == [(0,)]
    await drained(worker, query)

    assert worker.publisher.sent == ["m-1", "m-2", "m-1"]


async def test_a_crash_of_postgresql_after_publishing_delays_the_deletion_and_repeats_nothing(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], postgres: Postgres
) -> None:
    commit("m-1", "m-2")

    down = asyncio.Event()

    async def crash(_: object) -> None:
        await asyncio.to_thread(postgres.crash)
        down.set()

    worker.publisher.meanwhile = crash
    draining = asyncio.create_task(worker.relay.drain())
    await down.wait()
    await asyncio.to_thread(postgres.restart)
    assert await draining == 2

    assert worker.publisher.sent == ["m-1", "m-2"]
    assert query(PENDING) == []


async def test_two_rounds_of_one_worker_do_not_overlap(worker: Any, commit: Callable[..., None]) -> None:
    commit("m-1")
    others: list[asyncio.Task[int]] = []

    async def let_another_round_try(_: object) -> None:
        worker.publisher.meanwhile = None
        others.append(asyncio.create_task(worker.relay.drain()))
        await asyncio.wait(others, timeout=0.3)

    worker.publisher.meanwhile = let_another_round_try
    await worker.relay.drain()
    await asyncio.gather(*others)

    assert worker.publisher.sent == ["m-1"]


async def test_a_kick_publishes_without_waiting_for_the_timer(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    worker.relay.start()
    for name in ("m-1", "m-2"):
        commit(name)
        worker.relay.kick()
        await until(lambda: query(PENDING) == [])
    await worker.relay.stop()

    assert worker.publisher.sent == ["m-1", "m-2"]


async def test_a_kick_while_postgresql_is_away_does_not_end_the_kicking(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], postgres: Postgres,
    until: Callable[..., Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # Lanes whose lease has run out are not looked at, and while PostgreSQL is away none is renewed: the end of a server
    # may take a busy machine longer than what is left of it.
    monkeypatch.setattr("outbox.leases.LEASE_SECONDS", 10 * PATIENCE_SECONDS)
    worker.relay.start()
    await until(lambda: len(worker.relay.lanes) == 64)
    await asyncio.to_thread(postgres.crash)
    try:
        worker.relay.kick()
        await until(lambda: "the outbox waits for PostgreSQL" in caplog.text)
    finally:
        await asyncio.to_thread(postgres.restart)
    commit("m-1")

    async def kicked() -> None:
        while query(PENDING):
            worker.relay.kick()
            await asyncio.sleep(0.02)

    await asyncio.wait_for(kicked(), PATIENCE_SECONDS)
    await worker.relay.stop()

    assert worker.publisher.sent == ["m-1"]


async def test_a_database_that_is_away_ends_a_round_and_raises_nothing(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], postgres: Postgres
) -> None:
    commit("m-1")
    await asyncio.to_thread(postgres.crash)
    try:
        assert await worker.relay.drain() == 0
        worker.relay.start()
        await worker.relay.stop()
    finally:
        await asyncio.to_thread(postgres.restart)

    assert worker.publisher.sent == []
    await drained(worker, query)
    assert worker.publisher.sent == ["m-1"]
