"""Journal on PostgreSQL: what was asked, what came back, and no reply is paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from llm_calls import NOON, PROMPT_SHA256, call
from waiting import PATIENCE_SECONDS

from outbox.database import Database
from outbox.errors import StatementRejected
from outbox.journal import Journal, LlmCall, StoredReply
from outbox.records import decision_id

CALL = call(prompt="score this payment of [redacted]", reply='{"outcome":"approve"}')


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    running = Journal(database)
    try:
        yield running
    finally:
        await running.stop()


def attempt(**changes: Any) -> LlmCall:
    """Another call: like the first one, with an id of its own."""
    return replace(CALL, id=decision_id("call", "urn:test", repr(changes)), **changes)


async def test_a_call_is_written_as_it_was(journal: Journal, query: Callable[..., Any]) -> None:
    await journal.record(CALL)

    [row] = query("SELECT * FROM llm_calls")
    assert row == (
        *(str(CALL.id), "fraud", "pay-1", str(decision_id("fraud", "urn:shop", "pay-1")), 1, "small", PROMPT_SHA256),
        *("score this payment of [redacted]", '{"outcome":"approve"}', 120, 8, 950, None, NOON, "urn:shop", False),
    )


async def test_a_call_recorded_again_is_there_once(journal: Journal, query: Callable[..., Any]) -> None:
    await journal.record(CALL)
    await journal.record(CALL)

    assert query("SELECT count(*) FROM llm_calls") == [(1,)]


async def test_an_event_that_comes_again_finds_the_reply_that_was_paid_for(journal: Journal) -> None:
    await journal.record(CALL)

    assert await journal.replies("fraud", "urn:shop", "pay-1") == {
        PROMPT_SHA256: StoredReply(prompt_sha256=PROMPT_SHA256, model="small", reply='{"outcome":"approve"}')
    }


@pytest.mark.parametrize(
    "asked", [("sentiment", "urn:shop", "pay-1"), ("fraud", "urn:shop", "pay-2"), ("fraud", "urn:till", "pay-1")]
)
async def test_a_reply_about_something_else_is_not_found(journal: Journal, asked: tuple[str, str, str]) -> None:
    await journal.record(CALL)

    assert await journal.replies(*asked) == {}


async def test_a_reply_nobody_can_decide_by_was_paid_for_too_but_silence_was_not(
    journal: Journal, query: Callable[..., Any]
) -> None:
    await journal.record(attempt(reply="half of it {", error="not_json"))
    await journal.record(attempt(attempt=2, reply=None, prompt_tokens=None, completion_tokens=None, error="timeout"))

    assert [stored.reply for stored in (await journal.replies("fraud", "urn:shop", "pay-1")).values()] == [
        "half of it {"
    ]
    assert query("SELECT attempt, reply, prompt_tokens, error FROM llm_calls ORDER BY attempt") == [
        (1, "half of it {", 120, "not_json"),
        (2, None, None, "timeout"),
    ]


async def test_a_reply_of_a_version_that_kept_no_source_is_found(journal: Journal, query: Callable[..., Any]) -> None:
    await journal.record(CALL)
    query("UPDATE llm_calls SET event_source = NULL")

    assert list(await journal.replies("fraud", "urn:shop", "pay-1")) == [PROMPT_SHA256]


async def test_of_two_replies_to_a_prompt_the_newer_one_is_found(journal: Journal) -> None:
    await journal.record(attempt(reply="new", called_at=NOON + timedelta(seconds=1)))
    await journal.record(attempt(reply="old"))

    assert (await journal.replies("fraud", "urn:shop", "pay-1"))[PROMPT_SHA256].reply == "new"


async def test_replies_to_several_events_and_prompts_are_told_apart(journal: Journal) -> None:
    other = "cd" * 32
    await asyncio.gather(
        journal.record(CALL),
        journal.record(attempt(attempt=2, prompt_sha256=other, reply="again")),
        journal.record(attempt(event_id="pay-2", reply="another")),
    )

    first, second, none = await asyncio.gather(
        *(journal.replies("fraud", "urn:shop", f"pay-{each}") for each in (1, 2, 3))
    )

    assert {sha256: stored.reply for sha256, stored in first.items()} == {
        PROMPT_SHA256: '{"outcome":"approve"}',
        other: "again",
    }
    assert [stored.reply for stored in second.values()] == ["another"]
    assert none == {}


async def test_text_that_postgresql_cannot_hold_is_replaced(journal: Journal, query: Callable[..., Any]) -> None:
    await journal.record(attempt(prompt="a\0b", reply="c\0d\ud800e", error="f\0"))

    assert query("SELECT prompt, reply, error FROM llm_calls") == [("a\ufffdb", "c\ufffdd?e", "f\ufffd")]


async def test_a_call_that_breaks_the_rules_of_the_table_is_refused_alone(
    journal: Journal, query: Callable[..., Any]
) -> None:
    calls = [attempt(attempt=1), attempt(attempt=0), attempt(attempt=3), attempt(reply=None), attempt(attempt=4)]

    async with asyncio.timeout(PATIENCE_SECONDS):
        outcomes = await asyncio.gather(*map(journal.record, calls), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [
        *(type(None), StatementRejected, type(None), StatementRejected, type(None)),
    ]
    assert query("SELECT attempt FROM llm_calls ORDER BY attempt") == [(1,), (3,), (4,)]
