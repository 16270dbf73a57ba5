"""Dead letters: the row and its copy for the topic are one transaction, once, with the original bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox import Postgres
from outbox.database import Database
from outbox.errors import StatementRejected
from outbox.parameters import headers_from
from outbox.records import DeadLetter, Message, Origin
from outbox.writer import DecisionWriter

ANY_BYTES = bytes(range(256))
HEADERS = (("ce_id", b"e-1"), ("ce_id", b"again"), ("binary", ANY_BYTES), ("empty", b""))

LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON: unexpected character at character 1",
    origin=Origin(topic="payments", partition=3, offset=41, at=datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
    key=b"customer-1\xff",
    value=ANY_BYTES,
    headers=HEADERS,
)


@pytest.fixture
def kicks() -> list[str]:
    return []


@pytest.fixture
def writer(database: Database, kicks: list[str]) -> DecisionWriter:
    return DecisionWriter(database, on_commit=lambda _lanes: kicks.append("kick"))


async def test_what_tells_of_a_dead_letter_is_published_with_it_once(
    writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    tells = tuple(
        Message(id=f"told-{number}", topic="recovery", key=b"o-1", value=b'{"n":%d}' % number) for number in range(2)
    )
    for _ in range(2):
        await writer.bury(replace(LETTER, tells=tells))

    told = query("SELECT message_id, key, value FROM outbox_messages WHERE topic = 'recovery' ORDER BY seq")
    assert [(message_id, bytes(key), bytes(value)) for message_id, key, value in told] == [
        ("told-0", b"o-1", b'{"n":0}'),
        ("told-1", b"o-1", b'{"n":1}'),
    ]
    assert query("SELECT count(*) FROM dead_letters") == [(1,)]


async def test_the_original_bytes_and_headers_are_kept(writer: DecisionWriter, query: Callable[..., Any]) -> None:
    await writer.bury(LETTER)

    [row] = query(
        'SELECT consumer, reason, detail, topic, partition, "offset", recorded_at, key, value, headers '
        "FROM dead_letters"
    )
    assert row[:6] == ("router", "invalid_json", LETTER.detail, "payments", 3, 41)
    assert row[6] == datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    assert (bytes(row[7]), bytes(row[8])) == (b"customer-1\xff", ANY_BYTES)
    assert headers_from(row[9]) == list(HEADERS)


async def test_the_message_for_the_topic_adds_where_it_came_from_and_why(
    writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)

    [(topic, key, value, headers)] = query("SELECT topic, key, value, headers FROM outbox_messages")
    assert (topic, bytes(key), bytes(value)) == ("dead-letters", b"customer-1\xff", ANY_BYTES)
    assert headers_from(headers) == [
        *HEADERS,
        ("reason", b"invalid_json"),
        ("detail", b"value must be JSON: unexpected character at character 1"),
        ("consumer", b"router"),
        ("topic", b"payments"),
        ("partition", b"3"),
        ("offset", b"41"),
        ("time", b"2024-05-01T12:00:00.250000Z"),
    ]


async def test_row_and_message_are_one_transaction(writer: DecisionWriter, query: Callable[..., Any]) -> None:
    await writer.bury(LETTER)

    assert query(
        "SELECT d.xmin::text = m.xmin::text, d.id::text = m.message_id FROM dead_letters AS d, outbox_messages AS m"
    ) == [(True, True)]


async def test_a_refused_message_leaves_no_row(writer: DecisionWriter, query: Callable[..., Any]) -> None:
    query("ALTER TABLE outbox_messages ADD CHECK (key <> ''::bytea)")

    with pytest.raises(StatementRejected):
        await writer.bury(replace(LETTER, key=None))

    assert query("SELECT count(*) FROM dead_letters") == [(0,)]


async def test_the_same_input_dies_once(writer: DecisionWriter, query: Callable[..., Any]) -> None:
    await writer.bury(LETTER)
    await writer.bury(replace(LETTER, detail="said in other words"))

    assert query("SELECT detail FROM dead_letters") == [(LETTER.detail,)]
    assert query("SELECT count(*) FROM outbox_messages") == [(1,)]


@pytest.mark.parametrize(
    "changed",
    [
        replace(LETTER, consumer="fraud"),
        replace(LETTER, reason="too_large"),
        replace(LETTER, origin=replace(LETTER.origin, offset=42)),
        replace(LETTER, origin=replace(LETTER.origin, partition=4)),
        replace(LETTER, origin=replace(LETTER.origin, topic="orders")),
        # A topic that was deleted and made again counts its offsets from the start.
        replace(LETTER, origin=replace(LETTER.origin, at=LETTER.origin.at + timedelta(days=1))),
    ],
    ids=["consumer", "reason", "offset", "partition", "topic", "time"],
)
async def test_another_origin_is_another_death(
    writer: DecisionWriter, query: Callable[..., Any], changed: DeadLetter
) -> None:
    await writer.bury(LETTER)
    await writer.bury(changed)

    assert query("SELECT count(*) FROM dead_letters") == [(2,)]
    assert query("SELECT count(DISTINCT message_id) FROM outbox_messages") == [(2,)]


async def test_a_tombstone_without_key_or_headers_is_kept_as_such(
    writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    await writer.bury(replace(LETTER, reason="tombstone", key=None, value=None, headers=()))

    assert query("SELECT key, value, headers FROM dead_letters") == [(None, None, [])]
    [(key, value)] = query("SELECT key, value FROM outbox_messages")
    assert (bytes(key), value) == (b"", None)


async def test_a_burial_kicks_the_relay(writer: DecisionWriter, kicks: list[str]) -> None:
    await writer.bury(LETTER)

    assert kicks == ["kick"]


async def test_a_burial_waits_for_postgresql(
    writer: DecisionWriter, postgres: Postgres, query: Callable[..., Any]
) -> None:
    await asyncio.to_thread(postgres.crash)
    try:
        burial = asyncio.create_task(writer.bury(LETTER))
        done, _ = await asyncio.wait([burial], timeout=0.2)
        assert not done
    finally:
        await asyncio.to_thread(postgres.restart)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await burial

    assert query("SELECT count(*) FROM dead_letters") == [(1,)]


async def test_of_a_letter_larger_than_any_event_the_beginning_the_length_and_the_hash_are_kept(
    writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    value = b"0123456789" * 1_500_000

    await writer.bury(replace(LETTER, reason="too_large", value=value))

    sha256 = hashlib.sha256(value).hexdigest()
    [(key, kept, headers, truncated)] = query("SELECT key, value, headers, truncated FROM dead_letters")
    assert (bytes(key), bytes(kept), headers_from(headers)) == (b"customer-1\xff", value[: 64 * 1024], list(HEADERS))
    assert truncated == {"value": {"bytes": 15_000_000, "sha256": sha256}}
    [(message, message_headers)] = query("SELECT value, headers FROM outbox_messages")
    assert bytes(message) == value[: 64 * 1024]
    assert headers_from(message_headers)[-2:] == [("value_bytes", b"15000000"), ("value_sha256", sha256.encode())]


async def test_headers_and_keys_of_any_size_are_bounded_too(writer: DecisionWriter, query: Callable[..., Any]) -> None:
    many = tuple((f"h{n}", b"") for n in range(200_000))

    await writer.bury(replace(LETTER, key=b"k" * 2_000_000, headers=many))

    [(bytes_of_row, parts)] = query(
        "SELECT octet_length(key) + octet_length(value) + octet_length(headers::text), truncated FROM dead_letters"
    )
    assert bytes_of_row < 64 * 1024
    assert parts["key"]["bytes"] == 2_000_000
    assert set(parts) == {"key", "headers"}
    [(message_bytes,)] = query("SELECT octet_length(key) + octet_length(headers::text) FROM outbox_messages")
    assert message_bytes < 64 * 1024


async def test_what_an_event_may_be_at_most_is_kept_whole(writer: DecisionWriter, query: Callable[..., Any]) -> None:
    await writer.bury(replace(LETTER, value=b"x" * 900 * 1024))

    assert query("SELECT octet_length(value), truncated FROM dead_letters") == [(900 * 1024, None)]


async def test_no_text_of_a_letter_is_one_that_postgresql_refuses(
    writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    headers = (("nul\0", b"\0"), ("half \udc80", b""))

    await writer.bury(replace(LETTER, detail="nul \0 half \udc80 " + "long" * 10_000, headers=headers))

    [(detail, stored)] = query("SELECT detail, headers FROM dead_letters")
    assert detail.startswith("nul  half \\udc80 long")
    assert len(detail) == 2000
    assert headers_from(stored) == [("nul", b"\0"), ("half \\udc80", b"")]
