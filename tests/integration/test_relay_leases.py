"""Lane leases: two workers never publish the same lane at the same time, and a dead worker's lanes are taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from outbox.database import Database
from outbox.leases import LEASE_SECONDS, LEASING_LOCK, LaneLeases
from outbox.records import Message
from outbox.relay import ROOM_SECONDS

OWNERS = "SELECT DISTINCT owner FROM outbox_lanes ORDER BY owner"
#: As if nobody had renewed anything for longer than a lease lasts.
DIE = """
UPDATE outbox_lanes SET leased_until = clock_timestamp() - interval '1 second';
UPDATE outbox_workers SET seen_until = clock_timestamp() - interval '1 second';
"""


async def test_a_crash_after_publishing_sends_the_same_id_again_from_another_worker(
    worker_of: Callable[..., Any], commit: Callable[..., None], query: Callable[..., Any]
) -> None:
    killed, survivor = worker_of("killed"), worker_of("survivor")
    commit("m-1")
    published = asyncio.Event()

    async def die(_: object) -> None:
        published.set()
        await asyncio.Event().wait()

    killed.publisher.meanwhile = die
    draining = asyncio.create_task(killed.relay.drain())
    await published.wait()
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)

    assert await survivor.relay.drain() == 0
    query(DIE)
    survivor_later = worker_of("survivor")
    assert await survivor_later.relay.drain() == 1

    assert killed.publisher.sent == ["m-1"]
    assert survivor.publisher.sent == []
    assert survivor_later.publisher.sent == ["m-1"]
    assert query("SELECT DISTINCT owner, epoch FROM outbox_lanes") == [("survivor", 2)]


async def test_while_one_worker_publishes_a_lane_no_other_does(
    worker_of: Callable[..., Any], commit: Callable[..., None]
) -> None:
    first, second = worker_of("first"), worker_of("second")
    commit("m-1")
    others: list[int] = []

    async def let_the_other_try(_: object) -> None:
        others.append(await second.relay.drain())

    first.publisher.meanwhile = let_the_other_try
    await first.relay.drain()

    assert first.publisher.sent == ["m-1"]
    assert others == [0]
    assert second.publisher.sent == []


async def test_workers_that_drain_together_publish_every_message_once_and_in_order(
    worker_of: Callable[..., Any], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    workers = [worker_of(f"w-{n}") for n in range(2)]
    order: list[Message] = []

    async def note(messages: Sequence[Message]) -> None:
        order.extend(messages)

    for worker in workers:
        worker.publisher.meanwhile = note
        worker.relay.start()
    await until(lambda: query("SELECT count(*) FROM outbox_lanes GROUP BY owner ORDER BY owner") == [(32,), (32,)])
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
        "SELECT n % 64, n::text, 'payments', (n % 64)::text::bytea, '', '[]' FROM generate_series(1, 3000) AS n"
    )
    for worker in workers:
        worker.relay.kick()
    await until(lambda: query("SELECT count(*) FROM outbox_messages") == [(0,)])
    for worker in workers:
        await worker.relay.stop()

    assert sorted(int(m.id) for m in order) == list(range(1, 3001))
    for key in range(64):
        assert [int(m.id) for m in order if m.key == b"%d" % key] == [n for n in range(1, 3001) if n % 64 == key]
    assert all(worker.publisher.sent for worker in workers)


async def test_a_lease_that_is_renewed_keeps_its_epoch(
    worker_of: Callable[..., Any], query: Callable[..., Any]
) -> None:
    for _ in range(3):
        await worker_of("a").relay.drain()

    assert query("SELECT DISTINCT owner, epoch FROM outbox_lanes") == [("a", 1)]
    assert query("SELECT bool_and(leased_until > clock_timestamp() + interval '5 seconds') FROM outbox_lanes") == [
        (True,)
    ]


async def test_lanes_are_shared_fairly_and_a_busy_lane_is_kept(database: Database) -> None:
    first, second, third = (LaneLeases(database, owner) for owner in ("first", "second", "third"))
    await first.renew()
    assert sorted(first.held(0)) == list(range(64))

    await second.renew()
    assert second.held(0) == {}
    await first.renew(busy=[63])
    assert len(first.held(0)) == 32
    assert 63 in first.held(0)
    await second.renew()
    assert len(second.held(0)) == 32
    assert set(first.held(0)) | set(second.held(0)) == set(range(64))

    await third.renew()
    await first.renew()
    await second.renew()
    await third.renew()
    assert [len(leases.held(0)) for leases in (first, second, third)] == [22, 22, 20]


async def test_a_lane_that_is_being_published_is_kept_beyond_the_fair_share(database: Database) -> None:
    first, second = LaneLeases(database, "first"), LaneLeases(database, "second")
    await first.renew()
    await second.renew()

    await first.renew(busy=range(20, 60))
    await second.renew()

    assert set(first.held(0)) == set(range(20, 60))
    assert set(second.held(0)) == {*range(20), *range(60, 64)}


async def test_leases_taken_at_the_same_time_overlap_nowhere(database: Database) -> None:
    workers = [LaneLeases(database, f"w-{n}") for n in range(6)]

    for _ in range(10):
        await asyncio.gather(*(worker.renew() for worker in workers))
        held = [lane for worker in workers for lane in worker.held(0)]
        assert len(held) == len(set(held))

    assert sorted(held) == list(range(64))
    assert sorted(len(worker.held(0)) for worker in workers) == [9, 11, 11, 11, 11, 11]


async def test_a_lease_that_another_took_over_is_counted_and_one_that_was_given_back_is_not(
    database: Database, query: Callable[..., Any]
) -> None:
    first, second = LaneLeases(database, "first"), LaneLeases(database, "second")
    await first.renew()
    await second.renew()
    await first.renew()  # gives half of them back
    await second.renew()
    assert (len(first.held(0)), len(second.held(0))) == (32, 32)
    assert (first.lost, second.lost) == (0, 0)

    query(DIE)
    await second.renew()
    await first.renew()

    assert (first.lost, second.lost) == (32, 0)


async def test_a_lane_is_not_published_when_its_lease_may_end_before_the_batch(database: Database) -> None:
    leases = LaneLeases(database, "a")
    await leases.renew()
    assert len(leases.held(ROOM_SECONDS)) == 64
    assert leases.held(LEASE_SECONDS) == {}


async def test_a_lease_is_believed_shorter_than_it_is(
    database: Database, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    # Whoever has the turn makes the others wait: this lease is asked for now and given later.
    turn = asyncio.create_task(database.run(f"SELECT pg_advisory_xact_lock({LEASING_LOCK}), pg_sleep(1)"))
    await until(lambda: query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"))
    leases = LaneLeases(database, "a")
    await leases.renew()
    await turn

    [(seconds,)] = query("SELECT extract(epoch FROM min(leased_until) - clock_timestamp())::float8 FROM outbox_lanes")
    assert len(leases.held(0)) == 64
    assert leases.held(seconds) == {}


async def test_a_worker_that_stops_publishes_what_is_pending_and_hands_its_lanes_over(
    worker_of: Callable[..., Any], commit: Callable[..., None], query: Callable[..., Any]
) -> None:
    leaving, staying = worker_of("leaving"), worker_of("staying")
    leaving.relay.start()
    commit("m-1")

    await leaving.relay.stop()

    assert leaving.publisher.sent == ["m-1"]
    assert query(OWNERS) == [(None,)]
    commit("m-2")
    assert await staying.relay.drain() == 1
    assert query(OWNERS) == [("staying",)]
