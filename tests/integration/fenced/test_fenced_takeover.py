"""Takeovers of fenced lanes: whoever dies where, `read_committed` readers see each message once.

A crash is a worker that goes no further: its Kafka connections stay open, as those of a process that is frozen do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from fenced_lanes import EXPIRE, LANE, PENDING, Worker, drained, keys_of, once, read

from app.sandbox import ApacheBroker
from outbox.database import Database, Row
from outbox.errors import DatabaseUnavailable
from outbox.outcomes import NotPublished
from outbox.relay import LANE_BATCH

pytestmark = pytest.mark.apache


def transactional_id(query: Callable[..., Any]) -> str:
    """The one every owner of the tests' lane uses in Kafka."""
    [(identity,)] = query("SELECT id FROM outbox_identity")
    return f"innervate-{identity}-lane-{LANE}"


async def test_a_crash_between_commit_and_deletion_repeats_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    dying, heir = worker_of("dying"), worker_of("heir")
    put("m-1", "m-2", "m-3")
    dying.after.clear()
    await dying.drain_until_held()
    assert set(dying.outcomes.values()) == {None}
    assert query(PENDING) == [("m-1",), ("m-2",), ("m-3",)]

    query(EXPIRE)
    await drained(heir, query)

    assert await read(broker, topic, "read_uncommitted") == once(topic, "m-1", "m-2", "m-3")


async def test_an_heir_that_crashes_too_leaves_nothing_to_repeat(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    first, second, third = (worker_of(name) for name in ("first", "second", "third"))
    put("m-1", "m-2", "m-3", "m-4")
    first.after.clear()
    await first.drain_until_held()

    query(EXPIRE)
    put("m-5", "m-6")
    second.after.clear()
    await second.drain_until_held()
    query(EXPIRE)
    await drained(third, query)

    assert await read(broker, topic) == once(topic, "m-1", "m-2", "m-3", "m-4", "m-5", "m-6")


async def test_a_message_that_becomes_visible_late_pushes_nothing_published_into_the_next_batch(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    dying, heir = worker_of("dying"), worker_of("heir")
    names = [f"m-{n}" for n in range(LANE_BATCH)]
    put(*names)
    dying.after.clear()
    await dying.drain_until_held()

    query(
        "INSERT INTO outbox_messages (seq, lane, message_id, topic, key, value, headers) OVERRIDING SYSTEM VALUE"
        " VALUES (0, %s, 'late', %s, 'late', 'late', '[]')",
        (LANE, topic),
    )
    query(EXPIRE)
    await drained(heir, query)

    assert await read(broker, topic) == {**once(topic, *names), b"late": ["late"]}


async def test_a_crash_before_the_commit_loses_nothing_and_the_zombie_cannot_commit(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    put("m-1", "m-2")
    query("UPDATE outbox_messages SET batch_id = gen_random_uuid()")
    zombie = AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id=transactional_id(query))
    await zombie.start()
    try:
        await zombie.begin_transaction()
        for key, name in zip(keys_of(topic), ("m-1", "m-2"), strict=False):
            await zombie.send_and_wait(topic, name.encode(), key=key)

        await drained(worker_of("heir"), query)
        with pytest.raises(ProducerFenced):
            await zombie.commit_transaction()
    finally:
        await zombie.stop()

    assert await read(broker, topic) == once(topic, "m-1", "m-2")
    assert await read(broker, topic, "read_uncommitted") == {
        key: [*names, *names] for key, names in once(topic, "m-1", "m-2").items()
    }


@pytest.mark.parametrize("has_published", [True, False])
async def test_an_owner_that_wakes_up_after_the_takeover_publishes_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str, *, has_published: bool,
) -> None:  # fmt: skip
    sleeper, heir = worker_of("sleeper"), worker_of("heir")
    if has_published:
        put("m-0")
        await drained(sleeper, query)
    put("m-1", "m-2")
    sleeper.before.clear()
    draining = await sleeper.drain_until_held()
    query(EXPIRE)
    await drained(heir, query)
    put("m-3")

    sleeper.before.set()
    await draining

    assert [type(outcome) for outcome in sleeper.outcomes.values()] == [NotPublished, NotPublished]
    await drained(heir, query)
    everything = [*(["m-0"] if has_published else []), "m-1", "m-2", "m-3"]
    assert sorted(itertools.chain(*(await read(broker, topic)).values())) == everything


async def test_an_owner_that_wakes_up_before_its_heir_has_deleted_does_not_rename_what_is_published(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    sleeper, dying, heir = (worker_of(name) for name in ("sleeper", "dying", "heir"))
    put("m-0")
    await drained(sleeper, query)
    put("m-1")
    sleeper.before.clear()
    draining = await sleeper.drain_until_held()
    query(EXPIRE)
    dying.after.clear()
    await dying.drain_until_held()

    sleeper.before.set()
    await draining

    assert [type(outcome) for outcome in sleeper.outcomes.values()] == [NotPublished]
    query(EXPIRE)
    await drained(heir, query)
    assert await read(broker, topic) == {keys_of(topic)[0]: ["m-0", "m-1"]}


async def test_an_owner_that_is_fenced_by_a_late_initialisation_of_a_sleeper_goes_on(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    owner = worker_of("owner")
    put("m-1")
    await drained(owner, query)
    put("m-2")
    async with AIOKafkaProducer(bootstrap_servers=broker.address, transactional_id=transactional_id(query)):
        await owner.relay.drain()

    assert [type(outcome) for outcome in owner.outcomes.values()] == [NotPublished]
    await drained(owner, query)
    assert await read(broker, topic) == {keys_of(topic)[0]: ["m-1", "m-2"]}


async def test_postgresql_that_fails_during_a_takeover_delays_it_and_repeats_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str, database_url: str,
) -> None:  # fmt: skip
    class Failing(Database):
        """Refuses the first attempt to delete what is published already."""

        failures = 1

        async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
            if statement.startswith("DELETE") and self.failures:
                self.failures -= 1
                raise DatabaseUnavailable("gone")
            return list(await super().run(statement, parameters))

    dying = worker_of("dying")
    put("m-1", "m-2")
    dying.after.clear()
    await dying.drain_until_held()
    query(EXPIRE)
    failing = Failing(database_url)
    heir = worker_of("heir", failing)

    await drained(heir, query)
    await failing.close()

    assert failing.failures == 0
    assert await read(broker, topic) == once(topic, "m-1", "m-2")


async def test_a_takeover_right_after_a_restart_of_the_broker_repeats_nothing(
    worker_of: Callable[..., Worker], put: Callable[..., None], query: Callable[..., Any],
    broker: ApacheBroker, topic: str,
) -> None:  # fmt: skip
    dying, heir = worker_of("dying"), worker_of("heir")
    put("m-1", "m-2", "m-3", "m-4")
    dying.after.clear()
    await dying.drain_until_held()
    query(EXPIRE)
    await asyncio.to_thread(broker.kill)
    restarting = asyncio.create_task(asyncio.to_thread(broker.restart))
    await drained(heir, query)
    await restarting

    assert await read(broker, topic) == once(topic, "m-1", "m-2", "m-3", "m-4")
