"""Views of a worker on a real server and database, without Kafka."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from problems import problem

from app.composition import create_app
from app.sandbox import Postgres
from app.settings import Settings
from outbox.records import DeadLetter, Origin
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
Ask = Callable[..., Awaitable[tuple[int, Any]]]

EMPTY_OUTBOX = {"pending": 0, "more_is_pending": False, "oldest_seconds": 0, "dead": 0, "lanes": [], "waiting": []}


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """Asks a worker that is not started: it has its database and nothing else."""
    app = create_app(Settings(_env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path))
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


@pytest.fixture
def ask(client: TestClient[Any, Any]) -> Ask:
    """Status and JSON of a GET."""

    async def get(path: str) -> tuple[int, Any]:
        async with client.get(path) as response:
            return response.status, await response.json()

    return get


async def test_a_process_that_answers_is_live(ask: Ask) -> None:
    assert await ask("/health/live") == (200, {"status": "live"})


async def test_a_database_that_is_away_is_not_ready_and_no_view_breaks(ask: Ask, postgres: Postgres) -> None:
    postgres.crash()
    try:
        status, ready = await ask("/health/ready")
        assert (status, ready["status"]) == (503, "not ready")
        assert "refused" in ready["checks"]["database"]
        for path in ("/decisions", "/outbox", "/dead-letters"):
            assert await ask(path) == (503, problem(503, "PostgreSQL does not answer"))
    finally:
        postgres.restart()

    assert (await ask("/decisions"))[0] == 200


async def test_a_database_that_is_read_only_is_not_ready(
    ask: Ask, query: Callable[..., Any], client: TestClient[Any, Any]
) -> None:
    [(name,)] = query("SELECT current_database()")
    query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    status, ready = await ask("/health/ready")

    assert (status, ready["checks"]["database"]) == (503, "PostgreSQL is read-only")


async def test_a_message_in_a_lane_that_nobody_holds_is_not_ready(ask: Ask, query: Callable[..., Any]) -> None:
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, headers, committed_at) "
        "VALUES (7, 'm-1', 'payments', '', '[]', clock_timestamp() - interval '1000 s')"
    )

    status, ready = await ask("/health/ready")

    assert status == 503
    assert re.fullmatch(r"lane 7 has waited \d+ s, held by nobody", ready["checks"]["outbox"])
    assert re.fullmatch(r"lane 7 of the outbox is \d+ s behind", ready["checks"]["lag"])


@pytest.mark.parametrize("table", ["outbox_lanes", "outbox_messages"])
async def test_an_outbox_whose_table_is_away_is_not_ready(ask: Ask, query: Callable[..., Any], table: str) -> None:
    query(f"ALTER TABLE {table} RENAME TO away")

    status, ready = await ask("/health/ready")

    assert status == 503
    assert f'relation "{table}" does not exist' in ready["checks"]["outbox"]


async def test_a_count_of_what_is_pending_ends_at_ten_thousand(ask: Ask, query: Callable[..., Any]) -> None:
    query(
        "INSERT INTO outbox_messages (lane, message_id, topic, key, headers, committed_at) "
        "SELECT n % 64, n::text, 'payments', '', '[]', clock_timestamp() - interval '90 s' "
        "FROM generate_series(1, 10005) AS n"
    )

    status, outbox = await ask("/outbox")

    assert status == 200
    assert (outbox["pending"], outbox["more_is_pending"], outbox["dead"]) == (10_000, True, 0)
    assert outbox["oldest_seconds"] >= 90


# Faust's paths end in a slash.
@pytest.mark.parametrize(
    "path",
    [
        "/table/",
        "/table/fraud-windows/",
        "/table/fraud-windows/customer-1/",
        "/router/",
        "/router/fraud-windows/customer-1/",
        "/graph/",
        "/assignment/",
        "/performance/",
    ],
)
async def test_faust_s_own_views_are_off(ask: Ask, path: str) -> None:
    assert (await ask(path))[0] == 404


async def test_an_agent_says_what_it_reacts_to_and_remembers(ask: Ask) -> None:
    status, body = await ask("/agents")

    [fraud] = [agent for agent in body["agents"] if agent["name"] == "fraud"]
    assert (status, body["set"]) == (200, "all")
    assert fraud["entity"] == "customer"
    assert fraud["timeline"] == "timeline-customer"
    assert fraud["reacts_to"] == ["PaymentSucceeded"]


async def test_a_window_of_an_agent_nobody_knows_is_not_found(ask: Ask) -> None:
    assert await ask("/agents/nobody/windows/customer-1") == (
        404,
        problem(404, "no loaded domain has an agent nobody"),
    )


async def test_decisions_are_listed_newest_first_and_page_by_page(
    ask: Ask, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for n in range(5):
        await writer.record(decision(f"pay-{n}", decided_at=NOON + timedelta(seconds=n // 2)))

    seen: list[str] = []
    before = ""
    for length in (2, 2, 1, 0):
        _, page = await ask(f"/decisions?limit=2{before}")
        assert len(page["decisions"]) == length
        seen += [one["event_id"] for one in page["decisions"]]
        before = f"&before={page['decisions'][-1]['id']}" if page["decisions"] else ""

    assert sorted(seen) == ["pay-0", "pay-1", "pay-2", "pay-3", "pay-4"]
    assert seen[0] == "pay-4"
    assert set(seen[1:3]) == {"pay-2", "pay-3"}


@pytest.mark.parametrize(
    ("query_string", "found"),
    [
        ("agent=refunds", ["pay-2"]),
        ("entity=order", ["pay-3"]),
        ("entity_id=a%2Fb%20%C3%BC", ["pay-3"]),
        ("event_id=pay-1", ["pay-1"]),
        ("outcome=block", ["pay-1"]),
        ("status=shadow", ["pay-2"]),
        ("outcome=block&agent=refunds", []),
        ("event_id=%27%3B--", []),
    ],
)
async def test_decisions_are_filtered(
    ask: Ask, writer: DecisionWriter, decision: Callable[..., Any], query_string: str, found: list[str]
) -> None:
    await writer.record(decision("pay-1", outcome="block"))
    await writer.record(decision("pay-2", agent="refunds", status="shadow"))
    await writer.record(decision("pay-3", entity="order", entity_id="a/b ü"))

    status, body = await ask(f"/decisions?{query_string}")

    assert (status, [one["event_id"] for one in body["decisions"]]) == (200, found)


async def test_one_decision_has_its_history_and_its_messages(
    ask: Ask, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    record = decision("pay-1", outcome="review", confidence=0.5)
    await writer.record(record)

    status, body = await ask(f"/decisions/{record.id}")

    assert status == 200
    assert body["history"] == {"offsets": [5, 6], "sha256": "00ff"}
    assert body["messages"] == [{"id": "m-pay-1", "topic": "payments", "key": "customer-1", "value": {"n": 1}}]
    assert (body["topic"], body["partition"], body["offset"]) == ("timeline-customer", 2, 7)
    assert (body["outcome"], body["confidence"], body["model"]) == ("review", 0.5, None)
    assert datetime.fromisoformat(body["decided_at"]) == NOON


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/decisions/00000000-0000-0000-0000-000000000000", 404, "no decision 00000000-0000-0000-0000-000000000000"),
        ("/decisions/not-a-uuid", 400, "decision_id: expected a UUID"),
        ("/decisions?before=1", 400, "before: expected a UUID"),
        ("/decisions?limit=0", 400, "limit: expected a number from 1 to 500"),
        ("/decisions?limit=501", 400, "limit: expected a number from 1 to 500"),
        ("/decisions?limit=-1", 400, "limit: expected a number from 1 to 500"),
        ("/dead-letters?limit=many", 400, "limit: expected a number from 1 to 500"),
        ("/dead-letters?limit=%D9%A3", 400, "limit: expected a number from 1 to 500"),
    ],
)
async def test_a_wrong_question_is_answered_with_what_was_expected(
    ask: Ask, path: str, status: int, error: str
) -> None:
    assert await ask(path) == (status, problem(status, error))


@pytest.mark.parametrize(
    "path", ["/decisions?agent=%00", "/dead-letters?reason=a%00b", "/decisions?limit=" + "9" * 5000]
)
async def test_a_question_nobody_can_answer_is_the_asker_s_fault(ask: Ask, path: str) -> None:
    status, _ = await ask(path)

    assert status == 400


async def test_the_outbox_says_how_much_waits_and_for_how_long(
    ask: Ask, writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    assert await ask("/outbox") == (200, EMPTY_OUTBOX)
    await writer.record(decision("pay-1"))
    await writer.record(decision("pay-2"))
    query(
        "UPDATE outbox_messages SET committed_at = clock_timestamp() - interval '1 hour' WHERE message_id = 'm-pay-1'"
    )

    _, body = await ask("/outbox")

    assert (body["pending"], body["dead"]) == (2, 0)
    assert 3600 <= body["oldest_seconds"] < 7200


async def test_dead_letters_are_listed_with_their_origin_and_filtered(ask: Ask, writer: DecisionWriter) -> None:
    letter = DeadLetter(
        consumer="router",
        reason="invalid_json",
        detail="value must be JSON",
        origin=Origin(topic="payments", partition=3, offset=41, at=NOON),
        key=None,
        value=b"12345",
        headers=(),
    )
    await writer.bury(letter)
    await writer.bury(replace(letter, consumer="fraud", reason="rules_failed", value=None))

    _, everything = await ask("/dead-letters")
    _, by_reason = await ask("/dead-letters?reason=invalid_json")
    _, by_consumer = await ask("/dead-letters?consumer=fraud")

    assert [one["reason"] for one in everything["dead_letters"]] == ["rules_failed", "invalid_json"]
    [one] = by_reason["dead_letters"]
    assert (one["id"], one["topic"], one["partition"], one["offset"]) == (str(letter.id), "payments", 3, 41)
    assert (one["detail"], one["value_bytes"]) == ("value must be JSON", 5)
    assert [(one["consumer"], one["value_bytes"]) for one in by_consumer["dead_letters"]] == [("fraud", None)]


async def test_a_method_a_page_does_not_have_is_answered_with_those_it_has(client: TestClient[Any, Any]) -> None:
    async with client.delete("/outbox") as response:
        assert response.status == 405
        assert "GET" in response.headers["Allow"]
