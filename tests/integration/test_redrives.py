"""Redrives of dead letters: the original bytes back to where they came from, once, and the row stays."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outbox.buried import redrive_buried
from outbox.database import Database
from outbox.operator_actions import Operator
from outbox.parameters import headers_from
from outbox.records import DeadLetter, Origin, lane_of
from outbox.redrives import (
    AlreadyRedriven,
    NotRedriven,
    Redrives,
    ShadowDeadLetter,
    TruncatedDeadLetter,
    UnknownDeadLetter,
    message_id,
)
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
ANY_BYTES = bytes(range(256))
HEADERS = (("ce_id", b"e-1"), ("ce_id", b"again"), ("binary", ANY_BYTES), ("empty", b""))

LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON",
    origin=Origin(topic="payments", partition=3, offset=41, at=NOON),
    key=b"customer-1\xff",
    value=ANY_BYTES,
    headers=HEADERS,
)
#: What a redrive put into the outbox.
REDRIVEN = "SELECT message_id, lane, topic, key, value, headers FROM outbox_messages WHERE topic <> 'dead-letters'"


@pytest.fixture
def kicked() -> list[set[int]]:
    return []


@pytest.fixture
def redrives(database: Database, kicked: list[set[int]]) -> Redrives:
    return Redrives(database, on_commit=lambda lanes: kicked.append(set(lanes)))


async def test_a_redrive_is_what_was_read_and_goes_where_it_came_from(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any], kicked: list[set[int]]
) -> None:
    await writer.bury(LETTER)

    letter = await redrives.redrive(LETTER.id, by=Operator(name="ada"))

    [(sent_id, lane, topic, key, value, headers)] = query(REDRIVEN)
    assert (topic, bytes(key), bytes(value)) == ("payments", b"customer-1\xff", ANY_BYTES)
    assert headers_from(headers) == list(HEADERS)
    assert (sent_id, lane) == (str(message_id(LETTER.id)), lane_of("payments", b"customer-1\xff"))
    assert (letter.consumer, letter.topic, letter.partition, letter.offset) == ("router", "payments", 3, 41)
    assert kicked == [{lane}]


async def test_the_row_stays_and_says_who_and_when_in_the_transaction_of_the_message(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)

    await redrives.redrive(LETTER.id, by=Operator(name="ada"))

    [(by, is_now, value, is_one)] = query(
        "SELECT d.replayed_by, abs(extract(epoch FROM clock_timestamp() - d.replayed_at)) < 60, d.value,"
        " d.xmin::text = m.xmin::text FROM dead_letters AS d, outbox_messages AS m WHERE m.topic = 'payments'"
    )
    assert (by, is_now, bytes(value), is_one) == ("ada", True, ANY_BYTES, True)


async def test_a_second_redrive_says_who_was_first_and_sends_nothing(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any], kicked: list[set[int]]
) -> None:
    await writer.bury(LETTER)
    await redrives.redrive(LETTER.id, by=Operator(name="ada"))

    with pytest.raises(AlreadyRedriven, match=r"^already redriven by ada at 20\d\d-\d\d-\d\dT"):
        await redrives.redrive(LETTER.id, by=Operator(name="bob"))

    assert len(query(REDRIVEN)) == 1
    assert len(kicked) == 1


async def test_of_many_at_once_one_redrives(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)

    outcomes = await asyncio.gather(
        *(redrives.redrive(LETTER.id, by=Operator(name=f"person-{n}")) for n in range(6)), return_exceptions=True
    )

    assert len([outcome for outcome in outcomes if isinstance(outcome, AlreadyRedriven)]) == 5
    assert len(query(REDRIVEN)) == 1


async def test_a_letter_nobody_wrote_is_unknown(redrives: Redrives) -> None:
    with pytest.raises(UnknownDeadLetter, match="no dead letter 00000000-0000-0000-0000-000000000001"):
        await redrives.redrive(uuid.UUID(int=1), by=Operator(name="ada"))


async def test_a_record_without_key_comes_back_with_an_empty_one(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    tombstone = replace(LETTER, key=None, value=None, headers=())
    await writer.bury(tombstone)

    await redrives.redrive(tombstone.id, by=Operator(name="ada"))

    [(_, _, topic, key, value, headers)] = query(REDRIVEN)
    assert (topic, bytes(key), value, headers) == ("payments", b"", None, [])


async def test_a_shadows_dead_letter_is_a_row_alone_and_is_not_redriven(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    letter = replace(LETTER, consumer="fraud@v2", is_published=False)
    await writer.bury(letter)

    with pytest.raises(ShadowDeadLetter, match="fraud@v2"):
        await redrives.redrive(letter.id, by=Operator(name="ada"))

    assert query("SELECT consumer, replayed_at FROM dead_letters") == [("fraud@v2", None)]
    assert query("SELECT 1 FROM outbox_messages") == []


async def test_a_refused_redrive_leaves_the_letter_as_it_was(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)
    query("ALTER TABLE outbox_messages ADD CHECK (topic <> 'payments')")

    with pytest.raises(Exception, match="violates check constraint"):
        await redrives.redrive(LETTER.id, by=Operator(name="ada"))

    assert query("SELECT replayed_at, replayed_by FROM dead_letters") == [(None, None)]


async def test_all_of_a_consumer_are_redriven_in_the_order_of_their_records(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    def letter(minute: int, **changes: Any) -> DeadLetter:
        at = NOON + timedelta(minutes=minute)
        return replace(LETTER, origin=replace(LETTER.origin, offset=minute, at=at), value=b"%d" % minute, **changes)

    for minute in (3, 1, 4, 2):
        await writer.bury(letter(minute))
    await writer.bury(letter(0, consumer="fraud"))
    await writer.bury(letter(5, reason="too_large"))
    await redrives.redrive(letter(2).id, by=Operator(name="bob"))
    query("DELETE FROM outbox_messages")

    async for letter_id in redrives.redrivable("router", "invalid_json"):
        await redrives.redrive(letter_id, by=Operator(name="ada"))

    assert [bytes(value) for (value,) in query("SELECT value FROM outbox_messages ORDER BY seq")] == [b"1", b"3", b"4"]
    assert [letter_id async for letter_id in redrives.redrivable("router")] == [letter(5, reason="too_large").id]


async def test_more_than_a_page_is_redriven_and_what_dies_again_meanwhile_is_not(
    writer: DecisionWriter, redrives: Redrives, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)
    query(
        'INSERT INTO dead_letters (id, consumer, reason, detail, topic, partition, "offset", recorded_at, headers)'
        " SELECT gen_random_uuid(), 'router', 'r', '', 'payments', 0, n, %s, '[]' FROM generate_series(1, 1200) AS n",
        (NOON,),
    )
    seen = 0
    async for letter_id in redrives.redrivable("router"):
        if not seen:
            await writer.bury(replace(LETTER, origin=replace(LETTER.origin, at=NOON + timedelta(days=1))))
        seen += 1
        assert letter_id is not None

    assert seen == 1201


async def test_every_refusal_is_one_that_asking_again_cannot_help() -> None:
    assert {UnknownDeadLetter, AlreadyRedriven, TruncatedDeadLetter, ShadowDeadLetter} == set(
        NotRedriven.__subclasses__()
    )


async def test_one_buried_message_is_put_back_and_the_others_stay(
    database: Database, query: Callable[..., Any]
) -> None:
    query(
        "INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)"
        " SELECT n, n, 'm-' || n, 'payments', 'k', 'v', '[]', %s, 'too large' FROM generate_series(1, 3) AS n",
        (NOON,),
    )

    assert await redrive_buried(database, 2, by=Operator(name="ada")) == ["m-2"]
    assert await redrive_buried(database, 2, by=Operator(name="ada")) == []

    assert query("SELECT lane, message_id FROM outbox_messages") == [(2, "m-2")]
    assert query("SELECT seq FROM outbox_dead ORDER BY seq") == [(1,), (3,)]


async def test_a_letter_that_was_not_kept_whole_is_not_put_back_and_says_where_it_may_be(
    redrives: Redrives, writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    large = replace(LETTER, reason="too_large", value=b"x" * 1_000_000)
    await writer.bury(large)

    with pytest.raises(TruncatedDeadLetter, match=r"payments\[3\]@41"):
        await redrives.redrive(large.id, by=Operator(name="ada"))

    assert [letter async for letter in redrives.redrivable("router")] == []
    assert query("SELECT replayed_at FROM dead_letters") == [(None,)]
    assert query("SELECT count(*) FROM outbox_messages WHERE topic = 'payments'") == [(0,)]
