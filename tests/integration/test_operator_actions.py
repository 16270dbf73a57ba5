"""What people change is written down with the change: both or neither, once, and for good."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from aiohttp.test_utils import TestClient, TestServer
from problems import problem

from app.composition import create_app
from app.reads.operator_actions import OperatorActionsQuery, operator_actions
from app.settings import Settings
from app.web.tokens import digest
from outbox.approvals import AlreadyAnswered, AnotherContent, Approvals
from outbox.buried import redrive_buried
from outbox.database import Database
from outbox.operator_actions import Operator
from outbox.records import DeadLetter, Hold, Origin
from outbox.redrives import AlreadyRedriven, Redrives
from outbox.writer import DecisionWriter

ADA = Operator(name="ada", known_by="token", role="approve", reason="the customer called")
LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="",
    origin=Origin(topic="payments", partition=0, offset=0, at=datetime(2024, 5, 1, 12, 0, tzinfo=UTC)),
    key=None,
    value=b"{}",
    headers=(),
)
TOKEN = "t" * 43
WRITTEN = "SELECT by_whom, known_by, role, action, target, reason FROM operator_actions ORDER BY at, id"
BURIED = """
    INSERT INTO outbox_dead (seq, lane, message_id, topic, key, headers, committed_at, reason)
    SELECT seq, 0, 'm-' || seq, 'payments', '', '[]', now(), 'too large' FROM generate_series(1, 2) AS seq
"""


@pytest.fixture
def approvals(database: Database) -> Approvals:
    return Approvals(database, effects={}, on_commit=lambda _lanes: None)


@pytest.fixture
async def held(writer: DecisionWriter, decision: Callable[..., Any], approvals: Approvals) -> tuple[uuid.UUID, str]:
    """A decision that is held, and the hash of its content."""
    record = decision("pay-1", status="held", hold=Hold(reason="amount", expires_in=timedelta(days=1)))
    await writer.record(record)
    approval = await approvals.find(record.id)
    assert approval is not None
    return record.id, approval.content_sha256


async def test_an_answer_is_written_down_with_who_gave_it_and_why(
    approvals: Approvals, held: tuple[uuid.UUID, str], query: Callable[..., Any]
) -> None:
    decision_id, sha256 = held

    await approvals.approve(decision_id, sha256, ADA)

    assert query(WRITTEN) == [("ada", "token", "approve", "approve", str(decision_id), "the customer called")]


async def test_what_was_not_answered_is_not_written_down(
    approvals: Approvals, held: tuple[uuid.UUID, str], query: Callable[..., Any]
) -> None:
    with pytest.raises(AnotherContent):
        await approvals.reject(held[0], "0" * 64, ADA)

    assert query(WRITTEN) == []


async def test_of_two_who_press_at_once_one_is_written_down(
    approvals: Approvals, held: tuple[uuid.UUID, str], query: Callable[..., Any]
) -> None:
    people = [Operator(name=name) for name in ("ada", "bob", "eve")]

    outcomes = await asyncio.gather(*(approvals.approve(*held, one) for one in people), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if outcome is not None] == [AlreadyAnswered, AlreadyAnswered]
    [(by_whom, known_by, *_)] = query(WRITTEN)
    assert (people[outcomes.index(None)].name, "own_account") == (by_whom, known_by)


async def test_an_answer_that_expires_is_nobody_s(
    approvals: Approvals, held: tuple[uuid.UUID, str], query: Callable[..., Any]
) -> None:
    query("ALTER TABLE approvals DISABLE TRIGGER ALL")
    query("UPDATE approvals SET expires_at = clock_timestamp()")

    assert await approvals.expire() == [held[0]]
    assert query(WRITTEN) == []


async def test_a_redrive_is_written_down_once(
    database: Database, writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)
    redrives = Redrives(database, on_commit=lambda _lanes: None)

    await redrives.redrive(LETTER.id, by=replace(ADA, role="operate"))
    with pytest.raises(AlreadyRedriven):
        await redrives.redrive(LETTER.id, by=Operator(name="bob"))

    assert query(WRITTEN) == [("ada", "token", "operate", "redrive_dead_letter", str(LETTER.id), "the customer called")]


async def test_every_message_that_is_put_back_is_written_down(database: Database, query: Callable[..., Any]) -> None:
    query(BURIED)

    await redrive_buried(database, by=ADA)
    await redrive_buried(database, 17, by=ADA)

    written = {(action, target) for _, _, _, action, target, _ in query(WRITTEN)}
    assert written == {("redrive_buried_message", "m-1"), ("redrive_buried_message", "m-2")}


@pytest.mark.parametrize("change", ["UPDATE operator_actions SET by_whom = 'eve'", "DELETE FROM operator_actions"])
async def test_what_is_written_down_stays(database: Database, query: Callable[..., Any], change: str) -> None:
    query(BURIED)
    await redrive_buried(database, 1, by=ADA)

    for refused in (change, "TRUNCATE operator_actions"):
        with pytest.raises(psycopg2.IntegrityError, match="operator_actions is append only"):
            query(refused)
    assert len(query(WRITTEN)) == 1


async def test_actions_are_found_by_who_what_and_when(database: Database, query: Callable[..., Any]) -> None:
    query(BURIED)
    await redrive_buried(database, 1, by=ADA)
    await redrive_buried(database, 2, by=Operator(name="bob"))

    async def found(**asked: Any) -> list[str]:
        page = await operator_actions(database, OperatorActionsQuery(**asked))
        return [one.by_whom for one in page.operator_actions]

    first = await operator_actions(database, OperatorActionsQuery(limit=1))
    assert await found() == ["bob", "ada"]
    assert await found(by_whom="ada") == ["ada"]
    assert await found(target="m-2") == ["bob"]
    assert await found(action="approve") == []
    assert await found(until=datetime(2024, 1, 1, tzinfo=UTC)) == []
    assert await found(before=first.next) == ["ada"]


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """A worker that is not started, and knows one person by a token."""
    settings = Settings(
        _env_file=None,
        kafka_broker="127.0.0.1:1",
        database_url=database_url,
        datadir=tmp_path,
        api_tokens=f"ada:operate:{digest(TOKEN).hex()}",
    )
    app = create_app(settings)
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


async def test_whoever_is_known_is_recorded_by_that_name_and_cannot_give_another(
    client: TestClient[Any, Any], writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)
    path, headers = f"/dead-letters/{LETTER.id}/redrive", {"Authorization": f"Bearer {TOKEN}"}

    async with client.post(path, json={"by": "eve"}, headers=headers) as response:
        said = problem(422, "by: you are known as ada")
        assert (response.status, await response.json()) == (422, said)
    async with client.post(path, json={"reason": "mended"}, headers=headers) as response:
        assert (response.status, (await response.json())["by"]) == (202, "ada")

    assert query(WRITTEN) == [("ada", "token", "operate", "redrive_dead_letter", str(LETTER.id), "mended")]
    async with client.get("/operator-actions", headers=headers) as response:
        [action] = (await response.json())["operator_actions"]
    assert (action["by_whom"], action["known_by"], action["reason"]) == ("ada", "token", "mended")
