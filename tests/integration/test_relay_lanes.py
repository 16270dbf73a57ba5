"""Lanes of one relay: what fails or dawdles in one lane holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from waiting import PATIENCE_SECONDS

from outbox.outcomes import NotPublished, Refused, Unwritable
from outbox.records import Message
from outbox.relay import LANE_BATCH_BYTES, WORKER_BYTES

PENDING = "SELECT message_id FROM outbox_messages ORDER BY seq"


async def test_a_lane_kafka_does_not_take_holds_up_no_other(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], message: Callable[..., Any]
) -> None:
    # More than any batch holds, and older than the others.
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
        "SELECT 3, 'stuck', 'gone', 'k', '', '[]' FROM generate_series(1, 1000)"
    )
    commit("m-1", message("m-2", key=b"customer-2"))
    worker.publisher.outcomes = {"stuck": [NotPublished("away")] * 10_000}

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await worker.relay.drain() == 2

    assert query("SELECT message_id, count(*) FROM outbox_messages GROUP BY 1") == [("stuck", 1000)]


async def test_a_slow_lane_holds_up_no_other_and_goes_on_by_itself(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], message: Callable[..., Any],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    answered = asyncio.Event()

    async def dawdle(batch: Sequence[Message]) -> None:
        if batch[0].key == b"slow":
            await answered.wait()

    worker.publisher.meanwhile = dawdle
    worker.relay.start()
    try:
        commit(message("m-1", key=b"slow"))
        worker.relay.kick()
        await until(lambda: worker.publisher.sent == ["m-1"])
        commit("m-2", message("m-3", key=b"slow"))
        worker.relay.kick()
        await until(lambda: query(PENDING) == [("m-1",), ("m-3",)])
        answered.set()
        await until(lambda: query(PENDING) == [])
    finally:
        answered.set()
        await worker.relay.stop()

    assert worker.publisher.sent == ["m-1", "m-2", "m-3"]


async def test_a_lane_with_more_than_a_batch_is_emptied_by_one_kick(
    worker: Any, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    worker.relay.start()
    await until(lambda: len(worker.relay.lanes) == 64)
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
        "SELECT 3, n::text, 'payments', 'k', '', '[]' FROM generate_series(1, 2000) AS n"
    )
    worker.relay.kick()

    await until(lambda: query(PENDING) == [])
    await worker.relay.stop()

    assert [int(message_id) for message_id in worker.publisher.sent] == list(range(1, 2001))


async def test_a_lane_that_failed_is_tried_again_without_another_kick(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    # The renewal of the leases looks as well, every five seconds: too seldom for six attempts before the deadline.
    worker.publisher.outcomes = {"m-1": [NotPublished("away")] * 6}
    commit("m-1")
    worker.relay.start()

    await until(lambda: query(PENDING) == [])
    await worker.relay.stop()

    assert worker.publisher.sent == ["m-1"] * 7


async def test_a_publisher_that_raises_costs_its_lane_a_pause_and_no_message(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    async def break_once(_: object) -> None:
        worker.publisher.meanwhile = None
        raise ZeroDivisionError

    worker.publisher.meanwhile = break_once
    commit("m-1")

    assert await worker.relay.drain() == 0
    assert query(PENDING) == [("m-1",)]
    worker.relay.start()
    await until(lambda: query(PENDING) == [])
    await worker.relay.stop()

    assert worker.publisher.sent == ["m-1", "m-1"]


async def test_looks_that_read_the_same_rows_publish_them_once(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any]
) -> None:
    commit("m-1")
    await worker.relay.drain()
    commit("m-2")

    await asyncio.gather(*(worker.relay.drain() for _ in range(5)))

    assert worker.publisher.sent == ["m-1", "m-2"]


async def test_a_refusal_and_an_outage_in_one_batch_are_both_kept_in_mind(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    worker.publisher.outcomes = {"m-1": [Refused("too large")], "m-2": [NotPublished("away")]}
    commit("m-1", "m-2")
    worker.relay.start()

    await until(lambda: query(PENDING) == [])
    await worker.relay.stop()

    assert worker.publisher.sent == ["m-1", "m-2", "m-2"]
    assert query("SELECT message_id FROM outbox_dead") == [("m-1",)]


async def test_a_topic_kafka_does_not_take_holds_up_no_other_topic_of_its_lane(
    worker: Any, query: Callable[..., Any]
) -> None:
    # More than any batch holds, and older than the others.
    for topic in ("denied", "payments"):
        query(
            "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
            "SELECT 3, %s || n, %s, 'k', '', '[]' FROM generate_series(1, 1000) AS n",
            (topic, topic),
        )
    worker.publisher.outcomes = {f"denied{n}": [Unwritable("no right")] * 10_000 for n in range(1, 1001)}

    async with asyncio.timeout(PATIENCE_SECONDS):
        while query("SELECT 1 FROM outbox_messages WHERE topic = 'payments'"):
            await worker.relay.drain()

    assert query("SELECT topic, count(*) FROM outbox_messages GROUP BY 1") == [("denied", 1000)]
    assert [name for name in worker.publisher.sent if name.startswith("p")] == [f"payments{n}" for n in range(1, 1001)]
    assert worker.relay.waiting["denied"].needs_operator
    assert query("SELECT count(*) FROM outbox_dead") == [(0,)]


async def test_a_topic_is_tried_in_all_lanes_when_it_is_time_and_in_order(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], message: Callable[..., Any],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    worker.publisher.outcomes = {"m-1": [Unwritable("no right")] * 3}
    worker.relay.start()
    try:
        commit("m-1", "m-2", message("m-3", key=b"customer-2"))
        worker.relay.kick()
        await until(lambda: query(PENDING) == [])
    finally:
        await worker.relay.stop()

    assert worker.publisher.sent.count("m-1") == 4
    assert worker.relay.waiting == {}


async def test_messages_that_somebody_deleted_are_not_waited_for(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    commit("m-1")
    worker.publisher.outcomes = {"m-1": [Unwritable("no right")] * 10_000}
    worker.relay.start()
    try:
        worker.relay.kick()
        await until(lambda: "payments" in worker.relay.waiting)
        query("DELETE FROM outbox_messages")
        await until(lambda: worker.relay.waiting == {})
    finally:
        await worker.relay.stop()


async def test_a_batch_is_bounded_in_bytes_and_takes_one_message_at_least(
    worker: Any, commit: Callable[..., None], query: Callable[..., Any], message: Callable[..., Any]
) -> None:
    large = b"x" * LANE_BATCH_BYTES
    half = b"x" * (LANE_BATCH_BYTES // 2)
    commit(*[message(f"m-{n}", value=value) for n, value in enumerate([large, half, half, half, b"", b""])])

    await worker.relay.drain()

    # A batch is closed by the message that fills it.
    assert [[m.id for m in batch] for batch in worker.publisher.batches] == [
        ["m-0"],
        ["m-1", "m-2"],
        ["m-3", "m-4", "m-5"],
    ]
    assert query(PENDING) == []


async def test_what_is_under_way_is_bounded_in_bytes_and_every_lane_has_its_turn(
    worker: Any, query: Callable[..., Any]
) -> None:
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
        "SELECT n %% 64, n::text, 'payments', 'k', convert_to(repeat('x', %s), 'UTF8'), '[]'"
        " FROM generate_series(0, 127) AS n",
        (LANE_BATCH_BYTES,),
    )
    under_way: list[int] = []

    async def weigh(batch: Sequence[Message]) -> None:
        under_way.append(sum(len(m.value or b"") for m in batch))
        await asyncio.sleep(0.01)
        peaks.append(sum(under_way))
        under_way.pop()

    peaks: list[int] = []
    worker.publisher.meanwhile = weigh
    await worker.relay.drain()

    assert query(PENDING) == []
    assert max(peaks) <= WORKER_BYTES + LANE_BATCH_BYTES
    first_half = {int(name) % 64 for name in worker.publisher.sent[:64]}
    assert first_half == set(range(64))
