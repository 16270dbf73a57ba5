"""Putting back on the command line, as it is typed, on a real database; no worker and no Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from outbox.records import DeadLetter, Origin
from outbox.writer import DecisionWriter

LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON",
    origin=Origin(topic="payments", partition=3, offset=41, at=datetime(2024, 5, 1, 12, 0, tzinfo=UTC)),
    key=b"customer-1",
    value=b"1",
    headers=(),
)
BURIED = """
    INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
    SELECT n, n, 'm-' || n, 'payments', 'k', 'value', '[]', '2024-05-01T12:00:00Z', 'too large'
    FROM generate_series(1, 3) AS n
"""
PENDING = "SELECT count(*) FROM outbox_messages WHERE topic = 'payments'"
REDRIVEN = "SELECT convert_from(value, 'UTF8'), replayed_by FROM dead_letters ORDER BY recorded_at, \"offset\""


@pytest.mark.parametrize(("one", "every"), [("--redrive", "--redrive-all"), ("--replay", "--replay-all")])
async def test_dead_letters_are_put_back_by_the_name_and_by_the_older_one(
    typed: Callable[..., Any], writer: DecisionWriter, query: Callable[..., Any], one: str, every: str
) -> None:
    for offset in (1, 2, 3):
        await writer.bury(replace(LETTER, origin=replace(LETTER.origin, offset=offset), value=b"%d" % offset))
    first = replace(LETTER, origin=replace(LETTER.origin, offset=1))

    assert await typed("dead-letters", one, first.id, "--by", "ada") == (0, "on its way back to payments\n", "")
    code, _, error = await typed("dead-letters", one, first.id, "--by", "bob")
    assert (code, error[:40]) == (1, "innervate: already redriven by ada at 20")
    whole = await typed("dead-letters", every, "--consumer", "router", "--by", "bob")
    assert whole == (0, "2 dead letters are on their way back\n", "")

    assert query(REDRIVEN) == [("1", "ada"), ("2", "bob"), ("3", "bob")]
    assert query(PENDING) == [(3,)]


async def test_whose_dead_letters_has_to_be_said_before_all_are_put_back(typed: Callable[..., Any]) -> None:
    refused = "innervate: --redrive-all needs --consumer: whose dead letters?"
    assert await typed("dead-letters", "--redrive-all") == (1, "", refused)


@pytest.mark.parametrize(("one", "every"), [("--redrive", "--redrive-all"), ("--retry", "--retry-dead")])
async def test_buried_messages_are_put_back_by_the_name_and_by_the_older_one(
    typed: Callable[..., Any], query: Callable[..., Any], one: str, every: str
) -> None:
    await asyncio.to_thread(query, BURIED)

    assert await typed("outbox", one, 2) == (0, "the message is pending again\n", "")
    assert await typed("outbox", one, 2) == (1, "", "innervate: no buried message 2")
    assert await typed("outbox", every) == (0, "2 messages are pending again\n", "")

    assert query("SELECT message_id FROM outbox_messages ORDER BY seq") == [("m-2",), ("m-1",), ("m-3",)]
