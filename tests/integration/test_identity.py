"""Events told apart by source and id: what versions of before stored, and workers of theirs that are still alive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from alembic import command
from alembic.config import Config

from outbox import migrate as migrations
from outbox.database import Database
from outbox.journal import Journal
from outbox.migrate import migrate
from outbox.records import sourceless_decision_id
from outbox.shadows import agreements

#: How a version of before writes a decision.
OLD_INSERT = """
    INSERT INTO decisions (id, agent, event_id, event_source, event_type, event_at, entity, entity_id, topic, partition,
        "offset", history, brain, outcome, reason, confidence, messages, status, decided_at)
    VALUES (%(id)s, %(agent)s, %(event_id)s, %(source)s, 'PaymentSucceeded', now(), 'customer', 'ada',
        'timeline-customer', 2, 7, '{"offsets": [], "sha256": "00"}', 'rules', 'approve', 'fine', 1, %(messages)s,
        'committed', now())
    ON CONFLICT (agent, event_id) DO NOTHING
    RETURNING id::text
"""
OLD_CALL = """
    INSERT INTO llm_calls (id, agent, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, latency_ms,
        called_at)
    VALUES (gen_random_uuid(), 'fraud', %s, gen_random_uuid(), 1, 'small', repeat('0', 64), '?', '{}', 1, now())
"""
ALIVE = "INSERT INTO outbox_workers (owner, seen_until) VALUES ('old', now() + interval '1 hour')"
SOURCES = "SELECT event_source FROM decisions WHERE event_id = '1001' ORDER BY event_source"
ONE_MESSAGE = '[{"id": "old", "topic": "payments", "key": "customer-1", "value": {"id": "old", "n": 1}}]'


def run(url: str, statement: str, parameters: Any = None) -> list[Any]:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def decided(event_id: str, source: str = "urn:shop", agent: str = "fraud") -> dict[str, Any]:
    decision = str(sourceless_decision_id(agent, event_id))
    return {"id": decision, "agent": agent, "event_id": event_id, "source": source, "messages": ONE_MESSAGE}


@pytest.fixture
def before(empty_database_url: str) -> str:
    """A database of the version before, with one decision and the calls of models about it and another event."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / "migrations"))
    config.attributes["url"] = empty_database_url
    command.upgrade(config, "0004")
    run(empty_database_url, OLD_INSERT, decided("1001"))
    run(empty_database_url, OLD_CALL, ("1001",))
    run(empty_database_url, OLD_CALL, ("undecided",))
    return empty_database_url


async def written(url: str, writing: Callable[..., Any], *records: Any) -> list[bool | BaseException]:
    database = Database(url)
    try:
        async with writing(database) as writer, asyncio.timeout(60):
            return [await writer.record(record) for record in records]
    finally:
        await database.close()


async def test_a_decision_of_the_version_before_is_not_made_again_and_another_sources_event_is_decided(
    before: str, decision: Callable[..., Any], message: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    await asyncio.to_thread(migrate, before)

    ours, theirs = decision("1001"), decision("1001", event_source="urn:till", messages=(message("m-2"),))

    assert await written(before, writing, ours, theirs, replace(theirs)) == [False, True, False]
    assert run(before, SOURCES) == [("urn:shop",), ("urn:till",)]
    assert run(before, "SELECT message_id FROM outbox_messages") == [("m-2",)]


async def test_a_second_decision_on_one_event_is_refused_by_postgresql_itself(before: str) -> None:
    await asyncio.to_thread(migrate, before)

    another = decided("1001") | {"id": "00000000-0000-0000-0000-000000000001"}
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run(before, OLD_INSERT.replace("ON CONFLICT (agent, event_id) DO NOTHING", ""), another)


async def test_calls_of_models_get_the_source_of_their_decision_and_the_others_are_found_all_the_same(
    before: str,
) -> None:
    await asyncio.to_thread(migrate, before)

    assert run(before, "SELECT event_id, event_source FROM llm_calls ORDER BY event_id") == [
        ("1001", "urn:shop"),
        ("undecided", None),
    ]
    database = Database(before)
    journal = Journal(database)
    try:
        found = [
            list(await journal.replies("fraud", source, event_id))
            for source, event_id in (("urn:shop", "1001"), ("urn:till", "1001"), ("urn:till", "undecided"))
        ]
    finally:
        await journal.stop()
        await database.close()
    assert found == [["0" * 64], [], ["0" * 64]]


async def test_beside_a_worker_of_before_nothing_is_decided_twice_and_none_of_its_statements_fails(
    before: str, decision: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    run(before, ALIVE)
    await asyncio.to_thread(migrate, before)

    # The old one first, then the new one, and the other way round.
    assert run(before, OLD_INSERT, decided("2")) == [(decided("2")["id"],)]
    assert await written(before, writing, decision("2"), decision("3")) == [False, True]
    assert run(before, OLD_INSERT, decided("3")) == []
    run(before, OLD_CALL, ("3",))

    assert run(before, "SELECT event_id, count(*) FROM decisions GROUP BY 1 ORDER BY 1") == [
        ("1001", 1),
        ("2", 1),
        ("3", 1),
    ]


async def test_an_id_used_before_waits_for_the_last_worker_of_before_and_holds_up_no_other_decision(
    before: str,
    decision: Callable[..., Any],
    writing: Callable[..., Any],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(before, ALIVE)
    await asyncio.to_thread(migrate, before)
    database = Database(before)
    try:
        async with writing(database) as writer, asyncio.timeout(120):
            waiting = asyncio.create_task(writer.record(decision("1001", event_source="urn:till")))
            assert await writer.record(decision("2")) is True
            await until(lambda: "older workers remain" in caplog.text)
            assert not waiting.done()
            run(before, "DELETE FROM outbox_workers")
            assert await waiting is True
    finally:
        await database.close()
    assert run(before, SOURCES) == [("urn:shop",), ("urn:till",)]


async def test_the_next_start_or_migrate_after_the_last_worker_of_before_drops_what_it_needed(before: str) -> None:
    constraint = "SELECT 1 FROM pg_constraint WHERE conname = 'decisions_agent_event_id_key'"
    run(before, ALIVE)
    await asyncio.to_thread(migrate, before)
    assert run(before, constraint) == [(1,)]

    run(before, "UPDATE outbox_workers SET seen_until = now() - interval '1 second'")
    await asyncio.to_thread(migrate, before)

    assert run(before, constraint) == []


async def test_a_shadow_begun_after_the_upgrade_agrees_with_what_was_decided_before_it(
    before: str, decision: Callable[..., Any], message: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    await asyncio.to_thread(migrate, before)
    derived_anew = message("new", value=b'{"id":"new","n":1}')

    shadow = decision("1001", agent="fraud@v2", status="shadow", messages=(derived_anew,))
    assert await written(before, writing, shadow) == [True]

    database = Database(before)
    try:
        [agreement] = await agreements(database)
    finally:
        await database.close()
    assert (agreement.compared, agreement.same_messages, agreement.same) == (1, 1, 1)
