"""The journal of language models keeps the same rules on PostgreSQL and in the fake of the tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from interviews import Journal as FakeJournal
from llm_calls import NOON, PROMPT_SHA256, call

from agents.brains.interview import Journal
from outbox.database import Database
from outbox.errors import StatementRejected
from outbox.journal import Journal as PostgresJournal
from outbox.journal import StoredReply

FIRST, SECOND = PROMPT_SHA256, "cd" * 32


@pytest.fixture(params=["fake", "postgresql"])
def journal(request: pytest.FixtureRequest, closing: AsyncExitStack, pool_of: Callable[[str], Database]) -> Journal:
    if request.param == "fake":
        return FakeJournal()
    running = PostgresJournal(pool_of(request.getfixturevalue("database_url")))
    closing.push_async_callback(running.stop)
    return running


async def texts(journal: Journal, event_id: str = "pay-1") -> dict[str, str]:
    found = await journal.replies("fraud", "urn:shop", event_id)
    return {sha256: stored.reply for sha256, stored in found.items()}


async def test_a_reply_is_found_by_its_event_and_prompt(journal: Journal) -> None:
    await journal.record(call())

    assert await journal.replies("fraud", "urn:shop", "pay-1") == {
        FIRST: StoredReply(prompt_sha256=FIRST, model="small", reply="approve")
    }


@pytest.mark.parametrize(
    "asked", [("incident", "urn:shop", "pay-1"), ("fraud", "urn:shop", "pay-2"), ("fraud", "urn:till", "pay-1")]
)
async def test_a_reply_about_something_else_is_not_found(journal: Journal, asked: tuple[str, str, str]) -> None:
    await journal.record(call())

    assert await journal.replies(*asked) == {}


async def test_replies_to_several_prompts_and_events_are_told_apart(journal: Journal) -> None:
    await asyncio.gather(
        journal.record(call()),
        journal.record(call(attempt=2, prompt_sha256=SECOND, reply="review")),
        journal.record(call(event_id="pay-2", reply="block")),
    )

    assert await texts(journal) == {FIRST: "approve", SECOND: "review"}
    assert await texts(journal, "pay-2") == {FIRST: "block"}


async def test_of_two_replies_to_a_prompt_the_newer_one_is_found_however_they_were_recorded(journal: Journal) -> None:
    await journal.record(call(reply="new", model="large", called_at=NOON + timedelta(seconds=1)))
    await journal.record(call(reply="old"))

    assert await journal.replies("fraud", "urn:shop", "pay-1") == {
        FIRST: StoredReply(prompt_sha256=FIRST, model="large", reply="new")
    }


async def test_of_two_replies_of_one_moment_the_same_one_is_found_however_they_were_recorded(journal: Journal) -> None:
    await journal.record(call(id=uuid.UUID(int=2), reply="second"))
    await journal.record(call(id=uuid.UUID(int=1), reply="first"))

    assert await texts(journal) == {FIRST: "second"}


async def test_a_call_recorded_again_changes_nothing(journal: Journal) -> None:
    same = uuid.uuid4()
    await journal.record(call(id=same))
    await journal.record(call(id=same, reply="changed its mind"))

    assert await texts(journal) == {FIRST: "approve"}


async def test_an_empty_reply_and_one_nobody_can_use_were_paid_for(journal: Journal) -> None:
    await journal.record(call(reply="", error="not_json"))
    await journal.record(call(attempt=2, prompt_sha256=SECOND, reply="half {", error="not_json"))

    assert await texts(journal) == {FIRST: "", SECOND: "half {"}


async def test_silence_is_no_reply_and_hides_none(journal: Journal) -> None:
    await journal.record(call())
    await journal.record(call(attempt=2, reply=None, error="timeout", called_at=NOON + timedelta(seconds=1)))

    assert await texts(journal) == {FIRST: "approve"}


async def test_text_that_postgresql_cannot_hold_comes_back_replaced(journal: Journal) -> None:
    await journal.record(call(reply="c\0d\ud800e", prompt="a\0b", error="f\0"))

    assert await texts(journal) == {FIRST: "c\ufffdd?e"}


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": 0},
        {"reply": None},
        {"error": ""},
        {"model": ""},
        {"agent": ""},
        {"event_id": ""},
        {"prompt_sha256": "AB" * 32},
        {"prompt_sha256": "ab"},
        {"latency_ms": -1},
        {"prompt_tokens": -1},
        {"completion_tokens": -1},
    ],
    ids=str,
)
async def test_a_call_that_breaks_the_rules_is_refused_alone(journal: Journal, change: dict[str, Any]) -> None:
    wrong = replace(call(attempt=2, prompt_sha256=SECOND), **change)
    calls = [call(), wrong, call(event_id="pay-2")]

    outcomes = await asyncio.gather(*map(journal.record, calls), return_exceptions=True)

    assert [type(each) for each in outcomes] == [type(None), StatementRejected, type(None)]
    assert await texts(journal) == await texts(journal, "pay-2") == {FIRST: "approve"}
